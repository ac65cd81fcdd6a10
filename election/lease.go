package election

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Instant is a reading of this host's CLOCK_BOOTTIME in nanoseconds. Instants of
// two hosts are never compared; only durations are assumed to agree, within 10 %.
type Instant int64

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the time from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Fence lets packets for the floating addresses through until an absolute
// CLOCK_BOOTTIME deadline in nanoseconds and drops them from then on, whatever
// becomes of this process. Zero closes it. SetDeadline must neither block nor
// fail, and the deadline is in force when it returns.
type Fence interface {
	SetDeadline(boottime int64)
}

// timing holds the three durations of the protocol. They must be the same on all
// members. A lease (0.75) times 1.1/0.9 for clocks that drift apart is still
// shorter than a promise (0.95).
type timing struct {
	detect  time.Duration // T: the silence after which a holder counts as gone
	promise time.Duration // G: how long an acknowledgement binds the member that gave it
	lease   time.Duration // L: how long an acknowledged call entitles the leader that sent it
}

func timingFor(detect time.Duration) timing {
	return timing{detect: detect, promise: detect * 95 / 100, lease: detect * 75 / 100}
}

// rule names one rule of the protocol. Each can be left out of a build that is made
// only to be broken, see [leftOut].
type rule string

const (
	ruleSendTime   rule = "send time"
	rulePromise    rule = "promise"
	ruleOwnLease   rule = "own lease is a promise"
	ruleSerial     rule = "serial"
	ruleQuarantine rule = "quarantine"
	ruleAbdication rule = "abdication"
	ruleTakeOver   rule = "take-over call"
	ruleFresh      rule = "configuration of the term"
)

var (
	errQuarantine = errors.New("started less than detect ago: promises from before are forgotten and may still run")
	errPromised   = errors.New("promised to another leader")
	errAbdicated  = errors.New("abdicated in this term")
	errVoted      = errors.New("voted in a later term")
	errUnable     = errors.New("this member can't hold the addresses")
)

// rules is the lease protocol of one member: what it promised, and what it was
// promised. Each rule is one short method; all run under one lock and do no I/O
// but the store to the fence. The names of the rules are those of
// docs/guarantees.md.
type rules struct {
	timing
	self   raft.ServerID
	now    func() Instant
	voters func(term uint64) []raft.ServerID // of the latest configuration if raft is in term still, else nil; must not block
	fence  Fence

	mu         mutex
	able       bool    // may hold a lease: the fence is armed and nothing forbids it
	fit        bool    // may begin one: nobody better is known to be there
	hanging    bool    // a write of this member hangs, and its raft with it
	muted      uint64  // highest term in which it fell silent as the leader because of that
	quarantine Instant // no vote, no candidacy, no lease before
	voted      uint64  // highest term in which this member voted or stood
	abdicated  uint64  // highest term in which it gave up its lease for good
	left       Instant // when it did
	obeyed     uint64  // highest term whose leader has told this member to take over
	promised   struct {
		term  uint64
		to    raft.ServerID
		until Instant
	}
	heard Instant // the last acknowledgement given
	held  struct {
		term  uint64
		since Instant                   // of the first acknowledgement in term
		acked map[raft.ServerID]Instant // send times of the calls that each peer acknowledged
		until Instant
	}

	changed chan struct{} // holds a token after a lease began or was given up
}

func newRules(self raft.ServerID, detect time.Duration, now func() Instant, voters func(term uint64) []raft.ServerID, fence Fence) *rules {
	r := &rules{timing: timingFor(detect), self: self, now: now, voters: voters, fence: fence, changed: make(chan struct{}, 1)}
	fence.SetDeadline(0)
	if r.quarantine = now().Add(detect); leftOut(ruleQuarantine) {
		r.quarantine = 0
	}
	return r
}

// acknowledged notes that peer answered Success to a call of term that left this
// member at sent (rule "send time"), and extends the lease accordingly.
func (r *rules) acknowledged(term uint64, peer raft.ServerID, sent Instant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if term < r.held.term {
		return
	}
	if term > r.held.term {
		r.held.term, r.held.since, r.held.acked, r.held.until = term, r.now(), make(map[raft.ServerID]Instant), 0
	}
	if sent > r.held.acked[peer] {
		r.held.acked[peer] = sent
	}
	r.extend()
}

