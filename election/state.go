package election

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vipd/vipd/trust"
)

// historySize is how many changes of holder the members remember.
const historySize = 100

// Member is what the cluster knows of one of its hosts.
type Member struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Version string `json:"version"`
	Able    bool   `json:"able"` // can hold the addresses at all
	Healthy bool   `json:"healthy"`
	Reason  string `json:"reason,omitempty"` // why it is not healthy

	Priority int     `json:"priority,omitempty"`      // see EffectivePriority
	Base     int     `json:"base_priority,omitempty"` // without the weights of its checks; 0 if it says nothing of it
	Preempt  bool    `json:"preempt,omitempty"`       // takes over from a holder of lower priority
	Witness  bool    `json:"witness,omitempty"`       // votes and never holds
	Paused   bool    `json:"paused,omitempty"`        // an operator wants it not to hold
	Checks   []Check `json:"checks,omitempty"`

	Authority string `json:"authority,omitempty"` // the fingerprint of the CA that has signed its certificate
}

// Change is one change of holder.
type Change struct {
	Time   time.Time `json:"time"` // by the clock of the new holder
	From   string    `json:"from,omitempty"`
	To     string    `json:"to"`
	Term   uint64    `json:"term"`
	Reason string    `json:"reason"`

	Planned bool `json:"planned,omitempty"` // the one before wanted to let go
	Asked   bool `json:"asked,omitempty"`   // because an operator wanted it
}

// party is a holder, as it was when it claimed the addresses.
type party struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
}

// intent is a planned hand-over: why the holder of a term is about to let go.
type intent struct {
	Term   uint64 `json:"term"`
	Reason string `json:"reason"`
	Cause  Cause  `json:"cause,omitempty"`
}

// state is the replicated state. It is small and is replaced, never changed in
// place, so that a copy may be read without a lock.
type state struct {
	Cluster string        `json:"cluster"`
	Detect  time.Duration `json:"detect"` // nanoseconds, fixed when the cluster is founded
	Members []Member      `json:"members"`
	History []Change      `json:"history"`
	Intents []intent      `json:"intents"` // the last two: the newer may come before the older has led to a change
	Frozen  *Freeze       `json:"frozen,omitempty"`

	Authority trust.Authority `json:"authority,omitzero"`
	Tokens    []Token         `json:"tokens,omitempty"`   // the newest last
	Enrolled  []enrolment     `json:"enrolled,omitempty"` // have certificates and are no members yet
	Removed   []string        `json:"removed,omitempty"`  // ids that were members', the last of them

	// Where holders fence those before them:
	Holder   *party  `json:"holder,omitempty"`   // of the last term in the history; nil if it does not
	Released uint64  `json:"released,omitempty"` // the last term whose holder let go of all in order
	Unfenced []party `json:"unfenced,omitempty"` // held, did not, and are not known to be fenced; oldest first
}

// command is one entry of the replicated log; exactly one of the
// first is set, up to Released; the others belong to it.
type command struct {
	Found  *state  `json:"found,omitempty"`
	Member *Member `json:"member,omitempty"`
	Forget string  `json:"forget,omitempty"` // a member's id
	Intent *intent `json:"intent,omitempty"`
	Holder *Change `json:"holder,omitempty"`
	Freeze *Freeze `json:"freeze,omitempty"`
	Thaw   bool    `json:"thaw,omitempty"`
	Fenced *party  `json:"fenced,omitempty"` // in Term

	Authority *trust.Authority `json:"authority,omitempty"`
	Token     *Token           `json:"token,omitempty"` // a new one
	Revoke    string           `json:"revoke,omitempty"`
	Enrol     *enrolment       `json:"enrol,omitempty"`

	Released bool   `json:"released,omitempty"` // in Term
	By       *party `json:"by,omitempty"`       // with Holder: it fences whoever held before
	Term     uint64 `json:"term,omitempty"`
}

