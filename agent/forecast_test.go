package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/vipd/vipd/election"
)

// rival is one of the two hosts of TestAForecastIsWhatTheAgentsThenDo: an agent, whose actions succeed at once.
type rival struct {
	name  string
	state State
	other *rival
	asks  bool // to preempt
}

func (r *rival) take(now time.Time, events ...Event) {
	for len(events) > 0 {
		var actions []Action
		r.state, actions = Step(r.state, events[0], now)
		events = events[1:]
		for _, a := range actions {
			switch a := a.(type) {
			case Bind:
				events = append(events, Bound{})
			case Unbind:
				events = append(events, Unbound{})
			case RunHook:
				events = append(events, HookDone{Role: a.Role})
			case FindSuccessor:
				events = append(events, r.successor(a))
			case Preempt:
				r.asks = true
			}
		}
	}
}

// successor answers as the election does.
func (r *rival) successor(f FindSuccessor) Event {
	to := r.other.member()
	if to.Healthy || to.Able && !f.Well && r.state.fitness() == election.Unable {
		return Found{Request: f.Request, To: &to}
	}
	return Found{Request: f.Request, Err: errLost}
}

func (r *rival) member() election.Member {
	s := r.state.standing()
	return election.Member{
		ID: r.name, Name: r.name, Able: s.Fitness != election.Unable, Healthy: s.Fitness == election.Ready, Reason: s.Reason,
		Priority: s.Priority, Base: s.Base, Preempt: s.Preempt, Paused: s.Paused, Checks: s.Checks,
	}
}

// fails says that a check fails: "web", which makes the host unwell, or "disk", which takes 40 of its priority.
func (r *rival) fails(now time.Time, check string) {
	e := HealthChanged{Healthy: check != "web", Checks: checks(check), Reason: "web"}
	if check == "disk" {
		e.Shift = -40
	}
	r.take(now, e)
}

func checks(failing string) []election.Check {
	return []election.Check{{Name: "web", Healthy: failing != "web"}, {Name: "disk", Healthy: failing != "disk", Weight: -40}}
}

func TestAForecastIsWhatTheAgentsThenDo(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		for _, preempts := range []bool{false, true} {
			for _, holder := range []string{"", "web", "disk", "pause", "pause web"} {
				for _, other := range []string{"", "web", "disk", "pause"} {
					t.Run(fmt.Sprintf("frozen %t, preempt %t, %s@vm1, %s@vm2", frozen, preempts, holder, other), func(t *testing.T) {
						forecastHolds(t, frozen, preempts, map[string]string{"vm1": holder, "vm2": other})
					})
				}
			}
		}
	}
}

// forecastHolds has it forecast what becomes of vm1, which holds, and then has it happen.
func forecastHolds(t *testing.T, frozen, preempts bool, happens map[string]string) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	vm1, vm2 := &rival{name: "vm1"}, &rival{name: "vm2", state: State{Policy: Policy{Preempt: preempts}}}
	vm1.other, vm2.other = vm2, vm1
	for _, r := range []*rival{vm2, vm1} {
		r.take(now, FenceChecked{}, HealthChanged{Healthy: true, Checks: checks("")})
	}
	vm1.take(now, LeaseChanged{Held: true, Leading: true, Term: 2, Frozen: frozen})

	witness := election.Member{ID: "vm3", Name: "vm3", Witness: true, Reason: "a witness"}
	s := election.Status{Leader: vm1.member(), Detect: time.Second, Needed: 2, Reachable: 3}
	for _, m := range []election.Member{vm1.member(), vm2.member(), witness} {
		s.Members = append(s.Members, election.MemberStatus{Member: m, Voter: true})
	}
	if frozen {
		s.Frozen = &election.Freeze{By: "vm3"}
	}
	var f election.Suppose
	for _, r := range []*rival{vm2, vm1} {
		var what, check string
		if _, _ = fmt.Sscan(happens[r.name], &what, &check); what == "pause" {
			f.Pause = append(f.Pause, r.name)
			r.take(now, PauseChanged{Paused: true})
		} else {
			check = what
		}
		if check != "" {
			f.Fail = append(f.Fail, check+"@"+r.name)
			r.fails(now, check)
		}
	}
	forecast, err := s.Forecast(f)
	if err != nil {
		t.Fatal(err)
	}

	if a, b := vm2.member(), vm1.member(); !frozen && a.Healthy && a.Priority > b.Priority {
		vm2.take(now, LeaseChanged{Term: 2, Preferred: "it is better"}, Tick{})
	}
	got := "vm1"
	if l := vm1.state.Leaving; l != nil && l.To != nil {
		got = l.To.Name
	} else if vm2.asks {
		got = "vm2"
	} else if !vm1.state.mayHold() {
		got = ""
	}
	if forecast.After != got {
		t.Errorf("%q holds, and %q was forecast: %s", got, forecast.After, forecast.Why)
	}
}
