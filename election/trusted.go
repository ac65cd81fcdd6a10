package election

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"github.com/vipd/vipd/trust"
)

// listen begins to take connections.
func (n *Node) listen() *stream {
	s := &stream{
		listener: n.cfg.Listener, dial: n.cfg.Dial, wire: n.cfg.Wire, keys: n.keys, admits: n.admits, log: n.log, doorway: newDoorway(n.livesAt),
		open: make(map[net.Conn]trust.Peer),
		raft: newQueue(n.cfg.Listener.Addr()), members: newQueue(n.cfg.Listener.Addr()), strangers: newQueue(n.cfg.Listener.Addr()),
	}
	s.serving.Go(s.accept)
	return s
}

// keys is what this host shows and trusts.
func (n *Node) keys() trust.Keys {
	return trust.Keys{Member: n.who().Credentials, Secret: n.secretKeys()}
}

// admits says why a host, of whom it is certain who it is, may not come in. Who is a
// member the leader knows best; others may not have heard of one yet, and only refuse
// those of whom they have heard that they were removed. Members call already while raft
// is being built.
func (n *Node) admits(peer trust.Peer) error {
	if peer.ID == "" || n.view.raft.Load() == nil || n.isIn(peer.ID) {
		return nil
	}
	st := n.machine.get()
	switch {
	case slices.Contains(st.Removed, peer.ID):
		return ErrRemoved
	case !n.Leading():
		return nil
	case peer.Protocol == trust.Members && slices.ContainsFunc(st.Enrolled, func(e enrolment) bool { return e.ID == peer.ID && time.Now().Before(e.Expires) }):
		return nil
	}
	return errNeverJoined
}

var errNeverJoined = errors.New("that host has a certificate of this cluster and did not join in time: it needs a new token")

// isIn reports whether an id stands in the configuration that this host knows.
func (n *Node) isIn(id string) bool {
	return slices.ContainsFunc(n.view.Configuration().Servers, func(s raft.Server) bool { return s.ID == raft.ServerID(id) })
}

// livesAt reports whether a member has an address, or is expected to.
func (n *Node) livesAt(ip netip.Addr) bool {
	if n.cfg.Forms != nil && slices.ContainsFunc(n.cfg.Forms.Expect, func(a netip.AddrPort) bool { return a.Addr() == ip }) {
		return true
	}
	return slices.ContainsFunc(n.view.Configuration().Servers, func(s raft.Server) bool {
		a, err := netip.ParseAddrPort(string(s.Address))
		return err == nil && a.Addr() == ip
	})
}

const (
	rootWarning = 365 * 24 * time.Hour // before its end, the CA is replaced
	trustEvery  = 10 * time.Second     // it is looked for what is due without being told
)

// keepTrusted keeps this host's certificate good and up to date with the CA, closes the
// connections of those who are not trusted any more, and, on the leader, ends a rotation.
func (n *Node) keepTrusted(ctx context.Context) {
	for {
		if err := n.renew(); err != nil {
			n.log.Warn("the certificate of this host can't be renewed", zap.Error(err))
		}
		n.stream.drop(n.stillTrusted)
		if n.Leading() {
			if err := errors.Join(n.endRemovals(ctx), n.endRotation(ctx)); err != nil && !errors.Is(err, ErrNoLeader) {
				n.log.Warn("a removal or the replacement of the CA can't be completed", zap.Error(err))
			}
		}
		select {
		case <-n.trusting:
		case <-time.After(trustEvery):
		case <-ctx.Done():
			return
		}
	}
}

// renew replaces this host's certificate, if that is due. What it has is on the disk
// before the cluster is told. The authority is there too: without a certificate that is
// good this host gets no leader, and so not to know which entries of its log are final.
func (n *Node) renew() error {
	me, authority := n.who(), n.machine.get().Authority
	own := me.Credentials
	if own == nil {
		return nil
	}
	if authority.IsZero() {
		authority = me.Authority
	}
	renewed, err := own.Renewed(authority, time.Now())
	if err != nil {
		return err
	}
	if renewed == nil && (me.Authority.Fingerprint() == own.Authority() || authority.Fingerprint() != own.Authority()) {
		return nil
	}
	err = n.changeIdentity(func(id *identity) error {
		if id.Credentials == own { // else it has joined another cluster meanwhile
			id.Credentials, id.Authority = cmp.Or(renewed, own), authority
		}
		return nil
	})
	if err != nil || renewed == nil {
		return err
	}
	n.log.Info("this host has new credentials", zap.String("authority", renewed.Authority()), zap.Time("until", renewed.Ends()))
	n.reportSoon()
	return nil
}

