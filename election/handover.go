package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// patience is how long a hand-over waits for a successor that is merely behind.
const patience = time.Second

// Successor returns the member that would take over: the named one, or the best of
// those that are healthy, in contact and have all entries. It is an error if there
// is none, or if the named one can't; it blocks for up to T, but no more than a
// second, before it says so. Only the leader knows. An unhealthy member succeeds
// only if this one can't hold at all.
func (n *Node) Successor(ctx context.Context, target string) (Member, error) {
	ctx, cancel := context.WithTimeout(ctx, min(n.cfg.Detect, patience))
	defer cancel()
	for {
		m, err := n.successor(ctx, target)
		if err == nil || !pause(ctx, 5*time.Millisecond) {
			return m, err
		}
	}
}

func (n *Node) successor(ctx context.Context, target string) (Member, error) {
	if !n.Leading() {
		return Member{}, ErrNoLeader
	}
	if target != "" {
		s, m, ok := n.find(target)
		switch {
		case !ok:
			return Member{}, hinted(fmt.Sprintf("there is no member %q", target), "`vipd status` lists the members")
		case s.ID == n.rules.self:
			return Member{}, hinted(target+" leads already", "name another member, or none")
		case !n.reachable(s.ID):
			return Member{}, hinted(target+" can't take over: it is silent", "see `vipd status`")
		case m.Witness:
			return Member{}, hinted(target+" is a witness, which never holds the addresses", "name another member, or none")
		case m.Paused:
			return Member{}, hinted(target+" is paused", "run `vipd resume` there, or name another member, or none")
		case !m.Healthy:
			return Member{}, hinted(target+" is not well: "+m.Reason, "mend that, or name another member, or none")
		case s.Suffrage != raft.Voter:
			return Member{}, hinted(target+" can't take over: it has no vote yet", "wait until it has caught up, or type `vipd join` there once more")
		case !n.canSucceed(s):
			return Member{}, hinted(target+" can't take over: it has not caught up with the log", "try again in some seconds, or name another member, or none")
		}
		return m, n.ready(ctx, m)
	}
	holds := n.rules.isAble()
	for _, id := range n.successors() {
		if s, m, ok := n.find(string(id)); ok && (m.Healthy || m.Able && !holds) && n.canSucceed(s) && n.ready(ctx, m) == nil {
			return m, nil
		}
	}
	return Member{}, hinted("no other healthy member is in contact", "see `vipd status`")
}

// ready asks a member whether it would obey a take-over call now, before this one gives
// up what it has: what the member has reported of itself may be old. If it has nothing,
// as a witness that was elected, only a refusal counts: on a slow network no answer may
// ever be in time, and nobody would hold.
func (n *Node) ready(ctx context.Context, m Member) error {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Detect/4)
	defer cancel()
	err := n.call(ctx, m.Address, pathReady, struct{}{}, nil)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !n.Lease().Held {
		return nil
	}
	if err != nil {
		return hinted(fmt.Sprintf("%s can't take over: %v", m.Name, err), "try again in some seconds, or name another member, or none")
	}
	return nil
}

// candidates returns the other members, the one heard last first.
func (n *Node) candidates() []raft.ServerID {
	ids := slices.DeleteFunc(n.view.voters(), func(id raft.ServerID) bool { return id == n.rules.self })
	slices.SortFunc(ids, func(a, b raft.ServerID) int {
		return int(n.rules.lastAcked(b) - n.rules.lastAcked(a))
	})
	return ids
}

// successors returns the other members, the best one first.
func (n *Node) successors() []raft.ServerID {
	ids := n.candidates()
	slices.SortStableFunc(ids, n.compare)
	return ids
}

func (n *Node) canSucceed(s raft.Server) bool {
	return s.Suffrage == raft.Voter && n.reachable(s.ID) && n.transport.matched(s.ID) >= n.raft.CommitIndex()
}

// Prepare has a member warm the service up before this one lets go of it, and waits until
// that is done. A member of an earlier version, which can't, is taken as it is.
func (n *Node) Prepare(ctx context.Context, to Member) error {
	err := n.call(ctx, to.Address, pathPrepare, struct{}{}, nil)
	if err == nil || errors.Is(err, errUnknownCall) {
		return nil
	}
	return fmt.Errorf("prepare %s: %w", to.Name, err)
}

// Intend writes into the history why the coming hand-over happens, and who wants it; the lease runs
// on. It blocks for one replicated entry, but for no more than a second: a disk that
// hangs is a reason to hand over, not to wait.
func (n *Node) Intend(reason string, cause Cause) error {
	done := make(chan error, 1)
	n.background.Go(func() {
		done <- n.commit(context.Background(), command{Intent: &intent{Term: n.raft.CurrentTerm(), Reason: reason, Cause: cause}})
	})
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		n.log.Warn("the reason of the hand-over can't be written in time", zap.String("reason", reason))
		return nil
	}
}

// HandOver gives up the lease for good, closes the fence, and only then tells the
// member to take over. It returns when another leads, or with an error when nobody
// has taken over within 2 T; this member then falls silent, so that the others
// elect. Either way it holds nothing any more.
func (n *Node) HandOver(ctx context.Context, to Member) error {
	term := n.raft.CurrentTerm()
	n.rules.abdicate(term)
	future := n.raft.LeadershipTransferToServer(raft.ServerID(to.ID), raft.ServerAddress(to.Address))
	failed := make(chan error, 1)
	go func() { failed <- future.Error() }() // raft may never answer one that it has not begun when it is shut down
	ctx, cancel := context.WithTimeout(ctx, 2*n.cfg.Detect)
	defer cancel()
	for {
		if _, leader := n.raft.LeaderWithID(); leader != n.rules.self && leader != "" {
			return nil
		}
		select {
		case err := <-failed:
			if err != nil {
				return fmt.Errorf("hand over to %s: %w", to.Name, err)
			}
			failed = nil
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("hand over to %s: nobody has taken over: %w", to.Name, context.Cause(ctx))
		}
	}
}

// Move asks the leader, wherever it is, to hand over. One of an earlier version learns
// only to whom.
func (n *Node) Move(ctx context.Context, m Move) error {
	err := n.callLeader(ctx, "", pathHandOver, m, nil)
	if errors.Is(err, errUnknownCall) {
		return n.callLeader(ctx, "", pathMove, m.Target, nil)
	}
	return err
}
