package election

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// preVoteInterval is the pause before a refused pre-vote is repeated.
func preVoteInterval(detect time.Duration) time.Duration {
	return max(detect/100, 5*time.Millisecond)
}

// turn orders the candidates when a leader is lost: all followers notice at almost
// the same instant, and two that stand at once split the votes. It has no part in
// safety; it only decides when a pre-vote leaves.
type turn struct {
	self   raft.ServerID
	detect time.Duration
	now    func() Instant
	order  func() []raft.ServerID // voters but for the lost leader, best first
	unfit  func() time.Duration   // how much later a member stands that is not well
	heard  func() (Instant, raft.ServerID)

	mu    mutex
	given raft.ServerID // whom this member last gave a pre-vote
	at    Instant       // when
	taken Instant       // when it last took one that it was given
}

// delay returns how long the first pre-vote of a campaign waits: the better a
// member, the less.
func (t *turn) delay() time.Duration {
	rank := max(0, slices.Index(t.order(), t.self))
	return time.Duration(rank)*max(t.detect/50, preVoteInterval(t.detect)) + t.unfit()
}

// early reports whether a candidate must wait for a better one, which may not have
// noticed yet that the leader is gone. The best one itself is about to notice; the others
// can't know how it fares, and wait for as long as two members may notice apart.
func (t *turn) early(candidate raft.ServerID) bool {
	order := t.order()
	if len(order) == 0 || order[0] == candidate || !slices.Contains(order, candidate) {
		return false
	}
	grace := t.detect / 5
	if order[0] == t.self {
		grace = max(t.detect/25, 2*preVoteInterval(t.detect))
	}
	heard, _ := t.heard()
	return heard != 0 && t.now() < heard.Add(t.detect+grace)
}

// give notes that candidate is given a pre-vote, and is expected to ask for votes at
// once. It is false if this member is about to do so itself, or a better one may be.
func (t *turn) give(candidate raft.ServerID) bool {
	if t.early(candidate) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fresh(t.taken) {
		return false
	}
	t.given, t.at = candidate, t.now()
	return true
}

// holds reports whether this member has just given a pre-vote and keeps its own
// back, long enough for the other's call for votes to arrive.
func (t *turn) holds() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fresh(t.at)
}

// take reports whether this member may use a pre-vote that it was given. Of two
// members that gave each other one, the worse lets the other go first.
func (t *turn) take() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	order := t.order()
	if t.fresh(t.at) && slices.Index(order, t.given) < slices.Index(order, t.self) {
		return false
	}
	t.taken = t.now()
	return true
}

func (t *turn) fresh(at Instant) bool {
	return at != 0 && t.now().Sub(at) <= min(t.detect/5, 100*time.Millisecond)
}

// sleep waits for d, or fails when done is closed.
func (t *turn) sleep(d time.Duration, done <-chan struct{}) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-done:
		return errClosed
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
