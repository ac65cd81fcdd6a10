package agent

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/election"
)

var update = flag.Bool("update", false, "rewrite the scenarios' traces")

// scenario plays a file: each line that begins with "> " is something that happens,
// the lines below it are what the agent then does. The kernel does what it is told
// unless the file says that it fails; everything else answers only when told to.
type scenario struct {
	state  State
	now    time.Time
	bind   string // how the kernel fails
	unbind string
	trace  []string

	preparing, waiting int    // what the last such action was about
	fencing            uint64 // and this
}

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(want), got); diff != "" && !*update {
				t.Errorf("run with -update and review the difference (-file +now):\n%s", diff)
			}
		})
	}
}

func play(t *testing.T, text string) string {
	s := &scenario{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for line := range strings.Lines(text) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "#"):
			s.trace = append(s.trace, line)
		case strings.HasPrefix(line, "> "):
			s.trace = append(s.trace, "", line)
			for command := range strings.SplitSeq(line[2:], ";") {
				if e := s.parse(t, strings.TrimSpace(command)); e != nil {
					s.take(e)
				}
			}
		}
	}
	return strings.Join(s.trace, "\n") + "\n"
}

func (s *scenario) parse(t *testing.T, command string) Event {
	word, rest, _ := strings.Cut(command, " ")
	failure := rest
	if rest == "ok" {
		failure = ""
	}
	var err error
	if failure != "" {
		err = errors.New(failure)
	}
	switch word {
	case "policy":
		s.policy(t, rest)
		return nil
	case "bind-fails":
		s.bind = failure
		return nil
	case "unbind-fails":
		s.unbind = failure
		return nil
	case "fence":
		return FenceChecked{Err: failure}
	case "health":
		return HealthChanged{Healthy: failure == "", Reason: failure}
	case "shift":
		e := HealthChanged{Healthy: true, Checks: []election.Check{{Name: "disk"}}}
		_, _ = fmt.Sscan(rest, &e.Shift)
		return e
	case "pause":
		return PauseChanged{Paused: true}
	case "resume":
		return PauseChanged{}
	case "lease", "lost", "expired", "freeze", "thaw", "preferred":
		return s.lease(word, rest)
	case "hook-done":
		return HookDone{Role: s.state.Role, Err: failure}
	case "drift":
		return Drifted{Missing: rest == "missing"}
	case "stop":
		return StopAsked{Hasty: rest == "hasty"}
	case "tick":
		s.now = s.now.Add(time.Second)
		return Tick{}
	case "pass":
		d, err := time.ParseDuration(rest)
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(d)
		return Tick{}
	}
	if e := s.others(word, rest, err); e != nil {
		return e
	}
	t.Fatalf("unknown command %q", command)
	return nil
}

// policy sets what is configured, from words as "drain=10s".
func (s *scenario) policy(t *testing.T, words string) {
	p := &s.state.Policy
	flags := map[string]*bool{
		"witness": &p.Witness, "preempt": &p.Preempt, "prepare": &p.Prepare, "release": &p.Release, "fence": &p.Fence, "proceed": &p.FenceProceeds,
		"wait-for-hook": &p.WaitForHook,
	}
	durations := map[string]*time.Duration{"drain": &p.DrainTime, "preempt-delay": &p.PreemptDelay}
	for word := range strings.FieldsSeq(words) {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch {
		case flags[name] != nil:
			*flags[name] = true
		case durations[name] != nil:
			*durations[name], err = time.ParseDuration(value)
		case name == "priority":
			_, err = fmt.Sscan(value, &p.Priority)
		default:
			err = errors.New("unknown policy")
		}
		if err != nil {
			t.Fatalf("%s: %v", word, err)
		}
	}
}

// lease is what the election says after a change.
func (s *scenario) lease(word, rest string) Event {
	e := LeaseChanged{Held: s.state.Held, Leading: s.state.Leading, Term: s.state.Term, Frozen: s.state.Frozen}
	switch word {
	case "lease":
		e.Held, e.Leading = true, true
		_, _ = fmt.Sscan(rest, &e.Term)
	case "lost":
		e.Held, e.Leading = false, false
	case "expired":
		e.Held, e.Leading = false, true
		_, _ = fmt.Sscan(rest, &e.Term)
	case "freeze":
		e.Frozen = true
	case "thaw":
		e.Frozen = false
	case "preferred":
		e.Preferred = rest
	}
	return e
}

// others is what other members, or those who ask them, have to say.
func (s *scenario) others(word, rest string, err error) Event {
	switch word {
	case "transfer":
		return TransferAsked{Request{ID: 1, Move: election.Move{Target: rest, Reason: "asked for by an operator", Cause: election.ByOperator}}}
	case "transfer-hasty":
		return TransferAsked{Request{ID: 1, Move: election.Move{Target: rest, Reason: "asked for by an operator", Cause: election.ByOperator, Hasty: true}}}
	case "found":
		return Found{Request: s.request(), To: &election.Member{Name: rest}}
	case "found-none":
		return Found{Request: s.request(), Err: errors.New("no other healthy member is in contact")}
	case "prepared":
		return Prepared{ID: s.preparing, Err: err}
	case "prepared-late":
		return Prepared{ID: s.preparing - 1, Err: err}
	case "waited-late":
		return Waited{ID: s.waiting - 2}
	case "waited":
		return Waited{ID: s.waiting}
	case "handed-over":
		return HandedOver{Err: err}
	case "preempted":
		return Preempted{Err: err}
	case "claimed":
		e := Claimed{Term: s.state.Term}
		for name := range strings.FieldsSeq(rest) {
			e.Unfenced = append(e.Unfenced, election.Member{Name: name})
		}
		return e
	case "claim-fails":
		return Claimed{Term: s.state.Term, Err: rest}
	case "fenced":
		if err != nil {
			return Fenced{Term: s.fencing, Err: rest}
		}
		return Fenced{Term: s.fencing}
	case "prepare-asked":
		return PrepareAsked{Request: 7}
	case "prepare-done":
		return PrepareDone{Request: 7, Err: err}
	}
	return nil
}

