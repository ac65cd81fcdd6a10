package election

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// enfranchise gives their votes to the members that have caught up, as those in caughtUp
// were seen to have. A second host waits for a third one rather than make a pair, unless
// the operator wants that.
func (n *Node) enfranchise(ctx context.Context, caughtUp ...raft.ServerID) error {
	waiting := append(slices.DeleteFunc(n.waiting(), func(id raft.ServerID) bool { return slices.Contains(caughtUp, id) }), caughtUp...)
	if !n.cfg.Pair && n.isPair(append(n.view.voters(), waiting...)) {
		return nil
	}
	for _, id := range waiting {
		_, m, member := n.find(string(id))
		if !member {
			continue
		}
		if err := n.rest(ctx); err != nil {
			return err
		}
		if !n.electable(id) {
			continue // lost meanwhile: with its vote the others might not be a majority
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

// electable reports whether a majority of the voters would be in contact if a member that
// is in contact itself were one of them.
func (n *Node) electable(id raft.ServerID) bool {
	voters := append(n.view.voters(), id)
	in := slices.DeleteFunc(slices.Clone(voters), func(id raft.ServerID) bool { return !n.reachable(id) })
	return n.reachable(id) && len(in) > len(voters)/2
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

// isPair reports whether two hosts that may both hold have the only votes, or would have
// them. They are worse than one: when either is lost, the other can't elect. A member of
// which nothing is known yet is taken for one that may hold.
func (n *Node) isPair(voters []raft.ServerID) bool {
	return len(voters) == 2 && !slices.ContainsFunc(voters, n.isWitness)
}

func (n *Node) isWitness(id raft.ServerID) bool {
	_, m, known := n.find(string(id))
	return known && m.Witness
}

// knowsAll reports whether something is known of all these members.
func (n *Node) knowsAll(ids []raft.ServerID) bool {
	st := n.machine.get()
	return !slices.ContainsFunc(ids, func(id raft.ServerID) bool {
		_, known := st.member(func(m Member) bool { return m.ID == string(id) })
		return !known
	})
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
