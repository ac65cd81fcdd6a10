package lab

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// line makes a timeline from one letter per tick: . nobody, 1 2 3 that host, a 1+2, A the same in a slow tick, b 1+3,
// x left out.
func line(letters string) Timeline {
	kinds := map[rune]Tick{
		'.': {}, '1': {Answered: 1}, '2': {Answered: 2}, '3': {Answered: 4},
		'a': {Answered: 3}, 'A': {Answered: 3, Took: 2 * probeInterval}, 'b': {Answered: 5}, 'x': {Sent: -1},
	}
	t := Timeline{Hosts: []string{"vm1", "vm2", "vm3"}, Interval: probeInterval}
	for _, letter := range letters {
		t.Ticks = append(t.Ticks, kinds[letter])
	}
	return t
}

func TestTimelineTellsWhoAnsweredForHowLong(t *testing.T) {
	tests := []struct{ ticks, want string }{
		{"", ""},
		{"...", "nobody 3 ms"},
		{"111..22", "vm1 3 ms, nobody 2 ms, vm2 2 ms"},
		{"11b33", "vm1 2 ms, vm1+vm3 1 ms, vm3 2 ms"},
		{"11xx11", "vm1 6 ms"},
		{"11xx22", "vm1 2 ms, nobody 2 ms, vm2 2 ms"},
		{"x11x", "nobody 1 ms, vm1 2 ms, nobody 1 ms"},
	}
	for _, test := range tests {
		t.Run(test.ticks, func(t *testing.T) {
			if got := line(test.ticks).Summary(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTimelineFindsOutagesAndOverlaps(t *testing.T) {
	tests := []struct {
		ticks                     string
		longest, overlap, unclear int // in ticks
	}{
		{"1111", 0, 0, 0},
		{"11..22.222", 2, 0, 0},
		{"..22", 2, 0, 0},
		{"11a22", 0, 1, 0},
		{"11aab1a2", 0, 4, 0},
		{"11A22", 0, 0, 1},   // the address may have moved while the prober waited
		{"11AA22", 0, 2, 0},  // but not twice
		{"1A.aA22", 1, 2, 1}, // a slow tick is believed beside a quick one
		{"11xx22", 2, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.ticks, func(t *testing.T) {
			l := line(test.ticks)
			got := fmt.Sprint(l.Longest(), l.Overlap(), l.Unclear())
			want := fmt.Sprint(time.Duration(test.longest)*probeInterval, time.Duration(test.overlap)*probeInterval, test.unclear)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("longest outage, overlap, unclear ticks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimelineIsCutAtTicks(t *testing.T) {
	tests := []struct {
		from, to time.Duration
		want     string
	}{
		{0, time.Hour, "vm1 2 ms, nobody 1 ms, vm2 2 ms"},
		{time.Millisecond, 3 * time.Millisecond, "vm1 1 ms, nobody 1 ms"},
		{1500 * time.Microsecond, 4 * time.Millisecond, "nobody 1 ms, vm2 1 ms"},
		{3 * time.Millisecond, time.Millisecond, ""},
		{-time.Hour, time.Millisecond, "vm1 1 ms"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.from, test.to), func(t *testing.T) {
			if got := line("11.22").Between(test.from, test.to).Summary(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTimelineKnowsWhenAHostFirstAndLastAnswered(t *testing.T) {
	tests := []struct {
		host        string
		first, last time.Duration
	}{
		{"vm1", 1 * time.Millisecond, 3 * time.Millisecond},
		{"vm2", 3 * time.Millisecond, 5 * time.Millisecond},
		{"vm3", -1, -1},
		{"vm9", -1, -1},
	}
	for _, test := range tests {
		t.Run(test.host, func(t *testing.T) {
			l := line(".11a.2.")
			if first, last := l.First(test.host), l.Last(test.host); first != test.first || last != test.last {
				t.Errorf("first %v, last %v; want %v, %v", first, last, test.first, test.last)
			}
		})
	}
}
