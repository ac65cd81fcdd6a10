package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// patience is the time in which a round has to come back; it is generous, as the bound that is promised is 3 × detect.
const patience = 30 * time.Second

// happening is a fault that is active.
type happening struct {
	group group
	kind  string
	hosts []*lab.Host // empty: all
	blow  blow
}

func (h *happening) excludes(o *happening) bool {
	apart := len(h.hosts) > 0 && len(o.hosts) > 0 &&
		!slices.ContainsFunc(h.hosts, func(host *lab.Host) bool { return slices.Contains(o.hosts, host) })
	return !apart && (h.kind == o.kind && h.group != network || excludes(h.group, o.group))
}

// round lets the planned faults happen at the same time, mends them, and waits until one holder is back. An error is one
// of the lab, not of vipd.
func (r *rig) round(ctx context.Context, number int, faults []planned) (round, error) {
	result := round{Number: number, From: r.prober.Now()}
	var all sync.WaitGroup
	failures := make([]error, len(faults))
	for i, p := range faults {
		all.Go(func() { failures[i] = r.happen(ctx, number, p) })
	}
	all.Wait()
	result.Mended = r.allRun(r.prober.Now())
	r.recover(ctx, &result)
	result.To = r.prober.Now()
	return result, errors.Join(failures...)
}

// happen lets one fault happen and mends it, also if ctx ends meanwhile.
func (r *rig) happen(ctx context.Context, number int, p planned) error {
	lab.Pause(ctx, p.after)
	h := r.aim(p)
	if h == nil || ctx.Err() != nil {
		return nil
	}
	defer r.dismiss(h)
	f := fault{Round: number, Kind: p.kind.name, From: r.prober.Now()}
	if !p.kind.wide {
		f.Hosts = []string{h.blow.host.Name}
	}
	mend, detail, err := p.kind.begin(r, h.blow)
	if mend != nil {
		lab.Pause(ctx, p.lasts)
		err = errors.Join(err, mend())
	}
	f.Detail, f.To = detail, r.prober.Now()
	r.mu.Lock()
	r.faults = append(r.faults, f)
	r.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", f.label(), err)
	}
	return nil
}

// aim finds the host that the fault hits: the one that was planned or, if it can't be combined with what is wrong there,
// another. The fault is active then. It returns nil if there is none.
func (r *rig) aim(p planned) *happening {
	victim := r.Hosts[p.host]
	if holder := r.prober.Answering(); p.holder && holder != nil {
		victim = holder
	}
	for _, host := range append([]*lab.Host{victim}, r.Others(victim)...) {
		h := &happening{kind: p.kind.name, group: p.kind.group}
		h.blow = blow{host: host, other: r.Others(host)[p.other], random: rand.New(rand.NewPCG(p.seed, 0))}
		if !p.kind.wide {
			h.hosts = []*lab.Host{host}
		}
		if p.kind.group == input {
			h.hosts = append(h.hosts, h.blow.other) // whose network it uses
		}
		if r.admit(h) {
			return h
		}
	}
	return nil
}

// admit notes that the fault is active, unless it can't be combined with one that is.
func (r *rig) admit(h *happening) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other := range r.active {
		if h.excludes(other) {
			return false
		}
	}
	r.active[h] = true
	return true
}

func (r *rig) dismiss(h *happening) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.active, h)
}

// recover waits until one host answers alone and steadily and every host names it, and notes since when it answers.
func (r *rig) recover(ctx context.Context, result *round) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %v", patience))
	defer cancel()
	result.Back = -1
	holder, err := r.whole(ctx)
	if err != nil {
		result.Failure = err.Error()
		return
	}
	since := r.steadySince(holder)
	result.Holder, result.Back = holder.Name, max(0, since-result.Mended)
}

// whole waits until all hosts name one leader which alone answers for 2 × detect, so that daemons that were started anew
// may vote again.
func (r *rig) whole(ctx context.Context) (*lab.Host, error) {
	return r.prober.Whole(ctx, 2*r.detect, r.Agreed)
}

// steadySince is since when that host alone has answered without a gap; ticks that the prober left out are none.
func (r *rig) steadySince(holder *lab.Host) time.Duration {
	now := r.prober.Now() - 2*time.Millisecond // answers to the newest rounds are still under way
	line := r.prober.Timeline(now - 2*patience)
	line = line.Between(line.Start, now)
	own := lab.Answers(1) << slices.Index(r.Hosts, holder)
	since := line.Start + time.Duration(len(line.Ticks))*line.Interval
	for i, tick := range slices.Backward(line.Ticks) {
		switch {
		case tick.Sent < 0:
		case tick.Answered != own:
			return since
		default:
			since = line.Start + time.Duration(i)*line.Interval
		}
	}
	return since
}
