package simulate

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	firstSeed = flag.Uint64("seed", 1, "the first seed")
	runs      = flag.Int("runs", 20, "how many seeds")
	detect    = flag.Duration("detect", 0, "detect; 0: drawn")
)

func TestSimulate(t *testing.T) {
	var all Totals
	began := time.Now()
	for seed := *firstSeed; seed < *firstSeed+uint64(*runs); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			p := Everything(3 + 2*int(seed%2))
			p.Detect = *detect
			b := time.Now()
			r := Run(t, seed, p)
			t.Logf("%s in %s", r.Totals, time.Since(b))
			all.Add(r.Totals)
			for _, b := range r.Broken {
				t.Error(b)
			}
			if len(r.Broken) > 0 {
				t.Log("\n" + r.Timeline)
			}
		})
	}
	t.Logf("%s; in %s", all, time.Since(began))
}
