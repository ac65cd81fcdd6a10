package main

import (
	"context"
	"slices"
	"time"

	"github.com/vipd/vipd/internal/lab"
	"golang.org/x/sys/unix"
)

// act is one trouble: what it is, how it is made, and how it ends.
type act struct {
	title   string
	story   string // what happens to the holder, %s
	trouble func(ctx context.Context, s *stage, holder *lab.Host) error
	mended  string // what ends it, %s is the host; "" if nothing has to
	mend    func(s *stage, h *lab.Host) error
	shown   time.Duration // how long the audience watches
}

func acts() []act {
	return []act{
		{
			title: "crash of the leader", story: "every packet to and from %s is dropped, ARP too", shown: 1500 * time.Millisecond,
			trouble: func(_ context.Context, _ *stage, h *lab.Host) error { return h.Crash() },
			mended:  "%s is back on the network", mend: func(_ *stage, h *lab.Host) error { return h.Heal() },
		},
		{
			title: "daemon killed", story: "SIGKILL for vipd on %s; systemd starts it again after a second", shown: 1500 * time.Millisecond,
			trouble: send(unix.SIGKILL),
		},
		{
			title: "daemon frozen", story: "SIGSTOP for vipd on %s, and nobody there to take the address off", shown: 1500 * time.Millisecond,
			trouble: send(unix.SIGSTOP),
			mended:  "SIGCONT: vipd on %s goes on where it stood", mend: func(s *stage, h *lab.Host) error { return s.daemons[h].Signal(unix.SIGCONT) },
		},
		{
			title: "peers cut off", story: "%s and its peers no longer hear each other, but clients still reach all of them", shown: 1500 * time.Millisecond,
			trouble: func(_ context.Context, _ *stage, h *lab.Host) error { return h.CutPeers(lab.Both) },
			mended:  "%s hears its peers again", mend: func(_ *stage, h *lab.Host) error { return h.Heal() },
		},
		{
			title: "failed check", story: "the health check on %s fails from now on; interval 1 s, fall 2", shown: 2800 * time.Millisecond,
			trouble: func(_ context.Context, _ *stage, h *lab.Host) error { return h.Sicken() },
			mended:  "the check on %s succeeds again", mend: func(_ *stage, h *lab.Host) error { return h.Cure() },
		},
		{
			title: "planned transfer", story: "an operator types on %s", shown: 1000 * time.Millisecond,
			trouble: func(ctx context.Context, s *stage, h *lab.Host) error {
				_, err := s.types(ctx, h, "transfer")
				return err
			},
		},
	}
}

func send(sig unix.Signal) func(context.Context, *stage, *lab.Host) error {
	return func(_ context.Context, s *stage, h *lab.Host) error { return s.daemons[h].Signal(sig) }
}

// outcome is what the audience will remember of an act.
type outcome struct {
	title     string
	from, to  string
	nobody    time.Duration
	two       time.Duration
	pageAfter time.Duration // from the last answer of the old holder to the first page of the new one
	lost      int           // requests through the balancer that failed
}

// lead is how much of the time before the trouble is shown.
const lead = 200 * time.Millisecond

// perform performs an act and waits until all is well again.
func (s *stage) perform(ctx context.Context, number int, a act) (outcome, error) {
	holder, err := s.whole(ctx)
	if err != nil {
		return outcome{}, err
	}
	s.out.heading("%d. %s", number, a.title)
	s.out.line(a.story, holder)
	began, from := time.Now(), s.prober.Now()
	if err := a.trouble(ctx, s, holder); err != nil {
		return outcome{}, err
	}
	s.out.watch(ctx, s.prober, from-lead, from+a.shown, from)
	shown := s.prober.Timeline(from)
	if a.mend != nil {
		s.out.line(a.mended, holder)
		if err := a.mend(s, holder); err != nil {
			return outcome{}, err
		}
	}
	heir, err := s.whole(ctx)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{
		title: a.title, from: holder.Name, to: heir.Name,
		nobody: shown.Longest(), two: s.prober.Timeline(from).Overlap(),
	}
	o.pageAfter, o.lost = pages(s.visitor.Visits(began), heir.Name, began.Add(shown.Last(holder.Name)-from))
	s.out.line("%s", o)
	return o, nil
}

// pages says how long after the old holder's last answer the new holder's page was there, and how many requests failed.
func pages(visits []lab.Visit, heir string, gone time.Time) (after time.Duration, lost int) {
	for _, v := range visits {
		if v.Err != nil {
			lost++
		}
	}
	i := slices.IndexFunc(visits, func(v lab.Visit) bool { return v.Err == nil && v.Page == heir })
	if i < 0 {
		return -1, lost
	}
	return visits[i].At.Add(visits[i].Took).Sub(gone), lost
}
