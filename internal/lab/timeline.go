package lab

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Answers is the set of hosts that answered, as bits: 1<<i is the host at index i.
type Answers uint16

// Has reports whether the host at that index is in it.
func (a Answers) Has(host int) bool { return a&(1<<host) != 0 }

// Len is the number of hosts in it.
func (a Answers) Len() int { return bits.OnesCount16(uint16(a)) }

// Tick is one round of probes, one to each host.
type Tick struct {
	Sent     time.Duration // when the first probe left, since the prober's start; negative if the round was left out
	Took     time.Duration // from then until the last answer had arrived, or the last probe had left
	Answered Answers       // who accepted the probe
}

// Timeline is who answered when. Tick i was due at Start + i × Interval after the prober's start.
type Timeline struct {
	Hosts    []string // the names, by index
	Interval time.Duration
	Start    time.Duration
	Ticks    []Tick
}

// Span is a stretch of time in which the same hosts answered.
type Span struct {
	From, To time.Duration // since the prober's start
	Answered Answers
}

// Length is how long it lasted.
func (s Span) Length() time.Duration { return s.To - s.From }

// due is when the tick at that index was to leave.
func (t Timeline) due(i int) time.Duration { return t.Start + time.Duration(i)*t.Interval }

// Between cuts the timeline to the ticks due at or after from and before to.
func (t Timeline) Between(from, to time.Duration) Timeline {
	lo := min(len(t.Ticks), max(0, int((from-t.Start+t.Interval-1)/t.Interval)))
	hi := min(len(t.Ticks), max(lo, int((to-t.Start+t.Interval-1)/t.Interval)))
	t.Start = t.due(lo)
	t.Ticks = t.Ticks[lo:hi]
	return t
}

// Spans joins neighbouring ticks with the same answers. Rounds that were left out go with the ticks around them if
// these agree, and count as unanswered if not.
func (t Timeline) Spans() []Span {
	var spans []Span
	for i := 0; i < len(t.Ticks); {
		who, next := t.Ticks[i].Answered, i+1
		if t.Ticks[i].Sent < 0 {
			who, next = t.leftOut(i)
		}
		last := len(spans) - 1
		if last < 0 || spans[last].Answered != who {
			spans = append(spans, Span{From: t.due(i), Answered: who})
			last++
		}
		spans[last].To = t.due(next)
		i = next
	}
	return spans
}

// leftOut says what is to be taken for the answers to the rounds that were not sent from i on, and where they end.
func (t Timeline) leftOut(i int) (who Answers, next int) {
	for next = i; next < len(t.Ticks) && t.Ticks[next].Sent < 0; next++ {
	}
	if i == 0 || next == len(t.Ticks) || t.Ticks[i-1].Answered != t.Ticks[next].Answered {
		return 0, next
	}
	return t.Ticks[i-1].Answered, next
}

// Outages lists the times of at least that length in which nobody answered. One that the timeline begins or ends with
// is among them, as far as it is seen.
func (t Timeline) Outages(atLeast time.Duration) []Span {
	return slices.DeleteFunc(t.Spans(), func(s Span) bool { return s.Answered != 0 || s.Length() < atLeast })
}

// Longest is the length of the longest time without an answer, 0 if every tick was answered.
func (t Timeline) Longest() time.Duration {
	var longest time.Duration
	for _, s := range t.Outages(0) {
		longest = max(longest, s.Length())
	}
	return longest
}

// Overlaps lists the times in which two hosts or more accepted packets for the floating address.
//
// Two answers in one tick prove it if that tick was over within the interval. On a machine that let the prober wait
// between its two probes, the address may have moved in between; so a slow tick counts only beside another in which
// two answered. Slow ticks with two answers that are left out for that reason are counted by Unclear.
func (t Timeline) Overlaps() []Span {
	var found []Span
	for i, tick := range t.Ticks {
		if tick.Answered.Len() < 2 || !t.proven(i) {
			continue
		}
		if last := len(found) - 1; last >= 0 && found[last].To == t.due(i) {
			found[last].To = t.due(i + 1)
			found[last].Answered |= tick.Answered
			continue
		}
		found = append(found, Span{From: t.due(i), To: t.due(i + 1), Answered: tick.Answered})
	}
	return found
}

// Overlap is the sum of all overlaps.
func (t Timeline) Overlap() time.Duration {
	var sum time.Duration
	for _, s := range t.Overlaps() {
		sum += s.Length()
	}
	return sum
}

// Unclear is the number of ticks in which two hosts answered but the address may have moved meanwhile; see Overlaps.
func (t Timeline) Unclear() int {
	n := 0
	for i, tick := range t.Ticks {
		if tick.Answered.Len() >= 2 && !t.proven(i) {
			n++
		}
	}
	return n
}

func (t Timeline) proven(i int) bool {
	double := func(i int) bool { return i >= 0 && i < len(t.Ticks) && t.Ticks[i].Answered.Len() >= 2 }
	return t.Ticks[i].Took <= t.Interval || double(i-1) || double(i+1)
}

// Missed is the number of rounds that the prober could not send in time.
func (t Timeline) Missed() int {
	n := 0
	for _, tick := range t.Ticks {
		if tick.Sent < 0 {
			n++
		}
	}
	return n
}

// First is when that host first answered, negative if it did not.
func (t Timeline) First(host string) time.Duration {
	set := t.set(host)
	for i, tick := range t.Ticks {
		if tick.Answered&set != 0 {
			return t.due(i)
		}
	}
	return -1
}

// Last is when that host last answered, negative if it did not.
func (t Timeline) Last(host string) time.Duration {
	set := t.set(host)
	for i, tick := range slices.Backward(t.Ticks) {
		if tick.Answered&set != 0 {
			return t.due(i)
		}
	}
	return -1
}

// set is the host alone; nobody, if the timeline does not know it.
func (t Timeline) set(host string) Answers {
	if i := slices.Index(t.Hosts, host); i >= 0 {
		return 1 << i
	}
	return 0
}

// Names lists the hosts of a set.
func (t Timeline) Names(a Answers) []string {
	var names []string
	for i, name := range t.Hosts {
		if a.Has(i) {
			names = append(names, name)
		}
	}
	return names
}

// Summary says in one line who answered for how long, in order.
func (t Timeline) Summary() string {
	var parts []string
	for _, s := range t.Spans() {
		who := "nobody"
		if s.Answered != 0 {
			who = strings.Join(t.Names(s.Answered), "+")
		}
		parts = append(parts, fmt.Sprintf("%s %d ms", who, s.Length().Milliseconds()))
	}
	return strings.Join(parts, ", ")
}
