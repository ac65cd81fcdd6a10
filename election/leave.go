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

// farewellTimeout is how long a member that was removed is told of it.
const farewellTimeout = time.Second

// Remove takes a member, given by name or id, out of the cluster; any member may be
// asked.
func (n *Node) Remove(ctx context.Context, name string) error {
	return n.callLeader(ctx, "", pathRemove, name, nil)
}

// Leave takes this host out of its cluster; [Node.Run] then ends with [ErrLeft].
// The holder must have handed over before.
func (n *Node) Leave(ctx context.Context) error {
	if !n.isMember() && n.who().Cluster == "" {
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
		strange := true // all others are of another cluster: this host was removed, and then the CA was replaced
		for _, s := range n.view.Configuration().Servers {
			if err == nil || errors.Is(err, ErrRemoved) {
				return nil
			}
			if s.ID != n.rules.self {
				err = n.callLeader(ctx, string(s.Address), pathLeave, n.rules.self, nil)
				strange = strange && errors.Is(err, trust.ErrNotOfCluster)
			}
		}
		if strange || errors.Is(err, ErrRemoved) {
			return nil
		}
		return err
	})
}

func (n *Node) forgetCluster() { n.leaving.Do(func() { close(n.left) }) }

// release takes a member that leaves out of the cluster. One that is out already
// may go.
func (n *Node) release(ctx context.Context, id string) error {
	if _, _, ok := n.find(id); !ok {
		return n.settled(ctx)
	}
	return n.expel(ctx, id)
}

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

// quorum says how many voters an election needs and how many can be reached.
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
