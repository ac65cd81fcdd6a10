package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/internal/lab"
)

func TestSummaryKeepsTheWorst(t *testing.T) {
	got := summarise([]trial{
		{Outage: 30, Overlap: 0, Moved: true},
		{Outage: 10, Overlap: 7, Unclear: 2},
		{Outage: 20, Overlap: 5, Moved: true, Unclear: 1},
	}, outage)
	want := summary{runs: 3, median: 20, p95: 30, max: 30, overlap: 7, unclear: 3}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(summary{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// columns is a vipd that keeps its promises but one, and a keepalived.
func columns() []column {
	return []column{
		{
			Name: "vipd", Detail: "detect 500 ms", Detect: 500 * time.Millisecond,
			Trials: map[string][]trial{
				"crash":    {{Outage: 520 * time.Millisecond, Moved: true}},
				"transfer": {{Outage: 31 * time.Millisecond, Moved: true}},
			},
			Spree: &spree{Faults: 100, Longest: 700 * time.Millisecond, Answered: 0.9},
			Idle:  &idleness{CPU: 0.012, Memory: 30 << 20},
		},
		{
			Name: "keepalived", Detail: "defaults", Failed: []string{"check: it did not work"},
			Trials: map[string][]trial{"crash": {{Outage: 3610 * time.Millisecond, Overlap: time.Second, Unclear: 3}}},
		},
	}
}

func TestTableHasAColumnForEach(t *testing.T) {
	var b strings.Builder
	writeTable(&b, columns())
	want := `
                              | vipd                              | keepalived
                              | detect 500 ms                     | defaults
-----------------------------------------------------------------------------------------------
nobody answers, ms            | median    p95    max    two ratio | median    p95    max    two
-----------------------------------------------------------------------------------------------
host crash                    |    520    520    520      0  1.04 |   3610   3610   3610   1000
planned transfer              |     31     31     31      0  0.06 |      -
random faults in a row        |    100: longest 700, two 0        |      -
-----------------------------------------------------------------------------------------------
idle, the holder's daemon     | 1.2 % CPU, 30 MiB, 0 B            |      -
! keepalived, defaults: check: it did not work
? keepalived, defaults: in 3 rounds of probes two hosts answered, but so late that the address may have moved between
`[1:]
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGoalsSayWhatWasMissed(t *testing.T) {
	var b strings.Builder
	writeGoals(&b, columns())
	for _, want := range []string{"reached  host crash, in units of detect, median", "MISSED   planned transfer, ms, median", "reached  idle: resident MiB"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "keepalived") {
		t.Errorf("keepalived has goals:\n%s", b.String())
	}
}

func TestSpreeIsJudgedByItsTimeline(t *testing.T) {
	line := lab.Timeline{Hosts: []string{"vm1", "vm2"}, Interval: time.Millisecond}
	for _, answered := range []lab.Answers{1, 1, 0, 0, 0, 2, 3, 2, 0, 1} {
		line.Ticks = append(line.Ticks, lab.Tick{Answered: answered})
	}
	want := spree{Faults: 4, Overlap: time.Millisecond, Overlaps: 1, Longest: 3 * time.Millisecond, Answered: 0.6}
	if diff := cmp.Diff(want, judge(line, 4)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-only", "crsh"}, {"-systems", "vipd,carp"}, {"-runs", "many"}} {
		var stderr strings.Builder
		if code := run(t.Context(), args, &strings.Builder{}, &stderr); code != 2 || stderr.Len() == 0 {
			t.Errorf("%v: exit code %d, %q; want 2 and a reason", args, code, stderr.String())
		}
	}
}
