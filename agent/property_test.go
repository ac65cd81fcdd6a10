package agent

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vipd/vipd/election"
)

// world is what surrounds the agent, as a model: what is really bound, which hook
// really runs, who waits for an answer.
type world struct {
	t        *rapid.T
	s        State
	now      time.Time
	bound    bool
	broken   bool // addresses can't be removed now
	running  Role
	last     Role // of the hook that ended last
	finding  []FindSuccessor
	moving   bool
	asked    map[int]bool // by operators, unanswered
	requests int
	exited   bool
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
	if w.bound && w.s.UnbindErr == "" && !w.mayHold() {
		w.t.Fatalf("an address is bound without a lease behind an armed fence: %+v", w.s)
	}
}

func (w *world) perform(a Action) Event {
	switch a := a.(type) {
	case Bind:
		if !w.s.Held || !w.s.Armed {
			w.t.Fatal("bound without lease or fence")
		}
		w.bound = true
		if rapid.IntRange(0, 9).Draw(w.t, "bind fails") == 0 {
			return Bound{Err: "no such link"}
		}
		return Bound{}
	case Unbind:
		if w.mayHold() && w.s.Leaving != nil && w.last == Master && w.running == "" {
			w.t.Fatal("a planned move took the addresses off before the service was stopped")
		}
		if w.broken {
			return Unbound{Err: "busy"}
		}
		w.bound = false
		return Unbound{}
	case RunHook:
		if w.running != "" {
			w.t.Fatalf("hook %s runs into hook %s", a.Role, w.running)
		}
		if a.Role == Master && (!w.bound || !w.s.Held) {
			w.t.Fatal("MASTER without addresses or lease")
		}
		w.running = a.Role
	case FindSuccessor:
		w.finding = append(w.finding, a)
	case HandOver:
		if w.bound || w.running != "" {
			w.t.Fatal("handed over with an address bound or a hook running")
		}
		w.moving = true
	case SetFitness:
		if a.Degree == election.Ready && (!w.s.Armed || !w.s.Healthy || !w.s.Known) {
			w.t.Fatal("stands although it is not fit")
		}
	case Reply:
		if !w.asked[a.Request] {
			w.t.Fatalf("request %d was answered twice, or never asked", a.Request)
		}
		delete(w.asked, a.Request)
	case Arm:
		return FenceChecked{}
	case Exit:
		if w.bound || w.running != "" {
			w.t.Fatal("exits with an address bound or a hook running")
		}
		w.exited = true
	}
	return nil
}

func (w *world) mayHold() bool { return w.s.Held && w.s.Armed }

// happen draws an event that the surroundings allow now.
func (w *world) happen() Event {
	t := w.t
	switch rapid.IntRange(0, 13).Draw(t, "event") {
	case 0, 1:
		return LeaseChanged{Held: true, Leading: true, Term: w.s.Term + rapid.Uint64Range(0, 2).Draw(t, "terms")}
	case 2:
		return LeaseChanged{Term: w.s.Term}
	case 3:
		return LeaseChanged{Leading: true, Term: w.s.Term}
	case 4:
		return HealthChanged{Healthy: rapid.Bool().Draw(t, "healthy"), Reason: "check"}
	case 5:
		return FenceChecked{Err: rapid.SampledFrom([]string{"", "", "gone"}).Draw(t, "fence")}
	case 6, 7, 8:
		return w.answer()
	case 9:
		return Drifted{Missing: rapid.Bool().Draw(t, "missing")}
	case 10:
		w.requests++
		w.asked[w.requests] = true
		return TransferAsked{Request{ID: w.requests}}
	case 11:
		w.broken = rapid.IntRange(0, 3).Draw(t, "broken") == 0
	}
	w.now = w.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
	return Tick{}
}

// answer lets something end that runs beside the agent.
func (w *world) answer() Event {
	switch {
	case w.running != "":
		done := HookDone{Role: w.running}
		if rapid.IntRange(0, 4).Draw(w.t, "hook fails") == 0 {
			done.Err = "exit status 1"
		}
		w.last, w.running = w.running, ""
		return done
	case w.moving:
		w.moving = false
		return HandedOver{}
	case len(w.finding) > 0:
		f := Found{Request: w.finding[0].Request, To: &election.Member{Name: "other"}}
		if rapid.Bool().Draw(w.t, "nobody") {
			f.To, f.Err = nil, errors.New("nobody")
		}
		w.finding = w.finding[1:]
		return f
	}
	return Tick{}
}

func TestWhateverHappensTheOrderIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: time.Unix(0, 0), asked: make(map[int]bool)}
		for range rapid.IntRange(1, 120).Draw(t, "events") {
			w.take(w.happen())
		}
		w.broken = false
		w.take(StopAsked{})
		for range 40 {
			if w.exited {
				break
			}
			w.now = w.now.Add(time.Second)
			w.take(w.answer())
			w.take(Tick{})
			if w.s.Leaving == nil && !w.s.Held {
				w.take(LeaseChanged{Term: w.s.Term}) // somebody else leads in the end
			}
		}
		if !w.exited {
			t.Fatalf("does not stop: %+v", w.s)
		}
		if len(w.asked) != 0 {
			t.Fatalf("operators wait for ever: %v", w.asked)
		}
	})
}
