package election

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipd/vipd/trust"
)

const half = 500 * time.Millisecond

// bubble runs a test on virtual time. Calls to members that are cut off when it
// ends have time to give up.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(time.Minute)
	})
}

func TestAHandOverMovesTheLeaseAndLeavesItsReason(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		began := time.Now()
		if err := hosts[1].node.Move(t.Context(), Move{Target: "vm3", Cause: ByOperator}); err != nil { // asked on a member that does not lead
			t.Fatal(err)
		}
		await(t, "vm3 holds", func() bool { return hosts[2].node.Lease().Held })
		t.Logf("moved in %s", time.Since(began))
		if took := time.Since(began); took > half/2 {
			t.Errorf("took %s, as long as an election without a word", took)
		}
		await(t, "the reason is everywhere", func() bool {
			for _, h := range hosts {
				history := h.node.Status().History
				if last := history[len(history)-1]; last.From != "vm1" || last.To != "vm3" || last.Reason != "asked" {
					return false
				}
			}
			return true
		})
		haltAll(t, hosts)
	})
}

func TestAnAbdicatedHolderWithoutSuccessorMakesWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		to, err := hosts[0].node.Successor(t.Context(), "vm2")
		if err != nil {
			t.Fatal(err)
		}
		w.isolate(hosts[1].cfg.Address.String(), true)
		if err := hosts[0].node.HandOver(t.Context(), to, 0); err == nil {
			t.Error("a hand-over to a member that is cut off succeeded")
		}
		await(t, "somebody holds in a new term", func() bool { return holder(hosts) != nil })
		if l := holder(hosts).node.Lease(); l.Term < 3 {
			t.Errorf("the lease was resumed in term %d", l.Term)
		}
		haltAll(t, hosts)
	})
}

func TestASuccessorIsHealthy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		hosts[1].node.SetStanding(Standing{Fitness: Unwell, Reason: "its check fails"})
		hosts[2].node.SetStanding(Standing{Fitness: Unwell, Reason: "its check fails"})
		await(t, "the leader knows", func() bool { _, err := hosts[0].node.successor(t.Context(), ""); return err != nil })
		if _, err := hosts[0].node.successor(t.Context(), "vm3"); err == nil || !strings.Contains(err.Error(), "vm3 can't take over: unwell: its check fails") {
			t.Errorf("got %v", err)
		}
		hosts[2].node.SetStanding(Standing{Fitness: Ready})
		await(t, "vm3 is chosen", func() bool { m, err := hosts[0].node.successor(t.Context(), ""); return err == nil && m.Name == "vm3" })
		haltAll(t, hosts)
	})
}

func TestAHealthyMemberIsElectedBeforeAnUnhealthyOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		hosts[1].node.SetStanding(Standing{Fitness: Unwell, Reason: "its check fails"})
		await(t, "all know", func() bool {
			for _, h := range hosts {
				if m := h.node.Status().Members; len(m) != 3 || m[1].Healthy {
					return false
				}
			}
			return true
		})
		w.isolate(hosts[0].cfg.Address.String(), true)
		await(t, "vm3 holds", func() bool {
			if hosts[1].node.Lease().Held {
				t.Fatal("the unhealthy member was elected")
			}
			return hosts[2].node.Lease().Held
		})
		haltAll(t, hosts)
	})
}

func TestAMemberThatIsUnableNeverHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		hosts[1].node.SetStanding(Standing{Fitness: Unable, Reason: "the fence is not armed"})
		w.isolate(hosts[0].cfg.Address.String(), true)
		await(t, "vm3 holds", func() bool { return hosts[2].node.Lease().Held })
		if err := hosts[2].node.Move(t.Context(), Move{Target: "vm2", Cause: ByOperator}); err == nil {
			t.Error("the lease was moved to a member that can't hold it")
		}
		if hosts[1].node.Lease().Held {
			t.Error("the member that can't hold it does")
		}
		haltAll(t, hosts)
	})
}

func TestJoiningAndFoundingTwiceSayAlready(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 2, half)
		if already, err := hosts[1].node.Join(t.Context(), "10.11.12.4", ""); !already || err != nil {
			t.Errorf("join: %v, %v", already, err)
		}
		if already, err := hosts[1].node.Init(t.Context()); !already || err != nil {
			t.Errorf("init: %v, %v", already, err)
		}
		haltAll(t, hosts)
	})
}

func TestJoinErrorsSayWhatToDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 1, half)
		stranger := newHost(t, w, 2, time.Second)
		stranger.start()
		lone := newHost(t, w, 3, half)
		lone.start()
		other := newHost(t, w, 4, half)
		other.start()
		if _, err := other.node.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		good := hosts[0].token()
		wrong, err := trust.ParseToken(good)
		if err != nil {
			t.Fatal(err)
		}
		wrong.Secret = strings.Repeat("x", len(wrong.Secret))
		for _, c := range []struct {
			name, peer, token, message, hint string
			host                             *host
		}{
			{"no token", "10.11.12.4", "", "a host needs a token to join", "vipd token create", lone},
			{"half a token", "10.11.12.4", good[:20], "this token is not whole", "copy the whole", lone},
			{"a token of another cluster", "10.11.12.4", other.token(), "the host that answers is of another cluster than the token", "make the token on a member", lone},
			{"a secret that was changed", "10.11.12.4", wrong.Text(), "the secret of the token", "vipd token create", lone},
			{"another detect", "10.11.12.4", good, "detect is 1s in the configuration of this host, but 500ms in the cluster", "detect: 500ms", stranger},
			{"a peer without a cluster", "10.11.12.6", good, "the host that answers belongs to no cluster", "vipd init", stranger},
			{"itself", "10.11.12.6", good, "10.11.12.6 is this host itself", "name a host that is a member", lone},
			{"nobody there", "10.11.12.99", good, "cannot reach 10.11.12.99:7600", "is vipd running there", lone},
			{"another cluster", "10.11.12.4", good, "this host belongs to cluster", "they are two clusters", other},
			{"no address", "vm1", good, `"vm1" is not an address`, "10.11.12.4", lone},
		} {
			_, err := c.host.node.Join(t.Context(), c.peer, c.token)
			var h interface{ Hint() string }
			if err == nil || !strings.Contains(err.Error(), c.message) || !errors.As(err, &h) || !strings.Contains(h.Hint(), c.hint) {
				t.Errorf("%s: got %v, hint %v", c.name, err, h)
			}
		}
		haltAll(t, append(hosts, stranger, lone, other))
	})
}

func TestARestartedMemberComesBackWithoutDisturbingTheHolder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		term := hosts[0].node.Lease().Term
		if err := hosts[2].halt(); err != nil {
			t.Fatal(err)
		}
		hosts[2].start()
		await(t, "vm3 follows", func() bool { return hosts[2].node.Status().Leader.Name == "vm1" })
		time.Sleep(5 * half)
		if l := hosts[0].node.Lease(); !l.Held || l.Term != term {
			t.Errorf("the holder was disturbed: %+v", l)
		}
		haltAll(t, hosts)
	})
}

func TestAllMembersRestartedElectAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		haltAll(t, hosts)
		for _, h := range hosts {
			h.start()
		}
		await(t, "somebody holds", func() bool { return holder(hosts) != nil })
		if n := len(hosts[0].node.Status().Members); n != 3 {
			t.Errorf("%d members after the restart", n)
		}
		haltAll(t, hosts)
	})
}

func TestAWipedHostJoinsAsANewMemberInPlaceOfItsOldSelf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		old := hosts[2].node.Status().ID
		if err := hosts[2].halt(); err != nil {
			t.Fatal(err)
		}
		hosts[2].dir = t.TempDir()
		hosts[2].start()
		if _, err := hosts[2].join(hosts[1]); err != nil {
			t.Fatal(err)
		}
		members := hosts[0].node.Status().Members
		if len(members) != 3 || members[2].ID == old {
			t.Errorf("members are %+v", members)
		}
		haltAll(t, hosts)
	})
}

func TestALivingNameIsNotTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 2, half)
		double := newHost(t, w, 3, half)
		double.cfg.Name = "vm2"
		double.start()
		if _, err := double.join(hosts[0]); err == nil || !strings.Contains(err.Error(), "taken by a living member") {
			t.Errorf("got %v", err)
		}
		haltAll(t, append(hosts, double))
	})
}

func TestRemovedAndLeavingMembersForgetTheirCluster(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 4, half)
		if err := hosts[1].node.Remove(t.Context(), "vm3"); err != nil {
			t.Fatal(err)
		}
		if err := <-hosts[2].done; !errors.Is(err, ErrLeft) {
			t.Errorf("the removed member's Run ended with %v", err)
		}
		if err := hosts[3].node.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-hosts[3].done; !errors.Is(err, ErrLeft) {
			t.Errorf("the leaver's Run ended with %v", err)
		}
		old := hosts[3].node.Status().ID
		for _, h := range hosts[2:] {
			if err := h.node.Close(); err != nil {
				t.Error(err)
			}
		}
		if n := len(hosts[0].node.Status().Members); n != 2 {
			t.Errorf("%d members are left", n)
		}
		hosts[3].start()
		if s := hosts[3].node.Status(); s.ID == old || s.Cluster != "" {
			t.Errorf("it still remembers: %+v", s)
		}
		haltAll(t, []*host{hosts[0], hosts[1], hosts[3]})
	})
}

