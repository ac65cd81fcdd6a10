package agent

import "github.com/vipd/vipd/election"

// Leaving is a hand-over under way, from the decision until another leads.
type Leaving struct {
	ID      int              // of what it waits for
	To      *election.Member // nil: nobody to hand over to, this host only stops
	Reason  string
	Cause   election.Cause
	Request int    // the request that it answers; 0 if none
	Term    uint64 // of the lease under which addresses are here; 0 if none are
	Warm    bool   // the successor warms the service up
	Hasty   bool
	Clean   bool // the service was stopped in order
	Role    Role // of the hook that stops the service, from Hooking on
	Stage   Stage
}

// Stage is how far a hand-over has come.
type Stage int

// The stages of a hand-over, in order. Until Moving it can be abandoned.
const (
	Preparing Stage = iota // the successor warms the service up, and the reason is recorded; all goes on as before
	Draining               // the probe says no; all else goes on
	Hooking                // the hook that stops the service runs
	Unbinding              // the addresses come off
	Moving                 // the lease is given up and the successor told
)

func (s Stage) String() string {
	return [...]string{"preparing", "draining", "hooking", "unbinding", "moving"}[s]
}

func (d *decision) noteTransfer(e TransferAsked) {
	switch {
	case d.Leaving != nil || d.Asked != nil:
		d.do(Reply{Request: e.ID, Err: errHandingOver})
	case !d.Leading:
		d.do(Reply{Request: e.ID, Err: election.ErrNoLeader})
	case d.Frozen && d.Held:
		d.do(Reply{Request: e.ID, Err: errFrozen})
	default:
		d.Asked = &e.Request
	}
}

// seekSuccessor asks the election for a successor; after a refusal not again
// before the next tick or a change of circumstances.
func (d *decision) seekSuccessor() {
	if d.Asking || (d.Alone || d.Balked) && !d.retry && d.Asked == nil {
		return
	}
	d.Asking = true
	f := FindSuccessor{Well: d.released()}
	if d.Asked != nil {
		f.Request, f.Target = d.Asked.ID, d.Asked.Target
	}
	d.do(f)
}

// noteFound takes in who would take over. What was wanted may be so no longer.
func (d *decision) noteFound(e Found) {
	d.Asking = false
	asked := d.Asked
	if asked != nil && asked.ID == e.Request {
		d.Asked = nil
	} else {
		asked = nil
	}
	switch {
	case asked != nil && e.To == nil:
		d.do(Reply{Request: asked.ID, Err: e.Err})
	case asked != nil && d.Frozen && d.Held:
		d.do(Reply{Request: asked.ID, Err: errFrozen})
	case asked == nil && !d.isUnfit():
	case e.To != nil:
		d.leave(e.To, asked)
	case d.Stopping:
		d.leave(nil, nil)
	default:
		d.Alone = true
	}
}

// leave begins a hand-over; to is nil if this host merely stops.
func (d *decision) leave(to *election.Member, asked *Request) {
	if d.Asked != nil {
		d.do(Reply{Request: d.Asked.ID, Err: errHandingOver})
		d.Asked = nil
	}
	_, ailment := d.judge()
	l := Leaving{To: to, Reason: ailment}
	switch {
	case asked != nil:
		l.Request, l.Reason, l.Cause, l.Hasty = asked.ID, asked.Reason, asked.Cause, asked.Hasty
	case d.Stopping:
		l.Reason, l.Cause = "the holder was stopped", election.ByOperator
	}
	if d.mayBind() && d.placed() {
		l.Term = d.Term
	}
	d.Alone, d.Leaving = false, &l
	switch {
	case to == nil:
		d.drain()
	case d.hurries():
		d.prepare(false)
	default:
		d.prepare(true)
	}
}

// hurries reports whether there is nobody, or no time, to be considerate of.
func (d *decision) hurries() bool { return d.Hasty || d.Leaving.Hasty || !d.serves() }

// await numbers what a hand-over waits for next.
func (d *decision) await() int {
	d.Moves++
	d.Leaving.ID = d.Moves
	return d.Moves
}

// isAwaited reports whether an answer is the one that the hand-over waits for in a
// stage.
func (d *decision) isAwaited(id int, stage Stage) bool {
	if d.Leaving == nil || d.Leaving.ID != id || d.Leaving.Stage != stage {
		return false
	}
	l := *d.Leaving // the caller changes it
	d.Leaving = &l
	return true
}

func (d *decision) prepare(warm bool) {
	l := d.Leaving
	recheck := l.Warm || warm || l.Stage == Draining
	l.Warm = warm
	d.do(Prepare{ID: d.await(), To: *l.To, Warm: warm, Recheck: recheck, Reason: l.Reason, Cause: l.Cause})
}