// stillTrusted reports whether a connection may go on. Those of the members' protocol
// end by themselves, and one may be what tells a member that it was removed.
func (n *Node) stillTrusted(peer trust.Peer) bool {
	if peer.Protocol != trust.Raft {
		return true
	}
	own := n.who().Credentials
	return own != nil && own.Trusts(peer.Roots) && n.admits(peer) == nil
}

// trusting returns s after the CA was changed. An order that is older than what is there
// changes nothing. Tokens end with each change: they name the CA before, or were made while
// that still counted. Who has a certificate of it and is no member yet loses it too.
func (s state) trusting(a trust.Authority) state {
	if !a.Follows(s.Authority) {
		return s
	}
	if s.Authority, s.Tokens = a, nil; a.Changing() {
		s.Enrolled = nil
	}
	return s
}

// Rotate replaces the CA of the cluster, and with it the certificates of all members, and
// revokes all tokens. It blocks until the old one is gone, or ctx ends; the replacement
// goes on then, and ends when each member has been there. While one is under way it waits
// for that one.
func (n *Node) Rotate(ctx context.Context) error {
	before := n.machine.get().Authority
	if err := n.duringElections(ctx, func() error { return n.callLeader(ctx, "", pathRotate, before.Fingerprint(), nil) }); err != nil {
		return err
	}
	for {
		if a := n.machine.get().Authority; !a.Changing() && !a.Equal(before) {
			return nil
		}
		if !pause(ctx, 10*time.Millisecond) {
			return hinted("the CA is being replaced, and this waits for "+strings.Join(n.Trust().Waiting, ", "),
				"it goes on by itself: start these hosts, or `vipd remove` those that are lost; see `vipd status`")
		}
	}
}

// beginRotation puts a new CA beside the present one, unless that is not the one before
// any more: an asker may ask again.
func (n *Node) beginRotation(ctx context.Context, before string) error {
	st := n.machine.get()
	if st.Authority.Changing() || st.Authority.Fingerprint() != before {
		return nil
	}
	next, err := st.Authority.Next(st.Cluster, time.Now())
	if err != nil {
		return fmt.Errorf("make a new CA: %w", err)
	}
	n.log.Info("the CA of the cluster is being replaced", zap.String("from", before), zap.String("to", next.Fingerprint()))
	return n.commit(ctx, command{Authority: &next})
}

// endRotation drops the old CA when all members have certificates of the new one, and
// begins a rotation long before the only one ends.
func (n *Node) endRotation(ctx context.Context) error {
	a := n.machine.get().Authority
	switch {
	case a.IsZero():
		return n.establishAnew(ctx)
	case !a.Changing() && time.Until(a.Ends()) < rootWarning:
		return n.beginRotation(ctx, a.Fingerprint())
	case !a.Changing() || len(n.Trust().Waiting) > 0:
		return nil
	}
	return n.change(ctx, func() error { // nobody joins meanwhile who does not know the new one
		if len(n.Trust().Waiting) > 0 {
			return nil
		}
		retired := a.Retired()
		if err := n.commit(ctx, command{Authority: &retired}); err != nil {
			return err
		}
		n.log.Info("the CA of the cluster was replaced", zap.String("authority", a.Fingerprint()))
		return nil
	})
}

// endRemovals puts on record that members were removed, where the leader before did not
// get so far.
func (n *Node) endRemovals(ctx context.Context) error {
	gone := func() []Member {
		return slices.DeleteFunc(slices.Clone(n.machine.get().Members), func(m Member) bool { return n.isIn(m.ID) })
	}
	if len(gone()) == 0 {
		return nil
	}
	return n.change(ctx, func() error { // who is being removed is on record until it is out of the configuration
		if err := n.settled(ctx); err != nil {
			return err
		}
		for _, m := range gone() {
			if err := n.commit(ctx, command{Forget: m.ID}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Trust is how this host and its cluster know each other.
type Trust struct {
	Authority string    // the fingerprint of the CA that has signed this host's certificate; "" without one
	Ends      time.Time // of this host's certificate
	Rotating  bool      // the CA is being replaced
	Waiting   []string  // the members without a certificate of the new one, by name
}

// Trust says how this host and its cluster know each other.
func (n *Node) Trust() Trust {
	t, st := Trust{}, n.machine.get()
	if own := n.who().Credentials; own != nil {
		t.Authority, t.Ends = own.Authority(), own.Ends()
	}
	if t.Rotating = st.Authority.Changing(); !t.Rotating {
		return t
	}
	for _, s := range n.view.Configuration().Servers {
		_, m, _ := n.find(string(s.ID))
		if m.Authority != st.Authority.Fingerprint() {
			t.Waiting = append(t.Waiting, m.Name)
		}
	}
	return t
}