// apply returns the state after c.
func (s state) apply(c command) state {
	switch {
	case c.Found != nil:
		if s.Cluster == "" {
			s.Cluster, s.Detect, s.Authority = c.Found.Cluster, c.Found.Detect, c.Found.Authority
		}
	case c.Member != nil:
		s.Members = append(without(s.Members, c.Member.ID), *c.Member)
		slices.SortFunc(s.Members, func(a, b Member) int { return compareNames(a.Name, b.Name) })
		s.Enrolled = s.stillEnrolled(c.Member.ID)
	case c.Forget != "":
		s.Members, s.Enrolled = without(s.Members, c.Forget), s.stillEnrolled(c.Forget)
		s.Removed = lastOf(append(slices.Clone(s.Removed), c.Forget), maxRemoved)
	case c.Authority != nil:
		s = s.trusting(*c.Authority)
	case c.Token != nil:
		s.Tokens = s.withToken(*c.Token)
	case c.Revoke != "":
		s = s.revoke(c.Revoke)
	case c.Enrol != nil:
		s = s.enrol(*c.Enrol)
	case c.Intent != nil:
		s.Intents = append(slices.Clone(s.Intents[max(0, len(s.Intents)-1):]), *c.Intent)
	case c.Holder != nil:
		s = s.record(*c.Holder, c.By)
	case c.Fenced != nil && s.holds(c.Term):
		s.Unfenced = slices.DeleteFunc(slices.Clone(s.Unfenced), func(p party) bool { return p == *c.Fenced })
	case c.Released:
		s.Released = max(s.Released, c.Term)
	case c.Freeze != nil:
		s.Frozen = cmp.Or(s.Frozen, c.Freeze)
	case c.Thaw:
		s.Frozen = nil
	}
	return s
}

// holds reports whether the last holder is that of a term: what a holder says when another
// has claimed the addresses counts no more.
func (s state) holds(term uint64) bool {
	n := len(s.History)
	return n > 0 && s.History[n-1].Term == term
}

// record appends a change of holder: from whom, and why if the one before said so. A term
// has one holder, and what was recorded of it stays. by is that holder, if it fences.
func (s state) record(c Change, by *party) state {
	var before uint64
	if n := len(s.History); n > 0 {
		if before = s.History[n-1].Term; before >= c.Term {
			return s
		}
		c.From = s.History[n-1].To
	}
	for _, i := range s.Intents {
		if i.Term+1 == c.Term {
			c.Reason, c.Asked, c.Planned = i.Reason, i.Cause == ByOperator, true
		}
	}
	s.Unfenced = s.owed(c, s.Released == before, by)
	s.Holder = by
	s.History = lastOf(append(slices.Clone(s.History), c), historySize)
	return s
}

// owed returns whom a new holder has to fence: those that the ones before it have not, and
// the last of these, unless it has released the addresses. The holder itself is not among
// them, nor what lived at its address before.
func (s state) owed(c Change, released bool, by *party) []party {
	if by == nil {
		return nil
	}
	last := s.Holder
	if last == nil && c.From != "" { // it did not fence, nor put on record that it let go
		m, known := s.member(func(m Member) bool { return m.Name == c.From })
		if !known {
			m = Member{ID: c.From, Name: c.From} // was removed
		}
		last, released = &party{m.ID, m.Name, m.Address}, c.Planned
	}
	owed := slices.Clone(s.Unfenced)
	if last != nil && !released && !slices.Contains(owed, *last) {
		owed = append(owed, *last)
	}
	return slices.DeleteFunc(owed, func(p party) bool { return p.ID == by.ID || p.Address == by.Address })
}

func (s state) member(match func(Member) bool) (Member, bool) {
	i := slices.IndexFunc(s.Members, match)
	if i < 0 {
		return Member{}, false
	}
	return s.Members[i], true
}

// versions says which member runs which version. Where that has changed, one may have
// dropped what it did not understand of the others.
func (s state) versions() (text string) {
	for _, m := range s.Members {
		text += m.ID + " " + m.Version + "\n"
	}
	return text
}

// lastOf returns the last n of a list.
func lastOf[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

func without(members []Member, id string) []Member {
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.ID == id })
}

// compareNames orders vm2 before vm10.
func compareNames(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }

// machine is the replicated state machine that raft drives.
type machine struct {
	mu      sync.RWMutex
	state   state
	changed chan struct{} // holds a token after a change
}

func newMachine() *machine { return &machine{changed: make(chan struct{}, 1)} }

func (m *machine) get() state {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state
}

func (m *machine) set(s state) {
	m.mu.Lock()
	m.state = s
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Apply performs one committed command. A command that does not parse comes from a
// later version; it is the same on all members and is passed over.
func (m *machine) Apply(entry *raft.Log) any {
	var c command
	if err := json.Unmarshal(entry.Data, &c); err != nil {
		return fmt.Errorf("entry %d: %w", entry.Index, err)
	}
	before := m.get()
	if c.Enrol != nil {
		if err := before.mayEnrol(*c.Enrol); err != nil {
			return err
		}
	}
	m.set(before.apply(c))
	return nil
}

// Snapshot returns the state for compaction of the log.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	return snapshot{m.get()}, nil
}

// Restore replaces the state by a snapshot.
func (m *machine) Restore(r io.ReadCloser) error {
	defer r.Close()
	var s state
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	m.set(s)
	return nil
}

type snapshot struct{ state state }

// Persist writes the snapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(s.state); err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release has nothing to release.
func (snapshot) Release() {}