// extend moves the deadline to the latest instant that a majority has vouched
// for. The configuration is read after the acknowledgements it is combined with,
// and must not be one of a later term, which raft may have just learnt of.
func (r *rules) extend() {
	now, term := r.now(), r.held.term
	switch {
	case !r.able, now < r.quarantine, r.voted > term, r.abdicated >= term && !leftOut(ruleAbdication), r.boundToOther(r.self, now), r.mute(term):
		return
	}
	voters := r.voters(term)
	if !slices.Contains(voters, r.self) {
		r.close(now)
		return
	}
	until := r.majority(voters, now).Add(r.lease)
	began := r.held.until <= now // also anew, after it had run out
	if until <= r.held.until || until <= now || began && !r.fit {
		return
	}
	r.held.until = until
	if !leftOut(ruleOwnLease) {
		r.promised.term, r.promised.to, r.promised.until = term, r.self, until // a lease is a promise to oneself
	}
	r.fence.SetDeadline(int64(until))
	if began {
		r.signal()
	}
}

// majority returns the k-th latest send time over the voters, k being the size of
// a majority and this member counting as now.
func (r *rules) majority(voters []raft.ServerID, now Instant) Instant {
	sent := make([]Instant, 0, len(voters))
	for _, id := range voters {
		if id == r.self {
			sent = append(sent, now)
		} else {
			sent = append(sent, r.held.acked[id])
		}
	}
	slices.Sort(sent)
	return sent[(len(sent)-1)/2]
}

// promise binds this member to the leader of term before an acknowledgement
// leaves (rules "promise" and "serial"). On an error the acknowledgement must not
// leave.
func (r *rules) promise(term uint64, leader raft.ServerID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.follows(term, leader); err != nil {
		return err
	}
	now := r.now()
	until := max(now.Add(r.timing.promise), r.promised.until)
	if leftOut(rulePromise) {
		until = r.promised.until
	}
	r.promised.term, r.promised.to, r.promised.until = term, leader, until
	r.heard = now
	if r.held.until != 0 && r.held.term < term {
		r.close(now)
	}
	return nil
}

// mayFollow reports whether a call of leader in term may reach raft at all.
func (r *rules) mayFollow(term uint64, leader raft.ServerID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.follows(term, leader)
}

func (r *rules) follows(term uint64, leader raft.ServerID) error {
	switch {
	case leftOut(ruleSerial):
		return nil
	case r.voted > term:
		return errVoted
	case r.promised.term > term:
		return errPromised
	case r.promised.term == term && r.promised.to != leader:
		return fmt.Errorf("two leaders in term %d: %s and %s", term, r.promised.to, leader)
	}
	return nil
}

// mayVote reports whether a vote or pre-vote for candidate may be given in term
// (rules "votes" and "quarantine"). transfer is the candidate's word that the
// leader of the term before told it to take over.
func (r *rules) mayVote(term uint64, candidate raft.ServerID, transfer bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refusal(term, candidate, transfer, r.now())
}

// vote records a vote for candidate in term. It is called with raft's consent in
// hand, before the vote leaves: on an error the vote must not leave.
func (r *rules) vote(term uint64, candidate raft.ServerID, transfer bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refusal(term, candidate, transfer, r.now()); err != nil {
		return err
	}
	r.voted = max(r.voted, term)
	return nil
}

// stand records a candidacy of this member in term, before its call for votes
// leaves. Only a candidacy in the term after an obeyed take-over call may claim to
// be a transfer.
func (r *rules) stand(term uint64, transfer bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.standing(term, transfer); err != nil {
		return err
	}
	r.voted = max(r.voted, term)
	return nil
}

// mayStand is stand for a pre-vote, which changes no state.
func (r *rules) mayStand(term uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.standing(term, false)
}

func (r *rules) standing(term uint64, transfer bool) error {
	if transfer && term != r.obeyed+1 {
		return fmt.Errorf("no take-over call of term %d was obeyed", term-1)
	}
	return r.refusal(term, r.self, transfer, r.now())
}

func (r *rules) refusal(term uint64, candidate raft.ServerID, transfer bool, now Instant) error {
	if now < r.quarantine {
		return errQuarantine
	}
	if !r.boundToOther(candidate, now) {
		return nil
	}
	if transfer && r.promised.to != r.self && r.promised.term < term {
		return nil // that leader has abdicated before it sent its take-over call
	}
	return errPromised
}

