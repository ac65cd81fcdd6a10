package agent

import "github.com/vipd/vipd/election"

func (d *decision) noteBound(e Bound) {
	d.Bound, d.AllBound, d.BindErr, d.UnbindErr = true, e.Err == "", e.Err, ""
	if e.Err != "" {
		d.fail("the addresses can't be bound: " + e.Err)
	}
}

func (d *decision) noteDrift(e Drifted) {
	switch {
	case !d.mayBind():
		d.do(Unbind{})
	case e.Missing && d.AllBound && d.keeps():
		d.do(Bind{})
		d.do(Announce{})
	}
}

// placed reports whether addresses were put here under a lease; others are what could
// not be removed.
func (s State) placed() bool { return s.AllBound || s.BindErr != "" }

// keeps reports whether addresses that are bound shall stay.
func (s State) keeps() bool { return s.Leaving == nil || s.Leaving.Stage <= Hooking }

// hold binds the addresses and has the service started, or lets go if it may not
// hold. A host that had better leave binds only when there is nobody else.
func (d *decision) hold() {
	switch {
	case !d.mayHold():
		d.letGo()
	case !d.cleared():
		d.unbind()
		d.want(d.roleWithoutLease(), 0)
		d.clear()
	case d.Stopping:
		// about to leave: nothing new is begun
	case d.AllBound:
		if d.WantedTerm != d.Term {
			d.AnnounceUntil = d.now.Add(announceFor)
			d.do(Announce{})
		}
		d.want(Master, d.Term)
	case d.BindErr == "" && d.mayBegin():
		d.do(Bind{})
	}
}

// mayBegin reports whether to bind addresses that are not bound.
func (d *decision) mayBegin() bool {
	return d.fitness() == election.Ready || (d.Alone || d.Frozen) && !d.Paused
}

// letGo takes the addresses off and has the service stopped.
func (d *decision) letGo() {
	d.unbind()
	d.want(d.roleWithoutLease(), 0)
	if d.Stopping && !d.Leading && !d.Bound && (d.settled() || d.Urgent) {
		d.exit()
	}
}

// unbind takes the addresses off; if that failed, the next tick tries again.
func (d *decision) unbind() {
	if d.Bound && d.UnbindErr == "" {
		d.do(ResetConnections{})
		d.do(Unbind{})
	}
}
