package control

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Suppose is what might happen to a cluster, in the names of its members. A failing check
// is "CHECK@NODE".
type Suppose struct {
	Fail  []string `json:"fail"`
	Lose  []string `json:"lose"`
	Pause []string `json:"pause"`
}

// Forecast says what would come of it.
type Forecast struct {
	Before string `json:"before"` // who holds now, "" if nobody does
	After  string `json:"after"`  // who would hold then, "" if nobody would
	Why    string `json:"why"`
	// Planned is whether the addresses would be handed over in order; otherwise they
	// are gone for about the detect time.
	Planned bool `json:"planned"`
	// Members says of each why it would hold or would not.
	Members []ForecastMember `json:"members"`
}

// ForecastMember is one member as it would be.
type ForecastMember struct {
	Name     string `json:"name"`
	Priority int    `json:"priority"`
	Fit      bool   `json:"fit"` // could hold, and well
	Why      string `json:"why"`
}

// Forecast says who would hold if all of that happened at once. It is a pure function of
// the status: nobody is asked and nothing is done. What is supposed must name members and
// checks that there are.
func (s Status) Forecast(f Suppose) (Forecast, error) {
	if s.Cluster.ID == "" || s.Cluster.Quorum.Reachable == nil {
		return Forecast{}, &Error{Message: "it is not known here who can be reached", Advice: "there must be a leader to ask: see `vipd status`", Code: CodeNoLeader}
	}
	members, err := s.suppose(f)
	if err != nil {
		return Forecast{}, err
	}
	forecast := Forecast{}
	if s.Holder != nil {
		forecast.Before = s.Holder.Name
	}
	for _, m := range members {
		forecast.Members = append(forecast.Members, ForecastMember{Name: m.Name, Priority: m.Priority, Fit: m.obstacle() == "", Why: m.describe()})
	}
	forecast.After, forecast.Why, forecast.Planned = s.next(members, forecast.Before)
	return forecast, nil
}

// supposed is a member as it would be.
type supposed struct {
	Member
	gone bool
}

func (s Status) suppose(f Suppose) ([]supposed, error) {
	var members []supposed
	for _, m := range s.Cluster.Members {
		m.Checks = slices.Clone(m.Checks)
		members = append(members, supposed{m, m.Contact != nil && *m.Contact > s.Cluster.Detect || m.Contact == nil && !m.Self})
	}
	find := func(name string) (*supposed, error) {
		i := slices.IndexFunc(members, func(m supposed) bool { return m.Name == name || m.ID == name })
		if i < 0 {
			return nil, &Error{Message: fmt.Sprintf("there is no member %q", name), Advice: "`vipd status` lists the members", Code: CodeUsage}
		}
		return &members[i], nil
	}
	for _, name := range f.Lose {
		m, err := find(name)
		if err != nil {
			return nil, err
		}
		m.gone = true
	}
	for _, name := range f.Pause {
		m, err := find(name)
		if err != nil {
			return nil, err
		}
		m.Paused = true
	}
	for _, at := range f.Fail {
		check, name, ok := strings.Cut(at, "@")
		if !ok {
			return nil, &Error{Message: fmt.Sprintf("%q does not say on which host", at), Advice: "write CHECK@NODE, for example appsvc@vm1", Code: CodeUsage}
		}
		m, err := find(name)
		if err == nil {
			err = m.fail(check)
		}
		if err != nil {
			return nil, err
		}
	}
	return members, nil
}

// fail makes a check fail.
func (m *supposed) fail(name string) error {
	i := slices.IndexFunc(m.Checks, func(c MemberCheck) bool { return c.Name == name })
	if i < 0 {
		var names []string
		for _, c := range m.Checks {
			names = append(names, c.Name)
		}
		return &Error{Message: fmt.Sprintf("%s has no check %q", m.Name, name), Advice: "it has " + cmp.Or(strings.Join(names, ", "), "none"), Code: CodeUsage}
	}
	c := &m.Checks[i]
	switch {
	case !c.Healthy:
		return nil // as it is
	case c.Weight == 0:
		m.Healthy, m.Reason = false, name+" fails"
	case c.Weight < 0:
		m.Priority += c.Weight
	default:
		m.Priority -= c.Weight
	}
	c.Healthy, m.Priority = false, min(max(m.Priority, 1), 254)
	return nil
}

// obstacle says what would keep a member from holding well.
func (m supposed) obstacle() string {
	switch {
	case m.gone:
		return "lost"
	case m.Witness:
		return "a witness"
	case m.Paused:
		return "paused"
	case !m.Able:
		return "not able: " + m.Reason
	case !m.Voter:
		return "has no vote yet"
	case !m.Healthy:
		return "unwell: " + m.Reason
	}
	return ""
}

func (m supposed) describe() string {
	return cmp.Or(m.obstacle(), fmt.Sprintf("well, priority %d", m.Priority))
}

// next says who would hold.
func (s Status) next(members []supposed, holder string) (name, why string, planned bool) {
	left := 0
	for _, m := range members {
		if m.Voter && !m.gone {
			left++
		}
	}
	if left < s.Cluster.Quorum.Needed {
		return "", fmt.Sprintf("%s would be left and %d are needed", voters(left), s.Cluster.Quorum.Needed), false
	}
	best := slices.MinFunc(members, func(a, b supposed) int {
		return cmp.Or(b.standing()-a.standing(), b.Priority-a.Priority, len(a.Name)-len(b.Name), strings.Compare(a.Name, b.Name))
	})
	i := slices.IndexFunc(members, func(m supposed) bool { return m.Name == holder })
	if i < 0 || members[i].gone {
		switch best.standing() {
		case 2:
			return best.Name, fmt.Sprintf("it is the best of those that are left (priority %d)", best.Priority), false
		case 1:
			return best.Name, "no host is well; it holds as the last resort, unless `all_unhealthy: release` is set", false
		}
		return "", "none of those that are left can hold", false
	}
	now := members[i]
	switch {
	case now.obstacle() == "":
		return holder, "it is well, and stays", false
	case now.standing() == 0 && best.standing() > 0:
		return best.Name, fmt.Sprintf("%s is %s; it is the best of the others (priority %d)", holder, now.obstacle(), best.Priority), true
	case s.Cluster.Frozen != nil:
		return holder, fmt.Sprintf("it is %s, but the cluster is frozen", now.obstacle()), false
	case best.standing() == 2:
		return best.Name, fmt.Sprintf("%s is %s; it is the best of the others (priority %d)", holder, now.obstacle(), best.Priority), true
	}
	return holder, fmt.Sprintf("it is %s, but no other host is well; it keeps the addresses, unless `all_unhealthy: release` is set", now.obstacle()), false
}

// standing says roughly how well a member would be: 2 well, 1 unwell, 0 can't hold.
func (m supposed) standing() int {
	switch {
	case m.obstacle() == "":
		return 2
	case m.gone, m.Witness, m.Paused, !m.Able, !m.Voter:
		return 0
	}
	return 1
}
