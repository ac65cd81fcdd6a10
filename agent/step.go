package agent

import (
	"time"

	"github.com/vipd/vipd/election"
)

// Step returns the state after e, which happened at now, and what to do about it,
// in order. It has no side effects.
//
// Whatever the event: the addresses are bound only while the lease is held and the
// fence armed, and not before the holder of the term before was put out of action
// where a hook does that; the service is stopped before the addresses go when the
// move is planned, and after when the lease is lost; nobody is told to take over
// while an address may still be bound here.
func Step(s State, e Event, now time.Time) (State, []Action) {
	d := decision{State: s, now: now}
	d.note(e)
	d.reconcile()
	return d.State, d.actions
}

// decision collects the actions of one step.
type decision struct {
	State
	now     time.Time
	retry   bool // a second has passed: what failed may be tried again
	actions []Action
}

func (d *decision) do(a Action) { d.actions = append(d.actions, a) }

// note takes in what happened.
func (d *decision) note(e Event) {
	switch e := e.(type) {
	case LeaseChanged:
		d.noteLease(e)
	case HealthChanged:
		d.noteHealth(e)
	case PauseChanged:
		d.Paused, d.Alone = e.Paused, d.Alone && d.Paused == e.Paused
	case FenceChecked:
		d.Armed, d.Unarmed = e.Err == "", e.Err
	case Bound:
		d.noteBound(e)
	case Unbound:
		d.Bound, d.AllBound, d.UnbindErr, d.BindErr = e.Err != "", false, e.Err, ""
	case HookDone:
		d.noteHook(e)
	case Drifted:
		d.noteDrift(e)
	case StopAsked:
		d.noteStop(e)
	case Tick:
		d.noteTick()
	default:
		d.noteAnswer(e)
	}
}

// noteAnswer takes in what concerns other members.
func (d *decision) noteAnswer(e Event) {
	switch e := e.(type) {
	case TransferAsked:
		d.noteTransfer(e)
	case Found:
		d.noteFound(e)
	case Prepared:
		d.notePrepared(e)
	case Waited:
		d.noteWaited(e)
	case HandedOver:
		d.noteHandedOver(e)
	case Preempted:
		d.Preempting, d.PreemptAfter = false, d.now.Add(preemptPause)
	case Claimed:
		d.noteClaimed(e)
	case Fenced:
		d.noteFenced(e)
	case PrepareAsked:
		d.notePrepareAsked(e)
	case PrepareDone:
		d.notePrepareDone(e)
	}
}

// noteLease takes in the lease. One of another term finds the addresses where the
// last one left them, behind a fence that was closed in between; hold runs the
// MASTER hook anew.
func (d *decision) noteLease(e LeaseChanged) {
	if e.Leading != d.Leading || e.Term != d.Term {
		d.Alone = false
	}
	if e.Term != d.Term {
		d.ClaimErr, d.FenceErr = "", ""
	}
	d.Held, d.Leading, d.Term, d.Frozen, d.Preferred = e.Held, e.Leading, e.Term, e.Frozen, e.Preferred
}

func (d *decision) noteStop(e StopAsked) {
	d.Urgent = d.Urgent || d.Hasty && e.Hasty
	d.Hasty = d.Hasty || e.Hasty
	d.Stopping, d.Alone = true, false
}

func (d *decision) noteTick() {
	d.retry, d.Balked = true, false
	d.recover()
	d.coolDown()
	if !d.Armed && !d.Policy.Witness {
		d.do(Arm{})
	}
	switch {
	case !d.Bound:
	case !d.mayBind(), !d.keeps(), !d.placed():
		d.do(Unbind{}) // it failed before
	default: // also while the service is being stopped, which may take long
		d.do(Bind{}) // renews the lifetime, or tries again
		if d.now.Before(d.AnnounceUntil) {
			d.do(Announce{})
		}
	}
}

// reconcile brings what is into line with what should be.
func (d *decision) reconcile() {
	d.tellStanding()
	d.abandon()
	if d.Asked != nil && !d.Leading && !d.Asking {
		d.do(Reply{Request: d.Asked.ID, Err: errLost})
		d.Asked = nil
	}
	switch {
	case d.Exited:
		return
	case d.Leaving != nil:
		d.proceed()
	case d.mustLeave():
		d.seekSuccessor()
		d.hold()
	default:
		d.hold()
	}
	d.preempt()
	d.startHook()
	d.warmUp()
}

// mustLeave reports whether this host leads and should not, or not any longer.
func (d *decision) mustLeave() bool { return d.Asked != nil && d.Leading || d.isUnfit() }

// isUnfit reports whether this host leads and finds by itself that it should not. What
// is frozen stays where it is, as long as it may stay.
func (d *decision) isUnfit() bool {
	switch fitness := d.fitness(); {
	case !d.Leading:
		return false
	case d.Stopping, fitness == election.Unable:
		return true
	default:
		return fitness != election.Ready && !(d.Frozen && d.Held)
	}
}