func TestRemovalsThatWouldLoseTheQuorumAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		w.isolate(hosts[2].cfg.Address.String(), true)
		time.Sleep(2 * half)
		if err := hosts[0].node.Remove(t.Context(), "vm2"); err == nil || !strings.Contains(err.Error(), "only 1 of the remaining") {
			t.Errorf("got %v", err)
		}
		if err := hosts[0].node.Remove(t.Context(), "vm1"); err == nil || !strings.Contains(err.Error(), "holds the addresses now") {
			t.Errorf("got %v", err)
		}
		if err := hosts[0].node.Remove(t.Context(), "vm9"); err == nil || !strings.Contains(err.Error(), `no member "vm9"`) {
			t.Errorf("got %v", err)
		}
		if err := hosts[0].node.Remove(t.Context(), "vm3"); err != nil { // the dead one may go
			t.Errorf("got %v", err)
		}
		haltAll(t, hosts)
	})
}

func TestADataDirectoryIsRefusedOnAnotherMachineAndWithAnotherDetect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 1, half)
		haltAll(t, hosts)
		for _, c := range []struct {
			name, message string
			change        func(*Config)
		}{
			{"a clone", "made on another machine", func(c *Config) { c.Machine = "another" }},
			{"another detect", "detect is 1s in the configuration of this host, but 500ms in the cluster", func(c *Config) { c.Detect = time.Second }},
		} {
			cfg := hosts[0].cfg
			cfg.Disk = hosts[0].disk()
			c.change(&cfg)
			if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), c.message) {
				t.Errorf("%s: got %v", c.name, err)
			}
		}
	})
}

func TestOnlyAMajorityHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		for _, h := range hosts[1:] {
			w.isolate(h.cfg.Address.String(), true)
		}
		await(t, "the holder alone loses the lease", func() bool { return !hosts[0].node.Lease().Held })
		time.Sleep(10 * half)
		if h := holder(hosts); h != nil {
			t.Errorf("%s holds without a majority", h.cfg.Name)
		}
		for _, h := range hosts[1:] {
			w.isolate(h.cfg.Address.String(), false)
		}
		await(t, "somebody holds again", func() bool { return holder(hosts) != nil })
		haltAll(t, hosts)
	})
}

func TestThePairThatLostItsFounderWhileJoiningElectsAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 1, half)
		second := newHost(t, w, 2, half)
		second.start()
		ctx, cancel := context.WithCancel(t.Context())
		joined := make(chan error, 1)
		token := hosts[0].token()
		go func() { _, err := second.node.Join(ctx, "10.11.12.4", token); joined <- err }()
		// The founder dies when it has written that vm2 has a vote, before vm2 knows.
		await(t, "the founder gives vm2 its vote", func() bool {
			if n := len(hosts[0].node.view.voters()); n == 2 {
				return true
			}
			if len(hosts[0].node.view.Configuration().Servers) == 2 {
				w.isolate(second.cfg.Address.String(), len(hosts[0].node.view.voters()) == 2)
			}
			return false
		})
		cancel()
		<-joined
		haltAll(t, hosts)
		w.isolate(second.cfg.Address.String(), false)
		hosts[0].start()
		await(t, "one of them holds", func() bool { return holder([]*host{hosts[0], second}) != nil })
		haltAll(t, append(hosts, second))
	})
}

// A leave that is repeated finds the entry of the first attempt, which may never be
// committed.
func TestALeaveIsAcknowledgedOnlyWhenItIsCommitted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 5, half)
		vm5, rest := hosts[4], hosts[1:4]
		time.Sleep(3 * half)
		for _, h := range rest { // vm1, which holds, and vm5 are left to themselves
			for _, other := range []*host{hosts[0], vm5} {
				w.part(h.cfg.Address.String(), other.cfg.Address.String(), true)
			}
		}
		first, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_ = vm5.node.Leave(first)
		if vm5.node.isMember() {
			t.Fatal("vm5 has not got the entry that takes it out")
		}
		if err := vm5.node.Leave(t.Context()); err == nil {
			t.Error("the leave was acknowledged, though most members know nothing of it")
		}
		now := awaitHolder(t, hosts, rest)
		for _, h := range rest {
			w.isolate(h.cfg.Address.String(), false)
		}
		await(t, "vm5 is back", func() bool { return vm5.node.isMember() && vm5.node.Status().Leader.Name == now.cfg.Name })
		haltAll(t, hosts)
	})
}
