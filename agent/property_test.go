package agent

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vipd/vipd/election"
)

// world is what surrounds the agent, as a model: what is really bound, which hooks
// really run, who waits for an answer.
type world struct {
	t        *rapid.T
	s        State
	now      time.Time
	bound    bool
	broken   bool // addresses can't be removed now
	running  Role
	last     Role     // of the hook that ended last
	pending  []Action // that run beside the agent
	asked    map[int]bool
	requests int
	exited   bool

	claimed  uint64   // the last term for which it is known whom this host has to fence
	unfenced []string // those who are left
}

func (w *world) take(e Event) {
	for queue := []Event{e}; len(queue) > 0; queue = queue[1:] {
		var actions []Action
		w.s, actions = Step(w.s, queue[0], w.now)
		for _, a := range actions {
			if answer := w.perform(a); answer != nil {
				queue = append(queue, answer)
			}
		}
	}
	if w.bound && w.s.UnbindErr == "" && !w.mayBind() {
		w.t.Fatalf("an address is bound without a lease behind an armed fence, or before the fence hook is done: %+v", w.s)
	}
	if w.s.Answering() && (!w.bound || !w.mayBind()) {
		w.t.Fatalf("the probe says yes without an address: %+v", w.s)
	}
	if w.s.Leaving != nil && w.s.Leaving.Stage == Moving && w.bound {
		w.t.Fatal("it hands over with an address bound")
	}
}

// mayBind reports whether an address may be on this host.
func (w *world) mayBind() bool {
	fenced := !w.s.Policy.Fence || w.claimed == w.s.Term && len(w.unfenced) == 0
	return w.s.Held && w.s.Armed && !w.s.Policy.Witness && fenced
}

func (w *world) perform(a Action) Event {
	switch a := a.(type) {
	case Bind:
		if !w.mayBind() {
			w.t.Fatal("bound without lease or fence, or before the fence hook was done")
		}
		w.bound = true
		if rapid.IntRange(0, 9).Draw(w.t, "bind fails") == 0 {
			return Bound{Err: "no such link"}
		}
		return Bound{}
	case Unbind:
		return w.unbind()
	case SetStanding:
		if a.Fitness == election.Ready && (!w.s.Armed || !w.s.Healthy || !w.s.Known || w.s.Paused || w.s.Policy.Witness) {
			w.t.Fatal("stands although it is not fit")
		}
		if a.Fitness == election.LastResort && (w.s.Policy.Release || w.s.Paused || !w.s.Leading) {
			w.t.Fatal("stands as the last resort although it is not")
		}
	case Reply:
		if !w.asked[a.Request] {
			w.t.Fatalf("request %d was answered twice, or never asked", a.Request)
		}
		delete(w.asked, a.Request)
	case Arm:
		return FenceChecked{}
	case Exit:
		if w.bound || w.running != "" && !w.s.Urgent {
			w.t.Fatal("exits with an address bound or a hook running")
		}
		w.exited = true
	case Announce, ResetConnections, RecordFenced:
	default:
		w.begin(a)
	}
	return nil
}

func (w *world) unbind() Event {
	serves := w.running != "" || w.last == Master
	if l := w.s.Leaving; w.s.mayBind() && l != nil && w.s.placed() && serves && !w.s.Urgent {
		w.t.Fatal("a planned move took the addresses off before the service was stopped")
	}
	if w.broken {
		return Unbound{Err: "busy"}
	}
	w.bound = false
	return Unbound{}
}

// alone checks that no script of another kind runs.
func (w *world) alone(a Action) {
	for _, other := range w.pending {
		switch other.(type) {
		case RunHook, RunPrepare, RunFence:
			w.t.Fatalf("%T runs into %T", a, other)
		}
	}
}

