package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipd/vipd/election"
)

func TestALeaseIsServedAndLost(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.elect(3, true)
		want(t, h.since(), "bind, hook MASTER, hook done")
		h.elect(3, false)
		want(t, h.since(), "reset, release, hook BACKUP, hook done")
	})
}

func TestAnOperatorsTransferIsAnsweredWhenItIsDone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.set(func() { h.other = &election.Member{Name: "vm2"} })
		h.elect(3, true)
		h.since()
		to, err := h.agent.Transfer(t.Context(), election.Move{Reason: "asked", Cause: election.ByOperator})
		if to != "vm2" || err != nil {
			t.Errorf("moved to %q, %v", to, err)
		}
		want(t, h.since(), "prepare vm2, intend: asked operator, hook BACKUP, hook done, reset, release, hand over to vm2")
		if _, err := h.agent.Transfer(t.Context(), election.Move{Reason: "asked", Cause: election.ByOperator}); !errors.Is(err, election.ErrNoLeader) {
			t.Errorf("a transfer from a host that does not lead: %v", err)
		}
	})
}

func TestAnAddressThatWasTakenAwayIsPutBack(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.elect(3, true)
		h.since()
		h.set(func() { h.bound = false })
		h.drift <- struct{}{}
		want(t, h.since(), "bind")
	})
}

func TestAnAddressThatSomebodyAddedIsTakenOff(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.set(func() { h.bound = true })
		h.drift <- struct{}{}
		want(t, h.since(), "release")
	})
}

func TestABrokenFenceTakesTheAddressOffAndIsArmedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.elect(3, true)
		h.since()
		h.set(func() { h.broken = errors.New("removed") })
		h.drift <- struct{}{}
		want(t, h.since(), "reset, release, hook FAULT, hook done")
		h.set(func() {
			if h.standing.Fitness != election.Unable {
				t.Errorf("it still stands: %v", h.standing)
			}
		})
		time.Sleep(time.Second)
		if did := h.since(); !strings.HasPrefix(did, "arm, bind, hook MASTER") {
			t.Errorf("did %s", did)
		}
	})
}

func TestStoppingHandsOverFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t.Context())
		h.set(func() { h.other = &election.Member{Name: "vm2"} })
		h.elect(3, true)
		h.since()
		h.agent.Report(StopAsked{})
		<-h.ended
		want(t, h.since(), "prepare vm2, intend: the holder was stopped operator, hook STOP, hook done, reset, release, hand over to vm2")
		if _, err := h.agent.Transfer(t.Context(), election.Move{}); !errors.Is(err, errStopping) {
			t.Errorf("a transfer after the end: %v", err)
		}
	})
}

func TestAHookThatHangsDoesNotKeepTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := start(ctx)
		h.set(func() { h.hookTime = time.Hour })
		h.elect(3, true)
		h.since()
		h.elect(3, false)
		if did := h.since(); did != "reset, release" {
			t.Errorf("did %s", did)
		}
		cancel()
		<-h.ended
		synctest.Wait()
	})
}

func TestTheAgentSaysThatItLivesWhileAHookHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := start(ctx)
		h.set(func() { h.hookTime = time.Hour })
		h.elect(3, true)
		time.Sleep(10 * time.Second)
		cancel()
		<-h.ended
		did := h.since()
		h.set(func() {
			if h.alive < 9 || !strings.Contains(did, "hook MASTER") {
				t.Errorf("it said so %d times in 10 s; it did %s", h.alive, did)
			}
		})
	})
}

func TestTheDrainTimeIsWaited(t *testing.T) {
	inBubbleWith(t, Policy{DrainTime: 10 * time.Second}, func(t *testing.T, h *host) {
		h.set(func() { h.other = &election.Member{Name: "vm2"} })
		h.elect(3, true)
		h.since()
		began := time.Now()
		done := make(chan error)
		go func() {
			_, err := h.agent.Transfer(t.Context(), election.Move{Reason: "asked"})
			done <- err
		}()
		want(t, h.since(), "prepare vm2, intend: asked")
		if h.agent.State().Answering() || !h.isBound() {
			t.Errorf("while it drains: answering %t, bound %t", h.agent.State().Answering(), h.isBound())
		}
		if err := <-done; err != nil || time.Since(began) < 10*time.Second {
			t.Errorf("moved after %s, %v", time.Since(began), err)
		}
	})
}

func TestARefusedPreparationRefusesTheTransfer(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		refusal := errors.New("vm2 is busy")
		h.set(func() { h.other, h.refusal = &election.Member{Name: "vm2"}, refusal })
		h.elect(3, true)
		h.since()
		if _, err := h.agent.Transfer(t.Context(), election.Move{}); !errors.Is(err, refusal) {
			t.Errorf("the transfer: %v", err)
		}
		want(t, h.since(), "prepare vm2")
		if !h.agent.State().Answering() {
			t.Error("it does not serve any more")
		}
	})
}

