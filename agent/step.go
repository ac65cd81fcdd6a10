package agent

import (
	"errors"
	"time"

	"github.com/vipd/vipd/election"
)

// Step returns the state after e, which happened at now, and what to do about it,
// in order. It has no side effects.
//
// Whatever the event: the addresses are bound only while the lease is held and the
// fence armed; the service is stopped before the addresses go when the move is
// planned, and after when the lease is lost; nobody is told to take over while an
// address may still be bound here.
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
		d.Known, d.Healthy, d.Ailment, d.Alone = true, e.Healthy, e.Reason, false
	case FenceChecked:
		d.Armed, d.Unarmed = e.Err == "", e.Err
	case Bound:
		d.noteBound(e)
	case Unbound:
		d.Bound, d.AllBound, d.UnbindErr, d.BindErr = e.Err != "", false, e.Err, ""
	case HookDone:
		d.noteHook(e)
	case Found:
		d.noteFound(e)
	case HandedOver:
		d.noteHandedOver(e)
	case Drifted:
		d.noteDrift(e)
	case TransferAsked:
		d.noteTransfer(e)
	case StopAsked:
		d.Stopping, d.Alone = true, false
	case Tick:
		d.noteTick()
	}
}

// noteLease takes in the lease. One of another term finds the addresses where the
// last one left them, behind a fence that was closed in between; hold runs the
// MASTER hook anew.
func (d *decision) noteLease(e LeaseChanged) {
	if e.Leading != d.Leading || e.Term != d.Term {
		d.Alone = false
	}
	d.Held, d.Leading, d.Term = e.Held, e.Leading, e.Term
}

func (d *decision) noteBound(e Bound) {
	d.Bound, d.AllBound, d.BindErr, d.UnbindErr = true, e.Err == "", e.Err, ""
	if e.Err != "" {
		d.holdDown("the addresses can't be bound: " + e.Err)
	}
}

func (d *decision) noteHook(e HookDone) {
	d.Running, d.HookErr, d.HookTook = false, e.Err, d.now.Sub(d.Since)
	if e.Err != "" && e.Role == Master && d.Held {
		d.holdDown("the MASTER hook failed: " + e.Err)
	}
}

// holdDown holds this host back after a failed attempt to hold.
func (d *decision) holdDown(failure string) {
	if d.Failure == "" {
		d.Alone = false
	}
	d.HoldUntil, d.Failure = d.now.Add(HoldDown), failure
}

func (d *decision) noteFound(e Found) {
	d.Asking = false
	asked := d.Asked
	if asked != nil && asked.ID == e.Request {
		d.Asked = nil
	} else {
		asked = nil
	}
	switch {
	case e.To != nil:
		d.leave(e.To, asked)
	case asked != nil:
		d.do(Reply{Request: asked.ID, Err: e.Err})
	case d.Stopping:
		d.leave(nil, nil)
	default:
		d.Alone = true
	}
}

// leave begins a hand-over; to is nil if this host merely stops. The service is
// stopped by the hook of the role that comes next.
func (d *decision) leave(to *election.Member, asked *Request) {
	d.Alone = false
	d.Leaving = &Leaving{To: to, Role: d.roleWithoutLease(), Reason: d.reasonToLeave()}
	if asked != nil {
		d.Leaving.Request, d.Leaving.Reason = asked.ID, asked.Reason
	}
	if d.Asked != nil {
		d.do(Reply{Request: d.Asked.ID, Err: errHandingOver})
		d.Asked = nil
	}
}

func (d *decision) noteHandedOver(e HandedOver) {
	if l := d.Leaving; l != nil && l.Request != 0 {
		d.do(Reply{Request: l.Request, To: l.To.Name, Err: e.Err})
	}
	d.Leaving = nil
	d.Held, d.Leading = false, false // until the election says otherwise
}

func (d *decision) noteDrift(e Drifted) {
	switch {
	case !d.mayHold():
		d.do(Unbind{})
	case e.Missing && d.AllBound && d.Leaving == nil:
		d.do(Bind{})
		d.do(Announce{})
	}
}

func (d *decision) noteTransfer(e TransferAsked) {
	switch {
	case d.Leaving != nil || d.Asked != nil:
		d.do(Reply{Request: e.ID, Err: errHandingOver})
	case !d.Leading:
		d.do(Reply{Request: e.ID, Err: election.ErrNoLeader})
	default:
		d.Asked = &e.Request
	}
}

func (d *decision) noteTick() {
	d.retry = true
	if d.Failure != "" && !d.now.Before(d.HoldUntil) {
		d.Failure = ""
		if d.HookErr != "" && d.Role == Master {
			d.RoleTerm = 0 // the service did not start: once more
		}
	}
	if !d.Armed {
		d.do(Arm{})
	}
	switch {
	case !d.Bound:
	case !d.mayHold(), d.Leaving != nil && d.Leaving.Stage == Unbinding:
		d.do(Unbind{}) // it failed before
	case d.Leaving == nil || d.Leaving.Stage == Hooking: // a service may take long to stop
		d.do(Bind{}) // renews the lifetime, or tries again
		if d.now.Before(d.AnnounceUntil) {
			d.do(Announce{})
		}
	}
}

// mayHold reports whether addresses may be on this host.
func (s State) mayHold() bool { return s.Held && s.Armed }

