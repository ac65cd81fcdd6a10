package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// record is all that is known of a run. Instants are nanoseconds since its prober's start.
type record struct {
	Seed    uint64
	Version string // of the source
	Began   time.Time
	Hosts   []string
	Detect  time.Duration
	Restart time.Duration // how long the supervisor waits before it starts a dead daemon again
	Length  time.Duration
	Rounds  []round
	Faults  []fault // in the order in which they began
	Answers []lab.Span
	Overlap []lab.Span
	Events  []event
	Missed  int      // ticks that the prober could not send
	Unclear int      // ticks of which it can't say whether two answered
	Hooks   []string // what was wrong with the order of the hooks
}

// round is one round of faults.
type round struct {
	Number   int
	From, To time.Duration
	Mended   time.Duration // when the last fault was mended and the last dead daemon started
	Back     time.Duration // from then until one host answered and went on answering; negative if it did not in time
	Holder   string        // that host
	Failure  string        // what did not come back
}

// fault is something that went wrong and was mended.
type fault struct {
	Round    int
	Kind     string
	Hosts    []string // whom it hit; empty: all, or the network
	Detail   string
	From, To time.Duration
}

// label is how people read it.
func (f fault) label() string {
	text := f.Kind
	for _, host := range f.Hosts {
		text += " " + host
	}
	if f.Detail != "" {
		text += " (" + f.Detail + ")"
	}
	return text
}

// event is something that a host or its log told.
type event struct {
	At   time.Duration
	Host string
	Kind string // "holder", "start"
	Text string
}

// active lists the faults that were active at some time in the span.
func (r record) active(from, to time.Duration) []fault {
	return slices.DeleteFunc(slices.Clone(r.Faults), func(f fault) bool { return f.To <= from || f.From >= to })
}

// quiet lists the times in which no fault was active, in order.
func (r record) quiet() []lab.Span {
	faults := slices.SortedFunc(slices.Values(r.Faults), func(a, b fault) int { return cmp.Compare(a.From, b.From) })
	var free []lab.Span
	var at time.Duration
	for _, f := range faults {
		if f.From > at {
			free = append(free, lab.Span{From: at, To: f.From})
		}
		at = max(at, f.To)
	}
	return append(free, lab.Span{From: at, To: r.Length})
}

// shared is the part of a that lies in b; its length is negative if there is none.
func shared(a, b lab.Span) lab.Span {
	return lab.Span{From: max(a.From, b.From), To: min(a.To, b.To)}
}

// silence is how long nobody answered in those times: in all, and the longest in one piece.
func (r record) silence(in ...lab.Span) (sum, longest time.Duration) {
	for _, s := range r.Answers {
		if s.Answered != 0 {
			continue
		}
		for _, span := range in {
			if length := shared(s, span).Length(); length > 0 {
				sum += length
				longest = max(longest, length)
			}
		}
	}
	return sum, longest
}

// calm lists the times between the return of one holder and the next fault.
func (r record) calm() []lab.Span {
	var calm []lab.Span
	for _, free := range r.quiet() {
		for _, round := range r.Rounds {
			if round.Back >= 0 && round.Mended >= free.From && round.Mended <= free.To {
				free.From = max(free.From, round.Mended+round.Back)
			}
		}
		calm = append(calm, free)
	}
	return calm
}

// late counts the rounds that took longer than 3 × detect, those included that did not come back at all.
func (r record) late() int {
	n := 0
	for _, round := range r.Rounds {
		if round.Back < 0 || round.Back > 3*r.Detect {
			n++
		}
	}
	return n
}

// failures are the rounds that did not come back.
func (r record) failures() []round {
	return slices.DeleteFunc(slices.Clone(r.Rounds), func(round round) bool { return round.Failure == "" })
}

// good says whether the run was as it must be.
func (r record) good() bool {
	return len(r.Overlap) == 0 && len(r.failures()) == 0 && len(r.Hooks) == 0
}

func (r record) overlap() time.Duration {
	var sum time.Duration
	for _, s := range r.Overlap {
		sum += s.Length()
	}
	return sum
}

// count is how often a kind of fault happened.
type count struct {
	Kind  string
	Times int
}

// counts counts the faults by kind, by name.
func (r record) counts() []count {
	times := map[string]int{}
	for _, f := range r.Faults {
		times[f.Kind]++
	}
	var all []count
	for kind, n := range times {
		all = append(all, count{kind, n})
	}
	slices.SortFunc(all, func(a, b count) int { return cmp.Compare(a.Kind, b.Kind) })
	return all
}

// names lists the hosts of a set.
func (r record) names(a lab.Answers) []string { return lab.Timeline{Hosts: r.Hosts}.Names(a) }

// everything is the time from the first round to the end; none if there was no round.
func (r record) everything() lab.Span {
	if len(r.Rounds) == 0 {
		return lab.Span{}
	}
	return lab.Span{From: r.Rounds[0].From, To: r.Length}
}
