package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// perform carries out one action. What takes long runs beside the loop and answers
// by an event later.
func (a *Agent) perform(ctx context.Context, action Action) Event {
	k := a.cfg.Kernel
	switch x := action.(type) {
	case Bind:
		if l := a.cfg.Election.Lease(); !l.Held || l.Term != a.State().Term {
			return a.lease()
		}
		return Bound{Err: text(k.Bind(a.cfg.Validity))}
	case ResetConnections:
		if err := k.ResetConnections(); err != nil {
			a.cfg.Log.Warn("cannot reset the connections to the addresses", zap.Error(err))
		}
	case Unbind:
		return Unbound{Err: text(k.Release())}
	case Announce:
		if err := k.Announce(); err != nil {
			a.cfg.Log.Warn("cannot announce the addresses", zap.Error(err))
		}
	case Arm:
		return FenceChecked{Err: text(k.Arm())}
	case SetStanding:
		a.cfg.Election.SetStanding(x.Standing)
	case Wait:
		a.beside.Go(func() { a.wait(ctx, x) })
	case Reply:
		a.replies[x.Request] <- x
		delete(a.replies, x.Request)
	case RecordFenced:
		a.beside.Go(func() { a.recordFenced(ctx, x) })
	case RunFence:
		fencing, cancel := context.WithCancelCause(ctx)
		a.fencing, a.fencingIn = cancel, x.Term
		a.beside.Go(func() {
			defer cancel(nil)
			err := a.cfg.Hooks.Fence(fencing, x.Previous, x.Term, x.Reason)
			a.Report(Fenced{Term: x.Term, Err: text(err), Void: context.Cause(fencing) != nil})
		})
	case RunPrepare:
		warming, cancel := context.WithCancelCause(ctx)
		a.warming = cancel
		a.beside.Go(func() {
			defer cancel(nil)
			a.Report(PrepareDone{Request: x.Request, Err: a.cfg.Hooks.Prepare(warming, x.Reason)})
		})
	case Exit:
	default:
		a.beside.Go(func() { a.Report(a.await(ctx, action)) })
	}
	return nil
}

// wait lets time pass; what was cancelled has not waited.
func (a *Agent) wait(ctx context.Context, x Wait) {
	select {
	case <-time.After(x.For):
		a.Report(Waited{x.ID})
	case <-ctx.Done():
	}
}

// await carries out an action that may take long.
func (a *Agent) await(ctx context.Context, action Action) Event {
	switch x := action.(type) {
	case RunHook:
		return HookDone{Role: x.Role, Err: text(a.cfg.Hooks.Run(ctx, x.Role, x.Previous, x.Term, x.Reason))}
	case FindSuccessor:
		return a.find(ctx, x)
	case Prepare:
		return Prepared{ID: x.ID, Err: a.prepare(ctx, x)}
	case HandOver:
		return HandedOver{Err: a.handOver(ctx, x)}
	case Preempt:
		return Preempted{Err: a.cfg.Election.Preempt(ctx, x.Reason)}
	case Claim:
		return a.claim(ctx, x)
	}
	panic(fmt.Sprintf("nobody carries out %T", action)) // an action was added and this was forgotten
}

// find looks for a successor.
func (a *Agent) find(ctx context.Context, x FindSuccessor) Found {
	to, err := a.cfg.Election.Successor(ctx, x.Target)
	if err == nil && x.Well && !to.Healthy {
		err = errors.New(everybodyUnwell)
	}
	if err != nil {
		return Found{Request: x.Request, Err: err}
	}
	return Found{Request: x.Request, To: &to}
}

// prepare readies the successor, as far as that is wanted, and has the reason of the
// hand-over recorded.
func (a *Agent) prepare(ctx context.Context, x Prepare) error {
	if x.Warm {
		warming, cancel := ctx, context.CancelFunc(func() {})
		if limit := a.cfg.Policy.PrepareLimit; limit > 0 {
			warming, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("it has taken longer than %s", limit))
		}
		defer cancel()
		if err := a.cfg.Election.Prepare(warming, x.To); err != nil {
			return err
		}
	}
	if x.Recheck {
		if _, err := a.cfg.Election.Successor(ctx, x.To.ID); err != nil {
			return err
		}
	}
	return a.cfg.Election.Intend(x.Reason, x.Cause)
}

// claim asks whom this host has to fence. The terms of leases only grow: if it is the same
// afterwards, the answer is for it.
func (a *Agent) claim(ctx context.Context, x Claim) Claimed {
	c, err := a.cfg.Election.Claim(ctx)
	if err == nil && a.cfg.Election.Lease().Term != x.Term {
		err = errors.New("the lease has moved to another term")
	}
	return Claimed{Term: x.Term, Claim: c, Err: text(err)}
}

// recordFenced spares later holders what this one has done. If it fails they do it once
// more.
func (a *Agent) recordFenced(ctx context.Context, x RecordFenced) {
	if err := a.cfg.Election.Fenced(ctx, x.Previous, x.Term); err != nil {
		a.cfg.Log.Warn("it is not recorded that a holder before is fenced", zap.String("previous", x.Previous.Name), zap.Error(err))
	}
}

// handOver gives up the lease. A holder that leaves without a word is fenced by the next.
func (a *Agent) handOver(ctx context.Context, x HandOver) error {
	if x.Released != 0 {
		if err := a.cfg.Election.Release(x.Released); err != nil {
			a.cfg.Log.Warn("it is not recorded that this host has let go; the next holder may fence it", zap.Error(err))
		}
	}
	if x.To == nil {
		return nil
	}
	return a.cfg.Election.HandOver(ctx, *x.To, x.Term)
}

// stopScripts ends a fence hook whose lease is over, since whom it is for may hold now,
// and a prepare hook once the lease is here, since the service is to be started in earnest.
func (a *Agent) stopScripts(s State) {
	if a.fencing != nil && (!s.Held || s.Term != a.fencingIn) {
		a.fencing(errLeaseOver)
		a.fencing = nil
	}
	if a.warming != nil && s.Held {
		a.warming(errGained)
		a.warming = nil
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
