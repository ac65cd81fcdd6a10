package election

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Fitness says how readily a member stands for election.
type Fitness int

// The degrees of fitness.
const (
	Unable     Fitness = iota // never holds: the fence is not armed, a witness, paused; stands last, only to keep the log going
	Unwell                    // stands late, when nobody better does, and begins no lease: it keeps the one it has until it has handed over
	LastResort                // unwell, but nobody better is there: may begin a lease
	Ready                     // stands as soon as a leader is lost
)

// DefaultPriority is that of a member that says nothing of it.
const DefaultPriority = 100

// Check is what one check of a member says.
type Check struct {
	Name    string `json:"name"`
	Healthy bool   `json:"healthy"`
	Weight  int    `json:"weight,omitempty"` // 0: a failure makes the member unwell; otherwise it changes its priority
	Reason  string `json:"reason,omitempty"` // why it is not healthy
}

// Standing is what a host tells its cluster about itself.
type Standing struct {
	Fitness  Fitness
	Reason   string // why it is not Ready
	Priority int    // 1 to 254, with the weights of its checks; higher is preferred
	Base     int    // the priority without them
	Preempt  bool   // it takes over from a holder of lower priority
	Paused   bool   // an operator wants it not to hold
	Checks   []Check
}

// Equal reports whether two say the same.
func (s Standing) Equal(o Standing) bool { return reflect.DeepEqual(s, o) }

// Cause says who wanted a hand-over.
type Cause string

// The causes.
const (
	ByItself   Cause = ""         // the holder found itself unfit, or a better host preempted it
	ByOperator Cause = "operator" // somebody asked for it, or stopped the holder
)

// Move is a wish to move the lease.
type Move struct {
	Target string `json:"target"` // a member's name or id; empty: the best one
	Reason string `json:"reason"`
	Cause  Cause  `json:"cause"`
	Hasty  bool   `json:"hasty"` // without warming up the successor and without drain time
}

// Claim says what stands between a new holder and the addresses.
type Claim struct {
	// Unfenced are the members that held before, did not let go in order, and are not
	// known to be fenced, the one that held first before the others. They may still write
	// to what holders share.
	Unfenced []Member
}

// Freeze says who wants no hand-over in the whole cluster, and since when.
type Freeze struct {
	By   string    `json:"by"`
	Time time.Time `json:"time"`
}

// SetStanding says how readily this member stands for election, and tells the cluster.
func (n *Node) SetStanding(s Standing) {
	if len(s.Checks) == 0 {
		s.Checks = nil // as it comes back from the cluster
	}
	if n.cfg.Witness {
		s.Fitness, s.Reason = Unable, "a witness"
	}
	n.rules.setFitness(s.Fitness)
	n.mu.Lock()
	n.standing = s
	n.mu.Unlock()
	n.reportSoon()
}

// reported is what the cluster should know of this host.
func (n *Node) reported() Member {
	disk, trouble := n.diskCondition().fitness, n.diskTrouble()
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.standing
	m := Member{
		ID: n.identity.ID, Name: n.cfg.Name, Address: n.cfg.Address.String(), Version: n.cfg.Version,
		Able: min(s.Fitness, disk) != Unable, Healthy: s.Fitness == Ready, Reason: s.Reason,
		Priority: s.Priority, Base: s.Base, Preempt: s.Preempt, Witness: n.cfg.Witness, Paused: s.Paused, Checks: s.Checks,
	}
	if n.identity.Credentials != nil {
		m.Authority = n.identity.Credentials.Authority()
	}
	if len(trouble) > 0 {
		m.Healthy, m.Reason = false, trouble[0]
	}
	return m
}

// handicap is how much later than the others a member stands that is not well:
// more than their clocks and the leader's last calls to them differ.
func (n *Node) handicap() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch min(n.standing.Fitness, n.diskCondition().fitness) {
	case Ready:
		return 0
	case Unable:
		return n.cfg.Detect / 2
	default:
		return n.cfg.Detect / 4
	}
}

// order returns the voters but for the lost leader, the best candidate first, as all
// members know them alike.
func (n *Node) order() []raft.ServerID {
	_, lost := n.rules.lastHeard()
	ids := slices.DeleteFunc(n.view.voters(), func(id raft.ServerID) bool { return id == lost })
	slices.SortFunc(ids, n.compare)
	return ids
}

// compare is compareMembers for what this host knows of them.
func (n *Node) compare(a, b raft.ServerID) int {
	st := n.machine.get()
	known := func(id raft.ServerID) Member {
		m, _ := st.member(func(m Member) bool { return m.ID == string(id) })
		return m
	}
	return cmp.Or(compareMembers(known(a), known(b)), compareNames(string(a), string(b)))
}

