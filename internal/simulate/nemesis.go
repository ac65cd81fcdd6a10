package simulate

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/vipd/vipd/agent"
)

// nemesis draws the faults of a run from its seed, and mends them.
type nemesis struct {
	*world
	seed    uint64
	begun   uint64
	dice    *chance // of one fault: what one draws does not depend on those before
	mended  chan struct{}
	kinds   []string // each as often as its weight
	changed int      // changes of membership in this round
}

// The faults. Each begins at once and ends by itself within some detect times, or
// when the round ends.
var faults = map[string]func(*nemesis){
	"partition":             (*nemesis).partition,
	"one-way cut":           (*nemesis).oneWay,
	"bridge":                (*nemesis).bridge,
	"silence":               (*nemesis).silence,
	"flapping link":         (*nemesis).flap,
	"shifting majority":     (*nemesis).shift,
	"slow link":             (*nemesis).slowLink,
	"loss":                  (*nemesis).lossy,
	"connections reset":     (*nemesis).resetConnections,
	"process killed":        (*nemesis).kill,
	"power lost":            (*nemesis).powerLoss,
	"stopped in good order": (*nemesis).stopService,
	"disk wiped":            (*nemesis).wipe,
	"process stopped":       (*nemesis).stopProcess,
	"goroutines held up":    (*nemesis).holdUp,
	"slow disk":             (*nemesis).slowDisk,
	"failing disk":          (*nemesis).failingDisk,
	"hanging disk":          (*nemesis).hangingDisk,
	"service unwell":        (*nemesis).unwell,
	"hook fails":            (*nemesis).failingHook,
	"hook slow":             (*nemesis).slowHook,
	"address refused":       (*nemesis).refuseBind,
	"release refused":       (*nemesis).refuseRelease,
	"fence removed":         (*nemesis).removeFence,
	"address removed":       (*nemesis).removeAddress,
	"transfer":              (*nemesis).transfer,
	"leave":                 (*nemesis).leave,
	"remove":                (*nemesis).remove,
	"pause":                 (*nemesis).pause,
	"freeze":                (*nemesis).freeze,
	"rotate":                (*nemesis).rotate,
	"weighted check fails":  (*nemesis).lame,
	"prepare hook":          (*nemesis).troublePrepare,
	"fence hook":            (*nemesis).troubleFence,
}

func newNemesis(w *world, seed uint64) *nemesis {
	n := &nemesis{world: w, seed: seed}
	for _, kind := range slices.Sorted(maps.Keys(w.profile.Weight)) {
		for range w.profile.Weight[kind] {
			n.kinds = append(n.kinds, kind)
		}
	}
	return n
}

// round lets faults happen for a while and then mends all.
func (n *nemesis) round() {
	n.mended, n.changed = make(chan struct{}), 0
	n.mu.Lock()
	n.thawing = false
	n.mu.Unlock()
	for end := time.Now().Add(n.times(n.profile.Faults)); time.Now().Before(end) && !n.failed(); {
		n.dice = newChance(n.seed, 1000+n.begun)
		n.begun++
		time.Sleep(n.times(-n.profile.Every * math.Log(1-n.dice.unit())))
		kind := n.kinds[n.dice.below(len(n.kinds))]
		n.mu.Lock()
		n.totals.Faults++
		n.mu.Unlock()
		faults[kind](n)
	}
	n.timeline.add("nemesis", "mends all")
	close(n.mended)
	n.mend()
}

// mend ends what has not ended by itself.
func (n *nemesis) mend() {
	for _, h := range n.hosts {
		h.disk.set(diskFaults{})
		h.sick.Store(false)
		h.lame.Store(false)
		h.scripts.mend()
		n.mu.Lock()
		h.kernel.faults = kernelFaults{}
		h.down = false
		if h.daemon != nil {
			h.daemon.process.stumbles.Store(0)
			h.daemon.process.resume()
		}
		n.mu.Unlock()
		h.boot()
	}
	n.network.mend()
	n.resumeAll()
}

func (n *nemesis) times(x float64) time.Duration { return time.Duration(x * float64(n.detect)) }

// span draws how long a fault lasts, in the neighbourhood of detect.
func (n *nemesis) span() time.Duration { return n.dice.between(n.times(0.05), n.times(6)) }

// host draws one; the holder more often than its share.
func (n *nemesis) host() *host {
	if d := n.serving(false); d != nil && n.dice.in(3) {
		return d.host
	}
	return n.hosts[n.dice.below(len(n.hosts))]
}

