package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// bench is what is to be measured, and where progress goes.
type bench struct {
	only     []string // scenarios, "random", "web" and "idle"; empty means all
	web      func(h *lab.Host) (scripts, error)
	idle     time.Duration
	seed     uint64
	progress io.Writer
}

// wanted reports whether this part is to be measured with this contestant.
func (b *bench) wanted(c contestant, id string) bool {
	return (len(b.only) == 0 || slices.Contains(b.only, id)) && (c.only == nil || slices.Contains(c.only, id)) &&
		(id != "transfer" || c.transfer != nil)
}

// measure measures all that is wanted of one contestant. What it has when ctx ends, or when something does not work, is
// returned all the same; what did not work is part of the result.
func (b *bench) measure(ctx context.Context, c contestant) (result column) {
	result = column{Name: c.name, Detail: c.detail, Detect: c.detect, Trials: map[string][]trial{}, Web: map[string][]webTrial{}}
	b.inArena(ctx, c, &result, func(part func(id string, do func(a *arena) error)) {
		part("idle", func(a *arena) error { return b.measureIdle(ctx, a, &result) })
		for _, s := range scenarios() {
			for i := range c.meets(s) {
				part(s.id, func(a *arena) error { return b.measureTrial(ctx, a, s, i, &result) })
			}
		}
		part("random", func(a *arena) error { return b.measureSpree(ctx, a, &result) })
	})
	if !b.wanted(c, "web") {
		return result
	}
	c.install = b.web
	b.inArena(ctx, c, &result, func(part func(id string, do func(a *arena) error)) {
		for _, s := range scenarios() {
			for i := range c.watched(s) {
				part("web", func(a *arena) error { return b.measureWeb(ctx, a, s, i, &result) })
			}
		}
	})
	return result
}

// inArena opens an arena for parts that measure in it. One in which a part fails is replaced for the next.
func (b *bench) inArena(ctx context.Context, c contestant, result *column, measure func(part func(id string, do func(a *arena) error))) {
	a, err := newArena(ctx, c)
	if err != nil {
		lab.Complain(b.progress, fmt.Sprintf("%s, %s", c.name, c.detail), err)
		result.Failed = append(result.Failed, err.Error())
		return
	}
	defer func() {
		if err := a.Close(); err != nil {
			result.Failed = append(result.Failed, err.Error())
		}
	}()
	measure(func(id string, do func(a *arena) error) {
		if !b.wanted(c, id) || ctx.Err() != nil {
			return
		}
		if err := do(a); err != nil && ctx.Err() == nil {
			result.Failed = append(result.Failed, fmt.Sprintf("%s: %v", id, err))
			fmt.Fprintf(b.progress, "%s, %s: %s failed: %v\n%s", c.name, c.detail, id, err, a.logs())
			a = b.fresh(ctx, a, result)
		}
	})
}

// fresh replaces an arena in which something went wrong, so that the next part begins well.
func (b *bench) fresh(ctx context.Context, old *arena, result *column) *arena {
	if err := old.Close(); err != nil {
		result.Failed = append(result.Failed, err.Error())
	}
	a, err := newArena(ctx, old.c)
	if err != nil {
		result.Failed = append(result.Failed, err.Error())
		return old
	}
	return a
}

func (b *bench) measureTrial(ctx context.Context, a *arena, s scenario, i int, result *column) error {
	t, err := a.try(ctx, s)
	if err != nil {
		return err
	}
	result.Trials[s.id] = append(result.Trials[s.id], t)
	fmt.Fprintf(b.progress, "%s, %s: %s %d of %d: nobody %d ms, two %d ms\n", a.c.name, a.c.detail, s.title, i+1, a.c.meets(s),
		t.Outage.Milliseconds(), t.Overlap.Milliseconds())
	return nil
}

func (b *bench) measureWeb(ctx context.Context, a *arena, s scenario, i int, result *column) error {
	t, err := a.watch(ctx, s)
	if err != nil {
		return err
	}
	result.Web[s.id] = append(result.Web[s.id], t)
	fmt.Fprintf(b.progress, "%s, %s: %s before a crowd %d of %d: %d requests, %d retried, %d failed, slowest %d ms\n", a.c.name, a.c.detail,
		s.title, i+1, a.c.watched(s), t.Requests, t.Retried, t.failed(), t.Slowest.Milliseconds())
	return nil
}

func (b *bench) measureIdle(ctx context.Context, a *arena, result *column) error {
	fmt.Fprintf(b.progress, "%s, %s: idle for %v\n", a.c.name, a.c.detail, b.idle)
	idle, err := a.idle(ctx, b.idle)
	if err == nil {
		result.Idle = &idle
	}
	return err
}

func (b *bench) measureSpree(ctx context.Context, a *arena, result *column) error {
	s, err := a.goWild(ctx, a.c.faults, rand.New(rand.NewPCG(b.seed, 0)), b.progress)
	if err == nil {
		result.Spree = &s
	}
	return err
}
