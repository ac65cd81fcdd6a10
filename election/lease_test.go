package election

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// bench is the rules of member "b" in a cluster of a, b and c, under a clock that
// the test moves. T is 1000, so a promise is 950 and a lease 750.
type bench struct {
	*rules
	t     *testing.T
	clock Instant
	fence *memoryFence
	who   []raft.ServerID
}

const testDetect = 1000 * time.Nanosecond

// newBench returns rules whose quarantine is over, at instant 10 000.
func newBench(t *testing.T, voters ...raft.ServerID) *bench {
	if len(voters) == 0 {
		voters = []raft.ServerID{"a", "b", "c"}
	}
	b := &bench{t: t, clock: 10_000 - Instant(testDetect), fence: &memoryFence{until: 1 << 62}, who: voters}
	b.rules = newRules("b", testDetect, func() Instant { return b.clock }, func(uint64) []raft.ServerID { return b.who }, b.fence)
	b.setFitness(Ready)
	b.clock = 10_000
	return b
}

func (b *bench) wantFence(until int64) {
	b.t.Helper()
	if b.fence.until != until {
		b.t.Errorf("the fence is open until %d, want %d", b.fence.until, until)
	}
}

func (b *bench) want(got, want error) {
	b.t.Helper()
	if !errors.Is(got, want) {
		b.t.Errorf("got %v, want %v", got, want)
	}
}

func TestSendTimeALeaseCountsFromWhenTheCallLeftNotFromWhenTheAnswerCame(t *testing.T) {
	b := newBench(t)
	b.clock = 10_600
	b.acknowledged(7, "a", 10_100)
	b.wantFence(10_100 + 750)
}

func TestSendTimeAnAnswerThatComesAfterItsLeaseHasEndedOpensNothing(t *testing.T) {
	b := newBench(t)
	b.clock = 10_900
	b.acknowledged(7, "a", 10_100)
	b.wantFence(0)
}

func TestSendTimeTheLeaseRestsOnTheOldestCallOfTheNewestMajority(t *testing.T) {
	for _, c := range []struct {
		name   string
		voters []raft.ServerID
		acked  map[raft.ServerID]Instant
		want   int64
	}{
		{"alone", []raft.ServerID{"b"}, map[raft.ServerID]Instant{"b": 10_000}, 10_400 + 750},
		{"both of two", []raft.ServerID{"a", "b"}, map[raft.ServerID]Instant{"a": 10_050}, 10_050 + 750},
		{"the later of the other two", []raft.ServerID{"a", "b", "c"}, map[raft.ServerID]Instant{"a": 10_050, "c": 10_070}, 10_070 + 750},
		{"two others of three", []raft.ServerID{"a", "b", "c", "d"}, map[raft.ServerID]Instant{"a": 10_050, "c": 10_070, "d": 10_090}, 10_070 + 750},
		{"two others of four", []raft.ServerID{"a", "b", "c", "d", "e"}, map[raft.ServerID]Instant{"a": 10_050, "c": 10_070, "d": 10_090}, 10_070 + 750},
		{"no majority", []raft.ServerID{"a", "b", "c", "d", "e"}, map[raft.ServerID]Instant{"a": 10_050}, 0},
		{"a stranger does not count", []raft.ServerID{"a", "b", "c"}, map[raft.ServerID]Instant{"x": 10_050}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.voters...)
			b.clock = 10_400
			for peer, sent := range c.acked {
				b.acknowledged(7, peer, sent)
			}
			b.wantFence(c.want)
		})
	}
}

func TestSendTimeALateAnswerNeverShortensTheLease(t *testing.T) {
	b := newBench(t)
	b.clock = 10_300
	b.acknowledged(7, "a", 10_200)
	b.acknowledged(7, "a", 10_100)
	b.acknowledged(7, "c", 10_100)
	b.wantFence(10_200 + 750)
}

func TestSendTimeAnswersOfAnEarlierTermDoNotCount(t *testing.T) {
	b := newBench(t)
	b.acknowledged(8, "c", 0)
	b.acknowledged(7, "a", 10_000)
	b.wantFence(0)
	b.acknowledged(8, "a", 10_000)
	b.wantFence(10_750)
}

func TestConfigurationALeaderThatIsNoVoterAnyMoreClosesItsFence(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.wantFence(10_750)
	b.who = []raft.ServerID{"a", "c"}
	b.acknowledged(7, "a", 10_010)
	b.wantFence(0)
}

func TestPromiseAnAcknowledgementBindsForG(t *testing.T) {
	b := newBench(t)
	b.want(b.promise(7, "a"), nil)
	b.clock = 10_000 + 949
	b.want(b.mayVote(8, "c", false), errPromised)
	b.want(b.vote(8, "c", false), errPromised)
	b.want(b.stand(8, false), errPromised)
	b.want(b.mayStand(8), errPromised)
	b.want(b.mayVote(8, "a", false), nil)
	b.clock = 10_000 + 950
	b.want(b.mayVote(8, "c", false), nil)
	b.want(b.stand(8, false), nil)
}

