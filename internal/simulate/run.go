package simulate

import (
	"fmt"
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
// detect times and a constant.
const (
	boundDetects  = 8
	boundConstant = 5 * time.Second
)

// Run runs one seed of a profile on virtual time.
func Run(t *testing.T, seed uint64, p Profile) (r Result) {
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

// hesitating is the run that goes on now, for hesitate.
var hesitating atomic.Pointer[world]

// hesitate holds a goroutine up between two steps of the rules, now and then. Only
// builds with the tag mutants call it.
func hesitate() {
	w := hesitating.Load()
	if w == nil || w.profile.Hesitate == 0 || !w.chance.in(w.profile.Hesitate) {
		return
	}
	time.Sleep(w.chance.upTo(w.detect))
}

// play founds a cluster and runs the rounds, until an invariant does not hold.
func (w *world) play(n *nemesis) {
	for _, h := range w.hosts {
		h.boot()
	}
	if err := w.found(); err != nil {
		w.note("cannot found the cluster: %v", err)
		return
	}
	if err := w.gather(); err != nil {
		w.note("not all can join: %v", err)
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
	bound := boundDetects*w.detect + boundConstant
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
	w.totals.Slowest = max(w.totals.Slowest, took)
	w.totals.Worst = max(w.totals.Worst, float64(took)/float64(w.detect))
	w.mu.Unlock()
	if err := w.gather(); err != nil {
		w.note("not all can join again: %v", err)
		return
	}
	time.Sleep(2 * w.detect)
	w.settled()
}

// settled checks that all say the same when all is well.
func (w *world) settled() {
	for end := time.Now().Add(time.Minute + 8*w.detect); w.serving(true) == nil; {
		if time.Now().After(end) {
			w.note("nobody serves")
			return
		}
		time.Sleep(w.detect / 10)
	}
	s := w.serving(true).node.Status()
	w.mu.Lock()
	defer w.mu.Unlock()
	if lost := w.ledger.missing(s, 100); len(lost) > 0 {
		w.fails("the history has lost terms %v", lost)
	}
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
