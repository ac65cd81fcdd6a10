package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
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

// settings are the flags.
type settings struct {
	seed    uint64
	length  time.Duration
	hosts   int
	detect  time.Duration
	binary  string
	version string
	out     string
	page    string
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Uint64Var(&s.seed, "seed", 1, "of the faults")
	minutes := f.Float64("minutes", 2, "how long faults go on; the round that has begun by then is the last")
	f.IntVar(&s.hosts, "hosts", 3, "3 … 9")
	f.DurationVar(&s.detect, "detect", 500*time.Millisecond, "vipd's detect")
	f.StringVar(&s.binary, "vipd", "", "the vipd to run; built from this module if not given")
	f.StringVar(&s.version, "version", "", "of that vipd, for the page")
	f.StringVar(&s.out, "out", "", "directory for the page and the logs; dist/chaos-SEED if not given")
	f.StringVar(&s.page, "page", "", "only write the page anew from this run.json")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.length = time.Duration(*minutes * float64(time.Minute))
	if s.hosts < 3 || s.hosts > 9 {
		return s, fmt.Errorf("-hosts %d: 3 to 9 are possible", s.hosts)
	}
	if s.out == "" {
		s.out = filepath.Join("dist", fmt.Sprintf("chaos-%d", s.seed))
	}
	return s, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "chaos:", err)
		return 2
	}
	var rec record
	if s.page != "" {
		rec, err = load(s.page)
	} else {
		rec, err = wreak(ctx, s, stdout)
	}
	if len(rec.Rounds) > 0 { // also what came before an error is worth looking at
		err = errors.Join(err, keep(rec, s.out))
		rec.write(stdout)
		fmt.Fprintf(stdout, "\ntimeline: %s\n", filepath.Join(s.out, pageName))
	}
	if err != nil {
		lab.Complain(stderr, "chaos", err)
	}
	if err != nil || !rec.good() {
		return 1
	}
	return 0
}

// wreak makes a lab and havoc in it.
func wreak(ctx context.Context, s settings, progress io.Writer) (rec record, err error) {
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return rec, err
	}
	binary, remove, err := lab.Binary(ctx, s.binary)
	if err != nil {
		return rec, err
	}
	defer remove()
	r, err := newRig(ctx, binary, s.hosts, s.detect)
	if err != nil {
		return rec, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	rounds, err := r.rounds(ctx, s, progress)
	rec, gathered := r.record(s.seed, rounds)
	rec.Version = s.version
	return rec, errors.Join(err, gathered, r.keepLogs(s.out), r.prober.Stop())
}

// rounds waits until one host holds, and has round after round until their time is over or ctx ends, at most up to the
// first in which two hosts answered, no holder came back, or the lab failed.
func (r *rig) rounds(ctx context.Context, s settings, progress io.Writer) ([]round, error) {
	settling, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := r.whole(settling); err != nil {
		return nil, err
	}
	var rounds []round
	for end := time.Now().Add(s.length); ctx.Err() == nil && time.Now().Before(end); {
		number := len(rounds) + 1
		done, err := r.round(ctx, number, plan(s.seed, number, len(r.Hosts), kinds()))
		if ctx.Err() != nil {
			break // what was cut short proves nothing
		}
		rounds = append(rounds, done)
		r.tell(progress, done)
		two := r.prober.Timeline(done.From).Overlap() > 0
		if err != nil || done.Failure != "" || two {
			return rounds, err
		}
	}
	return rounds, nil
}

// tell prints a line about a round.
func (r *rig) tell(w io.Writer, done round) {
	r.mu.Lock()
	rec := record{Faults: r.faults, Detect: r.detect}
	r.mu.Unlock()
	outcome := fmt.Sprintf("%s back after %s", done.Holder, ms(done.Back))
	switch {
	case done.Failure != "":
		outcome = "NOT BACK: " + done.Failure
	case done.Back > 3*r.detect:
		outcome += ", LATE"
	}
	fmt.Fprintf(w, "%4d  %9s  %s; %s\n", done.Number, at(done.From), labels(rec.active(done.From, done.To)), outcome)
}

// keep writes the page and what it was made from.
func keep(rec record, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	page, err := render(rec)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "run.json"), text, 0o644), os.WriteFile(filepath.Join(dir, pageName), page, 0o644))
}

func load(file string) (rec record, err error) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &rec)
	}
	return rec, err
}
