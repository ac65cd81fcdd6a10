package simulate

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// Steady are the troubles that are always there on some networks and hosts, and under
// which the holder should stay the holder. Nothing else goes wrong, and the clocks run
// alike.
var Steady = map[string]Profile{
	"loss":       {Nodes: 3, Detect: 500 * time.Millisecond, Loss: 0.05},
	"starvation": {Nodes: 3, Detect: 500 * time.Millisecond, Starvation: &starved},
}

// Starvation says how a host lets its daemon wait for the CPU. Each duration is drawn
// anew each time.
//
// A goroutine waits at some of its steps (see process): its thread is runnable and
// another runs, for a slice of the scheduler (3 ms on Linux) or some. Most waits are
// short, so they are exponential. The whole process stands still now and then, for
// what keeps all of its threads from running at once: a control group that has used up
// its quota (for the rest of a period of 100 ms), a hypervisor that runs another guest,
// a page that must be read from the disk. Many are short and some are long, so they
// follow Pareto's distribution, up to a bound: a holder that stands still for longer
// than its lease loses it, whatever is done.
type Starvation struct {
	OneIn    int           // of so many steps one waits
	Wait     time.Duration // on average
	MostWait time.Duration // at most
	Every    time.Duration // a host stands still, on average
	Stop     time.Duration // at least
	MostStop time.Duration // at most
	Tail     float64       // Pareto's exponent: the smaller, the more are long
}

var starved = Starvation{
	OneIn: 3, Wait: 3 * time.Millisecond, MostWait: 50 * time.Millisecond,
	Every: 2 * time.Second, Stop: 10 * time.Millisecond, MostStop: 200 * time.Millisecond, Tail: 1.1,
}

// wait draws how long one step waits.
func (s *Starvation) wait(c *chance) time.Duration {
	if !c.in(s.OneIn) {
		return 0
	}
	return min(c.exponential(s.Wait), s.MostWait)
}

// stop draws how long a process stands still.
func (s *Starvation) stop(c *chance) time.Duration {
	least := math.Pow(float64(s.Stop)/float64(s.MostStop), s.Tail) // the part of the tail that is beyond the bound
	return time.Duration(float64(s.Stop) * math.Pow(1-c.unit()*(1-least), -1/s.Tail))
}

// Steadiness is what was seen of the lease of a holder that should stay.
type Steadiness struct {
	Virtual  time.Duration
	Changes  int           // of holder
	Lapses   int           // of the lease of a holder that then got another, or nobody did
	Renewals int           // of a lease that ran
	Gap      time.Duration // between two of them, at most
	Least    time.Duration // that was left of a lease when it was renewed
	Broken   []string      // invariants that did not hold
	Timeline string

	holder *host
	last   time.Time // that its lease began or was renewed
}

// String is one line.
func (s Steadiness) String() string {
	return fmt.Sprintf("%.1f simulated hours: %d changes of holder, %d lapses of the lease; %d renewals, at most %s apart, with at least %s left",
		s.Virtual.Hours(), s.Changes, s.Lapses, s.Renewals, s.Gap.Round(time.Millisecond), s.Least.Round(time.Millisecond))
}

// stored notes a store to the fence of h: it was open for was, and is for left.
func (s *Steadiness) stored(h *host, was, left time.Duration) {
	switch {
	case left <= 0:
		return // if there is a next lease, that counts
	case s.holder == nil:
	case s.holder != h:
		s.Changes++
	case was <= 0:
		s.Lapses++
	default:
		s.Renewals++
		s.Gap = max(s.Gap, time.Since(s.last))
		if s.Least == 0 || was < s.Least {
			s.Least = was
		}
	}
	s.holder, s.last = h, time.Now()
}

// RunSteady runs a cluster for a while under a profile without faults that come and go,
// and looks whether its holder stays.
func RunSteady(t *testing.T, seed uint64, p Profile, length time.Duration) (s Steadiness) {
	defer forgiveLeak()
	synctest.Test(t, func(*testing.T) {
		w := newWorld(seed, p)
		for _, h := range w.hosts {
			h.clock.rate = 1
		}
		w.observe(length)
		w.stop()
		w.mu.Lock()
		defer w.mu.Unlock()
		s = w.steadiness
		s.Virtual, s.Broken, s.Timeline = length, w.broken, w.timeline.String()
		time.Sleep(3*w.detect + time.Minute) // whatever waited for an answer gives up
	})
	return s
}

// observe founds a cluster, lets it settle, and observes it.
func (w *world) observe(length time.Duration) {
	if !w.assemble() {
		return
	}
	over := make(chan struct{})
	defer close(over)
	time.Sleep(10 * time.Second)
	w.mu.Lock()
	w.steadiness = Steadiness{}
	w.mu.Unlock()
	if s := w.profile.Starvation; s != nil {
		for _, h := range w.hosts {
			w.running.Go(func() { h.starve(s, over) })
		}
	}
	for end := time.Now().Add(length); time.Now().Before(end) && !w.failed(); time.Sleep(10 * time.Second) {
		w.inspect()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.steadiness.holder; h == nil || !h.kernel.isOpen(h.clock.now()) {
		w.steadiness.Lapses++
	}
}

// starve lets the daemon of a host stand still now and then.
func (h *host) starve(s *Starvation, over chan struct{}) {
	c := h.world.chance
	for {
		select {
		case <-time.After(c.exponential(s.Every)):
		case <-over:
			return
		}
		d := h.world.daemonOf(h)
		if d == nil {
			continue
		}
		d.process.stop()
		time.Sleep(s.stop(c))
		d.process.resume()
	}
}
