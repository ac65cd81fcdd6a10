package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// aftermath is how long a fault goes on after another host has begun to answer.
const aftermath = 500 * time.Millisecond

// arena is a lab in which one contestant runs on every host.
type arena struct {
	*lab.Lab
	c       contestant
	prober  *lab.Prober
	daemons map[*lab.Host]*lab.Daemon
}

func newArena(ctx context.Context, c contestant) (*arena, error) {
	l, err := lab.New(lab.Config{})
	if err != nil {
		return nil, err
	}
	a := &arena{Lab: l, c: c, daemons: map[*lab.Host]*lab.Daemon{}}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *arena) open(ctx context.Context) error {
	for i, h := range a.Hosts {
		on, err := a.c.install(h)
		if err != nil {
			return err
		}
		if a.daemons[h], err = a.c.start(h, i, on); err != nil {
			return err
		}
	}
	if err := a.c.form(ctx, a.Lab); err != nil {
		return err
	}
	var err error
	a.prober, err = a.StartProber()
	return err
}

// settle waits until all is as it should be, and returns the holder.
func (a *arena) settle(ctx context.Context) (*lab.Host, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return a.prober.Whole(ctx, a.c.calm, func(ctx context.Context) (*lab.Host, error) { return a.c.whole(ctx, a.Lab) })
}

// trial is what one fault did.
type trial struct {
	Outage  time.Duration `json:"outage_ns"`  // the longest time without an answer while the fault lasted
	Overlap time.Duration `json:"overlap_ns"` // with two answers, until all was well again
	Moved   bool          `json:"moved"`      // another host answered while the fault lasted
	After   time.Duration `json:"after_ns"`   // of a failing check: from its first failure to the first answer of another host
	Unclear int           `json:"unclear"`    // ticks of which the prober cannot say whether two answered
}

// try lets one fault happen to the holder, mends it, and waits until all is well.
func (a *arena) try(ctx context.Context, s scenario) (trial, error) {
	holder, err := a.settle(ctx)
	if err != nil {
		return trial{}, err
	}
	from := a.prober.Now()
	if err := s.fault(ctx, a, holder); err != nil {
		return trial{}, err
	}
	moved := a.awaitOther(ctx, holder, from, s.lasts)
	during := a.prober.Timeline(from)
	t := trial{Outage: during.Longest(), Moved: moved}
	if s.after != nil {
		if t.After, err = s.after(a, holder, during); err != nil {
			return t, err
		}
	}
	if err := s.mend(ctx, a, holder); err != nil {
		return t, err
	}
	_, err = a.settle(ctx)
	all := a.prober.Timeline(from)
	t.Overlap, t.Unclear = all.Overlap(), all.Unclear()
	return t, err
}

// awaitOther waits until the fault has lasted as it should: that long, or, if that is 0, until a host other than the
// holder has answered for aftermath or the contestant's patience is over. It reports whether another one answered.
func (a *arena) awaitOther(ctx context.Context, holder *lab.Host, from, lasts time.Duration) bool {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		first := a.firstOther(holder, from)
		now := a.prober.Now()
		switch {
		case lasts > 0 && now-from >= lasts:
			return first >= 0
		case lasts == 0 && first >= 0 && now-first >= aftermath:
			return true
		case lasts == 0 && now-from >= a.c.patience:
			return first >= 0
		}
	}
	return false
}

// firstOther is when a host other than this one first answered after from, negative if none has.
func (a *arena) firstOther(holder *lab.Host, from time.Duration) time.Duration {
	line, first := a.prober.Timeline(from), time.Duration(-1)
	for _, h := range a.Others(holder) {
		if at := line.First(h.Name); at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	return first
}

// logs is what the daemons wrote, for a contestant that did not come back.
func (a *arena) logs() string {
	text := ""
	for _, h := range a.Hosts {
		text += fmt.Sprintf("--- %s\n%s\n", h, a.daemons[h].Log())
	}
	return text
}
