package control

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestForecast(t *testing.T) {
	tests := map[string]struct {
		change  func(*Status)
		suppose Suppose
		want    string // after: why, and "planned" where it is
	}{
		"nothing":               {nil, Suppose{}, "vm1: it is well, and stays"},
		"the holder is lost":    {nil, Suppose{Lose: []string{"vm1"}}, "vm3: it is the best of those that are left (priority 150)"},
		"two are lost":          {nil, Suppose{Lose: []string{"vm1", "vm3"}}, ": one voter would be left and 2 are needed"},
		"its check fails":       {nil, Suppose{Fail: []string{"web@vm1"}}, "vm3: vm1 is unwell: web fails; it is the best of the others (priority 150), planned"},
		"a weighted one fails":  {nil, Suppose{Fail: []string{"disk@vm1"}}, "vm1: it is well, and stays"},
		"the best is worse now": {nil, Suppose{Lose: []string{"vm1"}, Fail: []string{"disk@vm3", "net@vm3"}}, "vm2: it is the best of those that are left (priority 100)"},
		"the holder is paused":  {nil, Suppose{Pause: []string{"vm1"}}, "vm3: vm1 is paused; it is the best of the others (priority 150), planned"},
		"all fail": {
			nil,
			Suppose{Fail: []string{"web@vm1", "web@vm2", "web@vm3"}},
			"vm1: it is unwell: web fails, but no other host is well; it keeps the addresses, unless `all_unhealthy: release` is set",
		},
		"all others fail and the holder is lost": {
			nil,
			Suppose{Lose: []string{"vm1"}, Fail: []string{"web@vm2", "web@vm3"}},
			"vm3: no host is well; it holds as the last resort, unless `all_unhealthy: release` is set",
		},
		"others can't": {
			func(s *Status) { s.Cluster.Members[1].Witness, s.Cluster.Members[2].Paused = true, true },
			Suppose{Lose: []string{"vm1"}},
			": none of those that are left can hold",
		},
		"frozen": {func(s *Status) { s.Cluster.Frozen = &Frozen{By: "vm1"} }, Suppose{Fail: []string{"web@vm1"}}, "vm1: it is unwell: web fails, but the cluster is frozen"},
		"frozen and lost": {
			func(s *Status) { s.Cluster.Frozen = &Frozen{By: "vm1"} },
			Suppose{Lose: []string{"vm1"}},
			"vm3: it is the best of those that are left (priority 150)",
		},
		"nobody holds now": {func(s *Status) { s.Holder = nil }, Suppose{}, "vm3: it is the best of those that are left (priority 150)"},
		"one is silent":    {func(s *Status) { s.Cluster.Members[2].Contact = new(Millis(time.Minute)) }, Suppose{Fail: []string{"web@vm1"}}, "vm2: vm1 is unwell: web fails; it is the best of the others (priority 100), planned"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := threeMembers()
			if test.change != nil {
				test.change(&s)
			}
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
		})
	}
}

func TestForecastRefusesWhatIsNotThere(t *testing.T) {
	for want, suppose := range map[string]Suppose{
		`there is no member "vm9"`:         {Lose: []string{"vm9"}},
		`"web" does not say on which host`: {Fail: []string{"web"}},
		`vm1 has no check "wbe"`:           {Fail: []string{"wbe@vm1"}},
		`there is no member "vm8"`:         {Pause: []string{"vm8"}},
	} {
		if _, err := threeMembers().Forecast(suppose); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	s := threeMembers()
	s.Cluster.Quorum.Reachable = nil
	if _, err := s.Forecast(Suppose{}); ErrorOf(err).Code != CodeNoLeader {
		t.Errorf("without a leader to ask: %v", err)
	}
}

// threeMembers is vm1, which holds, vm2, and vm3 of a higher priority.
func threeMembers() Status {
	s := Status{Holder: &Holder{Name: "vm1"}}
	s.Cluster = Cluster{ID: "c", Detect: Millis(500 * time.Millisecond), Quorum: Quorum{Needed: 2, Reachable: new(3)}}
	for _, name := range []string{"vm1", "vm2", "vm3"} {
		s.Cluster.Members = append(s.Cluster.Members, Member{
			Name: name, ID: "id-" + name, Voter: true, Able: true, Healthy: true, Priority: 100, Self: name == "vm1", Contact: new(Millis(0)),
			Checks: []MemberCheck{{Name: "web", Healthy: true}, {Name: "disk", Healthy: true, Weight: -40}, {Name: "net", Healthy: true, Weight: 20}},
		})
	}
	s.Cluster.Members[2].Priority = 150
	return s
}
