package election

import (
	"fmt"
	"slices"
	"time"
)

// calm is how long no write may have been late before a disk counts as well again.
const calm = 10 * time.Second

// hangLimit is how long a write may take before it hangs: long enough for a disk
// that is merely busy, and no shorter than the silence that costs a leader its lead.
func hangLimit(detect time.Duration) time.Duration { return max(detect, time.Second) }

// diskCondition says whether writes to the disk come back. What is wrong stands in
// trouble, and nothing if all is well.
type diskCondition struct {
	fitness Fitness // Unable while a write hangs, Unwell for a while after, else Ready
	trouble string
}

// watchdog notices a write that does not come back. It costs an idle disk nothing,
// and cannot notice that an idle disk hangs.
type watchdog struct {
	limit time.Duration       // of one write, see [hangLimit]
	tell  func(diskCondition) // told of each change, in order; must not block

	mu    mutex
	begun []*time.Time // of the writes under way, the oldest first
	ended time.Time    // when the last late write came back
	took  time.Duration
	last  diskCondition
	timer *time.Timer // calls look when the condition changes next by itself
}

func newWatchdog(limit time.Duration, tell func(diskCondition)) *watchdog {
	w := &watchdog{limit: limit, tell: tell, last: diskCondition{fitness: Ready}}
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Stop()
	return w
}

// watch notes that a write begins; its end is told by calling what is returned.
func (w *watchdog) watch() (ended func()) {
	began := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = append(w.begun, &began)
	w.update(began)
	return func() { w.ends(&began) }
}

func (w *watchdog) ends(began *time.Time) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = slices.DeleteFunc(w.begun, func(b *time.Time) bool { return b == began })
	if took := now.Sub(*began); took >= w.limit {
		w.ended, w.took = now, took
	}
	w.update(now)
}

func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.update(time.Now())
}

// stop ends the watch; a write that hangs is not waited for.
func (w *watchdog) stop() { w.timer.Stop() }

// update tells of a change and sets the timer for the next.
func (w *watchdog) update(now time.Time) {
	c, next := w.condition(now)
	if c != w.last {
		w.last = c
		w.tell(c)
	}
	w.timer.Stop()
	if next > 0 {
		w.timer.Reset(next)
	}
}

// condition returns how the disk is, and when that must be looked at again; 0 if
// only another write can change it.
func (w *watchdog) condition(now time.Time) (c diskCondition, next time.Duration) {
	if len(w.begun) > 0 {
		if next = w.begun[0].Add(w.limit).Sub(now); next <= 0 {
			return diskCondition{Unable, "data directory: a write hangs since " + w.begun[0].Format(time.TimeOnly)}, 0
		}
	}
	if rest := w.ended.Add(calm).Sub(now); rest > 0 {
		if next == 0 || rest < next {
			next = rest
		}
		return diskCondition{Unwell, fmt.Sprintf("data directory: a write took %s, at %s", w.took.Round(100*time.Millisecond), w.ended.Format(time.TimeOnly))}, next
	}
	return diskCondition{fitness: Ready}, next
}
