package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
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

const (
	usualDetect = 500 * time.Millisecond // vipd's default
	quickDetect = 100 * time.Millisecond
)

// settings are the flags.
type settings struct {
	runs, peerRuns, faults, peerFaults int
	only, systems                      string
	idle                               time.Duration
	binary                             string
	json                               string
	seed                               uint64
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&s.runs, "runs", 20, "how often vipd meets each fault")
	f.IntVar(&s.peerRuns, "peer-runs", 5, "how often keepalived meets each fault; its timers hardly vary")
	f.IntVar(&s.faults, "faults", 100, "random faults for vipd")
	f.IntVar(&s.peerFaults, "peer-faults", 40, "random faults for keepalived")
	f.StringVar(&s.only, "only", "", "measure only these, separated by commas: "+strings.Join(parts(), ", "))
	f.StringVar(&s.systems, "systems", "", "measure only these columns, separated by commas: "+strings.Join(systems(), ", "))
	f.DurationVar(&s.idle, "idle", 30*time.Second, "how long to watch an idle holder")
	f.StringVar(&s.binary, "vipd", "", "the vipd to measure; built from this module if not given")
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
	return append(names, "random")
}

func systems() []string { return []string{"vipd", "vipd-100ms", "keepalived", "keepalived-fast"} }

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
	if err := write(stdout, s, columns); err != nil {
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
	b := &bench{only: list(s.only), idle: s.idle, seed: s.seed, progress: &sharedWriter{w: progress}}
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
	return columns
}

// contestants lists those that are wanted; those of one group are measured at the same time.
func contestants(s settings) [][]contestant {
	wanted := func(name string) bool { return s.systems == "" || slices.Contains(list(s.systems), name) }
	var groups [][]contestant
	if wanted("vipd") {
		groups = append(groups, []contestant{vipd(s.binary, usualDetect, s.runs, s.faults)})
	}
	if wanted("vipd-100ms") {
		fast := vipd(s.binary, quickDetect, s.runs, s.faults)
		fast.only = []string{"crash", "sigterm", "sigstop"}
		groups = append(groups, []contestant{fast})
	}
	var peers []contestant
	if wanted("keepalived") {
		peers = append(peers, keepalived("defaults", 0, s.peerRuns, s.peerFaults))
	}
	if wanted("keepalived-fast") {
		peers = append(peers, keepalived("advert_int 0.1", 100*time.Millisecond, s.peerRuns, s.peerFaults))
	}
	return append(groups, peers)
}

func write(w io.Writer, s settings, columns []column) error {
	if s.json != "" {
		text, err := json.MarshalIndent(columns, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.json, text, 0o644); err != nil {
			return err
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // an unknown kernel is left out
	fmt.Fprintf(w, "Three hosts in network namespaces, one floating address, a probe each millisecond straight to each host;\n"+
		"%[1]s, Linux %[2]s, %[3]d cores; runs: vipd %[5]d, keepalived %[6]d. A fault lasts until another host has answered for %[4]v.\n"+
		"two: the longest time for which two hosts answered, until all was well again; one of about %[4]v had no other end.\n\n",
		time.Now().Format(time.DateOnly), bytes.TrimSpace(kernel), runtime.NumCPU(), aftermath, s.runs, s.peerRuns)
	usual, quick := split(columns)
	for _, table := range [][]column{usual, quick} {
		if len(table) > 0 {
			writeTable(w, table)
			fmt.Fprintln(w)
		}
	}
	writeGoals(w, columns)
	return nil
}

// split puts vipd with a detect of its own choice into a table of its own: it meets only some of the faults.
func split(columns []column) (usual, quick []column) {
	for _, c := range columns {
		if c.Detect > 0 && c.Detect < usualDetect {
			quick = append(quick, c)
			continue
		}
		usual = append(usual, c)
	}
	return usual, quick
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
