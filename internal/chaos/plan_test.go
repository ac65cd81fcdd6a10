package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestTheSeedDecidesTheFaults(t *testing.T) {
	same := cmp.Options{
		cmp.AllowUnexported(planned{}, kind{}), cmpopts.IgnoreFields(kind{}, "begin"),
	}
	a, again, b := plan(7, 3, 5, kinds()), plan(7, 3, 5, kinds()), plan(8, 3, 5, kinds())
	if diff := cmp.Diff(a, again, same); diff != "" {
		t.Errorf("the same seed gives other faults:\n%s", diff)
	}
	if cmp.Equal(a, b, same) {
		t.Error("another seed gives the same faults")
	}
}

func TestEveryKindIsPlannedSoonerOrLater(t *testing.T) {
	seen := map[string]bool{}
	for number := range 100 {
		for _, p := range plan(1, number, 3, kinds()) {
			seen[p.kind.name] = true
			if p.lasts < shortest || p.lasts > longest+spread {
				t.Errorf("a fault of %v", p.lasts)
			}
		}
	}
	if len(seen) != len(kinds()) {
		t.Errorf("%d kinds of faults happen in 100 rounds, want all %d: %v", len(seen), len(kinds()), seen)
	}
}

// In about half of the rounds all is mended at once, which is the hardest to come back from.
func TestSomeRoundsAreMendedAtOnce(t *testing.T) {
	together := 0
	for number := range 100 {
		faults := plan(1, number, 3, kinds())
		end := func(p planned) time.Duration { return p.after + p.lasts }
		if !slices.ContainsFunc(faults, func(p planned) bool { return end(p) != end(faults[0]) }) {
			together++
		}
	}
	if together < 30 || together > 70 {
		t.Errorf("%d of 100 rounds are mended at once, want about 50", together)
	}
}

func TestFaultsThatCannotBeCombinedExcludeEachOther(t *testing.T) {
	tests := []struct {
		a, b group
		want bool
	}{
		{network, network, false},
		{network, sabotage, false},
		{network, reboot, false},
		{link, link, true},
		{link, sabotage, false},
		{link, reboot, true},
		{process, process, true},
		{process, disk, false},
		{process, sabotage, true},
		{disk, disk, true},
		{disk, reboot, true},
		{limit, limit, false},
		{machine, sabotage, true},
		{sabotage, sabotage, true},
		{sabotage, reboot, true},
		{input, process, false},
	}
	for _, test := range tests {
		if ab, ba := excludes(test.a, test.b), excludes(test.b, test.a); ab != test.want || ba != test.want {
			t.Errorf("groups %d and %d: %v, %v; want %v", test.a, test.b, ab, ba, test.want)
		}
	}
}
