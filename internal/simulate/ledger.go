package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipd/vipd/election"
)

// ledger is what operators were told, and what members have said is decided: both
// must stay true.
type ledger struct {
	members map[string]standing  // by id
	ended   map[string]time.Time // when the last change of an id did
	history map[uint64]election.Change
}

// standing is what is known of one id.
type standing int

const (
	unsure  standing = iota // never acknowledged, or a change is under way
	in                      // a join was acknowledged
	waiting                 // the same, and its vote comes later
	out                     // a leave or removal was acknowledged
	tainted                 // a change failed, and may take effect at any time
)

func newLedger() ledger {
	return ledger{members: make(map[string]standing), ended: make(map[string]time.Time), history: make(map[uint64]election.Change)}
}

// begins notes that a change of members is under way.
func (l *ledger) begins(ids ...string) {
	for _, id := range ids {
		if l.members[id] != tainted {
			l.members[id] = unsure
		}
	}
}

// ends notes how it ended.
func (l *ledger) ends(now standing, err error, ids ...string) {
	for _, id := range ids {
		l.ended[id] = time.Now()
		switch {
		case err != nil:
			l.members[id] = tainted
		case l.members[id] != tainted:
			l.members[id] = now
		}
	}
}

// compare returns what in a status that was asked for at some time contradicts the ledger.
// Only the word of a holder counts for the membership: others may be behind; and of what
// has ended while it was given it need not know.
func (l *ledger) compare(s election.Status, asked time.Time, holds bool) []string {
	var problems []string
	for _, c := range s.History {
		if known, ok := l.history[c.Term]; ok && (known.To != c.To || known.From != c.From || known.Reason != c.Reason) {
			problems = append(problems, fmt.Sprintf("its history says of term %d: %s → %s, %s; it was %s → %s, %s", c.Term, c.From, c.To, c.Reason, known.From, known.To, known.Reason))
		}
		l.history[c.Term] = c
	}
	if !holds || !s.Lease.Held {
		return problems
	}
	for id, standing := range l.members {
		voter := slices.ContainsFunc(s.Members, func(m election.MemberStatus) bool { return m.ID == id && m.Voter })
		member := voter || slices.ContainsFunc(s.Members, func(m election.MemberStatus) bool { return m.ID == id })
		switch {
		case l.ended[id].After(asked):
		case standing == in && !voter:
			problems = append(problems, fmt.Sprintf("holds, and %s, whose join was acknowledged, is no voter", id))
			l.members[id] = tainted
		case standing == waiting && !member:
			problems = append(problems, fmt.Sprintf("holds, and %s, whose join was acknowledged, is no member", id))
			l.members[id] = tainted
		case standing == out && member:
			problems = append(problems, fmt.Sprintf("holds, and %s, whose leave or removal was acknowledged, is still a member", id))
			l.members[id] = tainted
		}
	}
	return problems
}

// missing returns the terms of which a holder's history says nothing, though some
// member's did. The oldest are forgotten when there are more than size.
func (l *ledger) missing(s election.Status, size int) []uint64 {
	var terms []uint64
	for term := range l.history {
		terms = append(terms, term)
	}
	slices.Sort(terms)
	if n := len(s.History); n >= size {
		terms = slices.DeleteFunc(terms, func(t uint64) bool { return t < s.History[0].Term })
	}
	return slices.DeleteFunc(terms, func(t uint64) bool {
		return slices.ContainsFunc(s.History, func(c election.Change) bool { return c.Term == t })
	})
}
