package election

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// turns are the members' turns at an election, on one clock, best member first.
func turns(clock *Instant, ids ...raft.ServerID) map[raft.ServerID]*turn {
	all := make(map[raft.ServerID]*turn)
	for _, id := range ids {
		all[id] = &turn{
			self: id, detect: half, now: func() Instant { return *clock },
			order: func() []raft.ServerID { return ids }, unfit: func() time.Duration { return 0 }, heard: func() (Instant, raft.ServerID) { return 0, "" },
		}
	}
	return all
}

func TestTheBetterMemberStandsFirst(t *testing.T) {
	clock := Instant(1)
	all := turns(&clock, "a", "b", "c")
	if a, b, c := all["a"].delay(), all["b"].delay(), all["c"].delay(); a != 0 || b <= a || c <= b {
		t.Errorf("the delays of a, b and c are %s, %s and %s", a, b, c)
	}
	all["a"].unfit = func() time.Duration { return half / 4 }
	if a, c := all["a"].delay(), all["c"].delay(); a <= c {
		t.Errorf("a, which is not well, stands after %s, and c after %s", a, c)
	}
}

// Two members that noticed at once have each given the other a pre-vote.
func TestOfTwoThatGaveEachOtherAPreVoteTheBetterGoesFirst(t *testing.T) {
	clock := Instant(1)
	all := turns(&clock, "a", "b")
	if !all["a"].give("b") || !all["b"].give("a") {
		t.Fatal("a pre-vote was kept back, though nobody stands yet")
	}
	if !all["a"].take() {
		t.Error("a, the better one, does not use the pre-vote of b")
	}
	if all["b"].take() {
		t.Error("b uses the pre-vote of a, and splits the votes")
	}
}

func TestWhoGavePreVoteHoldsItsOwnBackForAMoment(t *testing.T) {
	clock := Instant(1)
	b := turns(&clock, "a", "b")["b"]
	if b.holds() {
		t.Error("b holds back, though it has given nothing")
	}
	b.give("a")
	if !b.holds() {
		t.Error("b has just given a pre-vote, and asks for votes itself")
	}
	if clock = clock.Add(half); b.holds() {
		t.Error("b still holds back for a candidate that did not stand")
	}
}

func TestWhoIsAboutToAskForVotesGivesNoPreVote(t *testing.T) {
	clock := Instant(1)
	a := turns(&clock, "a", "b")["a"]
	if !a.take() {
		t.Fatal("a may not stand")
	}
	if a.give("b") {
		t.Error("a has a pre-vote, and gives b one as well")
	}
	if clock = clock.Add(half); !a.give("b") {
		t.Error("a gives no pre-vote any more")
	}
}

// A worse member has noticed the loss before the best one.
func TestAWorseMemberWaitsForTheBestToNotice(t *testing.T) {
	lost := Instant(time.Hour)
	clock := lost.Add(half - time.Millisecond)
	all := turns(&clock, "a", "b", "c")
	for _, one := range all {
		one.heard = func() (Instant, raft.ServerID) { return lost, "z" }
	}
	if all["a"].give("b") || all["b"].give("c") {
		t.Error("a worse member has got a pre-vote before the best one could notice")
	}
	if !all["b"].give("a") {
		t.Error("the best one is given none")
	}
	if clock = lost.Add(half + half/20); !all["a"].give("b") {
		t.Error("the best one has had its chance, and still gives none")
	}
	if all["b"].give("c") {
		t.Error("b can't know yet that a does not stand")
	}
	if clock = lost.Add(half + half/5); !all["b"].give("c") {
		t.Error("c is given none though nobody better stands")
	}
}