// others returns the hosts but for one, in random order.
func (n *nemesis) others(not *host) []*host {
	hosts := slices.DeleteFunc(slices.Clone(n.hosts), func(h *host) bool { return h == not })
	for i := range hosts {
		j := i + n.dice.below(len(hosts)-i)
		hosts[i], hosts[j] = hosts[j], hosts[i]
	}
	return hosts
}

// later undoes a fault after d, or when the round ends.
func (n *nemesis) later(d time.Duration, undo func()) {
	mended := n.mended
	n.running.Go(func() {
		select {
		case <-time.After(d):
			undo()
		case <-mended:
		}
	})
}

// --- network ---

func (n *nemesis) cut(from, to *host, cut bool) {
	n.network.change(from.address, to.address, func(l *link) { l.cut = cut })
}

// cutFor cuts links and mends them later.
func (n *nemesis) cutFor(d time.Duration, pairs [][2]*host) {
	for _, p := range pairs {
		n.cut(p[0], p[1], true)
	}
	n.later(d, func() {
		n.timeline.add("nemesis", "mends %d links", len(pairs))
		for _, p := range pairs {
			n.cut(p[0], p[1], false)
		}
	})
}

// partition parts the hosts into two groups that do not hear each other.
func (n *nemesis) partition() {
	h := n.host()
	others := n.others(h)
	group := append([]*host{h}, others[:n.dice.below(len(n.hosts)/2)]...)
	var pairs [][2]*host
	for _, a := range group {
		for _, b := range n.hosts {
			if !slices.Contains(group, b) {
				pairs = append(pairs, [2]*host{a, b}, [2]*host{b, a})
			}
		}
	}
	d := n.span()
	n.timeline.add("nemesis", "parts %s from the others for %s", names(group), d)
	n.cutFor(d, pairs)
}

func names(hosts []*host) (text string) {
	for i, h := range hosts {
		if i > 0 {
			text += ","
		}
		text += h.name
	}
	return text
}

// oneWay lets a host hear and not be heard, or the other way round, by some or all.
func (n *nemesis) oneWay() {
	h := n.host()
	others := n.others(h)
	others = others[:1+n.dice.below(len(others))]
	out := n.dice.in(2)
	var pairs [][2]*host
	for _, o := range others {
		if out {
			pairs = append(pairs, [2]*host{h, o})
		} else {
			pairs = append(pairs, [2]*host{o, h})
		}
	}
	d := n.span()
	n.timeline.add("nemesis", "one-way cut of %s and %s for %s, outwards: %v", h.name, names(others), d, out)
	n.cutFor(d, pairs)
}

// bridge leaves one host in contact with all, and parts the others in two.
func (n *nemesis) bridge() {
	h := n.hosts[n.dice.below(len(n.hosts))]
	others := n.others(h)
	left, right := others[:len(others)/2], others[len(others)/2:]
	var pairs [][2]*host
	for _, a := range left {
		for _, b := range right {
			pairs = append(pairs, [2]*host{a, b}, [2]*host{b, a})
		}
	}
	d := n.span()
	n.timeline.add("nemesis", "only %s joins %s and %s for %s", h.name, names(left), names(right), d)
	n.cutFor(d, pairs)
}

// silence parts the holder from all others for about as long as they keep their
// promises to it. Then their connections break, so that its next calls are new ones.
func (n *nemesis) silence() {
	h := n.host()
	if d := n.serving(false); d != nil {
		h = d.host
	}
	var pairs [][2]*host
	for _, o := range n.others(h) {
		pairs = append(pairs, [2]*host{h, o}, [2]*host{o, h})
	}
	d := n.dice.between(n.times(0.6), n.times(1.1))
	n.timeline.add("nemesis", "silence around %s for %s", h.name, d)
	n.cutFor(d, pairs)
	n.later(d, func() {
		for _, p := range pairs {
			n.network.breakSome(p[0].address, p[1].address)
		}
	})
}

// flap cuts and mends a link again and again.
func (n *nemesis) flap() {
	a := n.host()
	b := n.others(a)[0]
	period := n.dice.between(n.times(0.05), n.times(2))
	count := 2 + n.dice.below(12)
	n.timeline.add("nemesis", "link between %s and %s flaps %d times, %s each", a.name, b.name, count, period)
	mended := n.mended
	n.running.Go(func() {
		for i := range 2 * count {
			n.cut(a, b, i%2 == 0)
			n.cut(b, a, i%2 == 0)
			select {
			case <-time.After(period):
			case <-mended:
				n.cut(a, b, false)
				n.cut(b, a, false)
				return
			}
		}
	})
}

