package health

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// killGrace is how long a killed script is waited for. Only a process that hangs inside the kernel (a dead NFS server, say)
// takes longer.
const killGrace = 200 * time.Millisecond

// runner runs one check, over and over.
type runner struct {
	check Check
	start func(Check) (*process, error)
	stuck *process // was killed, but is not gone
}

// run runs the check once and returns the end of its output. The error says why the run counts as failed.
//
// It takes at most the timeout and killGrace. While a process of an earlier run can't be killed no other one is started, or
// they would become more and more.
func (r *runner) run(ctx context.Context) (output string, err error) {
	if r.stuck != nil && !r.stuck.gone() {
		return "", errors.New("a process of an earlier run hangs in the kernel and can't be killed")
	}
	r.stuck = nil
	p, err := r.start(r.check)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.check.Timeout, p.late(r.check.Timeout))
	defer cancel()
	select {
	case <-p.exited:
		return p.output(), p.err
	case <-ctx.Done():
	}
	p.kill()
	select {
	case <-p.exited:
		return p.output(), context.Cause(ctx)
	case <-time.After(killGrace):
		r.stuck = p
		return "", fmt.Errorf("%w, but it hangs in the kernel", context.Cause(ctx))
	}
}

// process is one running probe: a script, the leader of its own process group, or a function.
type process struct {
	probe  string        // what a function tries; empty for a script
	kill   func()        // kills the whole group
	exited chan struct{} // closed when it is gone; only then the rest may be read
	err    error
	output func() string
}

// call makes a process of a function that returns soon after ctx has ended.
func call(probe string, f func(ctx context.Context) error) *process {
	ctx, kill := context.WithCancel(context.Background())
	p := &process{probe: probe, kill: kill, exited: make(chan struct{}), output: func() string { return "" }}
	go func() {
		defer close(p.exited)
		defer kill()
		p.err = f(ctx)
	}()
	return p
}

// late says why a process that was not over in time counts as failed.
func (p *process) late(timeout time.Duration) error {
	if p.probe == "" {
		return fmt.Errorf("still running after %v, killed", timeout)
	}
	return fmt.Errorf("%s: no answer within %v", p.probe, timeout)
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// describe puts an error of os/exec into words for the operator.
func describe(argv []string, err error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return err // "exit status 1", "signal: killed"
	}
	return fmt.Errorf("run %s: %w", argv[0], err)
}