// compareMembers orders members by how well they are placed to hold, the best first: by
// health, then by priority, then by name.
func compareMembers(a, b Member) int {
	return cmp.Or(b.condition()-a.condition(), b.EffectivePriority()-a.EffectivePriority(), compareNames(a.Name, b.Name))
}

// condition says roughly how well a member is: the greater the better.
func (m Member) condition() int {
	switch {
	case m.Healthy:
		return 2
	case m.Able:
		return 1
	}
	return 0
}

// mayRelieve reports whether a holder may hand over to m: one that could go on itself does
// so only to a healthy member.
func (m Member) mayRelieve(able bool) bool { return m.Healthy || m.Able && !able }

// outranks reports whether m should hold rather than a holder that is well.
func (m Member) outranks(holder Member) bool {
	return m.Healthy && m.EffectivePriority() > holder.EffectivePriority()
}

// ranks says that a member outranks a holder.
func ranks(m, holder Member) string {
	return fmt.Sprintf("%s has priority %d, %s has %d", m.Name, m.EffectivePriority(), holder.Name, holder.EffectivePriority())
}

// EffectivePriority is the member's priority, 1 to 254, also where it says nothing of it,
// as members of earlier versions do.
func (m Member) EffectivePriority() int { return cmp.Or(m.Priority, DefaultPriority) }

// SetPaused notes, durably, whether an operator wants this host not to hold. It changes
// nothing else: the caller says so in its next Standing.
func (n *Node) SetPaused(paused bool) error {
	err := n.changeIdentity(func(id *identity) error { id.Paused = paused; return nil })
	if err != nil {
		return fmt.Errorf("record the pause: %w", err)
	}
	return nil
}

// Paused reports what SetPaused noted last, in this life of the daemon or an earlier one.
func (n *Node) Paused() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.identity.Paused
}

// Freeze asks the leader, wherever it is, to have no hand-over in the whole cluster from
// now on, except where a lease is lost, a daemon is stopped, or a holder is not able to
// hold at all. A cluster that is frozen stays so, and names who froze it first.
func (n *Node) Freeze(ctx context.Context) error {
	return n.callLeader(ctx, "", pathFreeze, Freeze{By: n.cfg.Name, Time: time.Now()}, nil)
}

// Thaw ends what Freeze began.
func (n *Node) Thaw(ctx context.Context) error {
	return n.callLeader(ctx, "", pathThaw, struct{}{}, nil)
}

// Frozen says who froze the cluster, as far as this host knows; nil if nobody has.
func (n *Node) Frozen() *Freeze { return n.machine.get().Frozen }

// Preferred says why this host should hold rather than the one that does: it is well, and
// its priority is higher. It is empty if it should not, or if it is held back, see
// [MemberStatus].
func (n *Node) Preferred() string {
	st, me := n.machine.get(), n.reported()
	_, leader := n.raft.LeaderWithID()
	holder, known := st.member(func(m Member) bool { return m.ID == string(leader) })
	switch {
	case !known || leader == n.rules.self || st.Frozen != nil || !me.outranks(holder),
		!slices.Contains(n.view.voters(), n.rules.self), time.Now().Before(heldBack(st.History, me.Name)):
		return ""
	}
	return ranks(me, holder)
}

// Preempt asks the leader to hand over to this host, and blocks until it has or refuses.
func (n *Node) Preempt(ctx context.Context, reason string) error {
	return n.callLeader(ctx, "", pathHandOver, Move{Target: string(n.rules.self), Reason: reason}, nil)
}

const (
	soon         = 5 * time.Minute // a holder that lost the lease sooner has lost it soon
	holdBack     = time.Minute     // after the first such loss
	mostHoldBack = time.Hour
)

// heldBack returns until when a member may not preempt: it lost the lease soon after it
// got it, and the oftener in a row, the longer it waits. What an operator moved does not
// count. The zero time means that nothing holds it back.
func heldBack(history []Change, name string) time.Time {
	var last, next time.Time // the newest such loss, and the one that was looked at before
	wait := time.Duration(0)
	for i := len(history) - 2; i >= 0; i-- {
		got, lost := history[i], history[i+1]
		if got.To != name || lost.To == name || lost.Asked {
			continue
		}
		if lost.Time.Sub(got.Time) >= soon || wait > 0 && next.Sub(lost.Time) > 2*mostHoldBack {
			break
		}
		if next = lost.Time; wait == 0 {
			last = lost.Time
		}
		wait = min(max(2*wait, holdBack), mostHoldBack)
	}
	if wait == 0 {
		return time.Time{}
	}
	return last.Add(wait)
}
