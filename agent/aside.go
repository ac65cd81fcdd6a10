package agent

import (
	"fmt"
	"time"

	"github.com/vipd/vipd/election"
)

const (
	preemptPause = 10 * time.Second // between two wishes to preempt
	warmFor      = 2 * time.Minute  // after the drain time, the service that was warmed up is stopped again
)

// preempt asks the leader to hand over when this host should have held for long
// enough.
func (d *decision) preempt() {
	if !d.Policy.Preempt || d.Preferred == "" || d.Leading || d.Held || d.Frozen || d.Paused || d.Stopping || d.fitness() != election.Ready {
		d.PreferredSince = time.Time{}
		return
	}
	if d.PreferredSince.IsZero() {
		d.PreferredSince = d.now
	}
	if !d.Preempting && d.now.Sub(d.PreferredSince) >= d.Policy.PreemptDelay && !d.now.Before(d.PreemptAfter) {
		d.Preempting = true
		d.do(Preempt{d.Preferred})
	}
}

// notePrepareAsked has the service warmed up for a hand-over to this host.
func (d *decision) notePrepareAsked(e PrepareAsked) {
	if err := d.refusal(); err != nil || !d.Policy.Prepare {
		d.do(Reply{Request: e.Request, Err: err})
		return
	}
	d.Preparing, d.PreparedUntil = e.Request, d.now.Add(d.Policy.DrainTime+warmFor)
	d.do(RunPrepare{Request: e.Request, Reason: "the holder is about to hand over to this host"})
}

// refusal says why nobody can hand over to this host; nil if somebody can.
func (d *decision) refusal() error {
	switch fitness, ailment := d.judge(); {
	case d.Stopping:
		return errStopping
	case d.Leading || d.Held:
		return errLeads
	case fitness != election.Ready:
		return fmt.Errorf("this host is not ready: %s", ailment)
	case d.Preparing != 0:
		return errPreparing
	}
	return nil
}

func (d *decision) notePrepareDone(e PrepareDone) {
	d.Preparing = 0
	d.do(Reply{Request: e.Request, Err: e.Err})
	if !d.PreparedUntil.IsZero() { // no hook has begun meanwhile
		d.PreparedUntil = d.now.Add(d.Policy.DrainTime + warmFor)
	}
}

// coolDown has the service stopped that was warmed up for a hand-over that did not
// come: the hook of the role runs once more.
func (d *decision) coolDown() {
	if d.PreparedUntil.IsZero() || d.Preparing != 0 || d.now.Before(d.PreparedUntil) {
		return
	}
	d.PreparedUntil = time.Time{}
	d.Again = d.Role == d.Wanted && d.Role != Master && !d.Running
}

func (d *decision) exit() {
	for _, request := range []int{d.requested(), d.Preparing} {
		if request != 0 {
			d.do(Reply{Request: request, Err: errStopping})
		}
	}
	d.Asked, d.Preparing, d.Exited = nil, 0, true
	d.do(Exit{})
}

func (s State) requested() int {
	if s.Asked == nil {
		return 0
	}
	return s.Asked.ID
}
