package agent

import (
	"go.uber.org/zap"

	"github.com/vipd/vipd/election"
)

// tell logs what an operator wants to know of a step: one line a change.
func (a *Agent) tell(before, after State, e Event) {
	log := a.cfg.Log
	if before.Role != after.Role || before.RoleTerm != after.RoleTerm {
		level := zap.InfoLevel
		if after.Role == Fault {
			level = zap.WarnLevel
		}
		log.Log(level, "state changed", zap.String("state", string(after.Role)), zap.String("previous", string(before.Role)),
			zap.Uint64("term", after.Term), zap.String("reason", after.Reason))
	}
	tellLease(log, before, after)
	tellTrouble(log, before, after)
	tellMove(log, before, after)
	tellFencing(log, before, after, e)
	tellEvent(log, before, after, e)
}

func tellLease(log *zap.Logger, before, after State) {
	switch {
	case after.Held && (!before.Held || before.Term != after.Term):
		log.Info("lease gained", zap.Uint64("term", after.Term))
	case before.Held && !after.Held && before.Leaving != nil && before.Leaving.Stage == Moving:
		log.Info("lease given up", zap.Uint64("term", before.Term))
	case before.Held && !after.Held:
		log.Warn("lease lost", zap.Uint64("term", before.Term))
	}
	switch {
	case after.Frozen && !before.Frozen:
		log.Info("hand-overs are frozen")
	case before.Frozen && !after.Frozen:
		log.Info("hand-overs are thawed")
	}
}

func tellTrouble(log *zap.Logger, before, after State) {
	switch {
	case after.Armed && !before.Armed:
		log.Info("fence armed")
	case !after.Armed && before.Unarmed != after.Unarmed:
		log.Error("the fence is not armed; this host does not hold the addresses", zap.String("error", after.Unarmed))
	}
	if after.UnbindErr != "" && before.UnbindErr != after.UnbindErr {
		log.Error("the addresses can't be removed; the fence stays closed", zap.String("error", after.UnbindErr))
	}
	if after.Failure != "" && before.Failure != after.Failure {
		log.Error("this host can't hold the addresses", zap.String("error", after.Failure), zap.Duration("hold_down", after.holdDown()), zap.Int("failures", after.Failures))
	}
	switch {
	case after.released() && !before.released():
		log.Error("no host is well: the addresses are released, as all_unhealthy says", zap.String("reason", after.Ailment))
	case after.Alone && !before.Alone:
		log.Warn("this host had better hand over, but nobody can take over", zap.String("reason", after.Told.Reason))
	}
}

// tellMove tells how a planned hand-over goes on until it is done.
func tellMove(log *zap.Logger, before, after State) {
	was, is := before.Leaving, after.Leaving
	switch {
	case was == nil && is != nil && is.To == nil:
		log.Info("stopping without a successor", zap.String("reason", is.Reason))
	case was == nil && is != nil:
		log.Info("handing over", zap.String("to", is.To.Name), zap.String("reason", is.Reason))
	case was != nil && is == nil && was.Stage != Moving && !after.Exited:
		log.Warn("the hand-over is abandoned", zap.String("reason", was.Reason), zap.Stringer("stage", was.Stage))
	}
	if is != nil && is.Stage == Draining && (was == nil || was.Stage != Draining) {
		log.Info("draining", zap.Duration("for", after.Policy.DrainTime))
	}
	if after.Preempting && !before.Preempting {
		log.Info("asking the leader to hand over to this host", zap.String("reason", after.Preferred))
	}
}

func tellFencing(log *zap.Logger, before, after State, e Event) {
	if after.Fencing && !before.Fencing {
		log.Warn("fencing a holder before", zap.String("previous", after.Unfenced[0].Name), zap.Uint64("term", after.Term))
	}
	switch e := e.(type) {
	case Claimed:
		if e.Err != "" && e.Err != before.ClaimErr {
			log.Warn("it is not known yet whom this host has to fence; the addresses wait", zap.Uint64("term", e.Term), zap.String("error", e.Err))
		}
	case Fenced:
		if e.Term == before.Term && len(before.Unfenced) > 0 {
			tellFenced(log.With(zap.String("previous", before.Unfenced[0].Name), zap.Uint64("term", e.Term)), before.Policy, e.Err)
		}
	}
}

func tellFenced(log *zap.Logger, p Policy, err string) {
	switch {
	case err == "":
		log.Info("a holder before is fenced")
	case p.FenceProceeds:
		log.Warn("a holder before can't be fenced; this host takes over all the same", zap.String("error", err))
	default:
		log.Error("a holder before can't be fenced; the addresses wait", zap.String("error", err))
	}
}

func tellEvent(log *zap.Logger, before, after State, e Event) {
	switch e := e.(type) {
	case PauseChanged:
		if before.Paused != after.Paused {
			log.Info("pause changed", zap.Bool("paused", after.Paused))
		}
	case Drifted:
		if e.Missing && before.AllBound && after.keeps() && after.mayBind() {
			log.Warn("an address was taken off by somebody; it is put back")
		}
	case HookDone:
		if e.Err != "" && after.Failure == before.Failure {
			log.Error("hook failed", zap.String("state", string(e.Role)), zap.String("error", e.Err))
		}
	case PrepareDone:
		if e.Err != nil {
			log.Error("prepare hook failed", zap.Error(e.Err))
		} else {
			log.Info("warmed up for a hand-over to this host")
		}
	case Prepared:
		if l := before.Leaving; e.Err != nil && l != nil && l.ID == e.ID && l.Warm && after.Leaving != nil {
			log.Warn("the successor can't be prepared; the hand-over goes on", zap.Error(e.Err))
		}
	case Preempted:
		if e.Err != nil {
			log.Warn("the leader does not hand over to this host", zap.Error(e.Err))
		}
	case HandedOver:
		if l := before.Leaving; l != nil && l.To != nil {
			tellHandedOver(log, *l.To, e.Err)
		}
	}
}

func tellHandedOver(log *zap.Logger, to election.Member, err error) {
	if err != nil {
		log.Warn("the hand-over has failed", zap.String("to", to.Name), zap.Error(err))
		return
	}
	log.Info("handed over", zap.String("to", to.Name))
}
