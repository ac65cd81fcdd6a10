package election

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestForecast(t *testing.T) {
	frozen := func(s *Status) { s.Frozen = &Freeze{By: "vm1"} }
	preempts := func(s *Status) { s.Members[2].Preempt = true }
	paused := func(i int) func(*Status) {
		return func(s *Status) {
			m := &s.Members[i]
			m.Paused, m.Healthy, m.Able, m.Reason = true, false, m.ID == s.Leader.ID, "paused by an operator"
		}
	}
	sick := []string{"web@vm2", "web@vm3"}
	best := "it is the best of those that are left (priority 150)"
	tests := map[string]struct {
		change  func(*Status)
		suppose Suppose
		want    string // after: why, and "planned" where it is
	}{
		"nothing":                         {nil, Suppose{}, "vm1: it is well, and stays"},
		"the holder is lost":              {nil, Suppose{Lose: []string{"vm1"}}, "vm3: " + best},
		"two are lost":                    {nil, Suppose{Lose: []string{"vm1", "vm3"}}, ": 1 of 3 voters would be left, and 2 are needed"},
		"its check fails":                 {nil, Suppose{Fail: []string{"web@vm1"}}, "vm3: vm1 is unwell: web fails; it is the best of the others (priority 150), planned"},
		"a weighted one fails":            {nil, Suppose{Fail: []string{"disk@vm1"}}, "vm1: it is well, and stays"},
		"the best is worse now":           {nil, Suppose{Lose: []string{"vm1"}, Fail: []string{"disk@vm3", "net@vm3"}}, "vm2: it is the best of those that are left (priority 100)"},
		"the holder is paused":            {nil, Suppose{Pause: []string{"vm1"}}, "vm3: vm1 is paused by an operator; it is the best of the others (priority 150), planned"},
		"it is paused, and others unwell": {nil, Suppose{Pause: []string{"vm1"}, Fail: sick}, "vm1: it is paused by an operator, but no other host is well"},
		"it was paused, others unwell":    {paused(0), Suppose{Fail: sick}, "vm1: it is paused by an operator, but no other host is well"},
		"frozen and paused":               {frozen, Suppose{Pause: []string{"vm1"}}, "vm1: it is paused by an operator, but the cluster is frozen"},
		"all are paused and one is lost":  {paused(1), Suppose{Pause: []string{"vm3"}, Lose: []string{"vm1"}}, ": none of those that are left can hold"},
		"all fail": {
			nil,
			Suppose{Fail: append(sick, "web@vm1")},
			"vm1: it is unwell: web fails, but no other host is well; it keeps the addresses, unless `all_unhealthy: release` is set",
		},
		"all others fail and the holder is lost": {
			nil, Suppose{Lose: []string{"vm1"}, Fail: sick}, "vm3: no host is well; it holds as the last resort, unless `all_unhealthy: release` is set",
		},
		"others can't": {func(s *Status) {
			s.Members[1].Witness, s.Members[1].Able, s.Members[1].Healthy = true, false, false
			paused(2)(s)
		}, Suppose{Lose: []string{"vm1"}}, ": none of those that are left can hold"},
		"frozen":                    {frozen, Suppose{Fail: []string{"web@vm1"}}, "vm1: it is unwell: web fails, but the cluster is frozen"},
		"frozen and lost":           {frozen, Suppose{Lose: []string{"vm1"}}, "vm3: " + best},
		"nobody holds now":          {func(s *Status) { s.Leader = Member{} }, Suppose{}, "vm3: " + best},
		"one is silent":             {func(s *Status) { s.Members[2].Contact = time.Minute }, Suppose{Fail: []string{"web@vm1"}}, "vm2: vm1 is unwell: web fails; it is the best of the others (priority 100), planned"},
		"one has never been heard":  {func(s *Status) { s.Members[2].Contact = -1 }, Suppose{Lose: []string{"vm1"}}, ": 1 of 3 voters would be left, and 2 are needed"},
		"a better one preempts":     {preempts, Suppose{}, "vm3: it preempts: vm3 has priority 150, vm1 has 100, planned"},
		"it does once it is better": {func(s *Status) { s.Members[1].Preempt = true }, Suppose{Fail: []string{"disk@vm1"}}, "vm2: it preempts: vm2 has priority 100, vm1 has 60, planned"},
		"not while frozen":          {func(s *Status) { preempts(s); frozen(s) }, Suppose{}, "vm1: it is well, and stays"},
		"not while it is held back": {func(s *Status) { preempts(s); s.Members[2].HoldDown = time.Now() }, Suppose{}, "vm1: it is well, and stays"},
		"the holder is unable": {
			func(s *Status) {
				s.Members[0].Able, s.Members[0].Healthy, s.Members[0].Reason = false, false, "stopping"
			},
			Suppose{Fail: sick},
			"vm3: vm1 is not able: stopping; it is the best of the others (priority 150), planned",
		},
		"nobody is able": {
			func(s *Status) {
				for i := range s.Members {
					s.Members[i].Able, s.Members[i].Healthy, s.Members[i].Reason = false, false, "released"
				}
			},
			Suppose{},
			": vm1 is not able: released, and no other host can hold",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := threeMembers()
			if test.change != nil {
				test.change(&s)
			}
			before := s.Members[0].Checks[0]
			f, err := s.Forecast(test.suppose)
			if err != nil {
				t.Fatal(err)
			}
			got := f.After + ": " + f.Why
			if f.Planned {
				got += ", planned"
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if s.Members[0].Checks[0] != before {
				t.Error("what was only supposed has got into the status")
			}
		})
	}
}

