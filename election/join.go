package election

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// Init founds a cluster with this host as its only member. On a member it does
// nothing and reports so.
func (n *Node) Init(ctx context.Context) (already bool, err error) {
	if n.isMember() {
		return true, nil
	}
	if begun := n.hello().Cluster; begun != "" {
		return false, hinted("this host has begun to join cluster "+begun, "run `vipd join <peer>` again, or `vipd leave` to give that up")
	}
	cluster := randomID()
	if err := n.adopt("", cluster); err != nil {
		return false, err
	}
	only := raft.Configuration{Servers: []raft.Server{{ID: n.rules.self, Address: raft.ServerAddress(n.cfg.Address.String())}}}
	if err := n.raft.BootstrapCluster(only).Error(); err != nil {
		return false, fmt.Errorf("found the cluster: %w", err)
	}
	if err := n.awaitLeader(ctx); err != nil {
		return false, err
	}
	if err := n.commit(ctx, command{Found: &state{Cluster: cluster, Detect: n.cfg.Detect}}); err != nil {
		return false, err
	}
	me := n.reported()
	return false, n.commit(ctx, command{Member: &me})
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
// nothing and reports so.
func (n *Node) Join(ctx context.Context, peer string) (already bool, err error) {
	var info clusterInfo
	if err := n.call(ctx, peer, pathCluster, struct{}{}, &info); err != nil {
		return false, fmt.Errorf("ask %s: %w", peer, err)
	}
	if own, _ := withPort(peer); info.Cluster == "" && own == n.cfg.Address.String() {
		return false, hinted(peer+" is this host itself, which belongs to no cluster", "name a host that is a member; to found a cluster here, run `vipd init`")
	}
	if info.Cluster == "" {
		return false, hinted(peer+" belongs to no cluster itself", "run `vipd init` there first, or name another peer")
	}
	if info.Detect != n.cfg.Detect {
		return false, detectDiffers(n.cfg.Detect, info.Detect)
	}
	own := n.hello().Cluster
	if own == info.Cluster && slices.Contains(info.Voters, n.rules.self) && slices.Contains(n.view.voters(), n.rules.self) {
		return true, nil
	}
	if own != info.Cluster && n.isMember() {
		return false, hinted(fmt.Sprintf("this host belongs to cluster %s, %s to cluster %s", own, peer, info.Cluster), "they are two clusters, and each has a holder; on the host that shall join the other: stop vipd, empty the data directory, start vipd and join")
	}
	if err := n.adopt(own, info.Cluster); err != nil {
		return false, err
	}
	me := n.reported()
	var answer joined
	if err := n.duringElections(ctx, func() error { return n.callLeader(ctx, peer, pathJoin, me, &answer) }); err != nil {
		return false, err
	}
	for !slices.Contains(n.view.voters(), n.rules.self) && !(answer.Waiting && n.isMember()) {
		if !pause(ctx, 10*time.Millisecond) {
			return false, fmt.Errorf("wait to be told of the vote: %w", context.Cause(ctx))
		}
	}
	return false, nil
}

// admit makes m a member: first without a vote, with one when it has caught up and its
// vote does no harm. A member of the same name that is gone is replaced.
func (n *Node) admit(ctx context.Context, m Member) (any, error) {
	var answer joined
	err := n.change(ctx, func() error {
		if err := n.replace(ctx, m); err != nil {
			return err
		}
		id, address := raft.ServerID(m.ID), raft.ServerAddress(m.Address)
		if slices.Contains(n.view.voters(), id) {
			return n.settled(ctx)
		}
		if err := n.commit(ctx, command{Member: &m}); err != nil {
			return err
		}
		if err := n.step(ctx, func() raft.IndexFuture { return n.raft.AddNonvoter(id, address, 0, commitTimeout) }); err != nil {
			return fmt.Errorf("add %s: %w", m.Name, err)
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
