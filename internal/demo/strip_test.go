package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/internal/lab"
)

// story is a timeline of 1.5 s: vm1 answers until 500 ms, then nobody until 900 ms, then vm2. From 1000 ms to 1100 ms
// vm1 answers too, and from 1200 ms to 1300 ms the prober is held up.
func story() lab.Timeline {
	t := lab.Timeline{Hosts: []string{"vm1", "vm2"}, Interval: time.Millisecond}
	for i := range 1500 {
		var tick lab.Tick
		switch {
		case i < 500:
			tick.Answered = 1
		case i >= 1000 && i < 1100:
			tick.Answered = 3
		case i >= 1200 && i < 1300:
			tick.Sent = -1
		case i >= 900:
			tick.Answered = 2
		}
		t.Ticks = append(t.Ticks, tick)
	}
	return t
}

func TestStripShowsWhoAnswered(t *testing.T) {
	got := strip(story(), 0, 1400*time.Millisecond, 200*time.Millisecond)
	want := []string{
		"vm1   " + strings.Repeat("#", 25) + strings.Repeat(".", 25) + "XXXXX.....     .....",
		"vm2   " + strings.Repeat(".", 45) + "#####XXXXX#####     #####",
		"                |trouble                 |0.5 s                   |1.0 s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStripLeavesTheFutureBlank(t *testing.T) {
	past := story()
	past.Ticks = past.Ticks[:300]
	got := strip(past, 0, 1400*time.Millisecond, 0)
	if want := "vm1   " + strings.Repeat("#", 15) + strings.Repeat(" ", 55); got[0] != want {
		t.Errorf("got %q, want %q", got[0], want)
	}
}

func TestPagesAreCountedFromTheLastAnswer(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	visit := func(ms int, page string, err error) lab.Visit {
		return lab.Visit{At: start.Add(time.Duration(ms) * time.Millisecond), Took: 5 * time.Millisecond, Page: page, Err: err}
	}
	visits := []lab.Visit{
		visit(0, "vm1", nil), visit(20, "", context.DeadlineExceeded), visit(40, "", context.DeadlineExceeded), visit(60, "vm2", nil), visit(80, "vm2", nil),
	}
	tests := []struct {
		heir  string
		after time.Duration
	}{{"vm2", 55 * time.Millisecond}, {"vm3", -1}}
	for _, test := range tests {
		t.Run(test.heir, func(t *testing.T) {
			after, lost := pages(visits, test.heir, start.Add(10*time.Millisecond))
			if after != test.after || lost != 2 {
				t.Errorf("got %v and %d lost, want %v and 2", after, lost, test.after)
			}
		})
	}
}
