package agent

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/vipd/vipd/election"
)

// Election is what the agent needs of the election.
type Election interface {
	Lease() election.Lease
	Leading() bool
	Frozen() *election.Freeze // nil if hand-overs happen
	Preferred() string        // why this host should hold rather than the one that does; empty if not
	SetStanding(s election.Standing)

	// What follows may take long.

	Successor(ctx context.Context, target string) (election.Member, error)
	Prepare(ctx context.Context, to election.Member) error // has it warm the service up
	Intend(reason string, cause election.Cause) error
	HandOver(ctx context.Context, to election.Member, term uint64) error
	Release(term uint64) error
	Claim(ctx context.Context) (election.Claim, error)                // whom this host has to fence
	Fenced(ctx context.Context, m election.Member, term uint64) error // has it recorded
	Preempt(ctx context.Context, reason string) error
}

// Kernel is what the agent needs of the kernel. Nothing but Arm may take long.
type Kernel interface {
	Bind(validFor time.Duration) error
	ResetConnections() error // those to the addresses
	Release() error
	Bound() (bool, error)
	Announce() error
	Check() error // whether the fence is in force
	Arm() error   // puts it in force again
}

// Hooks runs the operator's scripts, each after the one before, and waits for them.
type Hooks interface {
	Run(ctx context.Context, role, previous Role, term uint64, reason string) error
	Prepare(ctx context.Context, reason string) error                                      // warms the service up
	Fence(ctx context.Context, previous election.Member, term uint64, reason string) error // puts the holder before out of action
}

// Config is what an agent works with. All fields are required but for Policy and
// Paused.
type Config struct {
	Policy   Policy
	Paused   bool // an operator wanted this host not to hold, in an earlier life of the daemon
	Election Election
	Kernel   Kernel
	Hooks    Hooks
	Validity time.Duration   // lifetime of a bound address in the kernel; renewed every second
	Lease    <-chan struct{} // holds a token after the lease may have changed
	Drift    <-chan struct{} // holds a token after links, addresses or filters have changed
	Alive    func()          // called at least once a second while the agent works
	Log      *zap.Logger
}

// Agent performs what [Step] decides. Its methods may be called from any
// goroutine.
type Agent struct {
	cfg      Config
	events   chan Event
	done     chan struct{}
	beside   sync.WaitGroup // what runs beside the loop
	requests atomic.Int64
	replies  map[int]chan Reply // of the Run goroutine
	asks     chan ask
	state    atomic.Pointer[State]

	// of the Run goroutine
	fencing   context.CancelCauseFunc // ends the fence hook; nil if none was begun
	fencingIn uint64                  // for the lease of that term
	warming   context.CancelCauseFunc // ends the prepare hook; nil if none was begun
}

// ask is an event whose author waits for the reply to a request.
type ask struct {
	event   Event
	request int
	reply   chan Reply
}

// New returns an agent at rest.
func New(cfg Config) *Agent {
	a := &Agent{cfg: cfg, events: make(chan Event, 16), done: make(chan struct{}), replies: make(map[int]chan Reply), asks: make(chan ask)}
	a.state.Store(&State{Policy: cfg.Policy, Paused: cfg.Paused})
	return a
}

// State returns a copy of the state after the last step.
func (a *Agent) State() State { return *a.state.Load() }

// Report hands an event of another part of the daemon to the agent. It blocks
// while the agent performs an action, and is dropped once the agent has ended.
func (a *Agent) Report(e Event) {
	select {
	case a.events <- e:
	case <-a.done:
	}
}

// Transfer moves the lease as m says and returns the name of the new holder. It blocks
// until that member leads.
func (a *Agent) Transfer(ctx context.Context, m election.Move) (string, error) {
	request := int(a.requests.Add(1))
	r := a.ask(ctx, request, TransferAsked{Request{ID: request, Move: m}})
	return r.To, r.Err
}

