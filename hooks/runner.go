package hooks

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Runner calls the script, one call at a time.
type Runner struct {
	cfg  Config
	log  *zap.Logger
	turn chan struct{} // holds the right to run the script
	call func(context.Context, Event) error
}

// NewRunner returns a Runner that calls the script of cfg and writes the script's output to log.
func NewRunner(cfg Config, log *zap.Logger) *Runner {
	r := &Runner{cfg: cfg, log: log, turn: make(chan struct{}, 1)}
	r.call = r.execute
	return r
}

// RunInstead makes the Runner call f where it would start the script. It is for simulations, which start none; f returns soon
// after ctx has ended. It must be called before Run.
func (r *Runner) RunInstead(f func(context.Context, Event) error) { r.call = f }

// Run tells the script of e and blocks until the script has exited. Calls made meanwhile wait for their turn.
//
// The script gets, after its own arguments, INSTANCE, the instance's name, the state and the priority. Its environment is PATH,
// LANG, HOME and the VIPD_ variables, and nothing else. Its standard input is empty; its output goes to the log line by line.
//
// Run fails if the script can't be started, exits with another status than 0, or runs longer than Config.Timeout or ctx; the
// last two kill its process group. Without a script Run does nothing.
func (r *Runner) Run(ctx context.Context, e Event) error {
	if len(r.cfg.Notify) == 0 {
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
	if err := r.call(ctx, e); err != nil {
		return explain(r.argv(e), err)
	}
	r.log.Info("hook finished", zap.String("state", e.State), zap.Duration("took", time.Since(began)))
	return nil
}

// execute runs the script once.
func (r *Runner) execute(ctx context.Context, e Event) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	out, err := newOutput()
	if err != nil {
		return err
	}
	p, err := start(r.argv(e), r.env(e), out.writer)
	out.follow(r.log.With(zap.String("state", e.State)))
	if err == nil {
		err = p.await(ctx)
	}
	out.finish()
	return err
}

// argv is the command line as keepalived builds it: keepalived.conf(5), "notify".
func (r *Runner) argv(e Event) []string {
	argv := append([]string(nil), r.cfg.Notify...)
	return append(argv, "INSTANCE", r.cfg.Instance, e.State, strconv.Itoa(r.cfg.Priority))
}

// env is the script's whole environment. PATH is systemd's default (systemd.exec(5)), so that a script behaves alike however
// vipd was started.
func (r *Runner) env(e Event) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8",
		"HOME=/root",
		"VIPD_STATE=" + e.State,
		"VIPD_PREVIOUS=" + e.Previous,
		"VIPD_TERM=" + strconv.FormatUint(e.Term, 10),
		"VIPD_REASON=" + strings.ReplaceAll(e.Reason, "\x00", ""),
		"VIPD_ADDRESSES=" + strings.Join(r.cfg.Addresses, " "),
		"VIPD_INTERFACE=" + r.cfg.Interface,
		"VIPD_LEADER=" + e.Leader,
	}
}
