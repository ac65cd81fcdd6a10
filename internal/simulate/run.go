package simulate

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Result is what came of one run.
type Result struct {
	Totals   Totals
	Broken   []string // invariants that did not hold
	Overlap  bool     // two fences were open at once
	Timeline string
}

// Bound is how long after the last fault one member holds and serves, at most:
// detect times and a constant. Where a cluster without any host that is well shall hold
// nothing, the hold-down of the hosts that could not hold comes first, see leastHoldDown.
// Fence and prepare hooks ask for no more: a lease is held, and its fence open, while
// whoever held before is being fenced, and a leader without the lease prepares nobody.
const (
	boundDetects  = 8
	boundConstant = 5 * time.Second
)

// Run runs one seed of a profile on virtual time.
func Run(t *testing.T, seed uint64, p Profile) (r Result) {
	defer forgiveLeak()
	synctest.Test(t, func(*testing.T) {
		w := newWorld(seed, p)
		hesitating.Store(w)
		defer hesitating.Store(nil)
		w.timeline.add("run", "seed %d, %d hosts, detect %s", seed, p.Nodes, w.detect)
		w.play(newNemesis(w, seed))
		w.stop()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.totals.Runs, w.totals.Virtual = 1, time.Since(w.began)
		w.totals.Detects = float64(w.totals.Virtual) / float64(w.detect)
		r = Result{Totals: w.totals, Broken: w.broken, Overlap: w.overlap, Timeline: w.timeline.String()}
		time.Sleep(3*w.detect + time.Minute) // whatever waited for an answer gives up
	})
	return r
}

// forgiveLeak lets a run end although a goroutine of it never will: raft leaves a
// hand-over unanswered that it had not begun when it was shut down, and offers no way
// to stop waiting for the answer, see Node.HandOver.
func forgiveLeak() {
	if p := recover(); p != nil && !strings.Contains(fmt.Sprint(p), "main bubble goroutine has exited") {
		panic(p)
	}
}

// hesitating is the run that goes on now, for hesitate.
var hesitating atomic.Pointer[world]

// play founds a cluster and runs the rounds, until an invariant does not hold.
func (w *world) play(n *nemesis) {
	if !w.assemble() {
		return
	}
	done := make(chan struct{})
	defer close(done)
	w.running.Go(func() { w.watch(done) })
	for range w.profile.Rounds {
		n.round()
		if w.failed() {
			return
		}
		w.calm()
		if w.failed() {
			return
		}
	}
	if w.profile.Varied {
		w.awaitBest()
	}
}

// assemble founds a cluster of all hosts.
func (w *world) assemble() bool {
	for _, h := range w.hosts {
		h.boot()
	}
	if err := w.found(); err != nil {
		w.note("cannot found the cluster: %v", err)
		return false
	}
	if err := w.gather(); err != nil {
		w.note("not all can join: %v", err)
		return false
	}
	return true
}

// watch inspects now and then.
func (w *world) watch(done chan struct{}) {
	for {
		select {
		case <-time.After(w.detect / 3):
			w.inspect()
		case <-done:
			return
		}
	}
}

// calm checks that what was mended works again.
func (w *world) calm() {
	mended := time.Now()
	bound := boundDetects*w.detect + boundConstant + w.leastHoldDown()
	for w.serving(false) == nil {
		if time.Since(mended) > bound {
			w.note("nobody holds %s after the last fault", bound)
			return
		}
		time.Sleep(w.detect / 50)
	}
	took := time.Since(mended)
	w.mu.Lock()
	w.totals.Mended++
	w.totals.Worst = max(w.totals.Worst, float64(took)/float64(w.detect))
	w.mu.Unlock()
	if err := w.gather(); err != nil {
		w.note("not all can join again: %v", err)
		return
	}
	time.Sleep(2 * w.detect)
	w.settled()
}

// settled checks that all is well again: somebody serves, and knows the whole history.
func (w *world) settled() {
	problem := ""
	for end := time.Now().Add(time.Minute + 8*w.detect); time.Now().Before(end); time.Sleep(w.detect / 10) {
		d := w.serving(true)
		if d == nil {
			problem = "nobody serves"
			continue
		}
		w.thaw(d)
		s := d.node.Status()
		w.mu.Lock()
		lost := w.ledger.missing(s, 100)
		w.mu.Unlock()
		if len(lost) == 0 {
			return
		}
		problem = fmt.Sprintf("the history has lost terms %v", lost)
	}
	w.note("%s", problem)
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails("%s", fmt.Sprintf(format, args...))
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.broken) > 0
}
