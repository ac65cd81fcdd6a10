package hooks

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Runner calls the scripts, one call at a time.
type Runner struct {
	cfg  Config
	log  *zap.Logger
	turn chan struct{} // holds the right to run a script
	call func(ctx context.Context, command []string, e Event) error
}

// NewRunner returns a Runner that calls the scripts of cfg and writes their output to log.
func NewRunner(cfg Config, log *zap.Logger) *Runner {
	r := &Runner{cfg: cfg, log: log, turn: make(chan struct{}, 1)}
	r.call = r.execute
	return r
}

// RunInstead makes the Runner call f where it would start a script; the State of the event says which. It is for simulations,
// which start none; f returns soon after ctx has ended. It must be called before any other method.
func (r *Runner) RunInstead(f func(context.Context, Event) error) {
	r.call = func(ctx context.Context, _ []string, e Event) error { return f(ctx, e) }
}

// Run tells the notify script of e and blocks until the script has exited. Calls made meanwhile wait for their turn.
//
// The script gets, after its own arguments, INSTANCE, the instance's name, the state and the priority. Its environment is PATH,
// LANG, HOME and the VIPD_ variables, and nothing else. It runs as Config.User. Its standard input is empty; its output goes to the log line by line.
//
// Run fails if the script can't be started, exits with another status than 0, or runs longer than Config.Timeout or ctx; the
// last two kill its process group. Without a script Run does nothing.
func (r *Runner) Run(ctx context.Context, e Event) error { return r.run(ctx, r.cfg.Notify, e) }

// Prepare is Run with the prepare script, which gets PREPARE as the state.
func (r *Runner) Prepare(ctx context.Context, e Event) error {
	e.State = "PREPARE"
	return r.run(ctx, r.cfg.Prepare, e)
}

// Fence is Run with the fence script, which gets FENCE as the state. If it returns nil, the script has exited with 0, and so
// has said that e.OldHolder is cut off; or there is no script.
func (r *Runner) Fence(ctx context.Context, e Event) error {
	e.State = "FENCE"
	return r.run(ctx, r.cfg.Fence, e)
}

func (r *Runner) run(ctx context.Context, command []string, e Event) error {
	if len(command) == 0 {
		return nil
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the call before it: %w", context.Cause(ctx))
	}
	if r.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.cfg.Timeout, timeoutError(r.cfg.Timeout))
		defer cancel()
	}
	began := time.Now()
	if err := r.call(ctx, command, e); err != nil {
		return explain(r.argv(command, e), err)
	}
	r.log.Info("hook finished", zap.String("state", e.State), zap.Duration("took", time.Since(began)))
	return nil
}

// execute runs a script once.
func (r *Runner) execute(ctx context.Context, command []string, e Event) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	out, err := newOutput()
	if err != nil {
		return err
	}
	p, err := start(r.argv(command, e), r.env(e), r.cfg.User, out.writer)
	out.follow(r.log.With(zap.String("state", e.State)))
	if err == nil {
		err = p.await(ctx)
	}
	out.finish()
	return err
}

// argv is the command line as keepalived builds it: keepalived.conf(5), "notify".
func (r *Runner) argv(command []string, e Event) []string {
	argv := append([]string(nil), command...)
	return append(argv, "INSTANCE", r.cfg.Instance, e.State, strconv.Itoa(r.cfg.Priority))
}

// env is a script's whole environment. PATH is systemd's default (systemd.exec(5)), so that a script behaves alike however
// vipd was started.
func (r *Runner) env(e Event) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8",
		"HOME=" + r.cfg.User.home(),
		"VIPD_STATE=" + e.State,
		"VIPD_PREVIOUS=" + e.Previous,
		"VIPD_TERM=" + strconv.FormatUint(e.Term, 10),
		"VIPD_REASON=" + strings.ReplaceAll(e.Reason, "\x00", ""),
		"VIPD_ADDRESSES=" + strings.Join(r.cfg.Addresses, " "),
		"VIPD_INTERFACE=" + r.cfg.Interface,
		"VIPD_LEADER=" + e.Leader,
		"VIPD_OLD_HOLDER=" + e.OldHolder,
		"VIPD_OLD_ADDRESS=" + e.OldAddress,
	}
}
