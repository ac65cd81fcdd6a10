package simulate

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/election"
	"github.com/vipd/vipd/hooks"
)

// world is one run: hosts, the network between them, and the invariants that are
// looked at whenever something moves.
type world struct {
	profile  Profile
	detect   time.Duration
	began    time.Time
	chance   *chance // of everything but the schedule of faults
	timeline *timeline
	network  *network
	hosts    []*host
	running  sync.WaitGroup

	mu      sync.Mutex // nothing waits while it has this
	over    bool
	broken  []string // invariants, in words
	overlap bool     // two fences were open at once
	thawing bool     // the lease may move again, though the cluster was frozen in this round
	ledger  ledger
	totals  Totals

	steadiness Steadiness
}

// farthest is a network on which commands still work: they wait some seconds.
const farthest = 500 * time.Millisecond

func newWorld(seed uint64, p Profile) *world {
	w := &world{profile: p, began: time.Now(), chance: newChance(seed, 1), ledger: newLedger()}
	w.timeline = &timeline{began: w.began}
	w.detect = p.Detect
	if w.detect == 0 {
		w.detect = w.chance.between(50*time.Millisecond, time.Minute).Round(time.Millisecond)
	}
	near := link{delay: 100 * time.Microsecond, jitter: 100 * time.Microsecond}
	if p.Far > 0 {
		near = link{jitter: min(time.Duration(p.Far*float64(w.detect)), farthest)}
	}
	near.loss = p.Loss
	w.network = newNetwork(w.chance, near)
	for i := range p.Nodes {
		w.hosts = append(w.hosts, newHost(w, i))
		w.hosts[i].kernel.lasting = seed%2 == 0
	}
	if p.Varied {
		for i, policy := range policies(newChance(seed, 4), p.Nodes, w.detect) {
			w.hosts[i].policy = policy
		}
	}
	return w
}

// grace is for how long a process may act on a lease that has ended: the longest
// time for which a single goroutine is held up, twice, since it may stumble again.
func (w *world) grace() time.Duration { return 2*w.longestStumble() + 10*time.Millisecond }

func (w *world) longestStumble() time.Duration { return w.detect }

// fails notes that an invariant does not hold. The caller has w.mu.
func (w *world) fails(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.timeline.add("INVARIANT", "%s", text)
	w.broken = append(w.broken, text)
}

// fenceMoved is called at every store that opens a fence or keeps it open. Fences
// open on nothing else, so that if two are ever open at once, they are when one of
// them has just been moved. The caller has w.mu.
func (w *world) fenceMoved(h *host, opens bool) {
	if opens {
		w.timeline.add(h.name, "fence opens for %s", h.kernel.deadline.Sub(h.clock.now()))
		w.totals.Openings++
		h.kernel.opened = time.Now()
		w.opensFor(h)
	}
	var open []string
	for _, other := range w.hosts {
		if now := other.clock.now(); other.kernel.isOpen(now) {
			open = append(open, fmt.Sprintf("%s for another %s", other.name, other.kernel.deadline.Sub(now)))
		}
	}
	if len(open) > 1 && !w.overlap {
		w.overlap = true
		w.fails("two fences are open: %s", strings.Join(open, ", "))
	}
}

// binds is called whenever an address is put on or renewed. The caller has w.mu.
func (w *world) binds(h *host, now election.Instant) {
	closed := h.kernel.closedFor(now)
	if closed > w.grace() && time.Since(h.disturbed) > w.grace() {
		w.fails("%s binds the address, and its fence has been closed for %s", h.name, closed)
	}
	if !h.kernel.has(now) {
		w.timeline.add(h.name, "binds the address")
	}
}

// hookBegins is called when a script starts.
func (w *world) hookBegins(d *daemon, e hooks.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.process.dead.Load() {
		return
	}
	h, s := d.host, &d.script
	w.timeline.add(h.name, "notify %s begins: %s", e.State, e.Reason)
	w.totals.Hooks++
	if s.running != "" {
		w.fails("%s: notify %s begins while %s runs", h.name, e.State, s.running)
	}
	s.running = e.State
	switch e.State {
	case prepare:
		s.warm = true
	case fence:
		if e.OldHolder == h.name {
			w.fails("%s fences itself", h.name)
		}
	default:
		w.roleBegins(d, e)
	}
}

