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
	length time.Duration // of each attack
	only   []string      // names of attacks; all, if none is given
	binary string
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("attack", flag.ContinueOnError)
	f.SetOutput(stderr)
	seconds := f.Float64("seconds", 5, "how long each attack goes on")
	only := f.String("only", "", "run only these attacks: NAME,…")
	f.StringVar(&s.binary, "vipd", "", "the vipd to attack; built from this module if not given")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.length = time.Duration(*seconds * float64(time.Second))
	if *only == "" {
		return s, nil
	}
	s.only = strings.Split(*only, ",")
	for _, name := range s.only {
		if !slices.ContainsFunc(attacks(), func(a attack) bool { return a.name == name }) {
			return s, fmt.Errorf("there is no attack %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	return s, nil
}

func names() []string {
	var all []string
	for _, a := range attacks() {
		all = append(all, a.name)
	}
	return all
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == strikeWord {
		return beAttacker(ctx, args[1:], stdout, stderr)
	}
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "attack:", err)
		return 2
	}
	rows, err := besiege(ctx, s, stdout)
	if err != nil {
		lab.Complain(stderr, "attack", err)
	}
	if err != nil || slices.ContainsFunc(rows, row.broken) {
		return 1
	}
	return 0
}

// besiege builds the stage and runs the attacks, one after the other. Each row is printed as it is done.
func besiege(ctx context.Context, set settings, out io.Writer) (rows []row, err error) {
	binary, remove, err := lab.Binary(ctx, set.binary)
	if err != nil {
		return nil, err
	}
	defer remove()
	s, err := newStage(ctx, binary)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	s.introduce(out)
	for _, a := range attacks() {
		if len(set.only) > 0 && !slices.Contains(set.only, a.name) {
			continue
		}
		r, err := s.suffer(ctx, a, set.length)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", a.name, err)
		}
		rows = append(rows, r)
		r.write(out)
	}
	last, err := s.afterwards(ctx)
	last.write(out)
	return append(rows, last), errors.Join(err, s.prober.Stop())
}
