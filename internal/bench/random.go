package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/vipd/vipd/internal/lab"
	"golang.org/x/sys/unix"
)

// spree is what a number of random faults in a row did.
type spree struct {
	Faults   int           `json:"faults"`
	Overlap  time.Duration `json:"overlap_ns"`
	Overlaps int           `json:"overlaps"` // how many times two hosts began to answer
	Unclear  int           `json:"unclear"`
	Longest  time.Duration `json:"longest_ns"` // without an answer
	Answered float64       `json:"answered"`   // share of the time in which somebody answered
}

// mishap is a fault as the spree uses it: it may strike any host, and its mending must work whatever came of it.
type mishap struct {
	name        string
	fault, mend act
}

func mishaps(c contestant) []mishap {
	all := []mishap{
		{"crash", crash, heal},
		{"cut", cut(lab.Both), heal},
		{"cut inwards", cut(lab.In), heal},
		{"cut outwards", cut(lab.Out), heal},
		{"loss", loss(33), loss(0)},
		{"freeze", ifRunning(unix.SIGSTOP), ifRunning(unix.SIGCONT)},
		{"kill", ifRunning(unix.SIGKILL), revive},
		{"stop", stop, restart},
	}
	if c.transfer != nil {
		all = append(all, mishap{"transfer", tryTransfer, nothing})
	}
	return all
}

// ifRunning signals the daemon, unless it is down at the moment.
func ifRunning(sig unix.Signal) act {
	return func(_ context.Context, a *arena, h *lab.Host) error {
		if a.daemons[h].PID() != 0 {
			_ = a.daemons[h].Signal(sig) // it may end in this very moment
		}
		return nil
	}
}

// tryTransfer asks for a transfer, which may well be refused in the middle of other trouble.
func tryTransfer(ctx context.Context, a *arena, h *lab.Host) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_ = a.c.transfer(ctx, a.Lab, h)
	return nil
}

// goWild lets faults happen one after another, most of them to the holder, with too little time to recover between.
func (a *arena) goWild(ctx context.Context, faults int, random *rand.Rand, progress io.Writer) (spree, error) {
	if _, err := a.settle(ctx); err != nil {
		return spree{}, err
	}
	from := a.prober.Now()
	all := mishaps(a.c)
	for i := range faults {
		victim := a.victim(random)
		m := all[random.IntN(len(all))]
		fmt.Fprintf(progress, "%s, %s: random fault %d of %d: %s of %s\n", a.c.name, a.c.detail, i+1, faults, m.name, victim)
		if err := m.fault(ctx, a, victim); err != nil {
			return spree{}, err
		}
		lab.Pause(ctx, time.Duration(random.IntN(1500))*time.Millisecond)
		if err := m.mend(ctx, a, victim); err != nil {
			return spree{}, err
		}
		lab.Pause(ctx, time.Duration(random.IntN(1000))*time.Millisecond)
		if ctx.Err() != nil {
			return spree{}, ctx.Err()
		}
	}
	_, err := a.settle(ctx)
	return judge(a.prober.Timeline(from), faults), err
}

func judge(t lab.Timeline, faults int) spree {
	s := spree{Faults: faults, Overlap: t.Overlap(), Overlaps: len(t.Overlaps()), Unclear: t.Unclear(), Longest: t.Longest()}
	var silent time.Duration
	for _, outage := range t.Outages(0) {
		silent += outage.Length()
	}
	if length := time.Duration(len(t.Ticks)) * t.Interval; length > 0 {
		s.Answered = 1 - float64(silent)/float64(length)
	}
	return s
}

// victim is the host that answers now, two times out of three, and any host otherwise.
func (a *arena) victim(random *rand.Rand) *lab.Host {
	if holder := a.prober.Answering(); random.IntN(3) > 0 && holder != nil {
		return holder
	}
	return a.Hosts[random.IntN(len(a.Hosts))]
}
