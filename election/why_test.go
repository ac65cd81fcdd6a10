package election

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatusSaysWhyEachMemberHoldsOrDoesNot(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	member := func(name string, change func(*MemberStatus)) MemberStatus {
		m := MemberStatus{Member: Member{ID: name, Name: name, Able: true, Healthy: true}, Voter: true}
		change(&m)
		return m
	}
	s := Status{Detect: half, Members: []MemberStatus{
		member("vm1", func(*MemberStatus) {}),
		member("vm2", func(m *MemberStatus) { m.Priority = 90 }),
		member("vm3", func(*MemberStatus) {}),
		member("vm4", func(m *MemberStatus) { m.Priority = 150 }),
		member("vm5", func(m *MemberStatus) { m.Priority, m.Preempt, m.HoldDown = 150, true, now.Add(time.Minute) }),
		member("vm6", func(m *MemberStatus) { m.Witness, m.Able, m.Healthy = true, false, false }),
		member("vm7", func(m *MemberStatus) { m.Paused, m.Able, m.Healthy = true, false, false }),
		member("vm8", func(m *MemberStatus) { m.Healthy, m.Reason = false, "web: exit status 1" }),
		member("vm9", func(m *MemberStatus) { m.Able, m.Healthy, m.Reason = false, false, "the fence is not armed" }),
		member("vm10", func(m *MemberStatus) { m.Voter = false }),
		member("vm11", func(m *MemberStatus) { m.Contact = time.Minute }),
	}}
	s.Leader = s.Members[0].Member
	s.explain(now)
	got := ""
	for _, m := range s.Members {
		got += m.Name + ": " + m.Why + "\n"
	}
	want := `vm1: holds (priority 100; vm4 has 150)
vm2: ready; priority 90, vm1 has 100
vm3: ready; the same priority as vm1
vm4: ready and better (priority 150), and does not preempt: takes over when the holder fails
vm5: ready and better (priority 150): takes over by itself, after its preempt_delay
vm6: a witness, which votes and never holds
vm7: paused by an operator
vm8: unwell: web: exit status 1
vm9: not able: the fence is not armed
vm10: has no vote yet
vm11: silent for longer than 500ms
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestStatusSaysWhyTheLeaderHoldsOrDoesNot(t *testing.T) {
	moved := Change{From: "vm2", To: "vm1"}
	because := func(reason string, change func(*Change)) func(*Status) {
		return func(s *Status) {
			c := moved
			c.Reason = reason
			change(&c)
			s.History = append(s.History, c)
		}
	}
	unwell := func(s *Status) { s.Members[0].Healthy, s.Members[0].Reason = false, "appsvc: exit status 1" }
	paused := func(s *Status) { s.Members[0].Healthy, s.Members[0].Paused = false, true }
	alone := func(s *Status) { s.Members[1].Healthy = false }
	frozen := func(s *Status) { s.Frozen = &Freeze{} }
	better := func(s *Status) { s.Members[1].Priority = 150 }
	tests := map[string]struct {
		changes []func(*Status)
		want    string
	}{
		"an operator wanted it": {
			[]func(*Status){because("asked for by an operator", func(c *Change) { c.Planned, c.Asked = true, true }), better},
			"holds: asked for by an operator (priority 100; vm2 has 150)",
		},
		"another was lost":            {[]func(*Status){because("vm2 was silent for 500ms", func(*Change) {})}, "holds: vm2 was silent for 500ms (priority 100)"},
		"the first":                   {[]func(*Status){because("the first holder", func(c *Change) { c.From = "" })}, "holds: the first holder (priority 100)"},
		"another was unwell":          {[]func(*Status){because("web: exit status 1", func(c *Change) { c.Planned = true })}, "holds: vm2 handed over, web: exit status 1 (priority 100)"},
		"not in the history yet":      {[]func(*Status){func(s *Status) { s.History = []Change{{To: "vm2"}} }}, "holds (priority 100)"},
		"unwell and alone":            {[]func(*Status){unwell, alone}, "holds although unwell (appsvc: exit status 1): no other host is well"},
		"unwell and frozen":           {[]func(*Status){unwell, frozen}, "holds although unwell (appsvc: exit status 1): the cluster is frozen"},
		"unwell, and another is well": {[]func(*Status){unwell}, "holds although unwell (appsvc: exit status 1): it is about to hand over"},
		"paused and alone":            {[]func(*Status){paused, alone}, "holds although paused: no other host can take over"},
		"paused and frozen":           {[]func(*Status){paused, frozen}, "holds although paused: the cluster is frozen"},
		"without a lease":             {[]func(*Status){func(s *Status) { s.Leading = true }}, "leads, and has no lease yet"},
		"unable":                      {[]func(*Status){unwell, func(s *Status) { s.Members[0].Able = false }}, "leads, and does not hold: not able: appsvc: exit status 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := Status{Detect: half}
			for _, name := range []string{"vm1", "vm2"} {
				s.Members = append(s.Members, MemberStatus{Member: Member{ID: name, Name: name, Able: true, Healthy: true}, Voter: true})
			}
			for _, change := range test.changes {
				change(&s)
			}
			s.Leader = s.Members[0].Member
			s.explain(time.Now())
			if got := s.Members[0].Why; got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
