package health

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// behaviour is how a script behaves.
type behaviour struct {
	takes time.Duration
	fails bool
	deaf  bool          // its process can't be killed
	dies  time.Duration // how long it takes to die
}

// scripts is a working model of the operator's scripts.
type scripts struct {
	mu       sync.Mutex
	behave   map[string]behaviour
	running  map[string]int
	most     int // runs of one check at the same time
	starts   map[string][]time.Duration
	began    time.Time
	verdicts []Verdict // what the Monitor has reported
}

func newScripts(behave map[string]behaviour) *scripts {
	return &scripts{behave: behave, running: map[string]int{}, starts: map[string][]time.Duration{}, began: time.Now()}
}

func (s *scripts) start(c Check) (*process, error) {
	if c.Probe == nil {
		return nil, errors.New("no such file")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts[c.Name] = append(s.starts[c.Name], time.Since(s.began))
	s.running[c.Name]++
	s.most = max(s.most, s.running[c.Name])
	killed := make(chan struct{})
	p := &process{exited: make(chan struct{}), output: func() string { return c.Name + " was here" }, kill: func() { close(killed) }}
	go s.live(p, c.Name, s.behave[c.Name], killed)
	return p, nil
}

// live is the life of one process.
func (s *scripts) live(p *process, name string, b behaviour, killed <-chan struct{}) {
	defer close(p.exited)
	end := time.After(b.takes)
	select {
	case <-end:
	case <-killed:
		if b.deaf {
			<-end
		}
		<-time.After(b.dies)
	}
	if b.fails {
		p.err = errors.New("exit status 1")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[name]--
}

// set makes the script of the named check behave like b from now on.
func (s *scripts) set(name string, b behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behave[name] = b
}

// after lets time pass, and returns what has been reported so far.
func (s *scripts) after(d time.Duration) []Verdict {
	time.Sleep(d)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.verdicts)
}

func (s *scripts) report(v Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdicts = append(s.verdicts, v)
}

// monitor runs a Monitor of checks on s until the test ends.
func (s *scripts) monitor(t *testing.T, checks ...Check) *Monitor {
	t.Helper()
	m := NewMonitor(checks, zap.NewNop())
	m.starter = s.start
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx, s.report) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return m
}

func check(name string) Check {
	return Check{Name: name, Probe: Script{Command: []string{name}}, Interval: time.Second, Timeout: 500 * time.Millisecond, Fall: 2, Rise: 2}
}

func TestWithoutChecksTheHostIsHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripts(nil)
		m := s.monitor(t)
		want := Verdict{Known: true, Healthy: true, Checks: []Result{}}
		if diff := cmp.Diff([]Verdict{want}, s.after(time.Minute)); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, m.Verdict()); diff != "" {
			t.Errorf("verdict (-want +got):\n%s", diff)
		}
	})
}

func TestNothingIsKnownUntilEveryCheckHasRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripts(map[string]behaviour{"slow": {takes: 400 * time.Millisecond}})
		s.monitor(t, check("quick"), check("slow"))
		reports := s.after(399 * time.Millisecond)
		if v := reports[len(reports)-1]; v.Known || v.Healthy || v.Reason != "slow: has not run yet" {
			t.Errorf("before the slow check has run: %+v", v)
		}
		reports = s.after(time.Millisecond)
		if v := reports[len(reports)-1]; !v.Known || !v.Healthy || v.Reason != "" {
			t.Errorf("after it: %+v", v)
		}
		if len(reports) != 3 {
			t.Errorf("%d reports, want one at the start and one for each check", len(reports))
		}
	})
}

func TestAFailingCheckIsReportedAfterFallRunsAndItsRecoveryAfterRise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripts(map[string]behaviour{})
		m := s.monitor(t, check("web"))
		s.after(time.Second / 2)
		s.set("web", behaviour{fails: true})
		reports, v := s.after(time.Second), m.Verdict()
		if len(reports) != 2 || !v.Healthy || v.Checks[0].Failures != 1 || v.Checks[0].Reason != "exit status 1" {
			t.Errorf("after one failure: %+v", v)
		}
		reports = s.after(time.Second)
		now := s.began.Add(2 * time.Second)
		want := Verdict{Known: true, Reason: "web: exit status 1", Checks: []Result{{
			Name: "web", Known: true, Since: now, Last: now, Output: "web was here", Reason: "exit status 1", Failures: 2,
		}}}
		if diff := cmp.Diff(want, reports[2]); diff != "" {
			t.Errorf("after two failures (-want +got):\n%s", diff)
		}
		s.set("web", behaviour{})
		reports, v = s.after(time.Second), m.Verdict()
		if len(reports) != 3 || v.Healthy || v.Reason != "web: succeeds, but not often enough yet" {
			t.Errorf("after one success: %+v", v)
		}
		if v := s.after(time.Second)[3]; !v.Healthy || v.Reason != "" || !v.Checks[0].Since.Equal(s.began.Add(4*time.Second)) {
			t.Errorf("after two: %+v", v)
		}
	})
}