func TestAFrozenHolderRefusesATransferWithAHint(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.set(func() { h.frozen = &election.Freeze{By: "vm1"} })
		h.elect(3, true)
		h.since()
		_, err := h.agent.Transfer(t.Context(), election.Move{})
		if hinted, ok := errors.AsType[*hintedError](err); !ok || !strings.Contains(hinted.Hint(), "vipd thaw") {
			t.Errorf("the transfer: %v", err)
		}
	})
}

func TestThePrepareHookRunsWhenAHolderAsks(t *testing.T) {
	inBubbleWith(t, Policy{Prepare: true}, func(t *testing.T, h *host) {
		if err := h.agent.Prepare(t.Context()); err != nil {
			t.Error(err)
		}
		want(t, h.since(), "hook PREPARE, hook done")
		h.elect(3, true)
		h.since()
		if err := h.agent.Prepare(t.Context()); !errors.Is(err, errLeads) {
			t.Errorf("the holder itself is asked: %v", err)
		}
	})
}

func TestAFenceHookRunsBeforeTheAddressIsBound(t *testing.T) {
	inBubbleWith(t, Policy{Fence: true}, func(t *testing.T, h *host) {
		h.set(func() { h.claim.Unfenced = []election.Member{{ID: "1", Name: "vm1"}, {ID: "2", Name: "vm2"}} })
		h.elect(3, true)
		want(t, h.since(), "hook fence vm1, hook done, hook fence vm2, hook done, bind, hook MASTER, hook done")
		h.set(func() { want(t, strings.Join(h.fenced, ", "), "vm1, vm2") })
	})
}

func TestAHostThatIsPreferredPreempts(t *testing.T) {
	inBubbleWith(t, Policy{Preempt: true, PreemptDelay: 3 * time.Second}, func(t *testing.T, h *host) {
		h.set(func() { h.prefers, h.refusal = "priority", errors.New("frozen") })
		time.Sleep(3 * time.Second)
		want(t, h.since(), "")
		time.Sleep(time.Second)
		want(t, h.since(), "preempt: priority")
		h.set(func() { h.refusal = nil })
		time.Sleep(11 * time.Second)
		want(t, h.since(), "preempt: priority, bind, hook MASTER, hook done")
	})
}

func TestAPausedHostStandsForNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.agent.Report(PauseChanged{Paused: true})
		want(t, h.since(), "")
		h.set(func() {
			if h.standing.Fitness != election.Unable || !h.standing.Paused {
				t.Errorf("it stands as %+v", h.standing)
			}
		})
	})
}

func TestAMoveEndsWithTheLease(t *testing.T) {
	inBubbleWith(t, Policy{DrainTime: time.Hour}, func(t *testing.T, h *host) {
		h.set(func() { h.other = &election.Member{Name: "vm2"} })
		h.elect(3, true)
		h.since()
		done := make(chan error)
		go func() {
			_, err := h.agent.Transfer(t.Context(), election.Move{})
			done <- err
		}()
		h.since()
		h.elect(3, false)
		if err := <-done; !errors.Is(err, errLost) {
			t.Errorf("the transfer: %v", err)
		}
		want(t, h.since(), "reset, release, hook BACKUP, hook done")
	})
}

func TestWhoIsReleasedHandsOverOnlyToAHealthyMember(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.set(func() { h.other = &election.Member{Name: "vm2"} })
		if f := h.agent.find(t.Context(), FindSuccessor{Well: true}); f.To != nil {
			t.Errorf("an unhealthy one was found: %+v", f)
		}
		h.set(func() { h.other.Healthy = true })
		if f := h.agent.find(t.Context(), FindSuccessor{Well: true}); f.To == nil {
			t.Errorf("no healthy one was found: %v", f.Err)
		}
	})
}

func TestASuccessorIsLookedAtAgainAfterItHasWarmedUp(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		if err := h.agent.prepare(t.Context(), Prepare{Warm: true, Late: true}); err == nil {
			t.Error("it is lost, and was taken for prepared")
		}
		want(t, h.since(), "prepare ")
	})
}

func TestALeaseOfAnotherTermIsLookedAtBeforeAnythingIsBound(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.set(func() { h.lease = election.Lease{Held: true, Term: 9} })
		if e, ok := h.agent.perform(t.Context(), Bind{}).(LeaseChanged); !ok || e.Term != 9 {
			t.Errorf("it answered %+v", e)
		}
		if c := h.agent.claim(t.Context(), Claim{Term: 8}); c.Err == "" {
			t.Error("a claim of another term counts")
		}
		h.set(func() { h.lease.Held = false })
		h.since()
	})
}
