//go:build mutants

package simulate

import (
	"flag"
	"testing"
	"time"

	"github.com/vipd/vipd/election"
)

var (
	only  = flag.String("rule", "", "leave out this rule only")
	sound = flag.Bool("sound", false, "leave out nothing")
	seeds = flag.Uint64("seeds", 200, "how many seeds to look through")
)

func TestMutants(t *testing.T) {
	for rule := range Narrow {
		if *only != "" && rule != *only {
			continue
		}
		t.Run(rule, func(t *testing.T) {
			election.LeaveOut, election.Hesitate = rule, hesitate
			if *sound {
				election.LeaveOut = ""
			}
			began := time.Now()
			var all Totals
			for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
				r := Run(t, seed, Narrow[rule])
				all.Add(r.Totals)
				if r.Overlap {
					t.Logf("two fences open: seed %d, %.1f simulated hours, %s", seed, all.Virtual.Hours(), time.Since(began).Round(time.Millisecond))
					if testing.Verbose() {
						t.Log("\n" + r.Timeline)
					}
					return
				}
				if len(r.Broken) > 0 {
					t.Logf("seed %d: %v", seed, r.Broken)
				}
			}
			t.Errorf("not found: %s, %s", all, time.Since(began))
		})
	}
}
