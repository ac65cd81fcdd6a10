package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"github.com/vipd/vipd/trust"
)

// Init founds a cluster with this host as its only member. On a member it does
// nothing and reports so.
func (n *Node) Init(ctx context.Context) (already bool, err error) {
	n.entering.Lock()
	defer n.entering.Unlock()
	if n.isMember() {
		return true, nil
	}
	if n.cfg.Forms != nil {
		return false, hinted("this host has cluster.expect, with which the hosts form a cluster by themselves", "`vipd status` says what they wait for; to found one by hand, take `cluster` out of the configuration and restart vipd")
	}
	if begun := n.who().Cluster; begun != "" {
		return false, hinted("this host has begun to join cluster "+begun, "type the `vipd join` command again, or `vipd leave` to give that up")
	}
	return false, n.found(ctx)
}

// found makes a cluster of this host alone.
func (n *Node) found(ctx context.Context) error {
	cluster, now := randomID(), time.Now()
	authority, err := trust.NewAuthority(cluster, now)
	if err != nil {
		return fmt.Errorf("make a CA: %w", err)
	}
	credentials, err := trust.Issue(authority, cluster, string(n.rules.self), now)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	if err := n.adopt(cluster, credentials); err != nil {
		return err
	}
	only := raft.Configuration{Servers: []raft.Server{{ID: n.rules.self, Address: raft.ServerAddress(n.cfg.Address.String())}}}
	if err := n.raft.BootstrapCluster(only).Error(); err != nil {
		return fmt.Errorf("found the cluster: %w", err)
	}
	if err := n.awaitLeader(ctx); err != nil {
		return err
	}
	return n.change(ctx, func() error { return n.establish(ctx, cluster, authority) })
}

// establish puts a new cluster on record.
func (n *Node) establish(ctx context.Context, cluster string, a trust.Authority) error {
	if err := n.commit(ctx, command{Found: &state{Cluster: cluster, Detect: n.cfg.Detect, Authority: a}}); err != nil {
		return err
	}
	me := n.reported()
	return n.commit(ctx, command{Member: &me})
}

// establishAnew is for a founder that was killed before its CA was on record.
func (n *Node) establishAnew(ctx context.Context) error {
	return n.change(ctx, func() error {
		if err := n.settled(ctx); err != nil || n.machine.get().Cluster != "" {
			return err
		}
		cluster, now := n.who().Cluster, time.Now()
		authority, err := trust.NewAuthority(cluster, now)
		if err != nil {
			return err
		}
		credentials, err := trust.Issue(authority, cluster, string(n.rules.self), now)
		if err != nil {
			return err
		}
		if err := n.changeIdentity(func(id *identity) error { id.Credentials, id.Authority = credentials, authority; return nil }); err != nil {
			return err
		}
		return n.establish(ctx, cluster, authority)
	})
}

// awaitLeader waits until this member leads.
func (n *Node) awaitLeader(ctx context.Context) error {
	for n.raft.State() != raft.Leader || n.raft.CommitIndex() == 0 {
		if !pause(ctx, 10*time.Millisecond) {
			return fmt.Errorf("wait for the first election: %w", context.Cause(ctx))
		}
	}
	return nil
}

// Join makes this host a member of the cluster to which the host at peer belongs.
// Any member will do. It blocks until this host has its vote, which takes a few
// times detect, or is told to wait for it until a third host joins. On a member it does
// nothing and reports so. token is what [Node.CreateToken] has made there; it may be empty
// on a host that has begun to join before.
func (n *Node) Join(ctx context.Context, peer, token string) (already bool, err error) {
	if own, _ := withPort(peer); own == n.cfg.Address.String() {
		return false, hinted(peer+" is this host itself", "name a host that is a member; to found a cluster here, run `vipd init`")
	}
	n.entering.Lock()
	defer n.entering.Unlock()
	if n.isMember() {
		return n.joinAgain(ctx, peer)
	}
	if n.cfg.Forms != nil && !n.who().Left {
		return false, hinted("this host has cluster.expect, with which it joins by itself", "`vipd status` says what it waits for; to join by hand, take `cluster` out of the configuration and restart vipd")
	}
	if token != "" {
		t, err := trust.ParseToken(token)
		if err != nil {
			return false, hinted(err.Error(), "copy the whole of what `vipd token create` has printed on a member")
		}
		as := line{n.stream, trust.Join, trust.Keys{Root: t.Authority}}
		if err := n.apply(ctx, as, peer, application{TokenID: t.ID, Secret: []byte(t.Secret)}); err != nil {
			return false, err
		}
	}
	if n.who().Credentials == nil {
		return false, errNoToken
	}
	return false, n.enter(ctx, peer)
}