// A priority goes no higher than 254, and what a check adds beyond that is not taken away when it fails.
func TestForecastCountsFromThePriorityBeforeTheChecks(t *testing.T) {
	for name, test := range map[string]struct{ base, priority, want int }{
		"clamped":                      {250, 254, 250},
		"not clamped":                  {150, 170, 150},
		"a member of an older version": {0, 170, 150},
	} {
		s := threeMembers()
		s.Members[0].Base, s.Members[0].Priority = test.base, test.priority
		f, err := s.Forecast(Suppose{Fail: []string{"net@vm1"}})
		if err != nil || f.Members[0].Priority != test.want {
			t.Errorf("%s: %d, %v; want %d", name, f.Members[0].Priority, err, test.want)
		}
	}
}

func TestForecastRefusesWhatIsNotThere(t *testing.T) {
	for want, suppose := range map[string]Suppose{
		`there is no member "vm9"`:         {Lose: []string{"vm9"}},
		`"web" does not say on which host`: {Fail: []string{"web"}},
		`vm1 has no check "wbe"`:           {Fail: []string{"wbe@vm1"}},
		`there is no member "vm8"`:         {Pause: []string{"vm8"}},
		`there is no member "vm7"`:         {Fail: []string{"web@vm7"}},
	} {
		_, err := threeMembers().Forecast(suppose)
		if _, unknown := errors.AsType[*UnknownError](err); !unknown || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	s := threeMembers()
	s.Reachable = -1
	if _, err := s.Forecast(Suppose{}); !errors.Is(err, ErrNoLeader) {
		t.Errorf("without a leader to ask: %v", err)
	}
}

// threeMembers is vm1, which holds, vm2, and vm3 of a higher priority.
func threeMembers() Status {
	s := Status{ID: "id-vm1", Cluster: "c", Detect: half, Needed: 2, Reachable: 3}
	for _, name := range []string{"vm1", "vm2", "vm3"} {
		s.Members = append(s.Members, MemberStatus{Voter: true, Member: Member{
			Name: name, ID: "id-" + name, Able: true, Healthy: true, Priority: 100, Base: 80,
			Checks: []Check{{Name: "web", Healthy: true}, {Name: "disk", Healthy: true, Weight: -40}, {Name: "net", Healthy: true, Weight: 20}},
		}})
	}
	s.Members[2].Priority, s.Members[2].Base = 150, 130
	s.Leader = s.Members[0].Member
	return s
}
