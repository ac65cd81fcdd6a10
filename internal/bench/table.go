package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const titleWidth = 29

// writeTable writes the columns side by side, for a person to read.
func writeTable(w io.Writer, columns []column) {
	width := titleWidth
	for _, c := range columns {
		width += len(" | ") + c.width()
	}
	row := func(title string, cell func(column) string) {
		line := fmt.Sprintf("%-*s", titleWidth, title)
		for _, c := range columns {
			line += fmt.Sprintf(" | %-*s", c.width(), cell(c))
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	rule := func() { fmt.Fprintln(w, strings.Repeat("-", width)) }
	row("", func(c column) string { return c.Name })
	row("", func(c column) string { return c.Detail })
	rule()
	row("nobody answers, ms", column.head)
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
	if slices.ContainsFunc(columns, func(c column) bool { return c.Spree != nil }) {
		row("random faults in a row", column.spreeCell)
	}
	if slices.ContainsFunc(columns, func(c column) bool { return c.Idle != nil }) {
		rule()
		row("idle, the holder's daemon", column.idleCell)
	}
	for _, c := range columns {
		c.writeNotes(w)
	}
}

func (c column) head() string {
	if c.Detect == 0 {
		return "median    p95    max    two"
	}
	return "median    p95    max    two ratio"
}

func (c column) width() int { return len(c.head()) }

const nothingMeasured = "     -"

// cell is one scenario of one contestant: times in ms, the longest overlap, and the median's ratio to detect.
func (c column) cell(scenario string, of func(trial) time.Duration) string {
	trials := c.Trials[scenario]
	if len(trials) == 0 {
		return nothingMeasured
	}
	s := summarise(trials, of)
	text := fmt.Sprintf("%6d %6d %6d %6d",
		s.median.Milliseconds(), s.p95.Milliseconds(), s.max.Milliseconds(), s.overlap.Milliseconds())
	if c.Detect > 0 {
		text += fmt.Sprintf(" %5.2f", float64(s.median)/float64(c.Detect))
	}
	return text
}

func (c column) spreeCell() string {
	if c.Spree == nil {
		return nothingMeasured
	}
	return fmt.Sprintf("%6d: longest %d, two %d", c.Spree.Faults, c.Spree.Longest.Milliseconds(), c.Spree.Overlap.Milliseconds())
}

func (c column) idleCell() string {
	if c.Idle == nil {
		return nothingMeasured
	}
	return fmt.Sprintf("%.1f %% CPU, %.0f MiB, %d B", 100*c.Idle.CPU, float64(c.Idle.Memory)/(1<<20), c.Idle.Written)
}

// writeNotes writes what could not be measured, or not be judged.
func (c column) writeNotes(w io.Writer) {
	for _, failed := range c.Failed {
		fmt.Fprintf(w, "! %s, %s: %s\n", c.Name, c.Detail, failed)
	}
	unclear := 0
	for _, trials := range c.Trials {
		unclear += summarise(trials, outage).unclear
	}
	if c.Spree != nil {
		unclear += c.Spree.Unclear
	}
	if unclear > 0 {
		fmt.Fprintf(w, "? %s, %s: in %d rounds of probes two hosts answered, but so late that the address may have moved between\n",
			c.Name, c.Detail, unclear)
	}
}
