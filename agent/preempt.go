package agent

import (
	"time"

	"github.com/vipd/vipd/election"
)

// preemptPause lies between two wishes to preempt.
const preemptPause = 10 * time.Second

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
