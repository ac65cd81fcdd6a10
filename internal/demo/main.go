package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/vipd/vipd/internal/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout *os.File, stderr io.Writer) int {
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	binary := f.String("vipd", "", "the vipd to show; built from this module if not given")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	safe, err := show(ctx, *binary, newScreen(stdout))
	if err != nil {
		lab.Complain(stderr, "demo", err)
	}
	if err != nil || !safe {
		return 1
	}
	return 0
}

// show is the whole demo. It reports whether everything went as it should.
func show(ctx context.Context, binary string, out *screen) (safe bool, err error) {
	binary, remove, err := lab.Binary(ctx, binary)
	if err != nil {
		return false, err
	}
	defer remove()
	l, err := lab.New(lab.Config{})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	s := &stage{Lab: l, out: out, binary: binary, daemons: map[*lab.Host]*lab.Daemon{}}
	if err := s.build(ctx); err != nil {
		return false, err
	}
	var outcomes []outcome
	for i, a := range acts() {
		o, err := s.perform(ctx, i+1, a)
		if err != nil {
			return false, fmt.Errorf("%s: %w", a.title, err)
		}
		outcomes = append(outcomes, o)
	}
	return s.conclude(outcomes), s.prober.Stop()
}
