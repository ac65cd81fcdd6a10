package simulate

import (
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestSteady runs five minutes of each trouble, or as many hours as -hours says.
func TestSteady(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as TestSimulate does
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	length := 5 * time.Minute
	if *hours > 0 {
		length = time.Duration(*hours * float64(time.Hour))
	}
	for _, name := range slices.Sorted(maps.Keys(Steady)) {
		t.Run(name, func(t *testing.T) {
			setRandom(t, *firstSeed)
			s := RunSteady(t, *firstSeed, Steady[name], length)
			t.Logf("%s, %s", name, s)
			if s.Changes+s.Lapses+len(s.Broken) > 0 {
				t.Errorf("the holder has not stayed: %q\n%s", s.Broken, s.Timeline)
			}
		})
	}
}

func TestAHolderThatDoesNotStayIsSeen(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(a, b *daemon)
		want    Steadiness
	}{
		"it renews": {func(a, _ *daemon) {
			time.Sleep(600 * time.Millisecond)
			open(a, time.Second)
		}, Steadiness{Renewals: 1, Gap: 600 * time.Millisecond, Least: 400 * time.Millisecond}},
		"its lease runs out": {func(a, _ *daemon) {
			time.Sleep(time.Second)
			open(a, time.Second)
		}, Steadiness{Lapses: 1}},
		"it lets go": {func(a, _ *daemon) {
			open(a, 0)
			open(a, time.Second)
		}, Steadiness{Lapses: 1}},
		"another holds": {func(a, b *daemon) {
			open(a, 0)
			open(b, time.Second)
		}, Steadiness{Changes: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1, Profile{Nodes: 2, Detect: time.Second})
				a, b := w.hosts[0].spawn(), w.hosts[1].spawn()
				a.host.clock.rate = 1
				open(a, time.Second)
				test.happens(a, b)
				got := w.steadiness
				if got.Renewals != test.want.Renewals || got.Changes != test.want.Changes || got.Lapses != test.want.Lapses ||
					got.Gap != test.want.Gap || got.Least != test.want.Least {
					t.Errorf("got %s, want %s", got, test.want)
				}
			})
		})
	}
}

func TestStarvationIsMostlyShortAndBounded(t *testing.T) {
	c, s := newChance(1, 1), starved
	var waits, stops []time.Duration
	for range 10_000 {
		waits, stops = append(waits, s.wait(c)), append(stops, s.stop(c))
	}
	slices.Sort(waits)
	slices.Sort(stops)
	for _, drawn := range []struct {
		name        string
		all         []time.Duration
		least, most time.Duration
		median      time.Duration // at most
	}{
		{"waits", waits, 0, s.MostWait, 0},
		{"stops", stops, s.Stop, s.MostStop, 2 * s.Stop},
	} {
		least, median, most := drawn.all[0], drawn.all[len(drawn.all)/2], drawn.all[len(drawn.all)-1]
		if least < drawn.least || most > drawn.most || most < drawn.most/3 || median > drawn.median {
			t.Errorf("%s: %s, %s, %s", drawn.name, least, median, most)
		}
	}
}
