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
	case "fence":
		return FenceChecked{Err: failure}
	case "health":
		return HealthChanged{Healthy: failure == "", Reason: failure}
	case "lease":
		e := LeaseChanged{Held: true, Leading: true}
		_, _ = fmt.Sscan(rest, &e.Term)
		return e
	case "lost":
		return LeaseChanged{Term: s.state.Term}
	case "expired":
		return LeaseChanged{Leading: true, Term: s.state.Term}
	case "bind-fails":
		s.bind = failure
		return nil
	case "unbind-fails":
		s.unbind = failure
		return nil
	case "hook-done":
		return HookDone{Role: s.state.Role, Err: failure}
	case "found":
		return Found{Request: s.request(), To: &election.Member{Name: rest}}
	case "found-none":
		return Found{Request: s.request(), Err: errors.New("no other healthy member is in contact")}
	case "handed-over":
		return HandedOver{Err: err}
	case "drift":
		return Drifted{Missing: rest == "missing"}
	case "transfer":
		return TransferAsked{Request{ID: 1, Target: rest, Reason: "asked for by an operator"}}
	case "stop":
		return StopAsked{}
	case "tick":
		s.now = s.now.Add(time.Second)
		return Tick{}
	case "hold-down-over":
		s.now = s.now.Add(HoldDown)
		return Tick{}
	}
	t.Fatalf("unknown command %q", command)
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
		s.state, actions = Step(s.state, queue[0], s.now)
		for _, a := range actions {
			s.trace = append(s.trace, "  "+describe(a))
			switch a.(type) {
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
	case SetFitness:
		return fmt.Sprintf("fitness %s: %s", map[election.Fitness]string{election.Unable: "unable", election.Unwell: "unwell", election.Ready: "ready"}[a.Degree], a.Reason)
	case FindSuccessor:
		return fmt.Sprintf("find successor %q: %s", a.Target, a.Reason)
	case HandOver:
		return "hand over to " + a.To.Name
	case Reply:
		return fmt.Sprintf("reply: to %q, error %v", a.To, a.Err)
	}
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", a), "agent."))
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
