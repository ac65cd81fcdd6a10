package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/internal/lab"
)

func TestRequestsAreCountedByWhatBecameOfThem(t *testing.T) {
	reset := errors.New("answer: connection reset by peer")
	got := count([]lab.Request{
		{Took: 2 * time.Millisecond, Page: "vm1"},
		{Took: 33 * time.Millisecond, Page: "vm2", Retried: true},
		{Took: time.Second, Err: reset},
		{Took: 60 * time.Millisecond, Err: errors.New("connect: i/o timeout"), Retried: true},
		{Took: time.Second, Err: reset},
	})
	want := webTrial{
		Requests: 5, Retried: 2, Slowest: 33 * time.Millisecond,
		Failed: map[string]int{"answer: connection reset by peer": 2, "connect: i/o timeout": 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.failed() != 3 {
		t.Errorf("%d failed, want 3", got.failed())
	}
}

// watchedColumns is a vipd at two detects and a keepalived that a crowd watched.
func watchedColumns() []column {
	c := columns()
	c[0].Prepared = true
	c[0].Web = map[string][]webTrial{"transfer": {
		{Requests: 300, Retried: 3, Slowest: 33 * time.Millisecond},
		{Requests: 200, Retried: 2, Slowest: 101 * time.Millisecond, Failed: map[string]int{"send: broken pipe": 1}},
	}}
	c[1].Web = map[string][]webTrial{"sigterm": {
		{Requests: 400, Retried: 150, Slowest: 61 * time.Millisecond, Failed: map[string]int{"connect: i/o timeout": 120, "answer: EOF": 120, "page: EOF": 1}},
	}}
	fast := column{
		Name: "vipd", Detail: "detect 100 ms", Detect: 100 * time.Millisecond,
		Trials: map[string][]trial{"crash": {{Outage: 102 * time.Millisecond}, {Outage: 140 * time.Millisecond, Overlap: 2 * time.Millisecond}}},
	}
	return append(c, fast)
}

func TestTheCrowdsTableAddsTheMovesUpAndSaysWhyRequestsFailed(t *testing.T) {
	var b strings.Builder
	writeWeb(&b, watchedColumns())
	want := `
200 requests a second                                        | runs requests retried failed slowest, ms
vipd, detect 500 ms: planned transfer                        |    2      500       5      1         101
  1 × send: broken pipe
keepalived, defaults: daemon stopped (SIGTERM)               |    1      400     150    241          61
  120 × answer: EOF
  120 × connect: i/o timeout
  1 × page: EOF
`[1:]
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMarkdownHasTheTablesOfTheReadme(t *testing.T) {
	var b strings.Builder
	writeMarkdown(&b, watchedColumns())
	want := `
| | vipd, detect 500 ms | | keepalived, defaults | |
|---|---|---|---|---|
| | **median / p95** | **two** | **median / p95** | **two** |
| host crash | 520 / 520 | 0 | 3610 / 3610 | 1000 |
| planned transfer | 31 / 31 | 0 | – | |
| random faults in a row | 100: longest 700 | 0 | – | |

| vipd | host crash, median / p95 | in units of detect | planned transfer, median / p95 | two |
|---|---|---|---|---|
| detect 100 ms | 102 / 140 | 1.02 / 1.40 | – | 2 |
| detect 500 ms | 520 / 520 | 1.04 / 1.04 | 31 / 31 | 0 |

| 200 requests a second | moves | requests | connected twice | failed | slowest, ms |
|---|---|---|---|---|---|
| vipd, detect 500 ms: planned transfer | 2 | 500 | 5 | 1 | 101 |
| keepalived, defaults: daemon stopped (SIGTERM) | 1 | 400 | 150 | 241 | 61 |
`[1:]
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGoalsOfTheCrowdCountAllMoves(t *testing.T) {
	for _, prepared := range []bool{true, false} {
		c := watchedColumns()[0]
		c.Prepared = prepared
		var missed []string
		for _, g := range c.webGoals() {
			if g.measured && g.got > g.max {
				missed = append(missed, g.what)
			}
		}
		want := []string{"web, planned transfer: requests that failed", "web, planned transfer: slowest request, ms"}
		if !prepared {
			want = nil
		}
		if diff := cmp.Diff(want, missed); diff != "" {
			t.Errorf("prepared %v: missed (-want +got):\n%s", prepared, diff)
		}
	}
}

func TestAShortDetectHasWiderGoalsForACrash(t *testing.T) {
	for _, test := range []struct {
		detect      time.Duration
		median, p95 float64
		p95Measured bool
	}{
		{100 * time.Millisecond, 1.3, 0, false},
		{200 * time.Millisecond, 1.3, 0, false},
		{500 * time.Millisecond, 1.1, 1.25, true},
		{time.Second, 1.1, 1.25, true},
	} {
		c := column{Detect: test.detect, Trials: map[string][]trial{"crash": {{Outage: test.detect}}}}
		median, p95 := c.goals()[0], c.goals()[1]
		if !median.measured || median.max != test.median || p95.measured != test.p95Measured || p95.max != test.p95 {
			t.Errorf("detect %v: median %+v, p95 %+v", test.detect, median, p95)
		}
	}
}

func TestSeldomFaultsAreTriedLessOften(t *testing.T) {
	s := settings{runs: 30, seldomRuns: 5, peerRuns: 4}
	got := map[string][2]int{}
	for _, fault := range scenarios() {
		got[fault.id] = [2]int{vipd(s, usualDetect).meets(fault), keepalived(s, "defaults", 0).meets(fault)}
	}
	often, seldom := [2]int{30, 4}, [2]int{5, 4}
	want := map[string][2]int{
		"crash": often, "transfer": often, "sigterm": often, "check": often, "sigkill": seldom, "sigstop": seldom,
		"cut": seldom, "cut-in": seldom, "cut-out": seldom, "loss": seldom,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheCrowdWatchesPlannedMovesOnly(t *testing.T) {
	s := settings{runs: 30, peerRuns: 4}
	got := map[string]int{}
	for _, c := range []contestant{vipd(s, usualDetect), keepalived(s, "defaults", 0)} {
		for _, move := range scenarios() {
			if n := c.watched(move); n > 0 {
				got[c.name+" "+move.id] = n
			}
		}
	}
	want := map[string]int{"vipd transfer": 30, "vipd sigterm": 30, "keepalived 2.2.7 sigterm": 4}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
