package election

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// These clusters have a majority that is up, and must find a holder: each of them
// once did not.

func TestAMemberThatCannotHoldLeadsOnToOneThatCanIfItAloneHasTheWholeLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 2, half)
		if err := hosts[1].halt(); err != nil {
			t.Fatal(err)
		}
		hosts[0].node.SetStanding(Standing{Fitness: Unwell, Reason: "its check fails"}) // one entry that only vm1 has
		time.Sleep(5 * time.Second)
		hosts[0].node.SetStanding(Standing{Fitness: Unable, Reason: "the fence is not armed"})
		hosts[1].start()
		await(t, "vm1 leads", func() bool { return hosts[0].node.Leading() })
		if hosts[0].fence.open(testNow()) {
			t.Error("the fence of a member that can't hold is open")
		}
		to, err := hosts[0].node.Successor(t.Context(), "")
		for range 20 {
			if err == nil {
				break
			}
			to, err = hosts[0].node.Successor(t.Context(), "")
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := hosts[0].node.HandOver(t.Context(), to, 0); err != nil {
			t.Error(err)
		}
		await(t, "vm2 holds", func() bool { return hosts[1].node.Lease().Held })
		haltAll(t, hosts)
	})
}

// One member stood and lost its power before anybody heard of it; it is a term
// ahead, with a shorter log.
func TestAMemberThatStoodInVainDoesNotBlockTheElection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		if err := hosts[0].node.Intend("an entry that vm2 loses", ByItself); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		haltAll(t, hosts)
		s := &store{Disk: hosts[1].disk()}
		term, _ := s.GetUint64([]byte("CurrentTerm"))
		last, _ := s.LastIndex()
		for _, err := range []error{
			s.SetUint64([]byte("CurrentTerm"), term+1), s.SetUint64([]byte(keyVoteTerm), term+1),
			s.Set([]byte(keyVoteCandidate), []byte(hosts[1].cfg.Address.String())), s.DeleteRange(last, last), s.Close(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		two := hosts[1:]
		for _, h := range two {
			h.start()
		}
		await(t, "one of the two holds", func() bool { return holder(two) != nil })
		haltAll(t, two)
	})
}

func TestALeaderThatHasAbdicatedChangesNoMembership(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 2, half)
		to, err := hosts[0].node.Successor(t.Context(), "vm2")
		if err != nil {
			t.Fatal(err)
		}
		hosts[1].node.SetStanding(Standing{Fitness: Unable, Reason: "the fence is not armed"}) // just then
		if err := hosts[0].node.HandOver(t.Context(), to, 0); err == nil {
			t.Error("handed over to a member that can't hold")
		}
		// Were vm2 removed in this term, vm1 would be alone in a term that it has given up.
		if err := hosts[1].node.Leave(t.Context()); err == nil {
			t.Error("an abdicated leader has removed a member")
		}
		hosts[1].node.SetStanding(Standing{Fitness: Ready})
		await(t, "somebody holds", func() bool { return holder(hosts) != nil })
		haltAll(t, hosts)
	})
}

func TestAMemberThatWasRemovedWhileItWasCutOffCanLeaveAndJoinAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		w.isolate(hosts[2].cfg.Address.String(), true)
		time.Sleep(3 * time.Second)
		if err := hosts[0].node.Remove(t.Context(), "vm3"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.isolate(hosts[2].cfg.Address.String(), false)
		time.Sleep(time.Second)
		if err := hosts[2].node.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-hosts[2].done
		if err := hosts[2].node.Close(); err != nil {
			t.Fatal(err)
		}
		hosts[2].start()
		if _, err := hosts[2].join(hosts[0]); err != nil {
			t.Error(err)
		}
		haltAll(t, hosts)
	})
}

func TestAnotherAddressForAMemberIsRefusedAtTheStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 1, half)
		haltAll(t, hosts)
		moved := newHost(t, w, 7, half)
		moved.cfg.Disk = hosts[0].disk()
		moved.cfg.Listener = w.listen(moved.cfg.Address.String())
		if _, err := Open(moved.cfg); err == nil || !strings.Contains(err.Error(), "node.address is 10.11.12.10:7600, but the cluster knows this host at 10.11.12.4:7600") {
			t.Errorf("got %v", err)
		}
	})
}

func TestFoundingAndJoiningExcludeEachOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 1, half)
		second := newHost(t, w, 2, half)
		second.start()
		joined := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		token := hosts[0].token()
		go func() { _, err := second.node.Join(ctx, "10.11.12.4", token); joined <- err }()
		await(t, "the join has begun", func() bool { return second.node.who().Cluster != "" })
		if already, err := second.node.Init(t.Context()); err == nil && !already {
			t.Error("a host that was joining has founded a cluster of its own")
		}
		if err := <-joined; err != nil {
			t.Error(err)
		}
		if second.fence.open(testNow()) {
			t.Error("two holders")
		}
		haltAll(t, append(hosts, second))
	})
}

