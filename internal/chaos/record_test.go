package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/internal/lab"
)

const second = time.Second

// sample has two rounds: faults at 1–3 s and 2–4 s, mended; nobody from 2.5 s to 4.5 s; a fault at 7–8 s; nobody from
// 8 s to the end.
func sample() record {
	return record{
		Detect: 500 * time.Millisecond, Length: 10 * second, Hosts: []string{"vm1", "vm2"},
		Faults: []fault{
			{Round: 1, Kind: "kill", Hosts: []string{"vm1"}, From: 1 * second, To: 3 * second},
			{Round: 1, Kind: "loss", From: 2 * second, To: 4 * second},
			{Round: 2, Kind: "loss", From: 7 * second, To: 8 * second},
		},
		Rounds: []round{
			{Number: 1, From: 0, Mended: 4 * second, Back: 500 * time.Millisecond},
			{Number: 2, From: 6 * second, Mended: 8 * second, Back: -1, Failure: "it did not"},
		},
		Answers: []lab.Span{
			{From: 0, To: 2500 * time.Millisecond, Answered: 1},
			{From: 2500 * time.Millisecond, To: 4500 * time.Millisecond},
			{From: 4500 * time.Millisecond, To: 8 * second, Answered: 2},
			{From: 8 * second, To: 10 * second},
		},
	}
}

func TestTheRunIsJudgedByWhatWasWrongAtTheTime(t *testing.T) {
	r := sample()
	quiet := []lab.Span{{From: 0, To: 1 * second}, {From: 4 * second, To: 7 * second}, {From: 8 * second, To: 10 * second}}
	if diff := cmp.Diff(quiet, r.quiet()); diff != "" {
		t.Errorf("times without a fault (-want +got):\n%s", diff)
	}
	if sum, longest := r.silence(r.everything()); sum != 4*second || longest != 2*second {
		t.Errorf("silent for %v, longest %v; want 4 s, 2 s", sum, longest)
	}
	if _, longest := r.silence(r.quiet()[:2]...); longest != 500*time.Millisecond {
		t.Errorf("silent without a fault for %v, want 500 ms", longest)
	}
	if _, longest := r.silence(r.calm()[:2]...); longest != 0 {
		t.Errorf("silent once a holder was back for %v, want 0", longest)
	}
	if r.late() != 1 || r.good() {
		t.Errorf("late %d, good %v; want 1, false", r.late(), r.good())
	}
}

func TestARunIsGoodOnlyIfNothingWasWrong(t *testing.T) {
	tests := []struct {
		name string
		make func(*record)
		want bool
	}{
		{"nothing", func(*record) {}, true},
		{"late", func(r *record) { r.Rounds[1].Back = 4 * second }, true},
		{"not back", func(r *record) { r.Rounds[1].Failure = "it did not" }, false},
		{"overlap", func(r *record) { r.Overlap = []lab.Span{{To: 1}} }, false},
		{"hooks", func(r *record) { r.Hooks = []string{"twice"} }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := sample()
			r.Rounds[1].Failure = ""
			test.make(&r)
			if got := r.good(); got != test.want {
				t.Errorf("good: %v, want %v", got, test.want)
			}
		})
	}
}

func TestDaemonsThatEndUnaskedAreTold(t *testing.T) {
	r := sample()
	r.Restart = second
	r.Events = []event{
		{At: 2500 * time.Millisecond, Host: "vm1", Kind: "start"}, // killed
		{At: 2500 * time.Millisecond, Host: "vm2", Kind: "start"},
		{At: 6 * second, Host: "vm1", Kind: "start"},
		{At: 6 * second, Host: "vm1", Kind: "holder"},
	}
	if diff := cmp.Diff(r.Events[1:3], r.unasked()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChangesAreReadFromTheLog(t *testing.T) {
	line := `2026-11-23T04:52:53.582Z INFO holder changed {"from": "vm1", "to": "vm2", "term": 3, "reason": "vm1 was silent"}` + "\n"
	at, c, ok := parseChange(line)
	want := change{From: "vm1", To: "vm2", Term: 3, Reason: "vm1 was silent"}
	if !ok || c != want || at.UnixMilli() != time.Date(2026, 11, 23, 4, 52, 53, 582e6, time.UTC).UnixMilli() {
		t.Errorf("got %v, %v, %v", at, c, ok)
	}
	for _, other := range []string{"", "\n", "2026-11-23T04:52:53.582Z INFO fence armed", "vipd: holder changed {}", "x y holder changed {"} {
		if _, _, ok := parseChange(other); ok {
			t.Errorf("%q was taken for a change", other)
		}
	}
}
