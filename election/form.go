package election

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/vipd/vipd/trust"
)

// Formation lets hosts find a cluster, or found one, without an order.
type Formation struct {
	Expect []netip.AddrPort       // of all hosts, this one's too; the same on all
	Secret func() ([]byte, error) // the same on all; read each second, which may block
}

// formEvery is how often a host looks for the others while it belongs to no cluster.
const formEvery = time.Second

// formWithin is how long one attempt may take: who is asked may have died meanwhile.
const formWithin = time.Minute

// forming is what a host that knows the secret says of itself.
type forming struct {
	Cluster string           `json:"cluster"` // "" if it belongs to none
	Left    bool             `json:"left"`    // it has left one and waits for an order
	Expect  []netip.AddrPort `json:"expect"`
}

// former is how far this host has come with it.
type former struct {
	mu    sync.Mutex
	waits string // for what
	sum   [sha256.Size]byte
	keys  *trust.Credentials // of the secret with that sum
}

// Formation says what the cluster that the hosts form by themselves waits for; "" if this
// host forms none or is a member.
func (n *Node) Formation() string {
	n.former.mu.Lock()
	defer n.former.mu.Unlock()
	return n.former.waits
}

// secretKeys returns what this host shows to those who know the secret; nil if it could not
// be read. It does not read it: a disk that hangs must not keep raft from making connections.
func (n *Node) secretKeys() *trust.Credentials {
	n.former.mu.Lock()
	defer n.former.mu.Unlock()
	return n.former.keys
}

func (n *Node) readSecret() error {
	secret, err := n.cfg.Forms.Secret()
	f, sum := &n.former, sha256.Sum256(secret)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.keys != nil && sum == f.sum {
		return nil
	}
	f.keys, f.sum = nil, sum
	if err == nil {
		f.keys, err = trust.FromSecret(secret, string(n.rules.self))
	}
	return err
}

// form joins the cluster of the expected hosts, or founds it, as long as this host is no
// member, and keeps the secret up to date.
func (n *Node) form(ctx context.Context) {
	if n.cfg.Forms == nil {
		return
	}
	for {
		n.formationWaits(n.tryToForm(ctx))
		if !pause(ctx, formEvery) {
			return
		}
	}
}

func (n *Node) formationWaits(what string) {
	n.former.mu.Lock()
	changed := n.former.waits != what
	n.former.waits = what
	n.former.mu.Unlock()
	if changed && what != "" {
		n.log.Info("this host is in no cluster yet", zap.String("reason", what))
	}
}

// tryToForm says what is in the way, if anything is.
func (n *Node) tryToForm(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, formWithin)
	defer cancel()
	unread := n.readSecret()
	n.entering.Lock()
	defer n.entering.Unlock()
	if n.who().Left || n.isMember() {
		return ""
	}
	if unread != nil {
		return unread.Error()
	}
	others, silent := n.askExpected(ctx)
	members := slices.DeleteFunc(slices.Clone(others), func(o expected) bool { return o.Cluster == "" })
	for _, o := range members {
		if first := members[0]; o.Cluster != first.Cluster {
			return fmt.Sprintf("%s is in cluster %s, and %s in cluster %s: one of them has to leave", first.address, first.Cluster, o.address, o.Cluster)
		}
	}
	if len(members) > 0 {
		return n.joinFormed(ctx, members[0])
	}
	if len(silent) > 0 {
		return "it waits for " + strings.Join(silent, ", ")
	}
	if n.cfg.Address != n.cfg.Forms.first() {
		return fmt.Sprintf("it waits for %s to found the cluster", n.cfg.Forms.first())
	}
	if err := n.found(ctx); err != nil {
		return err.Error()
	}
	n.log.Info("this host has founded the cluster of the expected hosts", zap.String("cluster", n.who().Cluster))
	return ""
}

// expected is what one of the others says.
type expected struct {
	address string
	forming
}

// askExpected asks all others at once. It returns those that say where they stand, and
// says of the rest why they do not count.
func (n *Node) askExpected(ctx context.Context) (others []expected, silent []string) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, address := range n.cfg.Forms.Expect {
		if address == n.cfg.Address {
			continue
		}
		asking.Go(func() {
			o, why := n.askOne(ctx, address.String())
			mu.Lock()
			defer mu.Unlock()
			if why != "" {
				silent = append(silent, fmt.Sprintf("%s (%s)", address, why))
			} else {
				others = append(others, o)
			}
		})
	}
	asking.Wait()
	slices.Sort(silent)
	slices.SortFunc(others, func(a, b expected) int { return strings.Compare(a.address, b.address) })
	return others, silent
}

func (n *Node) askOne(ctx context.Context, address string) (o expected, why string) {
	o.address = address
	if err := n.asKnowing().call(ctx, address, pathForming, struct{}{}, &o.forming); err != nil {
		return o, briefly(err)
	}
	switch {
	case o.Cluster != "":
		return o, ""
	case o.Left:
		return o, "it has left a cluster, and joins one only on order"
	case !n.cfg.Forms.same(o.Expect):
		return o, "its cluster.expect names other hosts"
	}
	return o, ""
}

// briefly says why a host did not answer, without its address.
func briefly(err error) string {
	if silent, ok := errors.AsType[*unreachable](err); ok {
		return silent.cause().Error()
	}
	if refused, ok := errors.AsType[*refusedError](err); ok && refused.why != nil {
		return refused.why.Error()
	}
	return err.Error()
}

// asKnowing is this host as one that knows the secret.
func (n *Node) asKnowing() line {
	return line{n.stream, trust.Form, trust.Keys{Secret: n.secretKeys()}}
}

// joinFormed joins the cluster of one of the expected hosts.
func (n *Node) joinFormed(ctx context.Context, o expected) string {
	if err := n.apply(ctx, n.asKnowing(), o.address, application{}); err != nil {
		return fmt.Sprintf("it can't get a certificate of cluster %s: %v", o.Cluster, err)
	}
	if err := n.enter(ctx, o.address); err != nil {
		return fmt.Sprintf("it can't join cluster %s: %v", o.Cluster, err)
	}
	n.log.Info("this host has joined the cluster of the expected hosts", zap.String("cluster", o.Cluster))
	return ""
}

func (n *Node) sayForming(ctx context.Context, _ struct{}) (any, error) {
	if callerOf(ctx).Protocol != trust.Form || n.cfg.Forms == nil {
		return nil, errNotHere
	}
	me := n.who()
	f := forming{Cluster: me.Cluster, Left: me.Left, Expect: n.cfg.Forms.Expect}
	if !n.isMember() {
		f.Cluster = ""
	}
	return f, nil
}

// first is the host that founds the cluster.
func (f *Formation) first() netip.AddrPort { return slices.MinFunc(f.Expect, netip.AddrPort.Compare) }

// same reports whether two lists name the same hosts.
func (f *Formation) same(expect []netip.AddrPort) bool {
	a, b := slices.Clone(f.Expect), slices.Clone(expect)
	slices.SortFunc(a, netip.AddrPort.Compare)
	slices.SortFunc(b, netip.AddrPort.Compare)
	return slices.Equal(a, b)
}