// reconcile brings what is into line with what should be.
func (d *decision) reconcile() {
	d.tellFitness()
	if d.Leaving != nil && !d.Leading {
		d.abandon()
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
	d.startHook()
}

var (
	errHandingOver = errors.New("a hand-over is under way already")
	errStopping    = errors.New("vipd is stopping")
	errLost        = errors.New("the lead was lost before the hand-over was done")
)

// abandon ends a hand-over that the loss of the lead has overtaken. One that has
// been carried out is ended by its own answer.
func (d *decision) abandon() {
	if d.Leaving.Stage == Moving {
		return
	}
	if d.Leaving.Request != 0 {
		d.do(Reply{Request: d.Leaving.Request, Err: errLost})
	}
	d.Leaving = nil
}

// tellFitness tells the election when this host's fitness has changed.
func (d *decision) tellFitness() {
	if f := d.fitness(); f != d.Told {
		d.Told = f
		d.do(SetFitness{f})
	}
}

func (d *decision) fitness() Fitness {
	switch {
	case d.Stopping && !d.Held:
		return Fitness{election.Unable, "stopping"}
	case !d.Armed:
		return Fitness{election.Unable, "the fence is not armed: " + d.Unarmed}
	case !d.Known:
		return Fitness{election.Unable, "not every check has run yet"}
	case !d.Healthy:
		return Fitness{election.Unwell, d.Ailment}
	case d.Failure != "":
		return Fitness{election.Unwell, d.Failure}
	}
	return Fitness{election.Ready, ""}
}

// mustLeave reports whether this host leads and should not, or not any longer.
func (d *decision) mustLeave() bool {
	return d.Leading && (d.Stopping || d.Asked != nil || d.fitness().Degree != election.Ready)
}

// seekSuccessor asks the election for a successor; after a refusal not again
// before the next tick or a change of circumstances.
func (d *decision) seekSuccessor() {
	if d.Asking || d.Alone && !d.retry && d.Asked == nil {
		return
	}
	d.Asking = true
	if d.Asked != nil {
		d.do(FindSuccessor{Request: d.Asked.ID, Target: d.Asked.Target, Reason: d.Asked.Reason})
	} else {
		d.do(FindSuccessor{Reason: d.reasonToLeave()})
	}
}

func (d *decision) reasonToLeave() string {
	if d.Stopping {
		return "the holder was stopped"
	}
	return d.fitness().Reason
}

// hold binds the addresses and has the service started, or lets go if it may not
// hold. A host that had better leave binds only when there is nobody else.
func (d *decision) hold() {
	switch {
	case !d.mayHold():
		d.letGo()
	case d.Stopping:
		// about to leave: nothing new is begun
	case d.AllBound:
		if d.WantedTerm != d.Term {
			d.AnnounceUntil = d.now.Add(announceFor)
			d.do(Announce{})
		}
		d.want(Master, d.Term)
	case d.BindErr == "" && (d.fitness().Degree == election.Ready || d.Alone):
		d.do(Bind{})
	}
}

// letGo takes the addresses off and has the service stopped.
func (d *decision) letGo() {
	d.unbind()
	d.want(d.roleWithoutLease(), 0)
	if d.Stopping && !d.Leading && !d.Bound && d.settled() {
		d.exit()
	}
}

// proceed takes a hand-over one stage further, if the one before is done: the
// service stopped, the addresses off, the lease given up.
func (d *decision) proceed() {
	l := *d.Leaving
	d.Leaving = &l
	if l.Stage == Hooking {
		d.want(l.Role, 0)
		if !d.settled() {
			if !d.mayHold() {
				d.unbind() // the lease is gone: the hook is not waited for
			}
			return
		}
		l.Stage = Unbinding
		d.unbind()
	}
	if l.Stage == Unbinding && !d.Bound {
		l.Stage = Moving
		if l.To == nil {
			d.exit()
		} else {
			d.do(HandOver{To: *l.To})
		}
	}
}

// unbind takes the addresses off; if that failed, the next tick tries again.
func (d *decision) unbind() {
	if d.Bound && d.UnbindErr == "" {
		d.do(Unbind{})
	}
}

func (d *decision) exit() {
	if d.Asked != nil {
		d.do(Reply{Request: d.Asked.ID, Err: errStopping})
		d.Asked = nil
	}
	d.Exited = true
	d.do(Exit{})
}

// roleWithoutLease is what the hooks are told while the lease is not held. It is
// empty until the checks have judged.
func (d *decision) roleWithoutLease() Role {
	switch {
	case d.Stopping:
		return Stop
	case d.fitness().Degree == election.Ready:
		return Backup
	case !d.Known && d.Armed && d.Role == "":
		return "" // nothing to say yet
	}
	return Fault
}

// want says what the hooks should be told last. What nobody was told in between is
// skipped.
func (d *decision) want(role Role, term uint64) { d.Wanted, d.WantedTerm = role, term }

// settled reports whether the last hook was told what is wanted, and is done.
func (d *decision) settled() bool {
	return !d.Running && d.Wanted == d.Role && (d.Wanted != Master || d.WantedTerm == d.RoleTerm)
}

// startHook runs the wanted hook when the one before is done.
func (d *decision) startHook() {
	if d.Running || d.Wanted == "" || d.settled() || d.Exited {
		return
	}
	d.Previous, d.Role, d.RoleTerm, d.Since, d.Running = d.Role, d.Wanted, d.WantedTerm, d.now, true
	d.Reason = d.reason()
	d.do(RunHook{Role: d.Role, Previous: d.Previous, Term: d.Term, Reason: d.Reason})
}

// reason says why the role is what it is, for the hooks and the log.
func (d *decision) reason() string {
	switch {
	case d.Leaving != nil:
		return d.Leaving.Reason
	case d.fitness().Reason != "":
		return d.fitness().Reason
	case d.Role == Master:
		return "the lease was gained"
	case d.Previous == Master:
		return "the lease was lost"
	case d.Previous == Fault:
		return "well again"
	}
	return "started"
}
