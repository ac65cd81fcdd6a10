package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const usualDetect = 500 * time.Millisecond // vipd's default

// settings are the flags.
type settings struct {
	runs, seldomRuns, peerRuns int
	faults, peerFaults         int
	only, systems              string
	idle                       time.Duration
	binary                     string
	prepare                    bool
	json, markdown             string
	seed                       uint64
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&s.runs, "runs", 30, "how often vipd meets each of crash, transfer, sigterm and check, and moves before the crowd (web)")
	f.IntVar(&s.seldomRuns, "seldom-runs", 5, "how often vipd meets each of the other faults")
	f.IntVar(&s.peerRuns, "peer-runs", 4, "how often keepalived meets each fault; its timers hardly vary, so more than a few, such as 30, only take longer")
	f.IntVar(&s.faults, "faults", 100, "random faults for vipd")
	f.IntVar(&s.peerFaults, "peer-faults", 40, "random faults for keepalived")
	f.StringVar(&s.only, "only", "", "measure only these, separated by commas: "+strings.Join(parts(), ", "))
	f.StringVar(&s.systems, "systems", "", "measure only these columns, separated by commas: "+strings.Join(systems(), ", "))
	f.DurationVar(&s.idle, "idle", 30*time.Second, "how long to watch an idle holder")
	f.StringVar(&s.binary, "vipd", "", "the vipd to measure; built from this module if not given")
	f.BoolVar(&s.prepare, "prepare", false, "for web, httpd is started by hooks.prepare and ended gently; without, a plain notify script does both")
	f.StringVar(&s.markdown, "markdown", "", "also write the tables to this file, as they stand in README.md")
	f.StringVar(&s.json, "json", "", "also write each single measurement to this file, as JSON")
	f.Uint64Var(&s.seed, "seed", 1, "of the random faults")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	for _, known := range []struct{ given, all []string }{{list(s.only), parts()}, {list(s.systems), systems()}} {
		for _, name := range known.given {
			if !slices.Contains(known.all, name) {
				return s, fmt.Errorf("unknown name %q; there are %s", name, strings.Join(known.all, ", "))
			}
		}
	}
	return s, nil
}

func list(commas string) []string {
	if commas == "" {
		return nil
	}
	return strings.Split(commas, ",")
}

func parts() []string {
	names := []string{"idle"}
	for _, s := range scenarios() {
		names = append(names, s.id)
	}
	return append(names, "random", "web")
}

// otherDetects are those with which vipd meets crashes and transfers alone.
var otherDetects = []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, time.Second}

func systems() []string {
	names := []string{"vipd"}
	for _, detect := range otherDetects {
		names = append(names, "vipd-"+detect.String())
	}
	return append(names, "keepalived", "keepalived-fast")
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	binary, remove, err := lab.Binary(ctx, s.binary)
	if err != nil {
		lab.Complain(stderr, "bench", err)
		return 1
	}
	defer remove()
	s.binary = binary
	columns := measureAll(ctx, s, stderr)
	if err := report(stdout, s, columns); err != nil {
		lab.Complain(stderr, "bench", err)
		return 1
	}
	for _, c := range columns {
		if c.Detect > 0 && (c.overlapped() || len(c.Failed) > 0) {
			return 1
		}
	}
	return 0
}

// measureAll measures vipd alone on the machine, and after it both keepaliveds at the same time: they idle nearly
// always, and their timers are too slow to be disturbed.
func measureAll(ctx context.Context, s settings, progress io.Writer) []column {
	b := &bench{only: list(s.only), web: apache, idle: s.idle, seed: s.seed, progress: &sharedWriter{w: progress}}
	if s.prepare {
		b.web = gentleApache
	}
	var columns []column
	for _, group := range contestants(s) {
		measured := make([]column, len(group))
		var all sync.WaitGroup
		for i, c := range group {
			all.Go(func() { measured[i] = b.measure(ctx, c) })
		}
		all.Wait()
		columns = append(columns, measured...)
	}
	for i := range columns {
		columns[i].Prepared = s.prepare && columns[i].Detect > 0
	}
	return columns
}

// contestants lists those that are wanted; those of one group are measured at the same time.
func contestants(s settings) [][]contestant {
	wanted := func(name string) bool { return s.systems == "" || slices.Contains(list(s.systems), name) }
	var groups [][]contestant
	if wanted("vipd") {
		groups = append(groups, []contestant{vipd(s, usualDetect)})
	}
	for _, detect := range otherDetects {
		if wanted("vipd-" + detect.String()) {
			other := vipd(s, detect)
			other.only = []string{"crash", "transfer"}
			groups = append(groups, []contestant{other})
		}
	}
	var peers []contestant
	if wanted("keepalived") {
		peers = append(peers, keepalived(s, "defaults", 0))
	}
	if wanted("keepalived-fast") {
		peers = append(peers, keepalived(s, "advert_int 0.1", 100*time.Millisecond))
	}
	return append(groups, peers)
}

// sharedWriter lets several goroutines write whole lines.
type sharedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sharedWriter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}