// begin notes what runs beside the agent, and checks that it may.
func (w *world) begin(a Action) {
	switch a := a.(type) {
	case RunHook:
		w.alone(a)
		if w.running != "" {
			w.t.Fatalf("hook %s runs into hook %s", a.Role, w.running)
		}
		if a.Role == Master && (!w.bound || !w.mayBind()) {
			w.t.Fatal("MASTER without addresses or lease")
		}
		if a.Role != Master && w.s.Answering() {
			w.t.Fatal("the service is stopped while the probe says yes")
		}
		w.running = a.Role
	case FindSuccessor:
		if w.s.Frozen && w.s.Held && !w.s.Stopping && w.s.Armed && w.s.Known && !w.s.Policy.Witness && !w.s.Policy.Release && w.s.Asked == nil {
			w.t.Fatal("looks for a successor in a frozen cluster")
		}
	case HandOver:
		if a.Released != 0 && (w.bound || w.running != "" || w.last == Master || w.s.HookErr != "") {
			w.t.Fatal("says that it has let go, and has not")
		}
		if w.bound || w.running != "" && !w.s.Urgent {
			w.t.Fatal("handed over with an address bound or a hook running")
		}
	case Preempt:
		if !w.s.Policy.Preempt || w.s.Leading || w.s.Paused || w.s.Stopping || w.s.Frozen {
			w.t.Fatal("preempts although it should not")
		}
	case RunPrepare:
		w.alone(a)
	case RunFence:
		w.alone(a)
		if !w.s.Held || len(w.unfenced) == 0 || a.Previous.Name != w.unfenced[0] {
			w.t.Fatalf("the fence hook runs against %q, to be fenced are %q", a.Previous.Name, w.unfenced)
		}
	}
	for _, p := range w.pending {
		if sameKind(a, p) {
			w.t.Fatalf("%T begins while one is under way", a)
		}
	}
	w.pending = append(w.pending, a)
}

// sameKind reports whether two actions are of one kind of which only one may be under
// way.
func sameKind(a, b Action) bool {
	switch a.(type) {
	case RunPrepare:
		_, same := b.(RunPrepare)
		return same
	case RunFence:
		_, same := b.(RunFence)
		return same
	case Preempt:
		_, same := b.(Preempt)
		return same
	case Claim:
		_, same := b.(Claim)
		return same
	case HandOver:
		_, same := b.(HandOver)
		return same
	case FindSuccessor:
		_, same := b.(FindSuccessor)
		return same
	}
	return false
}

// happen draws an event that the surroundings allow now.
func (w *world) happen() Event {
	t := w.t
	switch rapid.IntRange(0, 21).Draw(t, "event") {
	case 0, 1, 2:
		return w.lease(LeaseChanged{Held: true, Leading: true, Term: w.s.Term + rapid.SampledFrom([]uint64{0, 0, 1, 2}).Draw(t, "terms")})
	case 3:
		return w.lease(LeaseChanged{Term: w.s.Term, Preferred: rapid.SampledFrom([]string{"", "priority"}).Draw(t, "preferred")})
	case 4:
		return w.lease(LeaseChanged{Leading: true, Term: w.s.Term})
	case 5, 6:
		return HealthChanged{Healthy: rapid.Bool().Draw(t, "healthy"), Reason: "check", Shift: rapid.IntRange(-300, 300).Draw(t, "shift")}
	case 7:
		return FenceChecked{Err: rapid.SampledFrom([]string{"", "", "gone"}).Draw(t, "fence")}
	case 8, 9, 10, 11, 12:
		return w.answer(rapid.IntRange(0, 9).Draw(t, "which"))
	case 13:
		return Drifted{Missing: rapid.Bool().Draw(t, "missing")}
	case 14, 15:
		w.requests++
		w.asked[w.requests] = true
		return TransferAsked{Request{ID: w.requests, Move: election.Move{Hasty: rapid.Bool().Draw(t, "hasty")}}}
	case 16:
		w.requests++
		w.asked[w.requests] = true
		return PrepareAsked{w.requests}
	case 17:
		w.broken = rapid.IntRange(0, 3).Draw(t, "broken") == 0
	case 18:
		return PauseChanged{rapid.IntRange(0, 2).Draw(t, "paused") == 0}
	case 19:
		w.now = w.now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "minutes")) * time.Second)
	}
	w.now = w.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
	return Tick{}
}

