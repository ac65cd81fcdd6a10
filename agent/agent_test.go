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
	fitness  election.Fitness
	other    *election.Member
	bound    bool
	broken   error // of the fence
	hookTime time.Duration
	did      []string
	alive    int

	changed, drift chan struct{}
	agent          *Agent
	ended          chan struct{}
}

// start runs an agent on a host that an earlier run left with the address bound.
func start(ctx context.Context) *host {
	h := &host{bound: true, hookTime: 50 * time.Millisecond, changed: make(chan struct{}, 1), drift: make(chan struct{}, 1), ended: make(chan struct{})}
	h.agent = New(Config{
		Election: h, Kernel: kernelModel{h}, Hooks: hookModel{h}, Validity: 3 * time.Second, Lease: h.changed, Drift: h.drift,
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

func (h *host) SetFitness(f election.Fitness, _ string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fitness = f
}

func (h *host) Successor(context.Context, string) (election.Member, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.other == nil {
		return election.Member{}, errors.New("nobody")
	}
	return *h.other, nil
}

func (h *host) Intend(reason string) error { h.note("intend: " + reason); return nil }

func (h *host) HandOver(_ context.Context, to election.Member) error {
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
	var duration time.Duration
	h.set(func() { duration = h.hookTime })
	h.note("hook " + string(role))
	select {
	case <-time.After(duration):
	case <-ctx.Done():
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

func TestALeaseIsServedAndLost(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.elect(3, true)
		want(t, h.since(), "bind, hook MASTER, hook done")
		h.elect(3, false)
		want(t, h.since(), "release, hook BACKUP, hook done")
	})
}

func TestAnOperatorsTransferIsAnsweredWhenItIsDone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.set(func() { h.other = &election.Member{Name: "vm2"} })
		h.elect(3, true)
		h.since()
		to, err := h.agent.Transfer(t.Context(), "", "asked")
		if to != "vm2" || err != nil {
			t.Errorf("moved to %q, %v", to, err)
		}
		want(t, h.since(), "intend: asked, hook BACKUP, hook done, release, hand over to vm2")
		if _, err := h.agent.Transfer(t.Context(), "", "asked"); !errors.Is(err, election.ErrNoLeader) {
			t.Errorf("a transfer from a host that does not lead: %v", err)
		}
	})
}

func TestAnAddressThatWasTakenAwayIsPutBack(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.elect(3, true)
		h.since()
		h.set(func() { h.bound = false })
		h.drift <- struct{}{}
		want(t, h.since(), "bind")
	})
}

func TestAnAddressThatSomebodyAddedIsTakenOff(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.set(func() { h.bound = true })
		h.drift <- struct{}{}
		want(t, h.since(), "release")
	})
}

func TestABrokenFenceTakesTheAddressOffAndIsArmedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.elect(3, true)
		h.since()
		h.set(func() { h.broken = errors.New("removed") })
		h.drift <- struct{}{}
		want(t, h.since(), "release, hook FAULT, hook done")
		h.set(func() {
			if h.fitness != election.Unable {
				t.Errorf("it still stands: %v", h.fitness)
			}
		})
		time.Sleep(time.Second)
		if did := h.since(); !strings.HasPrefix(did, "arm, bind, hook MASTER") {
			t.Errorf("did %s", did)
		}
	})
}

func TestStoppingHandsOverFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t.Context())
		h.set(func() { h.other = &election.Member{Name: "vm2"} })
		h.elect(3, true)
		h.since()
		h.agent.Report(StopAsked{})
		<-h.ended
		want(t, h.since(), "intend: the holder was stopped, hook STOP, hook done, release, hand over to vm2")
		if _, err := h.agent.Transfer(t.Context(), "", ""); !errors.Is(err, errStopping) {
			t.Errorf("a transfer after the end: %v", err)
		}
	})
}

func TestAHookThatHangsDoesNotKeepTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := start(ctx)
		h.set(func() { h.hookTime = time.Hour })
		h.elect(3, true)
		h.since()
		h.elect(3, false)
		if did := h.since(); did != "release" {
			t.Errorf("did %s", did)
		}
		cancel()
		<-h.ended
		synctest.Wait()
	})
}

func TestTheAgentSaysThatItLivesWhileAHookHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := start(ctx)
		h.set(func() { h.hookTime = time.Hour })
		h.elect(3, true)
		time.Sleep(10 * time.Second)
		cancel()
		<-h.ended
		did := h.since()
		h.set(func() {
			if h.alive < 9 || !strings.Contains(did, "hook MASTER") {
				t.Errorf("it said so %d times in 10 s; it did %s", h.alive, did)
			}
		})
	})
}
