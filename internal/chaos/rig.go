package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// restartDelay is the supervisor's, as in deploy/vipd.service.
const restartDelay = time.Second

// diskSize is that of each host's data_dir, in MiB.
const diskSize = 8

// rig is a lab in which vipd runs on every host with a disk of its own.
type rig struct {
	*lab.Lab
	detect  time.Duration
	prober  *lab.Prober
	daemons map[*lab.Host]*lab.Daemon
	disks   map[*lab.Host]*lab.Disk

	mu     sync.Mutex
	active map[*happening]bool
	faults []fault
}

func newRig(ctx context.Context, binary string, hosts int, detect time.Duration) (*rig, error) {
	l, err := lab.New(lab.Config{Hosts: hosts})
	if err != nil {
		return nil, err
	}
	r := &rig{
		Lab: l, detect: detect, daemons: map[*lab.Host]*lab.Daemon{}, disks: map[*lab.Host]*lab.Disk{},
		active: map[*happening]bool{},
	}
	if err := r.open(ctx, binary); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return r, nil
}

func (r *rig) open(ctx context.Context, binary string) error {
	var err error
	if r.prober, err = r.StartProber(); err != nil {
		return err
	}
	for _, h := range r.Hosts {
		if r.disks[h], err = h.InstallDisk("vipd", diskSize); err != nil {
			return err
		}
		cfg := lab.VipdConfig{Binary: binary, Detect: r.detect, RestartDelay: restartDelay}
		if cfg.Notify, err = h.InstallNotify(); err != nil {
			return err
		}
		if r.daemons[h], err = h.StartVipd(cfg); err != nil {
			return err
		}
	}
	return r.FormCluster(ctx)
}

// mendDisk is a mend.
func (r *rig) mendDisk(h *lab.Host) func() error {
	return func() error { r.disks[h].Mend(); return nil }
}

// startedAgain waits until the supervisor has started the daemon more often than that many times.
func startedAgain(d *lab.Daemon, times int) error {
	err := lab.WaitFor(patience, func() (bool, error) { return len(d.Starts()) > times, nil })
	if err != nil {
		return fmt.Errorf("start a killed daemon again: %w", err)
	}
	return nil
}

// allRun waits until every daemon runs, and returns when the last one that was down was started. A daemon that does not
// come back is missed by recover.
func (r *rig) allRun(since time.Duration) time.Duration {
	_ = lab.WaitFor(patience, func() (bool, error) {
		return !slices.ContainsFunc(r.Hosts, func(h *lab.Host) bool { return r.daemons[h].PID() == 0 }), nil
	})
	return r.lastStart(since)
}

// lastStart is the last instant after since at which a daemon was started, or since.
func (r *rig) lastStart(since time.Duration) time.Duration {
	for _, d := range r.daemons {
		starts := d.Starts()
		since = max(since, r.prober.At(starts[len(starts)-1]))
	}
	return since
}

// record gathers all that is known.
func (r *rig) record(seed uint64, rounds []round) (record, error) {
	all := r.prober.Timeline(0)
	rec := record{
		Seed: seed, Began: time.Now().Add(-r.prober.Now()), Hosts: all.Hosts, Detect: r.detect, Restart: restartDelay,
		Length: time.Duration(len(all.Ticks)) * all.Interval, Rounds: rounds, Overlap: all.Overlaps(),
		Missed: all.Missed(), Unclear: all.Unclear(),
	}
	// Until the first round everything is only being set up.
	if len(rounds) > 0 {
		rec.Answers = all.Between(rounds[0].From, rec.Length).Spans()
	}
	r.mu.Lock()
	rec.Faults = slices.Clone(r.faults)
	r.mu.Unlock()
	slices.SortFunc(rec.Faults, func(a, b fault) int { return int(a.From - b.From) })
	var failed error
	for _, h := range r.Hosts {
		wrong, err := h.HooksOutOfOrder()
		failed = errors.Join(failed, err)
		rec.Hooks = append(rec.Hooks, wrong...)
		rec.Events = append(rec.Events, r.starts(h)...)
	}
	rec.Events = append(rec.Events, r.changes()...)
	slices.SortFunc(rec.Events, func(a, b event) int { return int(a.At - b.At) })
	return rec, failed
}

// starts are the restarts of the daemon.
func (r *rig) starts(h *lab.Host) []event {
	var events []event
	for _, at := range r.daemons[h].Starts()[1:] {
		events = append(events, event{At: r.prober.At(at), Host: h.Name, Kind: "start", Text: "vipd started again"})
	}
	return events
}

// keepLogs copies what the daemons and hooks wrote into a directory.
func (r *rig) keepLogs(dir string) error {
	var failed error
	for _, h := range r.Hosts {
		for _, name := range []string{"vipd.log", "notify.log"} {
			text, err := os.ReadFile(filepath.Join(h.Dir, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, h.Name+"-"+name), text, 0o644)
			}
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
