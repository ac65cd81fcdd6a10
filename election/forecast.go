package election

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Suppose is what might happen to a cluster, in the names or ids of its members. A
// failing check is "CHECK@NODE".
type Suppose struct{ Fail, Lose, Pause []string }

// Forecast says what would come of it.
type Forecast struct {
	Before  string // the name of who holds now, empty if nobody does
	After   string // who would hold then, empty if nobody would
	Why     string
	Planned bool // the addresses would be handed over in order; otherwise they are gone for about T
	Members []MemberForecast
}

// MemberForecast is one member as it would be.
type MemberForecast struct {
	Name     string
	Priority int
	Fit      bool // could hold, and well
	Why      string
}

// Forecast says who would hold if all of that happened at once, and nothing else did. It
// is a pure function: nobody is asked and nothing is done. What is supposed must name
// members and checks that there are, or the error is an [*UnknownError]. Where it is not
// known who can be reached it is [ErrNoLeader].
func (s Status) Forecast(f Suppose) (Forecast, error) {
	if s.Reachable < 0 {
		return Forecast{}, fmt.Errorf("it is not known here who can be reached: %w", ErrNoLeader)
	}
	then, err := s.suppose(f)
	if err != nil {
		return Forecast{}, err
	}
	holder, _ := s.Holder()
	forecast := Forecast{Before: holder.Name}
	forecast.After, forecast.Why, forecast.Planned = then.next()
	for _, m := range then.Members {
		what, _ := m.obstacle(s.Detect)
		forecast.Members = append(forecast.Members, MemberForecast{
			Name: m.Name, Priority: m.EffectivePriority(), Fit: what == "", Why: cmp.Or(what, fmt.Sprintf("well, priority %d", m.EffectivePriority())),
		})
	}
	return forecast, nil
}

// suppose returns the status after all of that has happened, and before anybody has done
// anything about it.
func (s Status) suppose(f Suppose) (Status, error) {
	s.Members = slices.Clone(s.Members)
	for i := range s.Members {
		if m := &s.Members[i]; m.Contact < 0 {
			m.lose(s)
		}
	}
	for _, name := range f.Lose {
		m, err := s.named(name)
		if err != nil {
			return s, err
		}
		m.lose(s)
	}
	for _, name := range f.Pause {
		m, err := s.named(name)
		if err != nil {
			return s, err
		}
		m.pause(s)
	}
	for _, at := range f.Fail {
		check, name, ok := strings.Cut(at, "@")
		if !ok {
			return s, unknown(fmt.Sprintf("%q does not say on which host", at), "write CHECK@NODE, for example appsvc@vm1")
		}
		m, err := s.named(name)
		if err == nil {
			err = m.fail(check)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// named finds a member by its name or id.
func (s Status) named(name string) (*MemberStatus, error) {
	i := slices.IndexFunc(s.Members, func(m MemberStatus) bool { return m.Name == name || m.ID == name })
	if i < 0 {
		return nil, unknownMember(name)
	}
	return &s.Members[i], nil
}

func (m *MemberStatus) lose(s Status) { m.Contact = 2 * s.Detect }

// pause makes an operator pause a member. A holder is only unwell by that: it keeps the
// lease until it has handed over.
func (m *MemberStatus) pause(s Status) {
	holder, _ := s.Holder()
	m.Paused, m.Healthy, m.Able = true, false, m.Able && m.ID == holder.ID
}

// fail makes a check of a member fail.
func (m *MemberStatus) fail(name string) error {
	i := slices.IndexFunc(m.Checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		var names []string
		for _, c := range m.Checks {
			names = append(names, c.Name)
		}
		return unknown(fmt.Sprintf("%s has no check %q", m.Name, name), "it has "+cmp.Or(strings.Join(names, ", "), "none"))
	}
	base := cmp.Or(m.Base, m.EffectivePriority()-shift(m.Checks))
	m.Checks = slices.Clone(m.Checks)
	m.Checks[i].Healthy = false
	if m.Checks[i].Weight == 0 && m.Healthy {
		m.Healthy, m.Reason = false, name+" fails"
	}
	m.Priority = min(max(base+shift(m.Checks), 1), 254)
	return nil
}

// shift is what the weights of checks make of a priority: a negative one is added while
// the check fails, a positive one while it succeeds.
func shift(checks []Check) int {
	sum := 0
	for _, c := range checks {
		if c.Healthy == (c.Weight > 0) {
			sum += c.Weight
		}
	}
	return sum
}

// next says who will hold, as [Node.Successor], an election, and the agents on the
// members decide it.
func (s Status) next() (name, why string, planned bool) {
	voters, left := 0, []Member(nil)
	free := make(map[string]bool) // who is not held back from preempting
	for _, m := range s.Members {
		if !m.Voter {
			continue
		}
		if voters++; m.Contact <= s.Detect {
			left = append(left, m.Member)
			free[m.ID] = m.HoldDown.IsZero()
		}
	}
	if len(left) < s.Needed || len(left) == 0 {
		return "", fmt.Sprintf("%d of %d voters would be left, and %d are needed", len(left), voters, s.Needed), false
	}
	slices.SortFunc(left, compareMembers)
	i := slices.IndexFunc(left, func(m Member) bool { return m.ID == s.Leader.ID })
	if i < 0 {
		return elected(left[0])
	}
	now := left[i]
	others := slices.Delete(left, i, i+1)
	if !now.Healthy {
		return s.relieved(now, others)
	}
	for _, m := range others {
		if s.Frozen == nil && m.Preempt && free[m.ID] && m.outranks(now) {
			return m.Name, "it preempts: " + ranks(m, now), true
		}
	}
	return now.Name, "it is well, and stays", false
}

// elected says whether the best of those that are left would hold.
func elected(best Member) (name, why string, planned bool) {
	switch {
	case best.Healthy:
		return best.Name, fmt.Sprintf("it is the best of those that are left (priority %d)", best.EffectivePriority()), false
	case best.Able:
		return best.Name, "no host is well; it holds as the last resort, unless `all_unhealthy: release` is set", false
	}
	return "", "none of those that are left can hold", false
}

// relieved says what becomes of a holder that is not well. The others are in order, the
// best first.
func (s Status) relieved(now Member, others []Member) (name, why string, planned bool) {
	what, _ := MemberStatus{Member: now, Voter: true}.obstacle(s.Detect)
	var best Member
	if len(others) > 0 {
		best = others[0]
	}
	_, holds := s.Holder()
	switch {
	case now.Able && holds && s.Frozen != nil:
		return now.Name, fmt.Sprintf("it is %s, but the cluster is frozen", what), false
	case best.mayRelieve(now.Able):
		return best.Name, fmt.Sprintf("%s is %s; it is the best of the others (priority %d)", now.Name, what, best.EffectivePriority()), true
	case !now.Able:
		return "", fmt.Sprintf("%s is %s, and no other host can hold", now.Name, what), false
	case now.Paused:
		return now.Name, fmt.Sprintf("it is %s, but no other host is well", what), false
	}
	return now.Name, fmt.Sprintf("it is %s, but no other host is well; it keeps the addresses, unless `all_unhealthy: release` is set", what), false
}
