package main

import (
	"context"
	"fmt"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// contestant is one of the things compared. Its functions say how people run it.
type contestant struct {
	name     string        // of the column
	detail   string        // under the name
	detect   time.Duration // what it is set to; the ratios are to this; 0 if it has no such setting
	runs     int           // how often each fault is tried, and each move under the eyes of the crowd
	seldom   int           // how often those faults are tried that are seldom
	faults   int           // how many random faults are tried
	calm     time.Duration // for so long one host must have answered alone before the next fault
	patience time.Duration // how long another host may take to answer
	only     []string      // the scenarios that it takes part in; nil means all

	install  func(h *lab.Host) (scripts, error) // before start
	start    func(h *lab.Host, index int, s scripts) (*lab.Daemon, error)
	form     func(ctx context.Context, l *lab.Lab) error                 // after all have started
	whole    func(ctx context.Context, l *lab.Lab) (*lab.Host, error)    // waits until all is as it should be, says who then holds
	transfer func(ctx context.Context, l *lab.Lab, from *lab.Host) error // the planned way; nil if there is none
	revive   func(d *lab.Daemon) error                                   // what follows the daemon's death
}

// scripts are those that a host has for the daemons to call; "" for none.
type scripts struct{ check, notify, prepare string }

// onlyCheck is what the hosts have while the prober alone looks.
func onlyCheck(h *lab.Host) (s scripts, err error) {
	s.check, err = h.InstallCheck()
	return s, err
}

func vipd(s settings, detect time.Duration) contestant {
	return contestant{
		name: "vipd", detail: fmt.Sprintf("detect %d ms", detect.Milliseconds()), detect: detect,
		runs: s.runs, seldom: s.seldomRuns, faults: s.faults,
		calm: 2 * detect, patience: max(10*detect, 5*time.Second),
		install: onlyCheck,
		start: func(h *lab.Host, _ int, on scripts) (*lab.Daemon, error) {
			return h.StartVipd(lab.VipdConfig{Binary: s.binary, Detect: detect, Check: on.check, Notify: on.notify, Prepare: on.prepare})
		},
		form:  func(ctx context.Context, l *lab.Lab) error { return l.FormCluster(ctx) },
		whole: func(ctx context.Context, l *lab.Lab) (*lab.Host, error) { return l.Agreed(ctx) },
		transfer: func(ctx context.Context, _ *lab.Lab, from *lab.Host) error {
			r, err := from.Vipd(ctx, "transfer")
			if err == nil && r.Code != 0 {
				err = fmt.Errorf("vipd transfer: exit code %d: %s", r.Code, r.Stderr)
			}
			return err
		},
		revive: func(*lab.Daemon) error { return nil }, // its unit has Restart=always
	}
}

// keepalived has priorities as its users set them, so the first host takes the address back whenever it can.
func keepalived(s settings, detail string, advertInt time.Duration) contestant {
	period := max(advertInt, 100*time.Millisecond)
	if advertInt == 0 {
		period = time.Second
	}
	return contestant{
		name: "keepalived 2.2.7", detail: detail,
		runs: s.peerRuns, seldom: min(s.peerRuns, s.seldomRuns), faults: s.peerFaults,
		calm: 500 * time.Millisecond, patience: max(6*period, 4*time.Second),
		install: onlyCheck,
		start: func(h *lab.Host, index int, on scripts) (*lab.Daemon, error) {
			return h.StartKeepalived(lab.KeepalivedConfig{Priority: 101 - index, AdvertInt: advertInt, Check: on.check, Notify: on.notify})
		},
		form:   func(context.Context, *lab.Lab) error { return nil },
		whole:  func(_ context.Context, l *lab.Lab) (*lab.Host, error) { return l.Hosts[0], nil },
		revive: func(d *lab.Daemon) error { return d.Restart() }, // its unit has no Restart=, somebody has to come
	}
}

// meets is how often it meets that fault.
func (c contestant) meets(s scenario) int {
	if s.seldom {
		return c.seldom
	}
	return c.runs
}
