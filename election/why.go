package election

import (
	"fmt"
	"slices"
	"time"
)

// explain says of each member why it holds, or why it does not.
func (s *Status) explain(now time.Time) {
	for i := range s.Members {
		m := &s.Members[i]
		if m.HoldDown.Before(now) || !m.Preempt || m.EffectivePriority() <= s.Leader.EffectivePriority() {
			m.HoldDown = time.Time{}
		}
		what, _ := m.obstacle(s.Detect)
		switch {
		case m.ID == s.Leader.ID && m.Contact <= s.Detect:
			m.Why = s.whyLeader(*m, what)
		case what != "":
			m.Why = what
		default:
			m.Why = s.whyNot(*m)
		}
	}
}

// obstacle says what keeps a member from holding, or from holding well, whoever else there
// is, and what would help. It is empty if nothing does.
func (m MemberStatus) obstacle(detect time.Duration) (what, hint string) {
	switch {
	case m.Contact > detect:
		return fmt.Sprintf("silent for longer than %s", detect), "look at it, and at the network"
	case m.Witness:
		return "a witness, which votes and never holds", ""
	case m.Paused:
		return "paused by an operator", "run `vipd resume` there"
	case !m.Able:
		return "not able: " + m.Reason, "mend that"
	case !m.Voter:
		return "has no vote yet", "wait until it has caught up and, if it is the second host, a third one has joined"
	case !m.Healthy:
		return "unwell: " + m.Reason, "mend that"
	}
	return "", ""
}

// whyLeader says why the leader holds, or does not; what is its obstacle.
func (s *Status) whyLeader(m MemberStatus, what string) string {
	_, holds := s.Holder()
	switch {
	case what != "" && (!holds || !m.Able):
		return "leads, and does not hold: " + what
	case !holds:
		return "leads, and has no lease yet"
	case m.Paused:
		return "holds although paused: " + s.whyNotRelieved("no other host can take over")
	case !m.Healthy:
		return fmt.Sprintf("holds although unwell (%s): %s", m.Reason, s.whyNotRelieved("no other host is well"))
	}
	why := "holds"
	if reason := s.lastReason(); reason != "" {
		why += ": " + reason
	}
	if best, ok := s.best(); ok && best.outranks(m.Member) {
		return fmt.Sprintf("%s (priority %d; %s has %d)", why, m.EffectivePriority(), best.Name, best.EffectivePriority())
	}
	return fmt.Sprintf("%s (priority %d)", why, m.EffectivePriority())
}

// lastReason says how the leader came to hold; empty if that is not in the history yet.
func (s *Status) lastReason() string {
	if len(s.History) == 0 {
		return ""
	}
	c := s.History[len(s.History)-1]
	switch {
	case c.To != s.Leader.Name:
		return ""
	case c.Asked, !c.Planned, c.From == "", c.From == c.To:
		return c.Reason
	}
	return c.From + " handed over, " + c.Reason
}

// whyNotRelieved says why a holder that is not well goes on.
func (s *Status) whyNotRelieved(alone string) string {
	switch _, other := s.best(); {
	case !other:
		return alone
	case s.Frozen != nil:
		return "the cluster is frozen"
	}
	return "it is about to hand over"
}

// best returns the best of the members beside the leader that could hold, and well.
func (s *Status) best() (Member, bool) {
	var members []Member
	for _, m := range s.Members {
		if what, _ := m.obstacle(s.Detect); what == "" && m.ID != s.Leader.ID {
			members = append(members, m.Member)
		}
	}
	if len(members) == 0 {
		return Member{}, false
	}
	return slices.MinFunc(members, compareMembers), true
}

// whyNot says why a member that could hold does not.
func (s *Status) whyNot(m MemberStatus) string {
	own, others := m.EffectivePriority(), s.Leader.EffectivePriority()
	switch {
	case s.Leader.ID == "":
		return "nobody leads now"
	case own < others:
		return fmt.Sprintf("ready; priority %d, %s has %d", own, s.Leader.Name, others)
	case own == others:
		return fmt.Sprintf("ready; the same priority as %s", s.Leader.Name)
	case s.Frozen != nil:
		return fmt.Sprintf("ready and better (priority %d), but the cluster is frozen", own)
	case m.Preempt:
		return fmt.Sprintf("ready and better (priority %d): takes over by itself, after its preempt_delay", own)
	}
	return fmt.Sprintf("ready and better (priority %d), and does not preempt: takes over when the holder fails", own)
}