// boundToOther reports whether a promise to somebody other than id runs. A
// promise to a leader whose take-over call was obeyed is void.
func (r *rules) boundToOther(id raft.ServerID, now Instant) bool {
	p := r.promised
	return now < p.until && p.to != id && (p.to == r.self || p.term > r.obeyed)
}

// abdicate gives up the lease of term for good and closes the fence (rule
// "abdication"). Only after it has returned may a take-over call leave.
func (r *rules) abdicate(term uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if term > r.abdicated {
		r.abdicated, r.left = term, now
	}
	r.close(now)
}

// close closes the fence and then releases this member from its promise to
// itself.
func (r *rules) close(now Instant) {
	r.fence.SetDeadline(0)
	r.held.until = 0
	if r.promised.to == r.self {
		r.promised.until = min(r.promised.until, now)
	}
	r.signal()
}

// hasAbdicated reports whether the lease of term was given up.
func (r *rules) hasAbdicated(term uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return term != 0 && r.abdicated == term
}

// silent reports whether this member must stop speaking as leader of term,
// because it abdicated 2 T ago and nobody has taken over, or because its disk hangs:
// it may not resume, so it makes way for a new term.
func (r *rules) silent(term uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.abdicated >= term && r.now().Sub(r.left) > 2*r.detect || r.mute(term)
}

// mute reports whether this leader has fallen silent in term for good, and sees to
// it if a write hangs: raft would not notice, its heartbeats go on beside it. Where the
// others could not elect without this one, it goes on.
func (r *rules) mute(term uint64) bool {
	if r.hanging && r.dispensable(term) {
		r.muted = max(r.muted, term)
	}
	return r.muted >= term
}

// dispensable reports whether the others that acknowledged a call of term less than T
// ago are a majority.
func (r *rules) dispensable(term uint64) bool {
	voters, others, now := r.voters(term), 0, r.now()
	for _, id := range voters {
		if sent, ok := r.held.acked[id]; ok && id != r.self && r.held.term == term && now.Sub(sent) < r.detect {
			others++
		}
	}
	return others > len(voters)/2
}

// setHanging says whether a write of this member hangs. It then obeys no take-over
// call, and if it leads it falls silent in this term for good; its lease runs out.
func (r *rules) setHanging(hanging bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hanging = hanging
}

// obey accepts the take-over call that leader sent when it had abdicated in term
// (rule "take-over call"). All calls that arrived before have been answered. The
// promise to that leader is void from here on.
func (r *rules) obey(term uint64, leader raft.ServerID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case leftOut(ruleTakeOver):
		r.obeyed = max(r.obeyed, term)
		return nil
	case r.unready() != nil:
		return r.unready()
	case r.promised.term != term || r.promised.to != leader || r.voted > term:
		return fmt.Errorf("take-over call of %s in term %d is not from the current leader", leader, term)
	}
	r.obeyed = max(r.obeyed, term)
	return nil
}

// mayObey reports whether a take-over call of the leader that this member follows
// would be obeyed now.
func (r *rules) mayObey() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unready()
}

func (r *rules) unready() error {
	switch {
	case !r.able || r.hanging:
		return errUnable
	case r.now() < r.quarantine:
		return errQuarantine
	}
	return nil
}

// setFitness says whether this member may hold, and whether it may begin to (rule
// "standing"). A lease that it has is not extended any more once it is unable, and runs
// on if it merely is unwell. Either way it may be elected, so that the log goes on if it
// alone has all of it, but then opens no fence and hands over.
func (r *rules) setFitness(f Fitness) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.able, r.fit = f != Unable, f >= LastResort
}

func (r *rules) isAble() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.able
}

// current returns the term and the end of the lease; the end is zero when there
// is none.
func (r *rules) current() (term uint64, until Instant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held.until <= r.now() {
		return r.held.term, 0
	}
	return r.held.term, r.held.until
}

// lastHeard returns when this member last acknowledged a leader, and which one.
func (r *rules) lastHeard() (Instant, raft.ServerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.heard, r.promised.to
}

// ledSince returns when this member was first acknowledged as leader, in the last
// term in which it was; zero if never.
func (r *rules) ledSince() Instant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held.since
}

// lastAcked returns when the last call left that peer acknowledged in the current
// term of this leader; zero if none.
func (r *rules) lastAcked(peer raft.ServerID) Instant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held.acked[peer]
}

// signal tells that a lease began or ended. Expiry needs no signal: whoever waits
// knows the deadline.
func (r *rules) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}