func TestACheckWithAWeightShiftsThePriorityAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripts(map[string]behaviour{"slow": {takes: 400 * time.Millisecond}})
		weighted := func(name string, weight int) Check {
			c := check(name)
			c.Weight, c.Fall, c.Rise = weight, 1, 1
			return c
		}
		m := s.monitor(t, check("web"), weighted("slow", -20), weighted("bonus", 7), weighted("malus", -3))
		shift := func(want int) {
			t.Helper()
			if v := m.Verdict(); v.Shift != want || !v.Known || !v.Healthy || v.Reason != "" {
				t.Errorf("want a healthy host with shift %+d, got %+v", want, v)
			}
		}
		if v := s.after(0)[0]; v.Shift != -23 || v.Known {
			t.Errorf("before anything has run: %+v", v)
		}
		shift(-20 + 7) // the slow check is not known yet
		s.after(500 * time.Millisecond)
		shift(7)
		s.set("bonus", behaviour{fails: true})
		s.set("malus", behaviour{fails: true})
		before := len(s.after(0))
		reports := s.after(time.Second)
		shift(-3)
		if len(reports) != before+2 {
			t.Errorf("%d reports of two changes", len(reports)-before)
		}
		if r := reports[len(reports)-1].Checks[3]; r.Weight != -3 || r.Healthy || r.Reason != "exit status 1" {
			t.Errorf("the check itself: %+v", r)
		}
		s.set("web", behaviour{fails: true})
		if v := s.after(2 * time.Second); v[len(v)-1].Healthy || v[len(v)-1].Shift != -3 {
			t.Errorf("after the check without a weight has failed: %+v", v[len(v)-1])
		}
	})
}

func TestAHangingCheckCountsAsFailedAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripts(map[string]behaviour{"web": {takes: time.Hour}})
		s.monitor(t, check("web"))
		v := s.after(500 * time.Millisecond)[1]
		if v.Healthy || v.Reason != "web: still running after 500ms, killed" || v.Checks[0].Took != 500*time.Millisecond {
			t.Errorf("at the timeout: %+v", v)
		}
	})
}

func TestACheckThatCannotBeKilledFailsOnAndIsNotStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripts(map[string]behaviour{"web": {takes: 3500 * time.Millisecond, deaf: true}})
		m := s.monitor(t, check("web"))
		v := s.after(500*time.Millisecond + killGrace)[1]
		if v.Healthy || v.Reason != "web: still running after 500ms, killed, but it hangs in the kernel" {
			t.Errorf("after the timeout: %+v", v)
		}
		s.set("web", behaviour{})
		s.after(2500 * time.Millisecond)
		if r := m.Verdict().Checks[0]; r.Failures != 4 || r.Reason != "a process of an earlier run hangs in the kernel and can't be killed" {
			t.Errorf("while it hangs: %+v", r)
		}
		if v := s.after(2 * time.Second)[2]; !v.Healthy {
			t.Errorf("after it has gone: %+v", v)
		}
		if diff := cmp.Diff([]time.Duration{0, 4 * time.Second, 5 * time.Second}, s.starts["web"]); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
	})
}

func TestACheckThatCannotBeStartedIsUnhealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripts(nil)
		s.monitor(t, Check{Name: "web", Interval: time.Second, Timeout: time.Second})
		if v := s.after(0)[1]; !v.Known || v.Healthy || v.Reason != "web: no such file" {
			t.Errorf("got %+v", v)
		}
	})
}

func TestChecksRunAtTheirIntervalAndNeverOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripts(map[string]behaviour{"slow": {takes: 2500 * time.Millisecond}})
		slow := check("slow")
		slow.Timeout = time.Minute
		s.monitor(t, slow, check("quick"))
		s.after(5 * time.Second)
		const ms = time.Millisecond
		want := map[string][]time.Duration{
			"slow":  {0, 2500 * ms, 5000 * ms},
			"quick": {0, 1000 * ms, 2000 * ms, 3000 * ms, 4000 * ms, 5000 * ms},
		}
		if diff := cmp.Diff(want, s.starts); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
		if s.most != 1 {
			t.Errorf("%d runs of one check at once", s.most)
		}
	})
}

func TestRunReturnsWhenItsChecksAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripts(map[string]behaviour{"web": {takes: time.Hour, dies: 50 * time.Millisecond}})
		m := NewMonitor([]Check{check("web")}, zap.NewNop())
		m.starter = s.start
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := m.Run(ctx, s.report); err != nil {
			t.Error(err)
		}
		if took := time.Since(s.began); took != 150*time.Millisecond {
			t.Errorf("returned after %v", took)
		}
	})
}

func TestACheckThatIsKilledBecauseRunEndsIsNotJudged(t *testing.T) {
	for range 20 { // which of two events is seen first is chance
		synctest.Test(t, func(t *testing.T) {
			s := newScripts(map[string]behaviour{"slow": {takes: 400 * time.Millisecond, fails: true}})
			m := NewMonitor([]Check{check("quick"), check("slow")}, zap.NewNop())
			m.starter = s.start
			ctx, cancel := context.WithCancel(t.Context())
			report := func(v Verdict) {
				if v.Checks[0].Known {
					cancel()
					time.Sleep(time.Second) // the end of the slow check comes meanwhile
				}
			}
			if err := m.Run(ctx, report); err != nil {
				t.Error(err)
			}
			if r := m.Verdict().Checks[1]; r.Known {
				t.Errorf("judged: %+v", r)
			}
		})
	}
}
