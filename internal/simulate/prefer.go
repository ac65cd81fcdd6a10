package simulate

import (
	"time"

	"github.com/vipd/vipd/election"
)

// preferring is how long the best host takes until it has preempted, at most, once
// nothing holds it back: it asks, is refused and asks again after 10 s (preemptPause in
// package agent), and has to be prepared and the service to be stopped each time.
const preferring = 2 * (10*time.Second + 2*hookTimeout)

// worthwhile is for how many detect times a run waits for a host that is held back: what
// is simulated costs by the heartbeat.
const worthwhile = 20

// awaitBest checks that where all is well the host of the highest priority holds, if it is
// meant to preempt.
func (w *world) awaitBest() {
	best := w.best()
	if best == nil || !best.policy.Preempt || !w.isNear() {
		return
	}
	bound := preferring + best.policy.PreemptDelay + 2*best.policy.DrainTime + boundDetects*w.detect + boundConstant
	for free := time.Now(); ; time.Sleep(w.detect / 10) {
		d := w.serving(true)
		if d != nil && d.host == best {
			w.mu.Lock()
			w.totals.Preferred++
			w.mu.Unlock()
			return
		}
		back := w.heldBack(best)
		if time.Until(back) > worthwhile*w.detect {
			return
		}
		if !back.IsZero() {
			free = back
		}
		if time.Since(free) > bound {
			w.note("%s is the best host and preempts, and %s holds after %s", best.name, name(d), bound)
			return
		}
	}
}

// isNear reports whether a holder hears in time that its successor can take over: on a
// new connection that takes three round trips, and it waits for a quarter of detect, or a
// second (Successor in package election). Farther apart nobody hands over who holds.
func (w *world) isNear() bool {
	near := w.network.near
	return 6*(near.delay+near.jitter) < min(w.detect/4, time.Second)
}

func name(d *daemon) string {
	if d == nil {
		return "nobody"
	}
	return d.host.name
}

// best returns the host with the highest priority; nil if there are several.
func (w *world) best() (best *host) {
	highest := 0
	for _, h := range w.hosts {
		switch p := (election.Member{Priority: h.policy.Priority}).EffectivePriority(); {
		case h.policy.Witness:
		case p > highest:
			best, highest = h, p
		case p == highest:
			best = nil
		}
	}
	return best
}

// heldBack returns until when a host is kept from preempting: it could not hold, or has
// lost the lease soon after it got it. The zero time means that nothing keeps it.
func (w *world) heldBack(h *host) time.Time {
	var until time.Time
	d := w.daemonOf(h)
	if d == nil || !d.ready.Load() {
		return until
	}
	if s := d.agent.State(); s.Failure != "" {
		until = s.HoldUntil
	}
	for _, m := range d.node.Status().Members {
		if m.Name == h.name && m.HoldDown.After(time.Now()) && m.HoldDown.After(until) {
			until = m.HoldDown
		}
	}
	return until
}

// leastHoldDown returns how long the members that could not hold are held back, the first
// of them. Where a cluster without any host that is well holds nothing, nobody holds before.
func (w *world) leastHoldDown() time.Duration {
	least := time.Duration(-1)
	for _, d := range w.alive() {
		s := d.agent.State()
		switch {
		case s.Policy.Witness, !d.node.Status().Member:
			continue
		case !s.Policy.Release:
			return 0
		}
		left := time.Duration(0)
		if s.Failure != "" {
			left = time.Until(s.HoldUntil)
		}
		if least < 0 || left < least {
			least = left
		}
	}
	return max(0, least)
}
