package simulate

import (
	"context"
	"time"

	"github.com/vipd/vipd/agent"
)

// while draws how long an order of an operator lasts: for long enough that it matters.
func (n *nemesis) while() time.Duration { return n.dice.between(n.times(1), n.times(20)) }

// pause keeps a host from holding for a while, as `vipd pause` does.
func (n *nemesis) pause() {
	h, d := n.host(), n.while()
	x := n.daemonOf(h)
	if x == nil || !x.ready.Load() {
		return
	}
	n.timeline.add(h.name, "operator: pause, for %s", d)
	mended, resumed := n.mended, false
	n.running.Go(func() {
		if !x.setPaused(true, mended) {
			return
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.totals.Pauses++; !resumed {
			h.paused = pausing{by: h.disk.contents(), since: time.Now()}
		}
	})
	n.mu.Lock()
	h.resume = true
	n.mu.Unlock()
	n.later(d, func() {
		n.mu.Lock()
		resumed, h.paused = true, pausing{}
		n.mu.Unlock()
		n.timeline.add(h.name, "operator: resume")
		x.setPaused(false, mended)
	})
}

// setPaused does what `vipd pause` and `vipd resume` do, unless given is closed by the
// time the daemon takes it.
func (d *daemon) setPaused(paused bool, given <-chan struct{}) bool {
	d.process.pass()
	select {
	case <-given:
		return false
	default:
	}
	if d.process.dead.Load() || d.node.SetPaused(paused) != nil {
		return false
	}
	d.agent.Report(agent.PauseChanged{Paused: paused})
	return !d.process.dead.Load()
}

// resumeAll undoes all pauses of a round: also where a daemon is down, and has noted one.
func (w *world) resumeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		if h.resume {
			h.resume, h.paused = false, pausing{}
			w.running.Go(func() { w.resume(h) })
		}
	}
}

func (w *world) resume(h *host) {
	for !w.isOver() {
		if d := w.daemonOf(h); d != nil && d.ready.Load() && d.setPaused(false, nil) {
			return
		}
		time.Sleep(w.detect / 10)
	}
}

func (w *world) isOver() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over
}

// freeze keeps the lease where it is for a while.
func (n *nemesis) freeze() {
	d, lasts := n.anyAlive(), n.while()
	if d == nil {
		return
	}
	n.command(d, "freeze", d.node.Freeze, func(err error) {
		if err == nil {
			n.totals.Freezes++
		}
	})
	n.later(lasts, func() {
		if d := n.holderOrAny(); d != nil {
			n.startThaw()
			n.command(d, "thaw", d.node.Thaw, func(error) {})
		}
	})
}

// rotate replaces the CA of the cluster. Hosts that are away meanwhile must find their way
// back.
func (n *nemesis) rotate() {
	d := n.anyAlive()
	if d == nil {
		return
	}
	n.command(d, "rotate", d.node.Rotate, func(err error) {
		if err == nil {
			n.totals.Rotations++
		}
	})
}

func (w *world) holderOrAny() *daemon {
	if d := w.serving(false); d != nil {
		return d
	}
	if ds := w.alive(); len(ds) > 0 {
		return ds[0]
	}
	return nil
}

// startThaw notes that the lease may move again, until the round is over: the order may
// come late.
func (w *world) startThaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.thawing = true
}

// thaw ends what a round has frozen, or what was on its way when it ended.
func (w *world) thaw(holder *daemon) {
	if holder.node.Frozen() == nil {
		return
	}
	w.startThaw()
	ctx, cancel := context.WithTimeout(context.Background(), w.patience())
	defer cancel()
	w.timeline.add(holder.host.name, "operator: thaw: %s", orDone(holder.node.Thaw(ctx)))
}

// hurry tells a daemon that was told to stop to do so in haste, once or twice.
func (n *nemesis) hurry(d *daemon) {
	for range n.dice.below(3) {
		n.timeline.add(d.host.name, "is told to stop once more")
		n.running.Go(func() { d.agent.Report(agent.StopAsked{Hasty: true}) })
	}
}

// lame makes the check fail that has a weight.
func (n *nemesis) lame() {
	h, d := n.host(), n.span()
	n.timeline.add(h.name, "weighted check fails for %s", d)
	h.lame.Store(true)
	n.later(d, func() { h.lame.Store(false) })
}

// troubleScript makes a script fail or slow, on all hosts, since what it talks to is the
// same for all.
func (n *nemesis) troubleScript(state string) {
	d, fails, slow := n.span(), n.dice.in(2), n.dice.between(n.times(0.1), n.times(3))
	if fails {
		slow = 0
	}
	n.timeline.add("nemesis", "%s hooks for %s: fail %v, take up to %s", state, d, fails, slow)
	for _, h := range n.hosts {
		t := h.scripts.trouble(state)
		t.fails.Store(fails)
		t.slow.Store(int64(slow))
		n.later(d, t.end)
	}
}

func (n *nemesis) troublePrepare() { n.troubleScript(prepare) }

func (n *nemesis) troubleFence() { n.troubleScript(fence) }
