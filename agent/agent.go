package agent

import (
	"context"
	"errors"
	"fmt"
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
	HandOver(ctx context.Context, to election.Member) error
	Claim(ctx context.Context) (election.Claim, error) // whom this host has to fence
	Fenced(ctx context.Context, name string) error     // records that it has been, or is to be taken for it
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
	requests atomic.Int64
	replies  map[int]chan Reply // of the Run goroutine
	asks     chan ask
	state    atomic.Pointer[State]
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
// is the hasty way out.
func (a *Agent) Run(ctx context.Context) {
	defer close(a.done)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	released := a.perform(ctx, Unbind{})
	a.take(ctx, FenceChecked{Err: text(a.cfg.Kernel.Check())})
	a.take(ctx, released)
	for !a.State().Exited {
		select {
		case e := <-a.events:
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
		a.tell(before, after, queue[0])
		for _, action := range actions {
			if answer := a.perform(ctx, action); answer != nil {
				queue = append(queue, answer)
			}
		}
	}
}

// perform carries out one action. What takes long runs beside the loop and answers
// by an event later.
func (a *Agent) perform(ctx context.Context, action Action) Event {
	k := a.cfg.Kernel
	switch x := action.(type) {
	case Bind:
		if l := a.cfg.Election.Lease(); !l.Held || l.Term != a.State().Term {
			return a.lease()
		}
		return Bound{Err: text(k.Bind(a.cfg.Validity))}
	case ResetConnections:
		if err := k.ResetConnections(); err != nil {
			a.cfg.Log.Warn("cannot reset the connections to the addresses", zap.Error(err))
		}
	case Unbind:
		return Unbound{Err: text(k.Release())}
	case Announce:
		if err := k.Announce(); err != nil {
			a.cfg.Log.Warn("cannot announce the addresses", zap.Error(err))
		}
	case Arm:
		return FenceChecked{Err: text(k.Arm())}
	case SetStanding:
		a.cfg.Election.SetStanding(x.Standing)
	case Wait:
		time.AfterFunc(x.For, func() { a.Report(Waited{x.ID}) })
	case Reply:
		a.replies[x.Request] <- x
		delete(a.replies, x.Request)
	case RecordFenced:
		go a.recordFenced(ctx, x.Previous)
	case Exit:
	default:
		go func() { a.Report(a.await(ctx, action)) }()
	}
	return nil
}

// await carries out an action that may take long.
func (a *Agent) await(ctx context.Context, action Action) Event {
	switch x := action.(type) {
	case RunHook:
		return HookDone{Role: x.Role, Err: text(a.cfg.Hooks.Run(ctx, x.Role, x.Previous, x.Term, x.Reason))}
	case RunPrepare:
		return PrepareDone{Request: x.Request, Err: a.cfg.Hooks.Prepare(ctx, x.Reason)}
	case RunFence:
		return Fenced{Term: x.Term, Err: text(a.cfg.Hooks.Fence(ctx, x.Previous, x.Term, x.Reason))}
	case FindSuccessor:
		return a.find(ctx, x)
	case Prepare:
		return Prepared{ID: x.ID, Err: a.prepare(ctx, x)}
	case HandOver:
		return HandedOver{Err: a.cfg.Election.HandOver(ctx, x.To)}
	case Preempt:
		return Preempted{Err: a.cfg.Election.Preempt(ctx, x.Reason)}
	case Claim:
		return a.claim(ctx, x)
	}
	panic(fmt.Sprintf("nobody carries out %T", action)) // an action was added and this was forgotten
}

// find looks for a successor.
func (a *Agent) find(ctx context.Context, x FindSuccessor) Found {
	to, err := a.cfg.Election.Successor(ctx, x.Target)
	if err == nil && x.Well && !to.Healthy {
		err = errors.New(everybodyUnwell)
	}
	if err != nil {
		return Found{Request: x.Request, Err: err}
	}
	return Found{Request: x.Request, To: &to}
}

// prepare readies the successor, as far as that is wanted, and has the reason of the
// hand-over recorded.
func (a *Agent) prepare(ctx context.Context, x Prepare) error {
	if x.Warm {
		warming, cancel := ctx, context.CancelFunc(func() {})
		if limit := a.cfg.Policy.PrepareLimit; limit > 0 {
			warming, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("it has taken longer than %s", limit))
		}
		defer cancel()
		if err := a.cfg.Election.Prepare(warming, x.To); err != nil {
			return err
		}
	}
	if x.Recheck {
		if _, err := a.cfg.Election.Successor(ctx, x.To.ID); err != nil {
			return err
		}
	}
	return a.cfg.Election.Intend(x.Reason, x.Cause)
}

// claim asks whom this host has to fence. The terms of leases only grow: if it is the same
// afterwards, the answer is for it.
func (a *Agent) claim(ctx context.Context, x Claim) Claimed {
	c, err := a.cfg.Election.Claim(ctx)
	if err == nil && a.cfg.Election.Lease().Term != x.Term {
		err = errors.New("the lease has moved to another term")
	}
	return Claimed{Term: x.Term, Claim: c, Err: text(err)}
}

// recordFenced spares later holders what this one has done. If it fails they do it once
// more.
func (a *Agent) recordFenced(ctx context.Context, m election.Member) {
	if err := a.cfg.Election.Fenced(ctx, m.Name); err != nil {
		a.cfg.Log.Warn("it is not recorded that a holder before is fenced", zap.String("previous", m.Name), zap.Error(err))
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
