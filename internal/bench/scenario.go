package main

import (
	"context"
	"errors"
	"time"

	"github.com/vipd/vipd/internal/lab"
	"golang.org/x/sys/unix"
)

// act does something to the holder.
type act func(ctx context.Context, a *arena, holder *lab.Host) error

// scenario is a fault and how it is mended.
type scenario struct {
	id, title   string
	fault, mend act
	seldom      bool          // how often it is tried is a setting of its own
	web         bool          // a move that was planned: the crowd watches it, too
	lasts       time.Duration // 0: until another host answers
	after       func(a *arena, holder *lab.Host, during lab.Timeline) (time.Duration, error)
}

// scenarios lists those that are tried again and again, in the order of the table.
func scenarios() []scenario {
	return []scenario{
		{id: "crash", title: "host crash", fault: crash, mend: heal},
		{id: "transfer", title: "planned transfer", fault: transfer, mend: nothing, web: true},
		{id: "sigterm", title: "daemon stopped (SIGTERM)", fault: stop, mend: restart, web: true},
		{id: "sigkill", title: "daemon killed (SIGKILL)", fault: send(unix.SIGKILL), mend: revive, seldom: true},
		{id: "sigstop", title: "daemon frozen, then thawed", fault: send(unix.SIGSTOP), mend: send(unix.SIGCONT), seldom: true},
		{id: "cut", title: "peers cut off", fault: cut(lab.Both), mend: heal, seldom: true},
		{id: "cut-in", title: "peers cut off, inwards only", fault: cut(lab.In), mend: heal, seldom: true},
		{id: "cut-out", title: "peers cut off, outwards only", fault: cut(lab.Out), mend: heal, seldom: true},
		{id: "loss", title: "33 % loss between hosts, 5 s", fault: loss(33), mend: loss(0), lasts: 5 * time.Second, seldom: true},
		{id: "check", title: "failing check", fault: sicken, mend: cure, after: sinceFailure},
	}
}

func nothing(context.Context, *arena, *lab.Host) error          { return nil }
func crash(_ context.Context, _ *arena, h *lab.Host) error      { return h.Crash() }
func heal(_ context.Context, _ *arena, h *lab.Host) error       { return h.Heal() }
func stop(_ context.Context, a *arena, h *lab.Host) error       { return a.daemons[h].Stop() }
func restart(_ context.Context, a *arena, h *lab.Host) error    { return a.daemons[h].Restart() }
func revive(_ context.Context, a *arena, h *lab.Host) error     { return a.c.revive(a.daemons[h]) }
func sicken(_ context.Context, _ *arena, h *lab.Host) error     { return h.Sicken() }
func cure(_ context.Context, _ *arena, h *lab.Host) error       { return h.Cure() }
func transfer(ctx context.Context, a *arena, h *lab.Host) error { return a.c.transfer(ctx, a.Lab, h) }

func send(sig unix.Signal) act {
	return func(_ context.Context, a *arena, h *lab.Host) error { return a.daemons[h].Signal(sig) }
}

func cut(d lab.Direction) act {
	return func(_ context.Context, _ *arena, h *lab.Host) error { return h.CutPeers(d) }
}

func loss(percent int) act {
	return func(_ context.Context, a *arena, _ *lab.Host) error { return a.Loss(percent) }
}

// sinceFailure is the time from the first failure of the holder's check to the first answer of another host.
func sinceFailure(a *arena, holder *lab.Host, during lab.Timeline) (time.Duration, error) {
	failures, err := holder.Failures()
	if err != nil {
		return 0, err
	}
	first := a.firstOther(holder, during.Start)
	if len(failures) == 0 || first < 0 {
		return 0, errors.New("the check did not fail, or the address did not move")
	}
	return first - a.prober.At(failures[0]), nil
}