// Prepare warms the service up for a hand-over to this host, if a hook does that, and
// blocks until it has.
func (a *Agent) Prepare(ctx context.Context) error {
	request := int(a.requests.Add(1))
	return a.ask(ctx, request, PrepareAsked{request}).Err
}

// ask hands a request to the agent and waits for its reply.
func (a *Agent) ask(ctx context.Context, request int, e Event) Reply {
	q := ask{e, request, make(chan Reply, 1)}
	select {
	case a.asks <- q:
	case <-a.done:
		return Reply{Err: errStopping}
	case <-ctx.Done():
		return Reply{Err: context.Cause(ctx)}
	}
	select {
	case r := <-q.reply:
		return r
	case <-a.done:
		return Reply{Err: errStopping}
	case <-ctx.Done():
		return Reply{Err: context.Cause(ctx)}
	}
}

// Run works until it has been told [StopAsked] and has let go of everything: the
// service stopped, the addresses gone, the lease handed over. It removes what an
// earlier run left before anything else. ctx bounds hooks and hand-overs; ending it
// is the hasty way out. What still runs then is cancelled, and waited for unless it hangs.
func (a *Agent) Run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer a.conclude(cancel)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	released := a.perform(ctx, Unbind{})
	a.take(ctx, FenceChecked{Err: text(a.cfg.Kernel.Check())})
	a.take(ctx, released)
	for !a.State().Exited {
		select {
		case e := <-a.events:
			a.take(ctx, a.lease()) // it may be long over: this process may have been stopped
			a.take(ctx, e)
		case q := <-a.asks:
			a.replies[q.request] = q.reply
			a.take(ctx, q.event)
		case <-a.cfg.Lease:
			a.take(ctx, a.lease())
		case <-a.cfg.Drift:
			a.inspect(ctx)
		case <-ticker.C:
			a.cfg.Alive()
			a.take(ctx, a.lease())
			a.inspect(ctx)
			a.take(ctx, Tick{})
		case <-ctx.Done():
			return
		}
	}
}

// patience is how long what was cancelled may take to end: more than a hook's process that
// was killed.
const patience = 2 * time.Second

// conclude ends what runs beside the loop. No hand-over is among it when the agent was
// told to stop: that ends before.
func (a *Agent) conclude(cancel context.CancelCauseFunc) {
	close(a.done) // nobody waits any longer to be heard
	cancel(errStopping)
	ended := make(chan struct{})
	go func() {
		a.beside.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		a.cfg.Log.Warn("something that was cancelled hangs; it is left behind", zap.Duration("waited", patience))
	}
}

func (a *Agent) lease() Event {
	l, e := a.cfg.Election.Lease(), a.cfg.Election
	return LeaseChanged{Held: l.Held, Leading: e.Leading(), Term: l.Term, Frozen: e.Frozen() != nil, Preferred: e.Preferred()}
}

// inspect compares the kernel with what was told to it.
func (a *Agent) inspect(ctx context.Context) {
	if s := a.State(); s.Armed {
		if err := a.cfg.Kernel.Check(); err != nil {
			a.take(ctx, FenceChecked{Err: err.Error()})
		}
	}
	bound, err := a.cfg.Kernel.Bound()
	if err != nil {
		a.cfg.Log.Warn("cannot read the addresses", zap.Error(err))
	}
	a.take(ctx, Drifted{Missing: err == nil && !bound})
}

// take runs events through Step, the answers of its actions included.
func (a *Agent) take(ctx context.Context, e Event) {
	for queue := []Event{e}; len(queue) > 0; queue = queue[1:] {
		before := a.State()
		after, actions := Step(before, queue[0], time.Now())
		a.state.Store(&after)
		a.stopScripts(after)
		a.tell(before, after, queue[0])
		for _, action := range actions {
			if answer := a.perform(ctx, action); answer != nil {
				queue = append(queue, answer)
			}
		}
	}
}
