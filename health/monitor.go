package health

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Monitor runs checks and judges them.
type Monitor struct {
	checks  []Check
	log     *zap.Logger
	starter func(Check) (*process, error)

	judgements []judgement // owned by the goroutine of Run

	mu      sync.Mutex
	verdict Verdict
}

// outcome is one run of one check.
type outcome struct {
	check  int // its index
	ended  time.Time
	took   time.Duration
	output string
	err    error // why it failed
}

// NewMonitor returns a Monitor of checks; it runs nothing yet.
func NewMonitor(checks []Check, log *zap.Logger) *Monitor {
	m := &Monitor{checks: slices.Clone(checks), log: log, starter: start}
	results := make([]Result, len(checks))
	for i, c := range checks {
		m.judgements = append(m.judgements, judgement{fall: max(c.Fall, 1), rise: max(c.Rise, 1)})
		results[i] = Result{Name: c.Name, Weight: c.Weight}
	}
	m.verdict = summarize(results)
	return m
}

// RunInstead makes the Monitor call f where it would start the probe of a check, which need not have one then. It is for
// simulations; f returns soon after ctx has ended. It must be called before Run.
func (m *Monitor) RunInstead(f func(ctx context.Context, c Check) error) {
	m.starter = func(c Check) (*process, error) {
		return call("", func(ctx context.Context) error { return f(ctx, c) }), nil
	}
}

// Verdict returns what is known now. It does not block.
func (m *Monitor) Verdict() Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.verdict
	v.Checks = slices.Clone(v.Checks)
	return v
}

// Run runs the checks, each for the first time at once, until ctx ends; then it kills those that are running and returns nil.
//
// It calls report with the verdict as it stands at the start, and then whenever the judgement of a check has changed, always
// from the calling goroutine. While report runs no result is taken in, so it must not block. A Monitor runs once.
func (m *Monitor) Run(ctx context.Context, report func(Verdict)) error {
	report(m.Verdict())
	outcomes := make(chan outcome)
	var running sync.WaitGroup
	for i, c := range m.checks {
		running.Go(func() { m.repeat(ctx, i, c, outcomes) })
	}
	defer running.Wait()
	for {
		select {
		case o := <-outcomes:
			if m.take(o) {
				report(m.Verdict())
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// repeat runs one check at its interval until ctx ends.
func (m *Monitor) repeat(ctx context.Context, index int, c Check, outcomes chan<- outcome) {
	ticks := time.NewTicker(c.Interval)
	defer ticks.Stop()
	r := runner{check: c, start: m.starter}
	for {
		began := time.Now()
		output, err := r.run(ctx)
		now := time.Now()
		select {
		case outcomes <- outcome{check: index, ended: now, took: now.Sub(began), output: output, err: err}:
		case <-ctx.Done():
			return // nobody takes it any more: a run that was killed because of this says nothing about the service
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// take enters an outcome and says whether the check's judgement has changed.
func (m *Monitor) take(o outcome) (changed bool) {
	j := &m.judgements[o.check]
	changed = j.add(o.err == nil)
	results := m.Verdict().Checks
	r := &results[o.check]
	r.Known, r.Healthy, r.Failures = true, j.healthy, j.failures
	r.Last, r.Took, r.Output, r.Reason = o.ended, o.took, o.output, reason(o.err)
	if changed {
		r.Since = o.ended
		level := zap.InfoLevel
		if !r.Healthy {
			level = zap.WarnLevel
		}
		m.log.Log(level, "check changed", zap.String("check", r.Name), zap.Bool("healthy", r.Healthy),
			zap.String("reason", r.Reason), zap.String("output", r.Output))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verdict = summarize(results)
	return changed
}

// reasonLimit is how many bytes of an error are kept: a server's answer may be part of it, and the whole cluster is told of it.
const reasonLimit = 500

func reason(err error) string {
	if err == nil {
		return ""
	}
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) <= reasonLimit {
		return text
	}
	return strings.ToValidUTF8(text[:reasonLimit], "") + "…"
}

// summarize makes a verdict of the results of all checks.
func summarize(results []Result) Verdict {
	v := Verdict{Known: true, Healthy: true, Checks: results}
	var against []string
	for _, r := range results {
		if r.Weight != 0 {
			v.Shift += r.shift()
			continue
		}
		v.Known = v.Known && r.Known
		v.Healthy = v.Healthy && r.Healthy
		switch {
		case !r.Known:
			against = append(against, r.Name+": has not run yet")
		case !r.Healthy && r.Reason == "":
			against = append(against, r.Name+": succeeds, but not often enough yet")
		case !r.Healthy:
			against = append(against, r.Name+": "+r.Reason)
		}
	}
	v.Reason = strings.Join(against, "; ")
	return v
}

// shift is what a check with a weight adds to the priority.
func (r Result) shift() int {
	if r.Healthy == (r.Weight > 0) {
		return r.Weight
	}
	return 0
}
