package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

const (
	commitTimeout   = 10 * time.Second // for one entry of the replicated log
	farewellTimeout = time.Second      // to tell a member that it was removed
)

// commit replicates c. It must run on the leader and blocks until a majority has it.
func (n *Node) commit(ctx context.Context, c command) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f := n.raft.Apply(body, commitTimeout)
	if err := n.confirmed(ctx, f); err != nil {
		return fmt.Errorf("replicate: %w", err)
	}
	if err, ok := f.Response().(error); ok {
		return err
	}
	return nil
}

// confirmed waits until a majority has confirmed f, for commitTimeout at most.
func (n *Node) confirmed(ctx context.Context, f raft.Future) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	done := make(chan error, 1)
	n.background.Go(func() { done <- f.Error() })
	select {
	case err := <-done:
		if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipLost) {
			return ErrNoLeader
		}
		return err
	case <-ctx.Done():
		return hinted(fmt.Sprintf("not confirmed by a majority within %s", commitTimeout), "it may still take effect; `vipd status` shows who is silent or unwell")
	}
}

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

// isMember reports whether this host stands in the configuration that it knows.
func (n *Node) isMember() bool {
	return slices.ContainsFunc(n.view.Configuration().Servers, func(s raft.Server) bool { return s.ID == n.rules.self })
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

// change runs one change of membership at a time, none within T of the last one.
func (n *Node) change(ctx context.Context, f func() error) error {
	select {
	case n.changing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("another change of membership is under way: %w", context.Cause(ctx))
	}
	defer func() { <-n.changing }()
	return f()
}

// settled waits until a majority has what this leader has, its configuration included.
func (n *Node) settled(ctx context.Context) error {
	return n.confirmed(ctx, n.raft.Barrier(commitTimeout))
}

// step performs one change of raft's configuration, T after the last one of this
// member: by then no lease rests on the configuration before it, whose majorities
// need not overlap with those of the next. (Of another leader no lease is left.)
func (n *Node) step(ctx context.Context, f func() raft.IndexFuture) error {
	if wait := n.lastChange.Add(n.cfg.Detect).Sub(n.cfg.Now()); wait > 0 && !pause(ctx, wait) {
		return context.Cause(ctx)
	}
	defer func() { n.lastChange = n.cfg.Now() }()
	return n.confirmed(ctx, f())
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

// enfranchise gives their votes to the members that have caught up, as those in
// known were seen to have. Two hosts with the only votes are worse than one: when either is lost, the other
// can't elect. So a second host waits for a third one, unless one of the two is a witness
// or the operator wants it.
func (n *Node) enfranchise(ctx context.Context, known ...raft.ServerID) error {
	waiting := append(slices.DeleteFunc(n.waiting(), func(id raft.ServerID) bool { return slices.Contains(known, id) }), known...)
	if voters := n.view.voters(); len(waiting)+len(voters) == 2 && !n.cfg.Pair && !slices.ContainsFunc(append(voters, waiting...), n.isWitness) {
		return nil
	}
	for _, id := range waiting {
		_, m, member := n.find(string(id))
		if !member {
			continue
		}
		if err := n.step(ctx, func() raft.IndexFuture { return n.raft.AddVoter(id, raft.ServerAddress(m.Address), 0, commitTimeout) }); err != nil {
			return fmt.Errorf("give %s its vote: %w", m.Name, err)
		}
		if err := n.awaitKnown(ctx); err != nil {
			return fmt.Errorf("tell all members of %s: %w", m.Name, err)
		}
	}
	return nil
}

// waiting returns the members without a vote that have caught up.
func (n *Node) waiting() []raft.ServerID {
	var ids []raft.ServerID
	for _, s := range n.view.Configuration().Servers {
		if s.Suffrage == raft.Nonvoter && n.reachable(s.ID) && n.transport.matched(s.ID) >= n.raft.CommitIndex() {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// isPair reports whether two hosts that may both hold have the only votes, as far as this
// one knows.
func (n *Node) isPair() bool {
	voters, st := n.view.voters(), n.machine.get()
	return len(voters) == 2 && !slices.ContainsFunc(voters, func(id raft.ServerID) bool {
		m, known := st.member(func(m Member) bool { return m.ID == string(id) })
		return !known || m.Witness
	})
}

func (n *Node) isWitness(id raft.ServerID) bool {
	_, m, known := n.find(string(id))
	return known && m.Witness
}

// keepEnfranchised gives, on the leader, the votes that had to wait.
func (n *Node) keepEnfranchised(ctx context.Context) {
	for pause(ctx, time.Second) {
		if !n.Leading() || len(n.waiting()) == 0 {
			continue
		}
		if err := n.change(ctx, func() error { return n.enfranchise(ctx) }); err != nil {
			n.log.Debug("a vote can't be given yet", zap.Error(err))
		}
	}
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

// awaitKnown waits until every member in contact has every entry committed so far.
// Raft refuses its vote to a candidate that it does not yet know to be a voter: if
// the leader were lost before all know of a new member, that member and one that
// does not know of it could not elect.
func (n *Node) awaitKnown(ctx context.Context) error {
	target := n.raft.CommitIndex()
	return n.await(ctx, func() bool {
		return !slices.ContainsFunc(n.candidates(), func(id raft.ServerID) bool {
			return n.reachable(id) && n.transport.matched(id) < target
		})
	})
}

// await waits, for some seconds at most, until a condition holds on the leader.
func (n *Node) await(ctx context.Context, condition func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	for !condition() {
		if !n.Leading() {
			return ErrNoLeader
		}
		if !pause(ctx, time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// reachable reports whether a peer has acknowledged a call sent less than T ago.
func (n *Node) reachable(id raft.ServerID) bool {
	return id == n.rules.self || n.cfg.Now().Sub(n.rules.lastAcked(id)) < n.cfg.Detect
}

// Remove takes a member, given by name or id, out of the cluster; any member may be
// asked.
func (n *Node) Remove(ctx context.Context, name string) error {
	return n.callLeader(ctx, "", pathRemove, name, nil)
}

// Leave takes this host out of its cluster; [Node.Run] then ends with [ErrLeft].
// The holder must have handed over before.
func (n *Node) Leave(ctx context.Context) error {
	if !n.isMember() && n.hello().Cluster == "" {
		return ErrNotMember
	}
	if len(n.view.Configuration().Servers) > 0 { // also if it is in it no more: that may not be settled
		if err := n.askToLeave(ctx); err != nil {
			return err
		}
	}
	n.forgetCluster()
	return nil
}

// askToLeave asks any member to have this host taken out: a host that was removed
// while it was cut off knows no leader.
func (n *Node) askToLeave(ctx context.Context) error {
	if len(n.view.voters()) == 1 && n.view.voters()[0] == n.rules.self {
		return hinted("this host is the last member", "to give the cluster up, stop vipd and empty the data directory")
	}
	return n.duringElections(ctx, func() error {
		err := n.callLeader(ctx, "", pathLeave, n.rules.self, nil)
		for _, s := range n.view.Configuration().Servers {
			if err == nil {
				return nil
			}
			if s.ID != n.rules.self {
				err = n.callLeader(ctx, string(s.Address), pathLeave, n.rules.self, nil)
			}
		}
		return err
	})
}

// duringElections repeats what fails for want of a leader, for some seconds: a
// change of membership is no less wanted because the leader was lost meanwhile. What
// it repeats must do no harm when it was done already.
func (n *Node) duringElections(ctx context.Context, f func() error) error {
	trying, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	for {
		if err := f(); !errors.Is(err, ErrNoLeader) || !pause(trying, n.cfg.Detect/5) {
			return err
		}
	}
}

// release takes a member that leaves out of the cluster. One that is out already
// may go.
func (n *Node) release(ctx context.Context, id string) error {
	if _, _, ok := n.find(id); !ok {
		return n.settled(ctx)
	}
	return n.expel(ctx, id)
}

func (n *Node) forgetCluster() { n.leaving.Do(func() { close(n.left) }) }

// expel removes a member given by name or id. The leader itself must hand over
// first, and the members that remain must be able to go on.
func (n *Node) expel(ctx context.Context, who string) error {
	return n.change(ctx, func() error {
		s, m, ok := n.find(who)
		if !ok {
			return unknownMember(who)
		}
		if s.ID == n.rules.self {
			return hinted(m.Name+" holds the addresses now", "run `vipd transfer` first, or `vipd leave` on it")
		}
		if rest := n.reachableWithout(s.ID); rest.reachable < rest.needed {
			return hinted(fmt.Sprintf("without %s only %d of the remaining members can be reached, and %d are needed", m.Name, rest.reachable, rest.needed),
				"bring back the members that are down, or remove those first")
		}
		if err := n.drop(ctx, s); err != nil {
			return fmt.Errorf("remove %s: %w", m.Name, err)
		}
		n.log.Info("member removed", zap.String("member", m.Name), zap.String("address", string(s.Address)))
		return nil
	})
}

// drop takes s out of raft's configuration and of the replicated state, and tells
// it, if it can be told.
func (n *Node) drop(ctx context.Context, s raft.Server) error {
	if err := n.step(ctx, func() raft.IndexFuture { return n.raft.RemoveServer(s.ID, 0, commitTimeout) }); err != nil {
		return err
	}
	if err := n.commit(ctx, command{Forget: string(s.ID)}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, farewellTimeout)
	defer cancel()
	if err := n.call(ctx, string(s.Address), pathRemoved, s.ID, nil); err != nil {
		n.log.Info("the removed member could not be told", zap.String("address", string(s.Address)), zap.Error(err))
	}
	return nil
}

// find returns the member with a name or id.
func (n *Node) find(who string) (raft.Server, Member, bool) {
	st := n.machine.get()
	for _, s := range n.view.Configuration().Servers {
		m, ok := st.member(func(m Member) bool { return m.ID == string(s.ID) })
		if !ok {
			m = Member{ID: string(s.ID), Name: string(s.Address), Address: string(s.Address), Able: true, Healthy: true} // nothing is known yet
		}
		if m.Name == who || m.ID == who {
			return s, m, true
		}
	}
	return raft.Server{}, Member{}, false
}

// Quorum says how many voters an election needs and how many can be reached.
type quorum struct{ needed, reachable int }

func (n *Node) reachableWithout(gone raft.ServerID) quorum {
	voters := slices.DeleteFunc(n.view.voters(), func(id raft.ServerID) bool { return id == gone })
	q := quorum{needed: len(voters)/2 + 1}
	for _, id := range voters {
		if n.reachable(id) {
			q.reachable++
		}
	}
	return q
}

// keepReported tells the cluster this host's name, address, version and health
// whenever what the cluster knows differs.
func (n *Node) keepReported(ctx context.Context) {
	for {
		select {
		case <-n.reporting:
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
		me := n.reported()
		known, _ := n.machine.get().member(func(m Member) bool { return m.ID == me.ID })
		if reflect.DeepEqual(known, me) || !n.isMember() {
			continue
		}
		if err := n.callLeader(ctx, "", pathReport, me, nil); err != nil {
			n.log.Debug("the cluster does not know this host's state yet", zap.Error(err))
		}
	}
}