// roleBegins is called when the notify script starts. The caller has w.mu.
func (w *world) roleBegins(d *daemon, e hooks.Event) {
	h, s := d.host, &d.script
	switch {
	case e.State == s.last && !s.warm && (e.State != string(agent.Master) || e.Term < s.term):
		w.fails("%s: notify %s comes twice", h.name, e.State)
	case s.last == string(agent.Stop):
		w.fails("%s: notify %s comes after STOP", h.name, e.State)
	case e.Previous != s.last:
		w.fails("%s: notify %s is told of %q as the state before, it was %q", h.name, e.State, e.Previous, s.last)
	}
	if e.State == string(agent.Master) {
		s.term, s.since = e.Term, time.Now()
		if now := h.clock.now(); h.kernel.closedFor(now) > w.grace() && time.Since(h.disturbed) > w.grace() {
			w.fails("%s: notify MASTER, and the fence has been closed for %s", h.name, h.kernel.closedFor(now))
		}
	}
	s.up, s.warm = false, false
}

func (w *world) hookEnds(d *daemon, e hooks.Event, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.process.dead.Load() {
		return
	}
	if d.script.running = ""; e.State != prepare && e.State != fence {
		d.script.last, d.script.up, d.script.failed = e.State, err == nil && e.State == string(agent.Master), err != nil
	}
	if err != nil {
		w.timeline.add(d.host.name, "notify %s failed: %v", e.State, err)
	}
}

// inspect looks at what changes without a call: addresses that should be gone, and
// what the members say.
func (w *world) inspect() {
	w.ask()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		w.keep(h)
		now := h.clock.now()
		if !h.kernel.has(now) || h.daemon == nil || time.Since(h.disturbed) <= 2*time.Second+w.grace() {
			continue
		}
		closed, unarmed := h.kernel.closedFor(now), h.kernel.unarmedFor(now)
		if max(closed, unarmed) > 2*time.Second+w.grace() {
			w.fails("%s still has the address, and its fence has been closed for %s, away for %s", h.name, closed, unarmed)
			h.disturbed = time.Now() // say it once
		}
	}
}

// ask asks each member what it knows, without waiting for one that does not answer.
func (w *world) ask() {
	for _, d := range w.alive() {
		if d.asked.Swap(true) {
			continue
		}
		w.running.Go(func() {
			asked := time.Now()
			w.saw(d, d.node.Status(), asked)
			d.asked.Store(false)
		})
	}
}

// saw compares what a member says, since it was asked, with what is known. What a dead one says counts
// for nothing.
func (w *world) saw(d *daemon, s election.Status, asked time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.process.dead.Load() {
		return
	}
	if !d.known {
		d.known = true
		w.timeline.add(d.host.name, "its id is %s", s.ID)
	}
	d.id = s.ID
	for _, problem := range w.ledger.compare(s, asked, d.host.kernel.isOpen(d.host.clock.now())) {
		w.fails("%s: %s", d.host.name, problem)
	}
}

// disturb notes that a host can't be expected to act for d. The caller has w.mu.
func (h *host) disturb(d time.Duration) {
	if until := time.Now().Add(d); until.After(h.disturbed) {
		h.disturbed = until
	}
}

// alive returns the daemons that can be asked.
func (w *world) alive() []*daemon {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.aliveLocked()
}

func (w *world) aliveLocked() []*daemon {
	var ds []*daemon
	for _, h := range w.hosts {
		if d := h.daemon; d != nil && d.ready.Load() && d.process.stopped.Load() == nil {
			ds = append(ds, d)
		}
	}
	return ds
}

// serving returns the daemon whose host serves now: its fence open, the address
// bound, and MASTER told. The lease alone is enough if service is false.
func (w *world) serving(service bool) *daemon {
	w.mu.Lock()
	defer w.mu.Unlock()
	ds := w.aliveLocked()
	i := slices.IndexFunc(ds, func(d *daemon) bool {
		now := d.host.clock.now()
		return d.host.kernel.isOpen(now) && (!service || d.host.kernel.has(now) && d.script.up && d.script.running == "")
	})
	if i < 0 {
		return nil
	}
	return ds[i]
}

// stop kills all and waits until nothing runs any more.
func (w *world) stop() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	for _, h := range w.hosts {
		h.disk.set(diskFaults{})
		if d := w.daemonOf(h); d != nil {
			d.kill("the run is over", true)
		}
	}
	w.running.Wait()
}

func (w *world) daemonOf(h *host) *daemon {
	w.mu.Lock()
	defer w.mu.Unlock()
	return h.daemon
}
