package health

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestJudgementFollowsRiseAndFall(t *testing.T) {
	tests := map[string]struct {
		fall, rise int
		results    string // + success, - failure
		want       string // the judgement after each: h healthy, u unhealthy
	}{
		"the first success judges at once":        {3, 3, "+", "h"},
		"the first failure judges at once":        {3, 3, "-", "u"},
		"fall failures in a row":                  {2, 1, "+--", "hhu"},
		"failures not in a row":                   {2, 1, "+-+-+", "hhhhh"},
		"rise successes in a row":                 {1, 3, "-+++", "uuuh"},
		"successes not in a row":                  {1, 2, "-+-++", "uuuuh"},
		"each result counts with one":             {1, 1, "+-+-", "huhu"},
		"failures count again after a recovery":   {2, 2, "+--++-+--", "hhuuhhhhu"},
		"the first result counts for the row too": {3, 2, "--++", "uuuh"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j := judgement{fall: test.fall, rise: test.rise}
			got := ""
			for _, result := range test.results {
				j.add(result == '+')
				got += map[bool]string{true: "h", false: "u"}[j.healthy]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", test.results, diff)
			}
		})
	}
}

// The judgement changes exactly when the last fall (rise) results say so, all of them and no fewer, and add tells each change.
func TestJudgementChangesOnlyOnAWholeRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := judgement{fall: rapid.IntRange(1, 5).Draw(t, "fall"), rise: rapid.IntRange(1, 5).Draw(t, "rise")}
		results := rapid.SliceOfN(rapid.Bool(), 1, 60).Draw(t, "results")
		for i, ok := range results {
			before := j.healthy
			changed := j.add(ok)
			want := i == 0 || (before != ok && row(results[:i+1]) >= map[bool]int{true: j.rise, false: j.fall}[ok])
			if changed != want {
				t.Fatalf("after %v: changed %v, want %v", results[:i+1], changed, want)
			}
			if changed && j.healthy != ok || !changed && j.healthy != before {
				t.Fatalf("after %v: healthy %v, was %v", results[:i+1], j.healthy, before)
			}
		}
	})
}

// row is how many results at the end are the same.
func row(results []bool) int {
	n := 0
	for i := len(results) - 1; i >= 0 && results[i] == results[len(results)-1]; i-- {
		n++
	}
	return n
}
