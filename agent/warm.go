package agent

import (
	"fmt"
	"time"

	"github.com/vipd/vipd/election"
)

// keepWarm is how long, after the drain time, the service that was warmed up is left
// running.
const keepWarm = 2 * time.Minute

// notePrepareAsked has the service warmed up for a hand-over to this host.
func (d *decision) notePrepareAsked(e PrepareAsked) {
	if err := d.refusal(); err != nil || !d.Policy.Prepare {
		d.do(Reply{Request: e.Request, Err: err})
		return
	}
	d.WarmingFor, d.WarmUntil = e.Request, d.now.Add(d.Policy.DrainTime+keepWarm)
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
	case d.WarmingFor != 0:
		return errPreparing
	}
	return nil
}

func (d *decision) notePrepareDone(e PrepareDone) {
	d.WarmingFor = 0
	d.do(Reply{Request: e.Request, Err: e.Err})
	if !d.WarmUntil.IsZero() { // no hook has begun meanwhile
		d.WarmUntil = d.now.Add(d.Policy.DrainTime + keepWarm)
	}
}

// coolDown has the service stopped that was warmed up for a hand-over that did not
// come: the hook of the role runs once more.
func (d *decision) coolDown() {
	if d.WarmUntil.IsZero() || d.WarmingFor != 0 || d.now.Before(d.WarmUntil) {
		return
	}
	d.WarmUntil = time.Time{}
	d.Again = d.Role == d.Wanted && d.Role != Master && !d.Running
}
