package agent

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/vipd/vipd/election"
)

// Election is what the agent needs of the election.
type Election interface {
	Lease() election.Lease
	Leading() bool
	SetFitness(f election.Fitness, reason string)
	Successor(ctx context.Context, target string) (election.Member, error) // may take a second
	Intend(reason string) error
	HandOver(ctx context.Context, to election.Member) error
}

// Kernel is what the agent needs of the kernel. Nothing but Arm may take long.
type Kernel interface {
	Bind(validFor time.Duration) error
	Release() error
	Bound() (bool, error)
	Announce() error
	Check() error // whether the fence is in force
	Arm() error   // puts it in force again
}

// Hooks runs the operator's script and waits for it.
type Hooks interface {
	Run(ctx context.Context, role, previous Role, term uint64, reason string) error
}

// Config is what an agent works with. All fields are required.
type Config struct {
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

type ask struct {
	request Request
	reply   chan Reply
}

// New returns an agent at rest.
func New(cfg Config) *Agent {
	a := &Agent{cfg: cfg, events: make(chan Event, 16), done: make(chan struct{}), replies: make(map[int]chan Reply), asks: make(chan ask)}
	a.state.Store(&State{})
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

// Transfer moves the lease to the named member, or to the best one, and returns
// the name of the new holder. It blocks until that member leads.
func (a *Agent) Transfer(ctx context.Context, target, reason string) (string, error) {
	q := ask{Request{ID: int(a.requests.Add(1)), Target: target, Reason: reason}, make(chan Reply, 1)}
	select {
	case a.asks <- q:
	case <-a.done:
		return "", errStopping
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	select {
	case r := <-q.reply:
		return r.To, r.Err
	case <-a.done:
		return "", errStopping
	case <-ctx.Done():
		return "", context.Cause(ctx)
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
			a.replies[q.request.ID] = q.reply
			a.take(ctx, TransferAsked{q.request})
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
	l := a.cfg.Election.Lease()
	return LeaseChanged{Held: l.Held, Leading: a.cfg.Election.Leading(), Term: l.Term}
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
		if !a.cfg.Election.Lease().Held {
			return a.lease()
		}
		return Bound{Err: text(k.Bind(a.cfg.Validity))}
	case Unbind:
		return Unbound{Err: text(k.Release())}
	case Announce:
		if err := k.Announce(); err != nil {
			a.cfg.Log.Warn("cannot announce the addresses", zap.Error(err))
		}
	case Arm:
		return FenceChecked{Err: text(k.Arm())}
	case SetFitness:
		a.cfg.Election.SetFitness(x.Degree, x.Reason)
	case RunHook:
		go func() {
			a.Report(HookDone{Role: x.Role, Err: text(a.cfg.Hooks.Run(ctx, x.Role, x.Previous, x.Term, x.Reason))})
		}()
	case FindSuccessor:
		go func() { a.Report(a.find(ctx, x)) }()
	case HandOver:
		go func() { a.Report(HandedOver{Err: a.cfg.Election.HandOver(ctx, x.To)}) }()
	case Reply:
		a.replies[x.Request] <- x
		delete(a.replies, x.Request)
	}
	return nil
}

// find looks for a successor and has the reason of the hand-over recorded.
func (a *Agent) find(ctx context.Context, x FindSuccessor) Found {
	to, err := a.cfg.Election.Successor(ctx, x.Target)
	if err == nil {
		err = a.cfg.Election.Intend(x.Reason)
	}
	if err != nil {
		return Found{Request: x.Request, Err: err}
	}
	return Found{Request: x.Request, To: &to}
}

// tell logs what an operator wants to know of a step: one line a change.
func (a *Agent) tell(before, after State, e Event) {
	log := a.cfg.Log
	if before.Role != after.Role || before.RoleTerm != after.RoleTerm {
		level := zap.InfoLevel
		if after.Role == Fault {
			level = zap.WarnLevel
		}
		log.Log(level, "state changed", zap.String("state", string(after.Role)), zap.String("previous", string(before.Role)),
			zap.Uint64("term", after.Term), zap.String("reason", after.Reason))
	}
	switch {
	case after.Held && (!before.Held || before.Term != after.Term):
		log.Info("lease gained", zap.Uint64("term", after.Term))
	case before.Held && !after.Held && before.Leaving != nil:
		log.Info("lease given up", zap.Uint64("term", before.Term))
	case before.Held && !after.Held:
		log.Warn("lease lost", zap.Uint64("term", before.Term))
	}
	switch {
	case after.Armed && !before.Armed:
		log.Info("fence armed")
	case !after.Armed && before.Unarmed != after.Unarmed:
		log.Error("the fence is not armed; this host does not hold the addresses", zap.String("error", after.Unarmed))
	}
	if after.UnbindErr != "" && before.UnbindErr != after.UnbindErr {
		log.Error("the addresses can't be removed; the fence stays closed", zap.String("error", after.UnbindErr))
	}
	if after.Failure != "" && before.Failure != after.Failure {
		log.Error("this host can't hold the addresses", zap.String("error", after.Failure), zap.Duration("hold_down", HoldDown))
	}
	if after.Alone && !before.Alone {
		log.Warn("this host had better hand over, but nobody can take over", zap.String("reason", after.Told.Reason))
	}
	switch e := e.(type) {
	case Drifted:
		if e.Missing && before.AllBound && after.Leaving == nil && after.mayHold() {
			log.Warn("an address was taken off by somebody; it is put back")
		}
	case HookDone:
		if e.Err != "" && after.Failure == before.Failure {
			log.Error("hook failed", zap.String("state", string(e.Role)), zap.String("error", e.Err))
		}
	case HandedOver:
		if before.Leaving != nil && before.Leaving.To != nil {
			log.Info("handed over", zap.String("to", before.Leaving.To.Name), zap.Error(e.Err))
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
