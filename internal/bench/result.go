package main

import (
	"slices"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// column is all that was measured of one contestant.
type column struct {
	Name   string             `json:"name"`
	Detail string             `json:"detail"`
	Detect time.Duration      `json:"detect_ns"`
	Trials map[string][]trial `json:"trials"` // by scenario
	Failed []string           `json:"failed"` // trials that did not come to an end, and why

	Web      map[string][]webTrial `json:"web"`      // by scenario
	Prepared bool                  `json:"prepared"` // httpd ran on the next holder before the address came

	Spree *spree    `json:"random,omitempty"`
	Idle  *idleness `json:"idle,omitempty"`
}

// summary is what the table says of a scenario's trials.
type summary struct {
	runs             int
	median, p95, max time.Duration
	overlap          time.Duration // the longest of all trials
	unclear          int
}

func summarise(trials []trial, of func(trial) time.Duration) summary {
	var lengths []time.Duration
	s := summary{runs: len(trials)}
	for _, t := range trials {
		lengths = append(lengths, of(t))
		s.overlap = max(s.overlap, t.Overlap)
		s.unclear += t.Unclear
	}
	slices.Sort(lengths)
	s.median, s.p95, s.max = lab.Quantile(lengths, 0.5), lab.Quantile(lengths, 0.95), lab.Quantile(lengths, 1)
	return s
}

func outage(t trial) time.Duration { return t.Outage }
func after(t trial) time.Duration  { return t.After }

// overlapped reports whether two hosts answered at any time.
func (c column) overlapped() bool {
	for _, trials := range c.Trials {
		if summarise(trials, outage).overlap > 0 {
			return true
		}
	}
	return c.Spree != nil && c.Spree.Overlap > 0
}