func (w *world) lease(e LeaseChanged) Event {
	e.Frozen = rapid.IntRange(0, 4).Draw(w.t, "frozen") == 0
	return e
}

// answer lets something end that runs beside the agent.
func (w *world) answer(which int) Event {
	if len(w.pending) == 0 {
		return Tick{}
	}
	i := which % len(w.pending)
	a := w.pending[i]
	w.pending = append(w.pending[:i:i], w.pending[i+1:]...)
	var err error
	if rapid.IntRange(0, 3).Draw(w.t, "fails") == 0 {
		err = errors.New("exit status 1")
	}
	switch a := a.(type) {
	case RunHook:
		w.last, w.running = w.running, ""
		return HookDone{Role: a.Role, Err: text(err)}
	case RunPrepare:
		return PrepareDone{Request: a.Request, Err: err}
	case RunFence:
		void := rapid.IntRange(0, 9).Draw(w.t, "void") == 0
		if !void && w.s.Held && a.Term == w.s.Term && (err == nil || w.s.Policy.FenceProceeds) {
			w.unfenced = w.unfenced[1:]
		}
		return Fenced{Term: a.Term, Err: text(err), Void: void}
	case FindSuccessor:
		if err != nil {
			return Found{Request: a.Request, Err: err}
		}
		return Found{Request: a.Request, To: &election.Member{Name: "other"}}
	case Prepare:
		return Prepared{ID: a.ID, Err: err}
	case Wait:
		return Waited{a.ID}
	case HandOver:
		return HandedOver{err}
	case Preempt:
		return Preempted{err}
	case Claim:
		return w.claim(a, err)
	}
	w.t.Fatalf("nothing answers %T", a)
	return nil
}

// claim says whom this host has to fence.
func (w *world) claim(a Claim, err error) Event {
	c := Claimed{Term: a.Term, Err: text(err)}
	if err != nil {
		return c
	}
	names := []string{"vm1", "vm2"}[rapid.IntRange(0, 2).Draw(w.t, "fenced already"):]
	for _, name := range names {
		c.Unfenced = append(c.Unfenced, election.Member{Name: name})
	}
	if a.Term == w.s.Term {
		w.claimed, w.unfenced = a.Term, names
	}
	return c
}

func drawPolicy(t *rapid.T) Policy {
	some := func(name string) bool { return rapid.IntRange(0, 2).Draw(t, name) == 0 }
	p := Policy{Preempt: some("preempt"), Prepare: some("prepare"), Release: some("release"), Fence: some("fence"), FenceProceeds: some("proceed")}
	p.Witness, p.WaitForHook = rapid.IntRange(0, 9).Draw(t, "witness") == 0, some("wait for hook")
	p.Priority = rapid.IntRange(0, 254).Draw(t, "priority")
	if some("drains") {
		p.DrainTime = 10 * time.Second
	}
	return p
}

func TestWhateverHappensTheOrderIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: time.Unix(0, 0), asked: make(map[int]bool)}
		w.s.Policy, w.s.Term = drawPolicy(t), 1
		for range rapid.IntRange(1, 120).Draw(t, "events") {
			w.take(w.happen())
		}
		w.broken = false
		w.take(StopAsked{Hasty: rapid.Bool().Draw(t, "hasty")})
		if rapid.Bool().Draw(t, "stopped again") {
			w.take(StopAsked{Hasty: true})
		}
		for range 100 {
			if w.exited {
				break
			}
			w.now = w.now.Add(time.Second)
			w.take(w.answer(0))
			if !w.exited {
				w.take(Tick{})
			}
			if w.s.Leaving == nil && !w.s.Held && !w.exited {
				w.take(LeaseChanged{Term: w.s.Term}) // somebody else leads in the end
			}
		}
		if !w.exited {
			t.Fatalf("does not stop: %+v", w.s)
		}
		if len(w.asked) != 0 {
			t.Fatalf("somebody waits for ever: %v", w.asked)
		}
	})
}