func TestPromiseOnlyGrows(t *testing.T) {
	b := newBench(t)
	b.clock = 11_000
	b.want(b.promise(7, "a"), nil)
	b.clock = 10_500 // a clock does not go back; the rule must hold all the same
	b.want(b.promise(8, "c"), nil)
	if b.promised.until != 11_950 {
		t.Errorf("the promise ends at %d, want 11950", b.promised.until)
	}
}

func TestPromiseAHolderIsBoundByItsOwnLease(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.clock = 10_749
	b.want(b.mayVote(8, "c", false), errPromised)
	b.want(b.mayVote(8, "c", true), errPromised)
	b.clock = 10_750
	b.want(b.mayVote(8, "c", false), nil)
}

func TestPromiseToAnotherKeepsAMemberFromHolding(t *testing.T) {
	b := newBench(t)
	b.want(b.promise(7, "a"), nil)
	b.clock = 10_100
	b.acknowledged(8, "c", 10_050)
	b.wantFence(0)
}

func TestVotesALateAnswerDoesNotExtendTheLeaseOfOneWhoHasVoted(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.clock = 10_800
	b.want(b.vote(8, "c", false), nil)
	b.acknowledged(7, "a", 10_700)
	b.wantFence(10_750) // past, and not extended
}

func TestVotesAVoteDoesNotLeaveIfAPromiseWasMadeMeanwhile(t *testing.T) {
	b := newBench(t)
	b.want(b.mayVote(8, "c", false), nil)
	b.acknowledged(7, "a", 10_000) // the lease is extended while raft writes its vote
	b.want(b.vote(8, "c", false), errPromised)
	if b.voted != 0 {
		t.Errorf("a vote that did not leave counts, in term %d", b.voted)
	}
}

func TestSerialAnAcknowledgementDoesNotLeaveAfterALaterVoteOrCandidacy(t *testing.T) {
	b := newBench(t)
	b.want(b.vote(8, "c", false), nil)
	b.want(b.promise(7, "a"), errVoted)
	b = newBench(t)
	b.want(b.stand(8, false), nil)
	b.want(b.promise(7, "a"), errVoted)
}

func TestSerialTheSecondLeaderOfATermIsRefused(t *testing.T) {
	b := newBench(t)
	b.want(b.promise(7, "a"), nil)
	b.clock += 5_000
	if b.mayFollow(7, "c") == nil || b.promise(7, "c") == nil {
		t.Error("two leaders of one term were both acknowledged")
	}
	b.want(b.promise(6, "c"), errPromised)
	b.want(b.promise(8, "c"), nil)
}

func TestQuarantineAFreshStartNeitherVotesNorStandsNorHoldsButFollows(t *testing.T) {
	b := newBench(t)
	fence := &memoryFence{until: 1 << 62}
	r := newRules("b", testDetect, func() Instant { return b.clock }, func(uint64) []raft.ServerID { return []raft.ServerID{"b"} }, fence)
	r.setFitness(Ready)
	if fence.until != 0 {
		t.Error("the fence was not closed at the start")
	}
	b.clock += 999
	b.want(r.mayVote(8, "c", false), errQuarantine)
	b.want(r.mayVote(8, "c", true), errQuarantine)
	b.want(r.stand(8, false), errQuarantine)
	r.acknowledged(7, "b", b.clock)
	if fence.until != 0 {
		t.Error("the fence was opened in quarantine")
	}
	b.want(r.promise(7, "a"), nil)
	b.want(r.obey(7, "a"), errQuarantine)
	b.clock += 1_000
	b.want(r.mayVote(8, "c", false), nil)
}

func TestAbdicationIsForTheWholeTerm(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.abdicate(7)
	b.wantFence(0)
	b.clock = 10_100
	b.acknowledged(7, "a", 10_090)
	b.acknowledged(7, "c", 10_090)
	b.wantFence(0)
	b.want(b.mayVote(8, "c", true), nil) // the promise to itself is void
	b.acknowledged(9, "a", 10_090)
	b.wantFence(10_840)
}

func TestAbdicationWithoutASuccessorFallsSilentAfterTwoT(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.abdicate(7)
	b.clock = 11_500
	b.abdicate(7) // once more: that does not put it off
	b.clock = 12_000
	if b.silent(7) {
		t.Error("silent before 2 T")
	}
	b.clock = 12_001
	if !b.silent(7) || b.silent(8) {
		t.Error("not silent after 2 T in the term, or silent in a later one")
	}
}

