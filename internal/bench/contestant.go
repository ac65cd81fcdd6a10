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
	runs     int           // how often each fault is tried
	faults   int           // how many random faults are tried
	calm     time.Duration // for so long one host must have answered alone before the next fault
	patience time.Duration // how long another host may take to answer
	only     []string      // the scenarios that it takes part in; nil means all

	start    func(h *lab.Host, index int, check string) (*lab.Daemon, error)
	form     func(ctx context.Context, l *lab.Lab) error                 // after all have started
	whole    func(ctx context.Context, l *lab.Lab) (*lab.Host, error)    // waits until all is as it should be, says who then holds
	transfer func(ctx context.Context, l *lab.Lab, from *lab.Host) error // the planned way; nil if there is none
	revive   func(d *lab.Daemon) error                                   // what follows the daemon's death
}

func vipd(binary string, detect time.Duration, runs, faults int) contestant {
	return contestant{
		name: "vipd", detail: "detect " + detect.String(), detect: detect, runs: runs, faults: faults,
		calm: 2 * detect, patience: max(10*detect, 5*time.Second),
		start: func(h *lab.Host, _ int, check string) (*lab.Daemon, error) {
			return h.StartVipd(lab.VipdConfig{Binary: binary, Detect: detect, Check: check})
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
func keepalived(detail string, advertInt time.Duration, runs, faults int) contestant {
	period := max(advertInt, 100*time.Millisecond)
	if advertInt == 0 {
		period = time.Second
	}
	return contestant{
		name: "keepalived 2.2.7", detail: detail, runs: runs, faults: faults,
		calm: 500 * time.Millisecond, patience: max(6*period, 4*time.Second),
		start: func(h *lab.Host, index int, check string) (*lab.Daemon, error) {
			return h.StartKeepalived(lab.KeepalivedConfig{Priority: 101 - index, AdvertInt: advertInt, Check: check})
		},
		form:   func(context.Context, *lab.Lab) error { return nil },
		whole:  func(_ context.Context, l *lab.Lab) (*lab.Host, error) { return l.Hosts[0], nil },
		revive: func(d *lab.Daemon) error { return d.Restart() }, // its unit has no Restart=, somebody has to come
	}
}