func (s *scenario) request() int {
	if s.state.Asked != nil {
		return s.state.Asked.ID
	}
	return 0
}

func (s *scenario) take(e Event) {
	for queue := []Event{e}; len(queue) > 0; queue = queue[1:] {
		var actions []Action
		answering := s.state.Answering()
		s.state, actions = Step(s.state, queue[0], s.now)
		if now := s.state.Answering(); now != answering {
			s.trace = append(s.trace, "  the probe says "+map[bool]string{true: "yes", false: "no"}[now])
		}
		for _, a := range actions {
			s.trace = append(s.trace, "  "+describe(a))
			switch a := a.(type) {
			case Prepare:
				s.preparing = a.ID
			case Wait:
				s.waiting = a.ID
			case RunFence:
				s.fencing = a.Term
			case Bind:
				queue = append(queue, Bound{Err: s.bind})
			case Unbind:
				queue = append(queue, Unbound{Err: s.unbind})
			}
		}
	}
}

func describe(a Action) string {
	switch a := a.(type) {
	case RunHook:
		return fmt.Sprintf("hook %s after %q, term %d: %s", a.Role, a.Previous, a.Term, a.Reason)
	case SetStanding:
		return describeStanding(a.Standing)
	case FindSuccessor:
		return strings.TrimSuffix(fmt.Sprintf("find successor %q%s", a.Target, map[bool]string{true: ", well"}[a.Well]), ` ""`)
	case Prepare:
		what := map[[2]bool]string{{true, true}: "prepare", {false, true}: "look again", {false, false}: "record"}[[2]bool{a.Warm, a.Recheck}]
		return fmt.Sprintf("%s to hand over to %s: %s", what, a.To.Name, a.Reason) +
			map[election.Cause]string{election.ByOperator: " (by an operator)"}[a.Cause]
	case Wait:
		return "wait " + a.For.String()
	case HandOver:
		if a.To == nil {
			return "record that it has let go"
		}
		return "hand over to " + a.To.Name + map[bool]string{true: ", and record that it has let go"}[a.Released != 0]
	case Preempt:
		return "preempt: " + a.Reason
	case RunFence:
		return fmt.Sprintf("fence %s, term %d: %s", a.Previous.Name, a.Term, a.Reason)
	case RecordFenced:
		return "record that " + a.Previous.Name + " is fenced"
	case RunPrepare:
		return "hook PREPARE: " + a.Reason
	case Reply:
		return fmt.Sprintf("reply: to %q, error %v", a.To, a.Err)
	}
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", a), "agent."))
}

func describeStanding(s election.Standing) string {
	name := map[election.Fitness]string{election.Unable: "unable", election.Unwell: "unwell", election.LastResort: "last resort", election.Ready: "ready"}[s.Fitness]
	text := strings.TrimSuffix("standing "+name+": "+s.Reason, ": ")
	if s.Priority != election.DefaultPriority {
		text += fmt.Sprintf(", priority %d", s.Priority)
	}
	if s.Paused {
		text += ", paused"
	}
	for _, c := range s.Checks {
		text += ", check " + c.Name
	}
	return text
}

func TestTheStateSaysHowTheLastHookWent(t *testing.T) {
	began := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	s := State{Role: Backup, Since: began, Running: true}
	for _, c := range []struct {
		e    HookDone
		took time.Duration
	}{{HookDone{Role: Backup, Err: "exit status 1"}, 3 * time.Second}, {HookDone{Role: Backup}, time.Second}} {
		if got, _ := Step(s, c.e, began.Add(c.took)); got.HookErr != c.e.Err || got.HookTook != c.took {
			t.Errorf("after %+v: %q, took %s", c.e, got.HookErr, got.HookTook)
		}
	}
}

// Somebody asks for a transfer while this host looks for a successor for its own sake, and
// the lead is lost before one is found. The request must not wait for the next lead.
func TestATransferThatTheLossOfTheLeadHasOvertakenIsAnswered(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	s := State{}
	var replies []Reply
	for _, e := range []Event{
		FenceChecked{},
		HealthChanged{Healthy: true},
		LeaseChanged{Held: true, Leading: true, Term: 3},
		Bound{},
		HealthChanged{Reason: "sick"},
		TransferAsked{Request{ID: 7, Move: election.Move{Target: "vm3"}}},
		LeaseChanged{Term: 3},
		Found{Err: errors.New("led no longer")},
	} {
		var actions []Action
		s, actions = Step(s, e, now)
		for _, a := range actions {
			if r, ok := a.(Reply); ok {
				replies = append(replies, r)
			}
		}
	}
	if len(replies) != 1 || replies[0].Request != 7 || replies[0].Err == nil || s.Asked != nil {
		t.Errorf("replies %+v, still asked %+v", replies, s.Asked)
	}
}
