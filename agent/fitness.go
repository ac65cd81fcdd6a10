package agent

import (
	"cmp"
	"time"

	"github.com/vipd/vipd/election"
)

// HoldDown is how long a host that could not bind the addresses or start the
// service is held back before it may try again. It doubles with each further
// failure in a row.
const HoldDown = 30 * time.Second

const (
	mostHoldDown = time.Hour
	proven       = 5 * time.Minute // a service that has run for so long ends the row of failures
)

const (
	paused          = "paused by an operator"
	everybodyUnwell = "all hosts are unwell, and all_unhealthy is release"
)

// tellStanding tells the election when what it knows of this host is not true any
// more.
func (d *decision) tellStanding() {
	if s := d.standing(); !s.Equal(d.Told) {
		d.Told = s
		d.do(SetStanding{s})
	}
}

// standing is what the cluster should know of this host.
func (s State) standing() election.Standing {
	fitness, reason := s.judge()
	base := cmp.Or(s.Policy.Priority, election.DefaultPriority)
	return election.Standing{
		Fitness: fitness, Reason: reason, Priority: min(max(base+s.Shift, 1), 254), Base: base, Preempt: s.Policy.Preempt,
		Paused: s.Paused, Checks: s.Checks,
	}
}

func (s State) fitness() election.Fitness {
	fitness, _ := s.judge()
	return fitness
}

// judge says how fit this host is, and why not entirely. One that holds and is unwell
// keeps the lease until somebody better has it; when nobody is better, it depends on
// the policy.
func (s State) judge() (election.Fitness, string) {
	ailment := s.Failure
	if !s.Healthy {
		ailment = s.Ailment
	}
	switch {
	case s.Stopping && !s.Held:
		return election.Unable, "stopping"
	case s.Policy.Witness:
		return election.Unable, "a witness"
	case !s.Armed:
		return election.Unable, "the fence is not armed: " + s.Unarmed
	case s.Paused && !s.Held:
		return election.Unable, paused
	case !s.Known:
		return election.Unable, "not every check has run yet"
	case s.Paused:
		return election.Unwell, paused
	case s.Healthy && s.Failure == "":
		return election.Ready, ""
	case s.released():
		return election.Unable, everybodyUnwell
	case s.Alone && !s.Policy.Release:
		return election.LastResort, ailment
	}
	return election.Unwell, ailment
}

// released reports whether this host holds nothing because no host is well.
func (s State) released() bool { return s.Alone && !s.Healthy && s.Policy.Release }

// noteHealth takes in a verdict. Whoever becomes unwell looks for somebody better
// anew.
func (d *decision) noteHealth(e HealthChanged) {
	if !d.Known || d.Healthy != e.Healthy {
		d.Alone = false
	}
	d.Known, d.Healthy, d.Ailment, d.Shift, d.Checks = true, e.Healthy, e.Reason, e.Shift, e.Checks
}

// fail holds this host back after a failed attempt to hold. What fails again during
// a hold-down prolongs it, and is no further failure.
func (d *decision) fail(failure string) {
	if d.Failure == "" {
		d.Alone = false
		d.Failures++
	}
	d.HoldUntil, d.Failure = d.now.Add(d.holdDown()), failure
}

// holdDown is how long this host is held back after the failures in a row so far.
func (s State) holdDown() time.Duration {
	d := HoldDown
	for i := 1; i < s.Failures && d < mostHoldDown; i++ {
		d *= 2
	}
	return min(d, mostHoldDown)
}

// recover ends a hold-down, and forgets the failures once the service has proven
// itself. A host that nobody can replace does not wait so long for its next try.
func (d *decision) recover() {
	if d.Failure == "" {
		if d.Held && d.AllBound && d.hasStarted() && d.now.Sub(d.Since) >= proven+d.HookTook {
			d.Failures = 0
		}
		return
	}
	over, retry := !d.now.Before(d.HoldUntil), d.Alone && !d.now.Before(d.HoldUntil.Add(HoldDown-d.holdDown()))
	if over {
		d.endHoldDown()
	}
	if (over || retry) && d.HookErr != "" && d.Role == Master && !d.Running {
		d.RoleTerm = 0 // the service did not start: once more
	}
}

func (d *decision) endHoldDown() { d.Failure, d.Alone = "", d.Alone && !d.Healthy }
