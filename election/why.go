package election

import (
	"fmt"
	"time"
)

// explain says of each member why it holds, or why it does not.
func (s *Status) explain(detect time.Duration, now time.Time) {
	for i := range s.Members {
		m := &s.Members[i]
		if m.HoldDown.Before(now) || m.EffectivePriority() <= s.Leader.EffectivePriority() {
			m.HoldDown = time.Time{}
		}
		if m.Why = m.obstacle(detect); m.Why != "" {
			continue
		}
		if m.ID == s.Leader.ID {
			m.Why = s.whyHolder(*m, detect)
		} else {
			m.Why = s.whyNot(*m)
		}
	}
}

// obstacle says what keeps a member from holding, whoever else there is.
func (m MemberStatus) obstacle(detect time.Duration) string {
	switch {
	case m.Contact > detect:
		return fmt.Sprintf("silent for longer than %s", detect)
	case m.Witness:
		return "a witness: it votes and never holds"
	case m.Paused:
		return "paused by an operator"
	case !m.Able:
		return "not able: " + m.Reason
	case !m.Voter:
		return "has no vote yet"
	case !m.Healthy:
		return "unwell: " + m.Reason
	}
	return ""
}

// whyHolder says what a healthy holder owes the lease to.
func (s *Status) whyHolder(holder MemberStatus, detect time.Duration) string {
	for _, m := range s.Members {
		if m.ID != holder.ID && m.obstacle(detect) == "" && m.EffectivePriority() > holder.EffectivePriority() {
			return fmt.Sprintf("it got the lease when no better one could have it, and keeps it until it fails or is moved (priority %d)", holder.EffectivePriority())
		}
	}
	return fmt.Sprintf("none in contact is better (priority %d)", holder.EffectivePriority())
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
	}
	return fmt.Sprintf("ready and better (priority %d): takes over when the holder fails, or by itself where `preempt: true` is set", own)
}
