package simulate

import (
	"context"
	"time"

	"github.com/vipd/vipd/election"
)

// What the invariants of this file say is decided by agent and election together, so
// they go by what both do to the world outside: fence, address, scripts, and the call by
// which a holder hands over.

// observed is the election as the agent of one daemon sees it.
type observed struct {
	*election.Node
	daemon *daemon
}

// HandOver looks at what the host has let go of before it gives up the lease.
func (o observed) HandOver(ctx context.Context, to election.Member, term uint64) error {
	o.daemon.host.world.handsOver(o.daemon)
	return o.Node.HandOver(ctx, to, term)
}

func (w *world) handsOver(d *daemon) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := d.host; !d.process.dead.Load() && h.kernel.has(h.clock.now()) {
		w.fails("%s hands over, and has the address", h.name)
	}
}

// Release looks at what the host has let go of when it says so.
func (o observed) Release(term uint64) error {
	o.daemon.host.world.releases(o.daemon)
	return o.Node.Release(term)
}

// releases is called when a holder is about to have it recorded that it has let go of all:
// nobody needs to fence it then. (If it can't be recorded, it is fenced for nothing.)
func (w *world) releases(d *daemon) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.process.dead.Load() {
		return
	}
	h := d.host
	if h.kernel.has(h.clock.now()) || !d.script.down() {
		w.fails("%s says that it has let go, and has not", h.name)
	}
	h.owed = false
}

// hearing is how long an agent whose process nothing disturbs may take to act on what the
// daemon has been told.
func (w *world) hearing() time.Duration { return w.detect/10 + 10*time.Millisecond }

// opensFor looks at who opens a fence. The caller has w.mu.
func (w *world) opensFor(h *host) {
	h.kept = nil
	if h.policy.Witness {
		w.fails("%s is a witness, and opens its fence", h.name)
	}
	if h.clock.now() < h.kernel.leased {
		return // under the lease that it has
	}
	if p := h.paused; p.by != nil && p.by == h.disk.contents() && time.Since(p.since) > w.hearing() && time.Since(h.disturbed) > w.grace() {
		w.fails("%s begins a lease, and has been paused for %s", h.name, time.Since(p.since))
	}
}

// pausing is that a host was told not to hold, and has noted so on a disk.
type pausing struct {
	by    *data // nil: it was not
	since time.Time
}

// bindsFor looks at who binds the address and notes it: from here on whoever binds it
// next has to fence this host first, unless it lets go in order. What a goroutine does
// that was held up, behind a fence that is closed, is no holding. The caller has w.mu.
func (w *world) bindsFor(h *host, now election.Instant) {
	if h.policy.Witness {
		w.fails("%s is a witness, and binds the address", h.name)
	}
	if !h.policy.Fence {
		return
	}
	h.owed = true
	if !h.kernel.isOpen(now) || time.Since(h.disturbed) <= w.grace() {
		return
	}
	for _, other := range w.hosts {
		if other != h && other.owed {
			w.fails("%s binds the address, and %s, which had it, has neither let go in order nor been fenced", h.name, other.name)
			other.owed = false // say it once
		}
	}
}

// closesFor is called when a lease that would run on is given up. A cluster that is
// frozen leaves it where it is. The caller has w.mu.
func (w *world) closesFor(h *host) {
	d := h.kept
	if h.kept = nil; d == nil || d != h.daemon || w.thawing || d.stopping || !h.kernel.armed || time.Since(h.disturbed) <= w.grace() {
		return
	}
	w.fails("%s gives up its lease, and the cluster is frozen", h.name)
}

// keep notes, now and then, which host has to keep its lease because the cluster is frozen:
// it serves, has known of it for long enough to act on it, nothing disturbs it, and no
// hand-over had begun before. The caller has w.mu.
func (w *world) keep(h *host) {
	d, now := h.daemon, h.clock.now()
	if d == nil || !d.ready.Load() || d.node.Frozen() == nil {
		h.frozen, h.kept = time.Time{}, nil
		return
	}
	if h.frozen.IsZero() {
		h.frozen = time.Now()
	}
	serves := h.kernel.isOpen(now) && h.kernel.has(now) && d.script.up && d.script.since.After(h.kernel.opened)
	switch {
	case w.thawing, d.stopping, !h.kernel.armed, time.Since(h.disturbed) <= w.grace():
		h.kept = nil
	case h.kept == nil && serves && time.Since(h.frozen) > w.hearing() && d.settled():
		h.kept = d
	}
}

// settled reports whether the agent neither hands over nor is about to. What is released
// because no host is well stays nowhere.
func (d *daemon) settled() bool {
	s := d.agent.State()
	return s.Leaving == nil && s.Asked == nil && (s.Healthy || !s.Policy.Release)
}