func TestAMemberThatWasRemovedWhileItWasCutOffIsToldToLeaveAndCanThenJoinAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		w.isolate(hosts[2].cfg.Address.String(), true)
		time.Sleep(3 * time.Second)
		if err := hosts[0].node.Remove(t.Context(), "vm3"); err != nil {
			t.Fatal(err)
		}
		w.isolate(hosts[2].cfg.Address.String(), false)
		time.Sleep(5 * time.Second)
		if trouble := strings.Join(hosts[2].node.Status().Trouble, " "); !strings.Contains(trouble, "vipd leave") {
			t.Errorf("its status does not say so: %q", trouble)
		}
		var hint interface{ Hint() string }
		if _, err := hosts[2].join(hosts[0]); !errors.Is(err, ErrRemoved) || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "vipd leave") {
			t.Errorf("join: %v", err)
		}
		if err := hosts[2].node.Leave(t.Context()); err != nil {
			t.Errorf("leave: %v", err)
		}
		if err := <-hosts[2].done; !errors.Is(err, ErrLeft) {
			t.Errorf("it ended with %v", err)
		}
		if err := hosts[2].node.Close(); err != nil {
			t.Error(err)
		}
		hosts[2].start()
		if already, err := hosts[2].join(hosts[0]); already || err != nil {
			t.Errorf("join: already %v, %v", already, err)
		}
		if n := len(hosts[0].node.view.voters()); n != 3 {
			t.Errorf("%d voters", n)
		}
		haltAll(t, hosts)
	})
}

func TestAMemberThatWasAwayFollowsALeaderThatItDoesNotKnowYet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		if err := hosts[1].halt(); err != nil {
			t.Fatal(err)
		}
		fourth := newHost(t, w, 4, half)
		fourth.start()
		if _, err := fourth.join(hosts[0]); err != nil {
			t.Fatal(err)
		}
		if err := hosts[0].node.Move(t.Context(), Move{Target: "vm4", Cause: ByOperator}); err != nil {
			t.Fatal(err)
		}
		await(t, "vm4 holds", func() bool { return fourth.node.Lease().Held })
		hosts[1].start()
		await(t, "vm2 follows", func() bool { return hosts[1].node.Status().Leader.Name == "vm4" })
		haltAll(t, append(hosts, fourth))
	})
}

func TestALeaderThatIsLeftAloneAfterAFailedHandOverEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 2, half)
		to, err := hosts[0].node.Successor(t.Context(), "vm2")
		if err != nil {
			t.Fatal(err)
		}
		if err := hosts[1].node.Leave(t.Context()); err != nil { // while the hook of vm1 runs, say
			t.Fatal(err)
		}
		<-hosts[1].done
		if err := hosts[1].node.Close(); err != nil {
			t.Fatal(err)
		}
		if err := hosts[0].node.HandOver(t.Context(), to, 0); err == nil {
			t.Error("handed over to a host that has left")
		}
		if err := <-hosts[0].done; err == nil || !strings.Contains(err.Error(), "left alone") {
			t.Errorf("Run ended with %v", err)
		}
		if err := hosts[0].node.Close(); err != nil {
			t.Error(err)
		}
		hosts[0].start()
		await(t, "it holds in a new term", func() bool { return hosts[0].node.Lease().Held })
		haltAll(t, hosts[:1])
	})
}

// On a busy machine the leader is lost while others still join.
func TestAJoinOutlastsAnElection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		late := newHost(t, w, 4, half)
		late.start()
		lost := hosts[0].cfg.Address.String()
		w.isolate(lost, true)
		time.Sleep(half / 2)
		if _, err := late.join(hosts[1]); err != nil {
			t.Error(err)
		}
		w.isolate(lost, false)
		haltAll(t, append(hosts, late))
	})
}

// A member in quarantine would refuse the take-over call, when the holder has already
// let go.
func TestAHandOverToAMemberThatHasJustStartedWaitsForItsQuarantine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		if err := hosts[2].halt(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		hosts[2].start()
		started := time.Now()
		await(t, "it follows", func() bool { return hosts[0].node.reachable(hosts[2].node.rules.self) })
		to, err := hosts[0].node.Successor(t.Context(), "vm3")
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(started); took < half {
			t.Errorf("it was found ready %s after its start", took)
		}
		if err := hosts[0].node.HandOver(t.Context(), to, 0); err != nil {
			t.Error(err)
		}
		await(t, "it holds", func() bool { return hosts[2].node.Lease().Held })
		haltAll(t, hosts)
	})
}
