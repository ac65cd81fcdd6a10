//go:build mutants

package simulate

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/election"
)

// enough is how many seeds are looked through for each rule.
const enough = 2000

// TestMutants leaves out one rule at a time. Each must be found missing: a rule that
// is not missed is not needed, or not tested.
func TestMutants(t *testing.T) {
	for name, p := range Narrow {
		if *rule != "" && name != *rule {
			continue
		}
		t.Run(name, func(t *testing.T) {
			election.LeaveOut, election.Hesitate = name, hesitate
			defer func() { election.LeaveOut, election.Hesitate = "", func() {} }()
			began := time.Now()
			var all Totals
			for seed := *firstSeed; seed < *firstSeed+enough; seed++ {
				r := runSeed(t, seed, p)
				all.Add(r.Totals)
				if r.Overlap {
					t.Logf("two fences open: seed %d, after %.1f simulated hours and %s", seed, all.Virtual.Hours(), time.Since(began).Round(time.Millisecond))
					return
				}
			}
			t.Errorf("two fences were never open: %s", all)
		})
	}
}

// TestTheSameProfilesFindNothingInTheWholeProtocol shows that what finds the mutants
// does not find something that is not there.
func TestTheSameProfilesFindNothingInTheWholeProtocol(t *testing.T) {
	election.Hesitate = hesitate
	defer func() { election.Hesitate = func() {} }()
	for name, p := range Narrow {
		if *rule != "" && name != *rule {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var all Totals
			for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
				r := runSeed(t, seed, p)
				all.Add(r.Totals)
				for _, broken := range r.Broken {
					t.Errorf("seed %d: %s\n%s", seed, broken, r.Timeline)
				}
			}
			t.Log(all)
		})
	}
}

// hesitate holds a goroutine up between two steps of the rules, now and then; often
// where raft acknowledges heartbeats beside its main loop, which only a mutant lets it
// do.
func hesitate() {
	w := hesitating.Load()
	if w == nil || w.profile.Hesitate == 0 {
		return
	}
	if oneIn := w.profile.Hesitate; w.chance.in(oneIn) || onShortcut() && w.chance.in(2) {
		time.Sleep(w.chance.upTo(w.detect))
	}
}

func onShortcut() bool {
	var callers [12]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, ".processHeartbeat") || !more {
			return more
		}
	}
}
