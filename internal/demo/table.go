package main

import (
	"fmt"
	"time"
)

// String tells the outcome in one line.
func (o outcome) String() string {
	return fmt.Sprintf("%s -> %s: nobody answered for %s, two for %s; the page was back %s after the last answer, %d requests failed",
		o.from, o.to, ms(o.nobody), ms(o.two), ms(o.pageAfter), o.lost)
}

func ms(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// conclude shows the table and reports whether the address moved in each act, and two hosts never answered, in the acts
// and between them.
func (s *stage) conclude(outcomes []outcome) (safe bool) {
	s.out.heading("%-22s %-11s %15s %14s %18s %16s", "", "", "nobody answered", "two answered", "page back after", "requests failed")
	safe = true
	for _, o := range outcomes {
		s.out.line("%-20s %-11s %15s %14s %18s %16d", o.title, o.from+" -> "+o.to, ms(o.nobody), ms(o.two), ms(o.pageAfter), o.lost)
		safe = safe && o.from != o.to
	}
	all := s.prober.Timeline(0)
	s.out.line("")
	s.out.line("In %d s the prober sent %d rounds of probes to each host and left out %d.", len(all.Ticks)/1000,
		len(all.Ticks)-all.Missed(), all.Missed())
	if overlap := all.Overlap(); overlap > 0 {
		s.out.line("%s", s.out.dye(red, fmt.Sprintf("TWO HOSTS ANSWERED, for %v in all: %v", overlap, all.Overlaps())))
		return false
	}
	s.out.line("%s", s.out.dye(green, "Two hosts never answered."))
	if n := all.Unclear(); n > 0 {
		s.out.line("(In %d rounds two did, but the machine let the prober wait so long that the address may have moved in between.)", n)
	}
	if !safe {
		s.out.line("%s", s.out.dye(red, "But the address did not move each time it should have."))
	}
	return safe
}