// shift leaves the holder in contact with a bare majority, and exchanges its members
// one by one.
func (n *nemesis) shift() {
	a := n.host()
	others := n.others(a)
	near, far := others[:len(others)/2], others[len(others)/2:]
	both := func(h *host, cut bool) {
		n.cut(a, h, cut)
		n.cut(h, a, cut)
	}
	n.timeline.add("nemesis", "only %s hear %s, then others one by one", names(near), a.name)
	for _, h := range far {
		both(h, true)
	}
	steps := 2 + n.dice.below(6)
	mended := n.mended
	n.running.Go(func() {
		defer func() {
			for _, h := range others {
				both(h, false)
			}
		}()
		wait := func(d time.Duration) bool {
			select {
			case <-time.After(d):
				return true
			case <-mended:
				return false
			}
		}
		for range steps {
			i, j, cut := n.chance.below(len(near)), n.chance.below(len(far)), n.chance.in(2)
			near[i], far[j] = far[j], near[i]
			for _, h := range []*host{far[j], near[i]} {
				if !cut {
					h = map[*host]*host{far[j]: near[i], near[i]: far[j]}[h]
				}
				if !wait(n.chance.upTo(n.times(1.2))) {
					return
				}
				both(h, slices.Contains(far, h))
			}
		}
	})
}

// slowLink makes one direction slow, up to some detect times.
func (n *nemesis) slowLink() {
	a := n.host()
	b := n.others(a)[0]
	if n.dice.in(2) {
		a, b = b, a
	}
	delay, jitter, d := n.dice.between(n.times(0.02), n.times(1)), n.dice.between(n.times(0.02), n.times(1)), n.span()
	n.timeline.add("nemesis", "%s → %s takes %s + %s for %s", a.name, b.name, delay, jitter, d)
	n.network.change(a.address, b.address, func(l *link) { l.delay, l.jitter = delay, jitter })
	n.later(d, func() {
		n.network.change(a.address, b.address, func(l *link) { l.delay, l.jitter = n.network.near.delay, n.network.near.jitter })
	})
}

// lossy loses segments of a host.
func (n *nemesis) lossy() {
	h, loss, d := n.host(), 0.6*n.dice.unit(), n.span()
	n.timeline.add("nemesis", "%s loses %.0f %% for %s", h.name, 100*loss, d)
	set := func(loss float64) {
		for _, o := range n.hosts {
			n.network.change(h.address, o.address, func(l *link) { l.loss = loss })
			n.network.change(o.address, h.address, func(l *link) { l.loss = loss })
		}
	}
	set(loss)
	n.later(d, func() { set(0) })
}

func (n *nemesis) resetConnections() {
	a := n.host()
	b := n.others(a)[0]
	n.timeline.add("nemesis", "resets connections between %s and %s", a.name, b.name)
	n.network.breakSome(a.address, b.address)
}

// --- crashes ---

// fell kills a daemon and starts it again later.
func (n *nemesis) fell(h *host, how string, power bool, between func()) {
	d := n.dice.between(n.times(0.02), n.times(4))
	n.mu.Lock()
	h.down = true
	n.mu.Unlock()
	if x := n.daemonOf(h); x != nil {
		x.kill(how, power)
	}
	between()
	n.later(d, func() {
		n.timeline.add(h.name, "starts again")
		n.mu.Lock()
		h.down = false
		n.mu.Unlock()
		h.boot()
	})
}

func (n *nemesis) kill() { n.fell(n.host(), "is killed", false, func() {}) }

func (n *nemesis) powerLoss() { n.fell(n.host(), "loses its power", true, func() {}) }

// mayChange allows so many members to be taken out or wiped in a round that a
// majority keeps its memory.
func (n *nemesis) mayChange() bool {
	n.changed++
	return n.changed <= max(1, (len(n.hosts)-1)/2)
}

func (n *nemesis) wipe() {
	if n.mayChange() {
		h := n.host()
		n.mu.Lock()
		busy := h.changing
		n.mu.Unlock()
		if !busy {
			n.fell(h, "loses its disk", true, h.disk.wipe)
		}
	}
}