func TestTakeOverIsObeyedOnlyFromTheCurrentLeaderInItsTerm(t *testing.T) {
	for _, c := range []struct {
		name   string
		term   uint64
		leader raft.ServerID
		before func(*bench)
		ok     bool
	}{
		{"from the current leader", 7, "a", func(*bench) {}, true},
		{"of an earlier term", 6, "a", func(*bench) {}, false},
		{"of a later term", 8, "a", func(*bench) {}, false},
		{"from somebody else", 7, "c", func(*bench) {}, false},
		{"after another leader was acknowledged", 7, "a", func(b *bench) { b.want(b.promise(8, "c"), nil) }, false},
		{"after a candidacy", 7, "a", func(b *bench) { b.clock += 1_000; b.want(b.stand(8, false), nil) }, false},
		{"where the fence is not armed", 7, "a", func(b *bench) { b.setFitness(Unable) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.want(b.promise(7, "a"), nil)
			c.before(b)
			if err := b.obey(c.term, c.leader); (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTakeOverLetsTheObeyerStandAtOnceInTheNextTermOnly(t *testing.T) {
	b := newBench(t)
	b.want(b.promise(7, "a"), nil)
	if b.stand(8, true) == nil {
		t.Error("stood as if told to take over without having been told")
	}
	b.want(b.obey(7, "a"), nil)
	if b.stand(9, true) == nil {
		t.Error("claimed a transfer in a term after the next")
	}
	b.want(b.stand(8, true), nil)
	b.clock = 10_010
	b.acknowledged(8, "c", 10_005) // the promise to a does not delay the first lease
	b.wantFence(10_755)
}

func TestTakeOverAThirdMemberVotesForTheSuccessorInSpiteOfItsPromise(t *testing.T) {
	b := newBench(t)
	b.want(b.promise(7, "a"), nil)
	b.want(b.mayVote(7, "c", true), errPromised)
	b.want(b.mayVote(8, "c", true), nil)
	b.want(b.vote(8, "c", true), nil)
}

func TestStandingAMemberThatIsNotAbleHoldsNothing(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.setFitness(Unable)
	b.acknowledged(7, "a", 10_100)
	b.wantFence(10_750)
	b.want(b.mayVote(8, "c", false), errPromised)
	b.clock = 10_750
	b.want(b.mayVote(8, "c", false), nil) // it still votes
	b.want(b.stand(8, false), nil)        // and may lead, but not hold
	b.acknowledged(8, "a", 10_740)
	b.wantFence(10_750)
}

func TestALaterLeaderClosesTheFence(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.want(b.promise(8, "c"), nil)
	b.wantFence(0)
}

func TestConfigurationOfALaterTermIsNotCounted(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.voters = func(uint64) []raft.ServerID { return nil } // what raft says of a term that it has left
	b.acknowledged(7, "a", 10_050)
	b.wantFence(0)
}

// Who waits for the end of the lease must learn that it goes on after it had ended, or
// would not notice its next end.
func TestALeaseThatGoesOnAfterItHadRunOutIsSignalled(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	<-b.changed
	b.clock = 10_500
	b.acknowledged(7, "a", 10_500)
	if len(b.changed) != 0 {
		t.Error("a lease that was merely extended is signalled")
	}
	b.clock = 11_500
	b.acknowledged(7, "a", 11_400)
	if len(b.changed) != 1 {
		t.Error("the lease goes on, and nobody is told")
	}
}

func TestSilenceALeaderWhoseDiskHangsHoldsUntilItsLeaseEndsAndNoLongerInThatTerm(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.acknowledged(7, "c", 10_000)
	b.setHanging(true)
	b.acknowledged(7, "a", 10_100)
	b.wantFence(10_000 + 750)
	if !b.silent(7) {
		t.Error("it goes on speaking as the leader")
	}
	b.want(b.obey(7, "a"), errUnable)
	b.setHanging(false)
	b.acknowledged(7, "a", 10_200)
	b.wantFence(10_000 + 750)
	if !b.silent(7) || b.silent(8) {
		t.Error("the silence is not for that term and no other")
	}
	b.clock = 10_800
	b.acknowledged(8, "a", 10_800)
	b.wantFence(10_800 + 750)
}

func TestSilenceALeaderThatTheOthersCannotDoWithoutGoesOnWhileItsDiskHangs(t *testing.T) {
	b := newBench(t)
	b.acknowledged(7, "a", 10_000)
	b.setHanging(true) // and c is gone
	b.clock = 10_100
	b.acknowledged(7, "a", 10_100)
	b.wantFence(10_100 + 750)
	if b.silent(7) {
		t.Error("it is silent, though a alone can't elect")
	}
}

func TestSilenceASoleMemberMakesWayForNobody(t *testing.T) {
	b := newBench(t, "b")
	b.setHanging(true)
	b.acknowledged(7, "b", 10_000)
	b.wantFence(10_000 + 750)
	if b.silent(7) {
		t.Error("it is silent")
	}
}