// notePrepared goes on. A successor that can't warm up is a reason to refuse somebody's
// request, and none to stay where this host should not; one that can't take over any
// more is a reason to look for another.
func (d *decision) notePrepared(e Prepared) {
	switch {
	case !d.isAwaited(e.ID, Preparing) && !d.isAwaited(e.ID, Draining):
	case e.Err != nil && d.Leaving.Request != 0:
		d.do(Reply{Request: d.Leaving.Request, Err: e.Err})
		d.Leaving = nil
	case e.Err != nil && d.Leaving.Warm:
		d.prepare(false)
	case e.Err != nil:
		d.Leaving, d.Balked = nil, true
	case d.Leaving.Stage == Draining:
		d.stopService()
	default:
		d.drain()
	}
}

// drain lets what is under way come to its end, unless there is no well service any more
// to do that. After it the successor is looked at once more: it may have been lost.
func (d *decision) drain() {
	if d.hurries() || d.Policy.DrainTime == 0 || !d.Healthy || d.Failure != "" {
		d.stopService()
		return
	}
	d.Leaving.Stage = Draining
	d.do(Wait{ID: d.await(), For: d.Policy.DrainTime})
}

func (d *decision) noteWaited(e Waited) {
	switch {
	case !d.isAwaited(e.ID, Draining):
	case d.Leaving.To == nil:
		d.stopService()
	default:
		d.prepare(false)
	}
}

// stopService has the hook run of the role that comes next.
func (d *decision) stopService() { d.Leaving.Stage, d.Leaving.Role = Hooking, d.roleWithoutLease() }

// proceed takes a hand-over one stage further, if the one before is done: the
// service stopped, the addresses off, the lease given up.
func (d *decision) proceed() {
	l := *d.Leaving
	d.Leaving = &l
	if d.hurries() {
		d.hasten()
	}
	if !d.mayBind() {
		d.unbind() // nothing is waited for
	}
	switch {
	case l.Stage == Hooking:
		d.want(l.Role, 0)
	case l.Stage < Hooking && !d.mayBind():
		d.want(d.roleWithoutLease(), 0)
	}
	if l.Stage == Hooking {
		if !d.settled() && !d.Urgent {
			return
		}
		l.Stage, l.Clean = Unbinding, d.Held && d.settled() && d.HookErr == ""
		if d.mayBind() {
			d.unbind()
		}
	}
	if l.Stage == Unbinding && !d.Bound {
		l.Stage = Moving
		d.give()
	}
}

// hasten leaves out what is only considerate.
func (d *decision) hasten() {
	switch l := d.Leaving; {
	case l.Stage == Preparing && l.Warm:
		d.prepare(false)
	case l.Stage == Draining:
		d.stopService()
	}
}

// abandon ends a hand-over that the loss of the lease or of the lead has overtaken, or
// whose reason is gone before anything has happened. One that has been carried out is
// ended by its own answer.
func (d *decision) abandon() {
	l := d.Leaving
	if l == nil || l.Stage == Moving {
		return
	}
	lost := !d.Leading || l.Term != 0 && (!d.Held || d.Term != l.Term)
	idle := l.Stage == Preparing && l.Request == 0 && !d.isUnfit()
	if !lost && !idle {
		return
	}
	if l.Request != 0 {
		d.do(Reply{Request: l.Request, Err: errLost})
	}
	d.Leaving = nil
}

// give tells the successor, and puts on record that this host has let go of all, so that
// nobody fences it.
func (d *decision) give() {
	h := HandOver{To: d.Leaving.To, Term: d.Leaving.Term}
	if d.Leaving.Clean && d.Policy.Fence {
		h.Released = d.Term
	}
	if h.To == nil && h.Released == 0 {
		d.exit()
		return
	}
	d.do(h)
}

func (d *decision) noteHandedOver(e HandedOver) {
	if l := d.Leaving; l != nil && l.To == nil {
		d.exit()
		return
	}
	if l := d.Leaving; l != nil && l.Request != 0 {
		d.do(Reply{Request: l.Request, To: l.To.Name, Err: e.Err})
	}
	d.Leaving = nil
	d.Held, d.Leading = false, false // until the election says otherwise
}

// exit ends the agent; who waits for an answer gets it.
func (d *decision) exit() {
	for _, request := range []int{d.requested(), d.WarmingFor} {
		if request != 0 {
			d.do(Reply{Request: request, Err: errStopping})
		}
	}
	d.Asked, d.WarmingFor, d.Exited = nil, 0, true
	d.do(Exit{})
}

func (s State) requested() int {
	if s.Asked == nil {
		return 0
	}
	return s.Asked.ID
}
