package election

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// pause waits for d; it reports false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// detectSilence makes raft notice a lost leader at T. Left to itself raft looks at
// the age of the last contact only at random instants, T to 3 T after it; but it
// looks at once when its heartbeat timeout is lowered.
func (n *Node) detectSilence(ctx context.Context) {
	var poked Instant
	for {
		heard, _ := n.rules.lastHeard()
		wait := heard.Add(n.cfg.Detect + time.Millisecond).Sub(n.cfg.Now())
		if wait <= 0 {
			if heard != poked && n.raft.State() == raft.Follower {
				poked = heard
				n.poke()
			}
			wait = n.cfg.Detect // whatever is heard meanwhile is due later than that
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// poke raises the heartbeat timeout by a microsecond and lowers it again.
func (n *Node) poke() {
	c := n.raft.ReloadableConfig()
	for _, timeout := range []time.Duration{n.cfg.Detect + time.Microsecond, n.cfg.Detect} {
		c.HeartbeatTimeout = timeout
		if err := n.raft.ReloadConfig(c); err != nil {
			n.log.Error("cannot look for the leader", zap.Error(err))
		}
	}
}

// holdAlone extends the lease of a sole voter, who has nobody to acknowledge it. One
// that has abdicated has nobody either who would elect another: it ends, and begins
// a new term when it is started again.
func (n *Node) holdAlone(ctx context.Context) error {
	for wait := n.cfg.Detect; pause(ctx, wait); {
		now, term := n.cfg.Now(), n.raft.CurrentTerm()
		wait = n.cfg.Detect / 2 // shorter than a lease, if the last peer goes
		if n.raft.State() == raft.Leader && n.raft.CurrentTerm() == term && len(n.view.voters()) == 1 {
			if n.rules.hasAbdicated(term) || n.rules.silent(term) {
				return errors.New("left alone in a term whose lease was given up; a restart begins a new term")
			}
			wait = n.cfg.Detect / 5
			n.rules.acknowledged(term, n.rules.self, now)
		}
	}
	return nil
}

// Lease is the right to hold the addresses. Term is that of the last lease even
// when it is not held any more.
type Lease struct {
	Held bool
	Term uint64
	Left time.Duration // until it ends unless extended; 0 if not held
}

// Lease returns the lease of this member as of now.
func (n *Node) Lease() Lease {
	term, until := n.rules.current()
	left := max(0, until.Sub(n.cfg.Now()))
	return Lease{Held: left > 0, Term: term, Left: left}
}

// Changed holds a token after the lease began, ended or moved to another term, and
// after the replicated state or the leader may have changed. It is for one reader.
func (n *Node) Changed() <-chan struct{} { return n.watched }

// watchLease turns the deadline into events and records this member as the holder
// of each term in which it got the lease.
func (n *Node) watchLease(ctx context.Context) {
	var was Lease
	var recorded uint64
	for {
		lease := n.Lease()
		if lease.Held != was.Held || lease.Term != was.Term {
			n.notify()
		}
		if was = lease; lease.Held && recorded != lease.Term {
			recorded = lease.Term
			term := lease.Term
			n.background.Go(func() {
				if err := n.recordHolder(ctx, term); err != nil && !errors.Is(err, ErrNoLeader) {
					n.log.Warn("the change of holder is not in the history", zap.Uint64("term", term), zap.Error(err))
				}
			})
		}
		wait := lease.Left + time.Millisecond
		if !lease.Held {
			wait = time.Hour
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-n.rules.changed:
		case <-n.machine.changed:
			n.notify()
			n.tellHolder()
			signal(n.trusting)
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

func (n *Node) notify() { signal(n.watched) }

// signal puts a token into a channel that holds one.
func signal(tokens chan struct{}) {
	select {
	case tokens <- struct{}{}:
	default:
	}
}

// tellHolder logs the newest change of holder, on every member. What is replayed
// after a restart is old.
func (n *Node) tellHolder() {
	history := n.machine.get().History
	if len(history) == 0 {
		return
	}
	last := history[len(history)-1]
	if n.told.Swap(last.Term) == last.Term || time.Since(last.Time) > time.Minute {
		return
	}
	n.log.Info("holder changed", zap.String("from", last.From), zap.String("to", last.To), zap.Uint64("term", last.Term), zap.String("reason", last.Reason))
}

// watchMembers logs that two hosts have the only votes, and, on the leader, who falls
// silent and who is back.
func (n *Node) watchMembers(ctx context.Context) {
	silent, pair := make(map[raft.ServerID]bool), false
	for pause(ctx, max(n.cfg.Detect, time.Second)) {
		was, voters := pair, n.view.voters()
		if pair = n.knowsAll(voters) && n.isPair(voters); pair && !was {
			n.log.Warn("two hosts have the only votes: the loss of either stops the service; add a third host, or a witness")
		}
		if !n.Leading() {
			clear(silent)
			continue
		}
		for _, id := range n.candidates() {
			_, m, known := n.find(string(id))
			gone := !n.reachable(id)
			if !known || gone == silent[id] {
				continue
			}
			if silent[id] = gone; gone {
				n.log.Warn("member is silent", zap.String("member", m.Name), zap.String("address", m.Address))
			} else {
				n.log.Info("member is back", zap.String("member", m.Name), zap.String("address", m.Address))
			}
		}
	}
}

// recordHolder records this member as the holder of term.
func (n *Node) recordHolder(ctx context.Context, term uint64) error {
	if err := n.confirmed(ctx, n.raft.Barrier(commitTimeout)); err != nil {
		return err // led no longer
	}
	holder := Change{Time: time.Now(), To: n.cfg.Name, Term: term, Reason: "the first holder"}
	if history := n.machine.get().History; len(history) > 0 {
		last := history[len(history)-1]
		if last.Term >= term {
			return nil
		}
		holder.Reason = fmt.Sprintf("%s was silent for %s", last.To, n.cfg.Detect)
		if last.To == n.cfg.Name {
			holder.Reason = "a majority is in contact again"
		}
	}
	c := command{Holder: &holder}
	if n.cfg.Fences {
		c.By = &party{ID: string(n.rules.self), Name: n.cfg.Name, Address: n.cfg.Address.String()}
	}
	return n.commit(ctx, c)
}

// Claim records this member as the holder of the term of its lease, and says whom it has
// to fence before it binds the addresses. Whoever binds them only afterwards is known to
// all later holders, whatever becomes of it. It blocks for two entries of the log.
func (n *Node) Claim(ctx context.Context) (Claim, error) {
	term, until := n.rules.current()
	if until == 0 {
		return Claim{}, ErrNoLeader
	}
	if err := n.recordHolder(ctx, term); err != nil {
		return Claim{}, fmt.Errorf("claim the addresses: %w", err)
	}
	st := n.machine.get()
	if last := len(st.History) - 1; last < 0 || st.History[last].Term != term {
		return Claim{}, fmt.Errorf("claim the addresses: %w", ErrNoLeader)
	}
	var c Claim
	for _, p := range st.Unfenced {
		c.Unfenced = append(c.Unfenced, Member{ID: p.ID, Name: p.Name, Address: p.Address})
	}
	return c, nil
}

// Fenced records that a member that the claim of a term named has been fenced, or is to be
// taken for it. It blocks for one entry of the log.
func (n *Node) Fenced(ctx context.Context, m Member, term uint64) error {
	if err := n.commit(ctx, command{Fenced: &party{m.ID, m.Name, m.Address}, Term: term}); err != nil {
		return fmt.Errorf("record that %s is fenced: %w", m.Name, err)
	}
	return nil
}

// Release records that this holder has let go of all that it held in a term: the service
// has been stopped, the addresses are off. Where that is not on record the next holder
// fences it. It blocks for one entry of the log, but for no more than a second; where
// nobody fences it does nothing.
func (n *Node) Release(term uint64) error {
	if !n.cfg.Fences {
		return nil
	}
	if err := n.commitSoon(command{Released: true, Term: term}); err != nil {
		return fmt.Errorf("record that the addresses are released: %w", err)
	}
	return nil
}
