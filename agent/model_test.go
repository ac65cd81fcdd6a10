package agent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/vipd/vipd/election"
)

// host is a small working model of what the agent works with: an election that is
// won and lost as the test says, a kernel, and a hook that takes a while.
type host struct {
	mu       sync.Mutex
	lease    election.Lease
	leading  bool
	standing election.Standing
	other    *election.Member
	claim    election.Claim
	fenced   []string
	released uint64
	prefers  string // why this host should hold
	refusal  error  // of the leader or of a successor
	frozen   *election.Freeze
	bound    bool
	broken   error // of the fence
	hookTime time.Duration
	hookDies time.Duration // so long after it was killed
	did      []string
	alive    int

	changed, drift chan struct{}
	agent          *Agent
	ended          chan struct{}
}

// start runs an agent on a host that an earlier run left with the address bound.
func start(ctx context.Context) *host { return startWith(ctx, Policy{}) }

func startWith(ctx context.Context, p Policy) *host {
	h := &host{bound: true, hookTime: 50 * time.Millisecond, changed: make(chan struct{}, 1), drift: make(chan struct{}, 1), ended: make(chan struct{})}
	h.agent = New(Config{
		Policy: p, Election: h, Kernel: kernelModel{h}, Hooks: hookModel{h}, Validity: 3 * time.Second, Lease: h.changed, Drift: h.drift,
		Alive: func() { h.set(func() { h.alive++ }) }, Log: zap.NewNop(),
	})
	go func() {
		h.agent.Run(ctx)
		close(h.ended)
	}()
	h.agent.Report(HealthChanged{Healthy: true})
	time.Sleep(200 * time.Millisecond)
	return h
}

// set changes or reads the model under its lock.
func (h *host) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *host) note(what string) { h.set(func() { h.did = append(h.did, what) }) }

func (h *host) isBound() (bound bool) {
	h.set(func() { bound = h.bound })
	return bound
}

// since returns what was done since the last call.
func (h *host) since() string {
	time.Sleep(200 * time.Millisecond) // of the bubble: whatever runs has ended
	h.mu.Lock()
	defer h.mu.Unlock()
	did := strings.Join(h.did, ", ")
	h.did = nil
	return did
}

func (h *host) elect(term uint64, held bool) {
	h.mu.Lock()
	h.lease, h.leading = election.Lease{Held: held, Term: term, Left: time.Second}, held
	h.mu.Unlock()
	h.changed <- struct{}{}
}

func (h *host) Lease() election.Lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lease
}

func (h *host) Leading() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.leading
}

func (h *host) Frozen() (f *election.Freeze) {
	h.set(func() { f = h.frozen })
	return f
}

func (h *host) Preferred() (why string) {
	h.set(func() { why = h.prefers })
	return why
}

func (h *host) SetStanding(s election.Standing) { h.set(func() { h.standing = s }) }

func (h *host) Prepare(_ context.Context, to election.Member) (err error) {
	h.note("prepare " + to.Name)
	h.set(func() { err = h.refusal })
	return err
}

func (h *host) Fenced(_ context.Context, m election.Member, _ uint64) error {
	h.set(func() { h.fenced = append(h.fenced, m.Name) })
	return nil
}

func (h *host) Release(term uint64) error {
	h.set(func() { h.released = term })
	return nil
}

func (h *host) Claim(context.Context) (c election.Claim, err error) {
	h.set(func() { c = h.claim })
	return c, nil
}

// Preempt has the leader hand over, or refuse.
func (h *host) Preempt(_ context.Context, reason string) (err error) {
	h.note("preempt: " + reason)
	h.set(func() { err = h.refusal })
	if err == nil {
		h.elect(h.Lease().Term+1, true)
	}
	return err
}

func (h *host) Successor(context.Context, string) (election.Member, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.other == nil {
		return election.Member{}, errors.New("nobody")
	}
	return *h.other, nil
}

func (h *host) Intend(reason string, cause election.Cause) error {
	h.note(strings.TrimSpace("intend: " + reason + " " + string(cause)))
	return nil
}

func (h *host) HandOver(_ context.Context, to election.Member, _ uint64) error {
	h.note("hand over to " + to.Name)
	h.elect(h.Lease().Term+1, false)
	return nil
}

type kernelModel struct{ *host }

func (k kernelModel) Bind(time.Duration) error {
	k.set(func() {
		if !k.bound {
			k.did = append(k.did, "bind")
		}
		k.bound = true
	})
	return nil
}

func (k kernelModel) Release() error {
	k.set(func() {
		if k.bound {
			k.did = append(k.did, "release")
		}
		k.bound = false
	})
	return nil
}

func (k kernelModel) ResetConnections() error {
	k.note("reset")
	return nil
}

func (k kernelModel) Bound() (bool, error) { return k.isBound(), nil }
func (k kernelModel) Announce() error      { return nil }

func (k kernelModel) Check() (err error) {
	k.set(func() { err = k.broken })
	return err
}

func (k kernelModel) Arm() error {
	k.set(func() { k.did, k.broken = append(k.did, "arm"), nil })
	return nil
}

type hookModel struct{ *host }

func (h hookModel) Run(ctx context.Context, role, _ Role, _ uint64, _ string) error {
	return h.run(ctx, string(role))
}

func (h hookModel) Prepare(ctx context.Context, _ string) error { return h.run(ctx, "PREPARE") }

func (h hookModel) Fence(ctx context.Context, previous election.Member, _ uint64, _ string) error {
	return h.run(ctx, "fence "+previous.Name)
}

func (h hookModel) run(ctx context.Context, what string) error {
	var duration, dies time.Duration
	h.set(func() { duration, dies = h.hookTime, h.hookDies })
	h.note("hook " + what)
	select {
	case <-time.After(duration):
	case <-ctx.Done():
		time.Sleep(dies)
	}
	h.note("hook done")
	return nil
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("did   %s\nwant  %s", got, want)
	}
}

// inBubble runs a test on virtual time and stops the agent at the end.
func inBubble(t *testing.T, f func(t *testing.T, h *host)) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t.Context())
		want(t, h.since(), "release, hook BACKUP, hook done")
		f(t, h)
		h.agent.Report(StopAsked{})
		<-h.ended
		if h.isBound() {
			t.Error("it ended with the address bound")
		}
	})
}

// inBubbleWith is inBubble with a policy.
func inBubbleWith(t *testing.T, p Policy, f func(t *testing.T, h *host)) {
	synctest.Test(t, func(t *testing.T) {
		h := startWith(t.Context(), p)
		h.since()
		f(t, h)
		h.agent.Report(StopAsked{})
		<-h.ended
	})
}
