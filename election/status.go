package election

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Status is what this member knows of the cluster.
type Status struct {
	ID        string
	Cluster   string // empty: belongs to none
	Member    bool   // stands in the configuration that this host knows
	Leader    Member // its ID is empty when there is none
	Leading   bool   // this member is the leader
	Term      uint64
	Lease     Lease
	Length    time.Duration // of a lease
	Detect    time.Duration // T: the silence after which a member counts as gone
	Needed    int           // voters that an election needs
	Reachable int           // voters in contact; -1 if not known: only the leader knows
	Members   []MemberStatus
	History   []Change // oldest first
	Frozen    *Freeze  // nil: hand-overs happen
	Trouble   []string // what an operator should know of this host
}

// MemberStatus is one member as this host sees it.
type MemberStatus struct {
	Member
	Voter    bool
	Contact  time.Duration // since it acknowledged the leader, or since the leader was heard; -1 unknown
	HoldDown time.Time     // until when it does not preempt, since it lost the lease soon after it got it; zero if nothing holds it back
	Why      string        // why it holds, or does not
}

// Holder returns who holds, as far as this host knows: the leader; of itself it knows
// whether it has a lease.
func (s Status) Holder() (Member, bool) {
	if s.Leader.ID == "" || s.Leading && !s.Lease.Held {
		return Member{}, false
	}
	return s.Leader, true
}

// Status returns a copy; it does not block.
func (n *Node) Status() Status {
	st := n.machine.get()
	_, leader := n.raft.LeaderWithID()
	self := n.rules.self
	s := Status{
		ID: string(n.rules.self), Cluster: n.who().Cluster, Member: n.isMember(), Term: n.raft.CurrentTerm(), Lease: n.Lease(),
		Leading: n.Leading(), Length: n.rules.lease, Detect: n.cfg.Detect, Reachable: -1, History: slices.Clone(st.History), Frozen: st.Frozen,
	}
	for _, server := range n.view.Configuration().Servers {
		_, m, _ := n.find(string(server.ID))
		if server.ID == self { // of itself it knows more than the cluster has heard
			m = n.reported()
		}
		s.Members = append(s.Members, n.seen(server, m, leader))
		if server.ID == leader && (leader != self || s.Leading || s.Lease.Held) { // raft does not know that it has made way
			s.Leader = m
		}
	}
	slices.SortFunc(s.Members, func(a, b MemberStatus) int { return compareNames(a.Name, b.Name) })
	s.Trouble = append(s.Trouble, n.diskTrouble()...)
	if refused := n.stream.lastRefusal(); refused != "" && s.Leader.ID == "" && n.Formation() == "" {
		s.Trouble = append(s.Trouble, refused)
	}
	if s.Cluster != "" && !s.Member {
		s.Trouble = append(s.Trouble, "this host is not yet, or no longer, a member of its cluster: type what `vipd token create` on a member prints, or `vipd leave`, which makes it forget")
	}
	q := n.reachableWithout("")
	s.Needed = q.needed
	if s.Leading {
		s.Reachable = q.reachable
	}
	s.explain(time.Now())
	return s
}

// seen is a member as this host sees it.
func (n *Node) seen(s raft.Server, m Member, leader raft.ServerID) MemberStatus {
	return MemberStatus{
		Member: m, Voter: s.Suffrage == raft.Voter, Contact: n.contact(s.ID, leader), HoldDown: heldBack(n.machine.get().History, m.Name),
	}
}

// StatusOfAll is Status with what only the leader knows: when each member was heard
// last. A follower asks the leader for that, for up to T but no longer than a
// second; without an answer it stays unknown.
func (n *Node) StatusOfAll(ctx context.Context) Status {
	s := n.Status()
	if s.Leading || s.Leader.ID == "" {
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, min(n.cfg.Detect, patience))
	defer cancel()
	var contacts map[string]time.Duration
	if err := n.call(ctx, s.Leader.Address, pathContacts, struct{}{}, &contacts); err != nil {
		return s
	}
	s.Reachable = 0
	for i := range s.Members {
		m := &s.Members[i]
		if contact, known := contacts[m.ID]; known {
			m.Contact = contact
		}
		if m.Voter && m.Contact >= 0 && m.Contact < n.cfg.Detect {
			s.Reachable++
		}
	}
	s.explain(time.Now())
	return s
}

// contacts returns when each member was heard last, on the leader.
func (n *Node) contacts() map[string]time.Duration {
	contacts := make(map[string]time.Duration)
	for _, server := range n.view.Configuration().Servers {
		contacts[string(server.ID)] = n.contact(server.ID, n.rules.self)
	}
	return contacts
}

// contact returns how long ago a member was heard of; -1 if this host can't know.
func (n *Node) contact(id, leader raft.ServerID) time.Duration {
	if id == n.rules.self {
		return 0
	}
	at := max(n.rules.lastAcked(id), n.rules.ledSince()) // not heard in this term: at least since it began
	if leader != n.rules.self {
		var heard raft.ServerID
		if at, heard = n.rules.lastHeard(); heard != id {
			return -1
		}
	}
	if at == 0 {
		return -1
	}
	return n.cfg.Now().Sub(at)
}

// Leading reports whether this member is the leader, with or without a lease. One
// that has abdicated or fallen silent merely waits for its successor.
func (n *Node) Leading() bool {
	if n.raft.State() != raft.Leader {
		return false
	}
	term := n.raft.CurrentTerm()
	return !n.rules.hasAbdicated(term) && !n.rules.silent(term)
}