func (n *nemesis) stopService() {
	h, d := n.host(), n.span()
	x := n.daemonOf(h)
	if x == nil || !x.ready.Load() {
		return
	}
	n.timeline.add(h.name, "is told to stop, for %s", d)
	n.mu.Lock()
	h.down, x.stopping = true, true
	n.mu.Unlock()
	n.running.Go(func() { x.agent.Report(agent.StopAsked{}) })
	if n.profile.Varied {
		n.hurry(x)
	}
	n.later(d, func() {
		n.mu.Lock()
		h.down = false
		n.mu.Unlock()
		h.boot()
	})
}

// --- pauses ---

func (n *nemesis) stopProcess() {
	h, d := n.host(), n.dice.between(n.times(0.05), n.times(3))
	x := n.daemonOf(h)
	if x == nil {
		return
	}
	n.timeline.add(h.name, "SIGSTOP for %s", d)
	n.mu.Lock()
	h.disturb(d)
	n.mu.Unlock()
	x.process.stop()
	n.later(d, func() {
		n.timeline.add(h.name, "SIGCONT")
		n.mu.Lock()
		h.disturb(0)
		n.mu.Unlock()
		x.process.resume()
	})
}

func (n *nemesis) holdUp() {
	h, d, count := n.host(), n.dice.between(n.times(0.01), n.longestStumble()), 1+n.dice.below(30)
	x := n.daemonOf(h)
	if x == nil {
		return
	}
	n.timeline.add(h.name, "%d goroutines will be held up for up to %s", count, d)
	n.mu.Lock()
	h.disturb(time.Duration(count) * d)
	n.mu.Unlock()
	x.process.stumble.Store(int64(d))
	x.process.stumbles.Store(int32(count))
	n.later(n.span(), func() {
		x.process.stumbles.Store(0)
		n.mu.Lock()
		h.disturbed = time.Now().Add(d)
		n.mu.Unlock()
	})
}

// --- disk ---

func (n *nemesis) troubleDisk(f diskFaults, what string) {
	h, d := n.host(), n.span()
	n.timeline.add(h.name, "disk %s for %s", what, d)
	h.disk.set(f)
	n.later(d, func() { h.disk.set(diskFaults{}) })
}

func (n *nemesis) slowDisk() {
	n.troubleDisk(diskFaults{delay: n.dice.between(n.times(0.02), n.times(1))}, "is slow")
}

func (n *nemesis) failingDisk() { n.troubleDisk(diskFaults{fails: 1 + n.dice.below(4)}, "fails") }

func (n *nemesis) hangingDisk() {
	n.troubleDisk(diskFaults{hang: make(chan struct{})}, "hangs")
}

// --- health, hooks, kernel ---

func (n *nemesis) unwell() {
	h, d := n.host(), n.span()
	n.timeline.add(h.name, "service unwell for %s", d)
	h.sick.Store(true)
	n.later(d, func() { h.sick.Store(false) })
}

func (n *nemesis) failingHook() {
	h, d := n.host(), n.span()
	n.timeline.add(h.name, "hooks fail for %s", d)
	h.scripts.notify.fails.Store(true)
	n.later(d, func() { h.scripts.notify.fails.Store(false) })
}

func (n *nemesis) slowHook() {
	h, d := n.host(), n.span()
	slow := n.dice.between(n.times(0.1), n.times(3))
	n.timeline.add(h.name, "hooks take up to %s for %s", slow, d)
	h.scripts.notify.slow.Store(int64(slow))
	n.later(d, func() { h.scripts.notify.slow.Store(0) })
}

func (n *nemesis) refuse(what string, f func(*kernelFaults, bool)) {
	h, d := n.host(), n.span()
	n.timeline.add(h.name, "%s is refused for %s", what, d)
	set := func(on bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		f(&h.kernel.faults, on)
		h.disturb(0)
		if on {
			h.disturb(d)
		}
	}
	set(true)
	n.later(d, func() { set(false) })
}

func (n *nemesis) refuseBind() { n.refuse("bind", func(f *kernelFaults, on bool) { f.bind = on }) }

func (n *nemesis) refuseRelease() {
	n.refuse("release", func(f *kernelFaults, on bool) { f.release = on })
}

// removeFence takes the filter away, as somebody's `tc filter del` does.
func (n *nemesis) removeFence() {
	h := n.host()
	n.timeline.add(h.name, "the filter of the fence is removed by hand")
	n.mu.Lock()
	defer n.mu.Unlock()
	h.kernel.disarm(h.clock.now())
	h.kernel.changed()
}

func (n *nemesis) removeAddress() {
	h := n.host()
	n.timeline.add(h.name, "the address is removed by hand")
	n.mu.Lock()
	defer n.mu.Unlock()
	h.kernel.bound = false
	h.kernel.changed()
}
