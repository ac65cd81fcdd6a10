package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// patience is how long a hand-over waits for a successor that is merely behind.
const patience = time.Second

// Successor returns the member that would take over: the named one, or the best of
// those that are healthy, in contact and have all entries. It is an error if there
// is none, or if the named one can't; it blocks for up to 1.2 T, which is longer than a
// quarantine, but no more than a second, before it says so. Only the leader knows. An unhealthy member succeeds
// only if this one can't hold at all.
func (n *Node) Successor(ctx context.Context, target string) (Member, error) {
	ctx, cancel := context.WithTimeout(ctx, min(n.cfg.Detect*6/5, patience))
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
		return n.namedSuccessor(ctx, target)
	}
	holds := n.rules.isAble()
	for _, id := range n.successors() {
		if s, m, ok := n.find(string(id)); ok && m.mayRelieve(holds) && n.canSucceed(s) && n.ready(ctx, m) == nil {
			return m, nil
		}
	}
	return Member{}, hinted("no other healthy member is in contact", "see `vipd status`")
}

// namedSuccessor returns a member if it would take over.
func (n *Node) namedSuccessor(ctx context.Context, name string) (Member, error) {
	s, m, ok := n.find(name)
	if !ok {
		return Member{}, unknownMember(name)
	}
	if s.ID == n.rules.self {
		return Member{}, hinted(name+" leads already", "name another member, or none")
	}
	what, hint := n.seen(s, m, n.rules.self).obstacle(n.cfg.Detect)
	if what == "" && !n.canSucceed(s) {
		what, hint = "has not caught up with the log", "try again in some seconds"
	}
	if what != "" {
		return Member{}, hinted(fmt.Sprintf("%s can't take over: %s", name, what), strings.TrimPrefix(hint+", or name another member, or none", ", or "))
	}
	return m, n.ready(ctx, m)
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
	err := n.commitSoon(command{Intent: &intent{Term: n.raft.CurrentTerm(), Reason: reason, Cause: cause}})
	if errors.Is(err, errLate) {
		n.log.Warn("the reason of the hand-over can't be written in time", zap.String("reason", reason))
		return nil
	}
	return err
}

var errLate = errors.New("not confirmed by a majority within " + patience.String())

// commitSoon is commit for what is not waited for longer than a second; it may take effect
// later.
func (n *Node) commitSoon(c command) error {
	done := make(chan error, 1)
	n.background.Go(func() { done <- n.commit(context.Background(), c) })
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		return errLate
	}
}

// HandOver gives up the lease for good, closes the fence, and only then tells the
// member to take over. It returns when another leads, or with an error when nobody
// has taken over within 2 T; this member then falls silent, so that the others
// elect. Either way it holds nothing any more. The lease is that of term, or of whatever
// term this member leads in if that is 0; one that leads in another by now gives up nothing.
func (n *Node) HandOver(ctx context.Context, to Member, term uint64) error {
	switch now := n.raft.CurrentTerm(); {
	case term == 0:
		term = now
	case term != now:
		return fmt.Errorf("hand over to %s: the lease was of term %d, and this is term %d", to.Name, term, now)
	}
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

// Move asks the leader, wherever it is, to hand over.
func (n *Node) Move(ctx context.Context, m Move) error {
	return n.callLeader(ctx, "", pathHandOver, m, nil)
}
