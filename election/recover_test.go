package election

import (
	"strings"
	"testing"
	"time"
)

// recovery opens what is left of a host that was halted.
func (h *host) recovery() (*Recovery, error) {
	h.cfg.Disk = h.disk()
	return OpenRecovery(h.cfg)
}

// recover goes on without some members.
func (h *host) recover(without ...string) (cluster string, err error) {
	h.t.Helper()
	r, err := h.recovery()
	if err != nil {
		return "", err
	}
	defer func() {
		if err := r.Close(); err != nil {
			h.t.Error(err)
		}
	}()
	return r.Perform(h.t.Context(), without)
}

func TestTheLastMemberGoesOnWithoutALostMajority(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		history := hosts[2].node.Status().History
		old := hosts[2].node.Status()
		haltAll(t, hosts)
		last := hosts[2]
		r, err := last.recovery()
		if err != nil {
			t.Fatal(err)
		}
		if r.Self.Name != "vm3" || len(r.Others) != 2 || r.Others[0].Name != "vm1" || r.Others[1].Name != "vm2" || r.Cluster != old.Cluster || r.Index == 0 || r.Term == 0 {
			t.Errorf("it knows %+v", r)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		cluster, err := last.recover("vm1", "vm2")
		if err != nil {
			t.Fatal(err)
		}

		began := time.Now()
		last.start()
		await(t, "it holds", func() bool { return last.node.Lease().Held })
		if took := time.Since(began); took < half {
			t.Errorf("it holds after %s: a lease of the old cluster may still run", took)
		}
		now := last.node.Status()
		if now.Cluster != cluster || cluster == old.Cluster || now.ID == old.ID || len(now.Members) != 1 || now.Members[0].Name != "vm3" {
			t.Errorf("it is %+v", now)
		}
		if len(now.History) < len(history) || now.History[0] != history[0] {
			t.Errorf("the history is lost: %+v", now.History)
		}
		await(t, "the reason is recorded", func() bool {
			h := last.node.Status().History
			return h[len(h)-1].To == "vm3" && h[len(h)-1].Reason == "recovered without vm1, vm2"
		})

		// One of the lost comes back with its disk: it is no majority, and is refused.
		hosts[0].start()
		for range 20_000 {
			time.Sleep(time.Millisecond)
			if hosts[0].fence.open(testNow()) || !last.node.Lease().Held {
				t.Fatal("the one that came back holds, or disturbs")
			}
		}
		if _, err := hosts[0].join(last); err == nil || !strings.Contains(err.Error(), "belongs to cluster") {
			t.Errorf("with its old disk it may join: %v", err)
		}
		// With an empty disk it is a new member.
		if err := hosts[0].halt(); err != nil {
			t.Fatal(err)
		}
		hosts[0].dir = t.TempDir()
		hosts[0].start()
		if _, err := hosts[0].join(last); err != nil {
			t.Error(err)
		}
		if err := last.node.Move(t.Context(), Move{Target: "vm1", Cause: ByOperator}); err != nil {
			t.Error(err)
		}
		await(t, "the new member holds", func() bool { return hosts[0].node.Lease().Held })
		haltAll(t, []*host{hosts[0], last})
	})
}

// What the operator is told not to do: the lost members come back, and are a majority
// of the old cluster. They hold, and so does the new one; no more than these two, and
// neither listens to the other.
func TestAClusterThatComesBackDoesNotTouchTheNewOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		haltAll(t, hosts)
		if _, err := hosts[2].recover("vm1", "vm2"); err != nil {
			t.Fatal(err)
		}
		for _, h := range hosts {
			h.start()
		}
		await(t, "both hold", func() bool { return holder(hosts[:2]) != nil && hosts[2].node.Lease().Held })
		back := holder(hosts[:2])
		if err := back.node.Remove(t.Context(), "vm3"); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		if !hosts[2].node.Lease().Held || len(hosts[2].node.Status().Members) != 1 {
			t.Error("the old cluster has told the new one what to do")
		}
		haltAll(t, hosts)
	})
}

func TestARecoveryIsRefusedWhereItIsNotMeant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		fresh := newHost(t, newNetwork(), 4, half)
		if _, err := fresh.recovery(); err == nil || !strings.Contains(err.Error(), "belongs to no cluster") {
			t.Errorf("on a host without a cluster: %v", err)
		}
		if err := hosts[2].halt(); err != nil {
			t.Fatal(err)
		}
		for want, without := range map[string][]string{
			"vm2 is a member too":         {"vm1"},
			`there is no other member`:    {"vm1", "vm2", "vm7"},
			`there is no other member "v`: {"vm3", "vm1", "vm2"},
			"vm1 answers at 10.11.12.4":   {"vm1", "vm2"},
		} {
			if _, err := hosts[2].recover(without...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("without %v: got %v, want %q", without, err, want)
			}
		}
		hosts[2].start() // nothing was done
		await(t, "it follows", func() bool { return hosts[2].node.Status().Leader.Name == "vm1" })
		haltAll(t, hosts)
	})
}

// The power fails between the steps of a recovery: the member is none of any cluster,
// and the recovery can be repeated.
func TestARecoveryThatWasBrokenOffIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		haltAll(t, hosts)
		last := hosts[2]
		s := &store{Disk: last.disk()}
		id, err := s.identify("m")
		if err != nil {
			t.Fatal(err)
		}
		id.ID, id.Cluster = randomID(), randomID()
		if err := s.put(keyIdentity, id); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		last.start()
		time.Sleep(10 * time.Second)
		if last.node.Lease().Held || last.node.isMember() {
			t.Error("half of a recovery is a member")
		}
		if err := last.halt(); err != nil {
			t.Fatal(err)
		}
		if _, err := last.recover("vm1", "vm2"); err != nil {
			t.Fatal(err)
		}
		last.start()
		await(t, "it holds", func() bool { return last.node.Lease().Held })
		haltAll(t, hosts[2:])
		if _, err := last.recover("vm1"); err == nil || !strings.Contains(err.Error(), "only member") {
			t.Errorf("a second recovery: %v", err)
		}
	})
}
