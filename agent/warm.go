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
	err := d.refusal()
	if err == nil && d.WarmingFor != 0 {
		err = errPreparing
	}
	if err != nil || !d.Policy.Prepare {
		d.do(Reply{Request: e.Request, Err: err})
		return
	}
	d.WarmingFor = e.Request
}

// warmUp runs the prepare hook that somebody waits for, once nothing else runs.
func (d *decision) warmUp() {
	if d.WarmingFor == 0 || d.Warming || d.Exited {
		return
	}
	if err := d.refusal(); err != nil {
		d.do(Reply{Request: d.WarmingFor, Err: err})
		d.WarmingFor = 0
		return
	}
	if d.scripting() {
		return
	}
	d.Warming, d.WarmUntil = true, d.now.Add(d.Policy.DrainTime+keepWarm)
	d.do(RunPrepare{Request: d.WarmingFor, Reason: "the holder is about to hand over to this host"})
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
	}
	return nil
}

func (d *decision) notePrepareDone(e PrepareDone) {
	d.WarmingFor, d.Warming = 0, false
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
