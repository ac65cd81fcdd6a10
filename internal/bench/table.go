package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	titleWidth = 31
	cellWidth  = 39
)

// writeTable writes the columns side by side, for a person to read.
func writeTable(w io.Writer, columns []column) {
	row := func(title string, cell func(column) string) {
		cells := ""
		for _, c := range columns {
			cells += fmt.Sprintf(" | %-*s", cellWidth-3, cell(c))
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-*s%s", titleWidth, title, cells), " "))
	}
	rule := func() { fmt.Fprintln(w, strings.Repeat("-", titleWidth+cellWidth*len(columns))) }
	row("", func(c column) string { return c.Name })
	row("", func(c column) string { return c.Detail })
	rule()
	row("nobody answers, ms", func(c column) string {
		return "median    p95    max " + ratioHead(c.Detect) + " overlap"
	})
	rule()
	for _, s := range scenarios() {
		if !slices.ContainsFunc(columns, func(c column) bool { return len(c.Trials[s.id]) > 0 }) {
			continue
		}
		row(s.title, func(c column) string { return c.cell(s.id, outage) })
		if s.after != nil {
			row("  from its first failure", func(c column) string { return c.cell(s.id, after) })
		}
	}
	row("random faults in a row", column.spreeCell)
	rule()
	row("idle, the holder's daemon", column.idleCell)
	for _, c := range columns {
		for _, failed := range c.Failed {
			fmt.Fprintf(w, "! %s, %s: %s\n", c.Name, c.Detail, failed)
		}
	}
}

func ratioHead(detect time.Duration) string {
	if detect == 0 {
		return "     "
	}
	return "ratio"
}

// cell is one scenario of one contestant: times in ms, the median's ratio to detect, and the longest overlap.
func (c column) cell(scenario string, of func(trial) time.Duration) string {
	trials := c.Trials[scenario]
	if len(trials) == 0 {
		return "     -"
	}
	s := summarise(trials, of)
	ratio := "     "
	if c.Detect > 0 {
		ratio = fmt.Sprintf("%5.2f", float64(s.median)/float64(c.Detect))
	}
	text := fmt.Sprintf("%6d %6d %6d %s %7d", s.median.Milliseconds(), s.p95.Milliseconds(), s.max.Milliseconds(), ratio,
		s.overlap.Milliseconds())
	if s.unclear > 0 {
		text += fmt.Sprintf(" ?%d", s.unclear)
	}
	return text
}

func (c column) spreeCell() string {
	if c.Spree == nil {
		return "     -"
	}
	s := c.Spree
	return fmt.Sprintf("%d: %.1f %% answered, longest %d, overlap %d", s.Faults, 100*s.Answered, s.Longest.Milliseconds(),
		s.Overlap.Milliseconds())
}

func (c column) idleCell() string {
	if c.Idle == nil {
		return "     -"
	}
	return fmt.Sprintf("%.1f %% CPU, %.0f MiB, %d B written", 100*c.Idle.CPU, float64(c.Idle.Memory)/(1<<20), c.Idle.Written)
}
