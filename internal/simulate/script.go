package simulate

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/election"
	"github.com/vipd/vipd/hooks"
)

const hookTimeout = 10 * time.Second

// The states that scripts other than notify are told.
const (
	prepare = "PREPARE"
	fence   = "FENCE"
)

// trouble is what is wrong with a script of a host.
type trouble struct {
	fails atomic.Bool
	slow  atomic.Int64 // nanoseconds, at most
}

func (t *trouble) end() {
	t.fails.Store(false)
	t.slow.Store(0)
}

// scripts are those of one host.
type scripts struct{ notify, prepare, fence trouble }

func (s *scripts) trouble(state string) *trouble {
	switch state {
	case prepare:
		return &s.prepare
	case fence:
		return &s.fence
	}
	return &s.notify
}

func (s *scripts) mend() {
	s.notify.end()
	s.prepare.end()
	s.fence.end()
}

// script is what the scripts of one life have seen. Guarded by world.mu.
type script struct {
	running string
	last    string    // role that notify was told, which ended well or badly
	term    uint64    // of the last MASTER
	since   time.Time // the last MASTER
	up      bool      // the last one was MASTER and ended well
	failed  bool      // last did not end well
	warm    bool      // prepare has run since the last notify
}

// down reports whether the service does not run for certain: the last that notify was
// told is to stop it, and it has.
func (s *script) down() bool {
	return s.last != string(agent.Master) && !s.failed && (s.running == "" || s.running == fence || s.running == prepare)
}

func hooksFor(p agent.Policy) hooks.Config {
	c := hooks.Config{Notify: []string{"notify"}, Timeout: hookTimeout}
	if p.Prepare {
		c.Prepare = []string{"prepare"}
	}
	if p.Fence {
		c.Fence = []string{"fence"}
	}
	return c
}

// Run tells the script of a change of role, as hookRunner in cmd/vipd does.
func (d *daemon) Run(ctx context.Context, role, previous agent.Role, term uint64, reason string) error {
	return d.hooks.Run(ctx, hooks.Event{
		State: string(role), Previous: string(previous), Term: term, Reason: reason, Leader: d.node.Status().Leader.Name,
	})
}

// Prepare has the script warm the service up.
func (d *daemon) Prepare(ctx context.Context, reason string) error {
	return d.hooks.Prepare(ctx, hooks.Event{Reason: reason})
}

// Fence has the script put a holder before out of action.
func (d *daemon) Fence(ctx context.Context, previous election.Member, term uint64, reason string) error {
	return d.hooks.Fence(ctx, hooks.Event{Term: term, Reason: reason, OldHolder: previous.Name, OldAddress: previous.Address})
}

// execute is each of the scripts.
func (d *daemon) execute(ctx context.Context, e hooks.Event) error {
	d.process.pass()
	h := d.host
	trouble := h.scripts.trouble(e.State)
	h.world.hookBegins(d, e)
	select {
	case <-time.After(h.world.chance.upTo(5*time.Millisecond) + h.world.chance.upTo(time.Duration(trouble.slow.Load()))):
	case <-ctx.Done():
	}
	d.process.pass()
	err := context.Cause(ctx)
	if err == nil && trouble.fails.Load() {
		err = errors.New("exit status 1")
	}
	if err == nil && e.State == fence && !d.process.dead.Load() {
		h.world.cutOff(e.OldHolder)
	}
	h.world.hookEnds(d, e, err)
	return err
}

// cutOff takes a host its power, as a fence hook that asks the hypervisor does: what it
// might have done late it does not. It comes back a while later.
func (w *world) cutOff(name string) {
	h := w.named(name)
	if h == nil {
		return
	}
	w.mu.Lock()
	h.down, h.owed = true, false
	d := h.daemon
	w.totals.Fencings++
	w.mu.Unlock()
	if d == nil || !d.kill("is fenced", true) {
		w.mu.Lock()
		h.losePower()
		w.mu.Unlock()
	}
	off := w.chance.upTo(2 * w.detect)
	w.running.Go(func() {
		time.Sleep(off)
		w.mu.Lock()
		h.down = false
		w.mu.Unlock()
		h.boot()
	})
}

func (w *world) named(name string) *host {
	for _, h := range w.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}
