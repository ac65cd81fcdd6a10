package main

import (
	"fmt"
	"io"
	"time"
)

// goal is something that vipd promises to reach.
type goal struct {
	what     string
	got, max float64
	measured bool
}

// writeGoals says which goals vipd has reached. Each column of vipd has its own.
func writeGoals(w io.Writer, columns []column) {
	for _, c := range columns {
		if c.Detect == 0 {
			continue
		}
		fmt.Fprintf(w, "%s, %s\n", c.Name, c.Detail)
		for _, g := range c.goals() {
			verdict := "reached"
			switch {
			case !g.measured:
				continue
			case g.got > g.max:
				verdict = "MISSED "
			}
			fmt.Fprintf(w, "  %s  %-58s %8.2f, at most %.2f\n", verdict, g.what, g.got, g.max)
		}
	}
}

func (c column) goals() []goal {
	var goals []goal
	quantiles := func(id, what string, of func(trial) time.Duration, unit time.Duration, median, p95 float64) {
		s := summarise(c.Trials[id], of)
		goals = append(goals,
			goal{what + ", median", float64(s.median) / float64(unit), median, s.runs > 0},
			goal{what + ", 95 of 100", float64(s.p95) / float64(unit), p95, s.runs > 0 && p95 > 0})
	}
	if c.Detect >= usualDetect {
		quantiles("crash", "host crash, in units of detect", outage, c.Detect, 1.10, 1.25)
	} else {
		quantiles("crash", "host crash, in units of detect", outage, c.Detect, 1.3, 0)
	}
	quantiles("transfer", "planned transfer, ms", outage, time.Millisecond, 30, 60)
	quantiles("sigterm", "daemon stopped, ms", outage, time.Millisecond, 30, 60)
	// The check runs each second, with fall 2.
	quantiles("check", "failing check, from its first failure, ms", after, time.Millisecond, 2100, 2100)
	return append(append(goals, c.webGoals()...), c.otherGoals()...)
}

// webGoals are those of a planned transfer to a host on which httpd runs already.
func (c column) webGoals() []goal {
	trials := c.Web["transfer"]
	measured, all := c.Prepared && len(trials) > 0, together(trials)
	return []goal{
		{"web, planned transfer: requests that failed", float64(all.failed()), 0, measured},
		{"web, planned transfer: slowest request, ms", ms(all.Slowest), 100, measured},
	}
}

func (c column) otherGoals() []goal {
	var overlap time.Duration
	for _, trials := range c.Trials {
		overlap = max(overlap, summarise(trials, outage).overlap)
	}
	goals := []goal{{"two hosts answer, in all trials, ms", ms(overlap), 0, len(c.Trials) > 0}}
	if c.Spree != nil {
		goals = append(goals, goal{"two hosts answer, random faults, ms", ms(c.Spree.Overlap), 0, true})
	}
	if c.Idle != nil {
		goals = append(goals,
			goal{"idle: percent of a core", 100 * c.Idle.CPU, 2.5, true},
			goal{"idle: resident MiB", float64(c.Idle.Memory) / (1 << 20), 40, true},
			goal{"idle: bytes written", float64(c.Idle.Written), 0, true})
	}
	return goals
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
