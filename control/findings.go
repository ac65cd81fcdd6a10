package control

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// findings returns what an operator should look at, as plain sentences, the
// gravest first. It is a pure function of the status.
func (s Status) findings() []string {
	if s.Cluster.ID == "" {
		return append([]string{s.outside()}, s.hostFindings()...)
	}
	return slices.Concat(s.holderFindings(), s.hostFindings(), s.trustFindings(), s.frozenFindings(), s.memberFindings(), s.sizeFindings())
}

// outside says how a host that is in no cluster gets into one.
func (s Status) outside() string {
	if s.Cluster.Forming != "" {
		return "this host forms a cluster with the others of cluster.expect: " + s.Cluster.Forming
	}
	return "this host is in no cluster yet: found one with `vipd init`, or join one: `vipd token create` there prints the command"
}

// holderFindings says that nobody holds the addresses, or can.
func (s Status) holderFindings() []string {
	var found []string
	if q := s.Cluster.Quorum; q.Reachable != nil && *q.Reachable < q.Needed {
		found = append(found, fmt.Sprintf("%s can be reached and %d are needed: nobody can hold the addresses",
			voters(*q.Reachable), q.Needed))
	}
	if s.Holder == nil && s.Node.State != StateMaster {
		found = append(found, "no leader is known here: too few members reach each other, or an election is under way; members that this host does not hear may have one")
	}
	return found
}

// hostFindings says what is wrong on this host.
func (s Status) hostFindings() []string {
	var found []string
	if s.Node.Paused {
		found = append(found, "THIS HOST IS PAUSED and does not take the addresses over: `vipd resume` when the work on it is done")
	}
	if !s.Fence.Armed {
		found = append(found, because("the fence is not armed, so this host does not stand for election", s.Fence.Error))
	}
	if s.Node.State == StateFault && s.Fence.Armed {
		found = append(found, because("this host is in FAULT", s.Node.Reason))
	}
	if s.Node.State == StateMaster && !s.VIP.Bound {
		found = append(found, "this host holds the lease but the addresses are not bound")
	}
	if s.Node.State != StateMaster && s.VIP.Bound {
		found = append(found, "the addresses are bound though this host does not hold them (the fence keeps them silent)")
	}
	return append(found, s.hookFindings()...)
}

// slowHook is how long the notify script may run before it is worth a word.
const slowHook = Millis(time.Second)

// hookFindings says what is wrong with the notify script. While it is told MASTER, the service is being started.
func (s Status) hookFindings() []string {
	h := s.Hooks
	took := Millis(s.Time.Sub(h.Last))
	switch {
	case h.Running == StateMaster && took > slowHook:
		return []string{fmt.Sprintf("the notify script (MASTER) has been running for %s, so the service may not be up yet", Span(took.Duration()))}
	case h.Running != "" && took > slowHook && s.Lease.Held:
		return []string{fmt.Sprintf("the notify script (%s) has been running for %s; the hand-over waits for it", h.Running, Span(took.Duration()))}
	case h.Running != "" && took > slowHook:
		return []string{fmt.Sprintf("the notify script (%s) has been running for %s", h.Running, Span(took.Duration()))}
	case h.Running == "" && h.LastError != "":
		return []string{because("the last run of the notify script ("+h.LastState+") failed", h.LastError)}
	}
	return nil
}

// lateRenewal is how much is left of a certificate when its renewal, which begins in the
// first half of its year, must have failed.
const lateRenewal = 60 * 24 * time.Hour

// trustFindings says what keeps the hosts from knowing each other for long.
func (s Status) trustFindings() []string {
	var found []string
	switch left := s.Trust.Ends.Sub(s.Time); {
	case s.Trust.Ends.IsZero():
	case left <= 0:
		found = append(found, "THE CERTIFICATE OF THIS HOST HAS ENDED, and the others refuse it: stop vipd, empty the data directory, start vipd and join")
	case left < lateRenewal:
		found = append(found, fmt.Sprintf("the certificate of this host ends in %s and was not renewed: `journalctl -u vipd` says why; after that this host must begin anew", Span(left)))
	}
	if s.Trust.Rotating && len(s.Trust.Waiting) > 0 {
		found = append(found, fmt.Sprintf("the certification authority is being replaced, and that waits for %s: start vipd there, or `vipd remove` who does not come back",
			strings.Join(s.Trust.Waiting, ", ")))
	}
	return found
}

// frozenFindings says that an operator has stopped the addresses from moving.
func (s Status) frozenFindings() []string {
	f := s.Cluster.Frozen
	if f == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s has frozen the cluster, %s ago: the addresses do not move unless their holder is lost, stopped, or not able to hold at all; `vipd thaw` ends it",
		f.By, Span(s.Time.Sub(f.Time)))}
}

// memberFindings says what is wrong with the members.
func (s Status) memberFindings() []string {
	var found []string
	for _, m := range s.Cluster.Members {
		switch {
		case m.Contact != nil && *m.Contact > s.Cluster.Detect:
			found = append(found, fmt.Sprintf("%s has been silent for %s", m.Name, Span(m.Contact.Duration())))
		case m.Witness, m.Paused: // are not meant to be healthy
		case !m.Healthy && !(m.Self && s.Node.State == StateFault):
			found = append(found, because(m.Name+" is not healthy", m.Reason))
		}
	}
	for _, m := range s.Cluster.Members {
		if m.Paused && !m.Self {
			found = append(found, m.Name+" is paused and does not take the addresses over")
		}
	}
	if v := s.versions(); len(v) > 1 {
		found = append(found, "the members run different versions: "+strings.Join(v, ", "))
	}
	return found
}

// sizeFindings says that the cluster is too small to lose a member.
func (s Status) sizeFindings() []string {
	voters, witnesses := s.voters()
	switch {
	case voters == 1:
		return []string{"one voter: losing this host loses the addresses; join two more"}
	case voters == 2 && witnesses == 0:
		return []string{"with two hosts that vote the loss of either stops the service; add a third, or a witness"}
	case voters == 2:
		return []string{"with one host and a witness the loss of either stops the service; add a host"}
	}
	return nil
}

func (s Status) voters() (all, witnesses int) {
	for _, m := range s.Cluster.Members {
		if m.Voter {
			all++
		}
		if m.Voter && m.Witness {
			witnesses++
		}
	}
	return all, witnesses
}

// versions returns the different versions that the members are known to run,
// each with its members.
func (s Status) versions() []string {
	var order []string
	who := map[string][]string{}
	for _, m := range s.Cluster.Members {
		if m.Version == "" {
			continue
		}
		if who[m.Version] == nil {
			order = append(order, m.Version)
		}
		who[m.Version] = append(who[m.Version], m.Name)
	}
	for i, v := range order {
		order[i] = fmt.Sprintf("%s (%s)", v, strings.Join(who[v], ", "))
	}
	return order
}

func voters(n int) string {
	if n == 1 {
		return "one voter"
	}
	return fmt.Sprintf("%d voters", n)
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}
