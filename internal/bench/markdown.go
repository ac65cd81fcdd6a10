package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// writeMarkdown writes the tables that README.md has: the faults, vipd at each detect, and the crowd.
func writeMarkdown(w io.Writer, columns []column) {
	usual, _ := split(columns)
	if len(usual) > 0 {
		markFaults(w, usual)
	}
	if detects := slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.Detect == 0 }); len(detects) > 1 {
		fmt.Fprintln(w)
		markDetects(w, detects)
	}
	if anyWeb(columns) {
		fmt.Fprintln(w)
		markWeb(w, columns)
	}
}

func markRow(w io.Writer, cells ...string) {
	line := "|"
	for _, cell := range cells {
		line += strings.TrimRight(" "+cell, " ") + " |"
	}
	fmt.Fprintln(w, line)
}

const unmeasured = "–"

// markFaults has two columns for each contestant: how long nobody answered, and how long two did.
func markFaults(w io.Writer, columns []column) {
	names, rules, heads := []string{""}, []string{"---"}, []string{""}
	for _, c := range columns {
		names = append(names, c.Name+", "+c.Detail, "")
		rules = append(rules, "---", "---")
		heads = append(heads, "**median / p95**", "**two**")
	}
	markRow(w, names...)
	fmt.Fprintf(w, "|%s|\n", strings.Join(rules, "|"))
	markRow(w, heads...)
	for _, s := range scenarios() {
		if !slices.ContainsFunc(columns, func(c column) bool { return len(c.Trials[s.id]) > 0 }) {
			continue
		}
		row := []string{s.title}
		for _, c := range columns {
			row = append(row, markTimes(c.Trials[s.id]), markTwo(c.Trials[s.id]))
		}
		markRow(w, row...)
	}
	if !slices.ContainsFunc(columns, func(c column) bool { return c.Spree != nil }) {
		return
	}
	row := []string{"random faults in a row"}
	for _, c := range columns {
		if c.Spree == nil {
			row = append(row, unmeasured, "")
			continue
		}
		row = append(row, fmt.Sprintf("%d: longest %d", c.Spree.Faults, c.Spree.Longest.Milliseconds()), fmt.Sprint(c.Spree.Overlap.Milliseconds()))
	}
	markRow(w, row...)
}

func markTimes(trials []trial) string {
	if len(trials) == 0 {
		return unmeasured
	}
	s := summarise(trials, outage)
	return fmt.Sprintf("%d / %d", s.median.Milliseconds(), s.p95.Milliseconds())
}

func markTwo(trials []trial) string {
	if len(trials) == 0 {
		return ""
	}
	return fmt.Sprint(summarise(trials, outage).overlap.Milliseconds())
}

// markDetects has a row for each detect, the shortest first.
func markDetects(w io.Writer, columns []column) {
	slices.SortFunc(columns, func(a, b column) int { return cmp.Compare(a.Detect, b.Detect) })
	markRow(w, "vipd", "host crash, median / p95", "in units of detect", "planned transfer, median / p95", "two")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	for _, c := range columns {
		crashes, transfers := c.Trials["crash"], c.Trials["transfer"]
		units := unmeasured
		if len(crashes) > 0 {
			s := summarise(crashes, outage)
			in := func(d time.Duration) float64 { return float64(d) / float64(c.Detect) }
			units = fmt.Sprintf("%.2f / %.2f", in(s.median), in(s.p95))
		}
		markRow(w, c.Detail, markTimes(crashes), units, markTimes(transfers), markTwo(slices.Concat(crashes, transfers)))
	}
}

// markWeb has a row for each move that the crowd watched.
func markWeb(w io.Writer, columns []column) {
	markRow(w, fmt.Sprintf("%d requests a second", crowdSize), "moves", "requests", "connected twice", "failed", "slowest, ms")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	eachWeb(columns, func(c column, s scenario, runs int, t webTrial) {
		markRow(w, fmt.Sprintf("%s, %s: %s", c.Name, c.Detail, s.title),
			fmt.Sprint(runs), fmt.Sprint(t.Requests), fmt.Sprint(t.Retried), fmt.Sprint(t.failed()), fmt.Sprint(t.Slowest.Milliseconds()))
	})
}
