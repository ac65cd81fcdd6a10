package agent

import (
	"time"

	"github.com/vipd/vipd/election"
)

func (d *decision) noteHook(e HookDone) {
	d.Running, d.HookErr, d.HookTook = false, e.Err, d.now.Sub(d.Since)
	switch {
	case e.Role != Master || !d.Held:
	case e.Err != "":
		d.fail("the MASTER hook failed: " + e.Err)
	case d.AllBound:
		d.endHoldDown() // it can hold after all
	}
}

// roleWithoutLease is what the hooks are told while the lease is not held. It is
// empty until the checks have judged.
func (d *decision) roleWithoutLease() Role {
	switch {
	case d.Stopping:
		return Stop
	case d.Paused, d.Policy.Witness, d.fitness() == election.Ready:
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
	return !d.Running && !d.Again && d.Wanted == d.Role && (d.Wanted != Master || d.WantedTerm == d.RoleTerm)
}

// scripting reports whether a script of the operator's runs now: they run one at a time,
// and each is decided on when it begins.
func (s State) scripting() bool { return s.Running || s.Warming || s.Fencing }

// startHook runs the wanted hook when the one before is done. Whatever it is, what was
// warmed up is its business now.
func (d *decision) startHook() {
	if d.scripting() || d.Wanted == "" || d.settled() || d.Exited {
		return
	}
	d.Previous, d.Role, d.RoleTerm, d.Since = d.Role, d.Wanted, d.WantedTerm, d.now
	d.Running, d.Again, d.WarmUntil = true, false, time.Time{}
	d.Reason = d.reason()
	d.do(RunHook{Role: d.Role, Previous: d.Previous, Term: d.Term, Reason: d.Reason})
}

// reason says why the role is what it is, for the hooks and the log.
func (d *decision) reason() string {
	_, ailment := d.judge()
	switch {
	case d.Leaving != nil:
		return d.Leaving.Reason
	case ailment != "":
		return ailment
	case d.Role == Master:
		return "the lease was gained"
	case d.Previous == Master:
		return "the lease was lost"
	case d.Previous == Fault:
		return "well again"
	case d.Previous == Backup:
		return "the hand-over to this host did not come"
	}
	return "started"
}