// joinAgain is for a host that is a member of some cluster.
func (n *Node) joinAgain(ctx context.Context, peer string) (already bool, err error) {
	var info clusterInfo
	if err := n.call(ctx, peer, pathCluster, struct{}{}, &info); err != nil {
		if errors.Is(err, ErrRemoved) {
			return false, err
		}
		if _, refused := errors.AsType[*refusedError](err); refused {
			return false, &refusedError{hintedError{
				fmt.Sprintf("this host belongs to cluster %s, and the host at %s does not: %v", n.who().Cluster, peer, err),
				"if they are two clusters, each has a holder; on the host that shall join the other: stop vipd, empty the data directory, start vipd and join; if this one was removed, `vipd leave` makes it forget",
			}, err}
		}
		return false, err
	}
	if slices.Contains(n.view.voters(), n.rules.self) && slices.Contains(info.Voters, n.rules.self) {
		return true, nil
	}
	return false, n.enter(ctx, peer)
}

// apply gets this host a certificate of the cluster of the host at peer.
func (n *Node) apply(ctx context.Context, as line, peer string, a application) error {
	var info clusterInfo
	if err := as.call(ctx, peer, pathCluster, struct{}{}, &info); err != nil {
		return err
	}
	if info.Cluster == "" {
		return hinted(peer+" belongs to no cluster itself", "run `vipd init` there first, or name another peer")
	}
	if info.Detect != n.cfg.Detect {
		return detectDiffers(n.cfg.Detect, info.Detect)
	}
	request, err := trust.NewRequest()
	if err != nil {
		return err
	}
	if a.Key, err = request.Public(); err != nil {
		return err
	}
	a.ID, a.Name = string(n.rules.self), n.cfg.Name
	var answer enrolled
	if err := n.duringElections(ctx, func() error { return as.callLeader(ctx, peer, pathEnrol, a, &answer) }); err != nil {
		return err
	}
	credentials, err := request.Credentials(answer.Certificate)
	if err != nil {
		return fmt.Errorf("the certificate that %s has made: %w", peer, err)
	}
	return n.adopt(answer.Cluster, credentials)
}

// enter makes this host, which has a certificate, a member.
func (n *Node) enter(ctx context.Context, peer string) error {
	me := n.reported()
	var answer joined
	if err := n.duringElections(ctx, func() error { return n.callLeader(ctx, peer, pathJoin, me, &answer) }); err != nil {
		return err
	}
	for !slices.Contains(n.view.voters(), n.rules.self) && !(answer.Waiting && n.isMember()) {
		if !pause(ctx, 10*time.Millisecond) {
			return fmt.Errorf("wait to be told of the vote: %w", context.Cause(ctx))
		}
	}
	return nil
}

// admit makes m a member: first without a vote, with one when it has caught up and its
// vote does no harm. A member of the same name that is gone is replaced.
func (n *Node) admit(ctx context.Context, m Member) (any, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if m.ID != callerOf(ctx).ID {
		return nil, errors.New("a host joins for itself")
	}
	var answer joined
	err := n.change(ctx, func() error {
		if err := n.replace(ctx, m); err != nil {
			return err
		}
		id, address := raft.ServerID(m.ID), raft.ServerAddress(m.Address)
		if slices.Contains(n.view.voters(), id) {
			return n.settled(ctx)
		}
		if err := n.step(ctx, func() raft.IndexFuture { return n.raft.AddNonvoter(id, address, 0, commitTimeout) }); err != nil {
			return fmt.Errorf("add %s: %w", m.Name, err)
		}
		if err := n.commit(ctx, command{Member: &m}); err != nil { // not before: it would pass for one that was removed
			return err
		}
		if err := n.awaitCaughtUp(ctx, id); err != nil {
			return fmt.Errorf("%s does not follow at %s: %w", m.Name, m.Address, err)
		}
		if err := n.enfranchise(ctx, id); err != nil {
			return err
		}
		answer.Waiting = !slices.Contains(n.view.voters(), id)
		n.log.Info("member joined", zap.String("member", m.Name), zap.String("address", m.Address), zap.Bool("waits_for_its_vote", answer.Waiting))
		return nil
	})
	return answer, err
}

// replace removes members that m supersedes: those with its name or its address but
// another id, which is what a wiped disk leaves behind. A living one is not touched.
func (n *Node) replace(ctx context.Context, m Member) error {
	for _, s := range n.view.Configuration().Servers {
		old, known := n.machine.get().member(func(o Member) bool { return o.ID == string(s.ID) })
		if s.ID == n.rules.self || string(s.ID) == m.ID || string(s.Address) != m.Address && (!known || old.Name != m.Name) {
			continue
		}
		if string(s.Address) != m.Address && n.reachable(s.ID) {
			return hinted(fmt.Sprintf("the name %s is taken by a living member at %s", m.Name, s.Address), "set another node.name on this host")
		}
		n.log.Info("member is replaced", zap.String("member", m.Name), zap.String("old_id", string(s.ID)), zap.String("new_id", m.ID))
		if err := n.drop(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// awaitCaughtUp waits until a peer is in contact and has every entry committed so
// far.
func (n *Node) awaitCaughtUp(ctx context.Context, id raft.ServerID) error {
	target := n.raft.CommitIndex()
	return n.await(ctx, func() bool { return n.transport.matched(id) >= target && n.reachable(id) })
}
