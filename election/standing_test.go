package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// settle waits until all hosts know the priorities of all.
func settle(t *testing.T, hosts []*host, priorities ...int) {
	t.Helper()
	for i, h := range hosts {
		h.node.SetStanding(Standing{Fitness: Ready, Priority: priorities[i]})
	}
	await(t, "all know the priorities", func() bool {
		for _, h := range hosts {
			members := h.node.Status().Members
			for i := range hosts {
				if len(members) != len(hosts) || members[i].Priority != priorities[i] || !members[i].Healthy {
					return false
				}
			}
		}
		return true
	})
}

func TestTheHighestPriorityTakesOverFirst(t *testing.T) {
	for _, detect := range []time.Duration{100 * time.Millisecond, half} {
		for _, priorities := range [][]int{{100, 90, 150}, {100, 150, 90}} {
			t.Run(fmt.Sprint(detect, priorities), func(t *testing.T) {
				for range 5 {
					bubble(t, func(t *testing.T) {
						w, hosts := form(t, 3, detect)
						settle(t, hosts, priorities...)
						w.isolate(hosts[0].cfg.Address.String(), true)
						await(t, "another holds", func() bool { return holder(hosts[1:]) != nil })
						if got := holder(hosts[1:]).node.reported().Priority; got != 150 {
							t.Errorf("priority %d took over, and 150 did not", got)
						}
						haltAll(t, hosts)
					})
				}
			})
		}
	}
}

func TestTheBestMemberSucceeds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		settle(t, hosts, 100, 50, 60)
		if m, err := hosts[0].node.Successor(t.Context(), ""); err != nil || m.Name != "vm3" {
			t.Errorf("got %q, %v", m.Name, err)
		}
		haltAll(t, hosts)
	})
}

func TestAnUnwellMemberThatMustLeadBeginsNoLeaseUntilItIsTheLastResort(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		for _, h := range hosts[1:] {
			h.node.SetStanding(Standing{Fitness: Unwell, Reason: "its check fails"})
		}
		await(t, "all know", func() bool { m := hosts[1].node.Status().Members; return !m[1].Healthy && !m[2].Healthy })
		w.isolate(hosts[0].cfg.Address.String(), true)
		two := hosts[1:]
		leading := func() *host {
			for _, h := range two {
				if h.node.Leading() {
					return h
				}
			}
			return nil
		}
		await(t, "another leads", func() bool { return leading() != nil })
		for range 2000 {
			if holder(two) != nil {
				t.Fatal("an unwell member has begun a lease by itself")
			}
			time.Sleep(time.Millisecond)
		}
		leading().node.SetStanding(Standing{Fitness: LastResort, Reason: "its check fails"})
		await(t, "it holds", func() bool { return holder(two) == leading() })
		// A holder that becomes unwell keeps the lease that it has.
		last := leading()
		last.node.SetStanding(Standing{Fitness: Unwell, Reason: "its check fails"})
		for range 2000 {
			if !last.node.Lease().Held {
				t.Fatal("an unwell holder has lost its lease without having handed over")
			}
			time.Sleep(time.Millisecond)
		}
		haltAll(t, hosts)
	})
}

func TestASecondHostWaitsForItsVoteUntilAThirdJoins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newNetwork()
		var hosts []*host
		for i := range 3 {
			h := newHost(t, w, i+1, half)
			h.cfg.Pair = false
			h.start()
			hosts = append(hosts, h)
		}
		if _, err := hosts[0].node.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := hosts[1].join(hosts[0]); err != nil {
			t.Fatal(err)
		}
		if got := len(hosts[0].node.view.voters()); got != 1 || !hosts[1].node.isMember() {
			t.Errorf("%d hosts vote, and the second is a member: %v", got, hosts[1].node.isMember())
		}
		if already, err := hosts[1].join(hosts[0]); err != nil || already {
			t.Errorf("a second join: %v, %v", already, err)
		}
		if _, err := hosts[2].join(hosts[0]); err != nil {
			t.Fatal(err)
		}
		await(t, "all three vote", func() bool { return len(hosts[1].node.view.voters()) == 3 })
		haltAll(t, hosts)
	})
}

func TestAWitnessGivesTheSecondHostItsVoteAndNeverHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newNetwork()
		var hosts []*host
		for i := range 3 {
			h := newHost(t, w, i+1, half)
			h.cfg.Pair, h.cfg.Witness = false, i == 1
			h.start()
			hosts = append(hosts, h)
		}
		if _, err := hosts[0].node.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, h := range hosts[1:] {
			if _, err := h.join(hosts[0]); err != nil {
				t.Fatal(err)
			}
			await(t, "it votes", func() bool { return h.node.Status().Members[len(h.node.Status().Members)-1].Voter })
		}
		if _, err := hosts[0].node.Successor(t.Context(), "vm2"); err == nil {
			t.Error("a witness may take over")
		}
		w.isolate(hosts[0].cfg.Address.String(), true)
		await(t, "the other real host holds", func() bool {
			if hosts[1].node.Lease().Held || hosts[1].fence.open(testNow()) {
				t.Fatal("the witness holds")
			}
			return hosts[2].node.Lease().Held
		})
		haltAll(t, hosts)
	})
}

func TestFreezeIsKnownToAllUntilItIsThawed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		for i, name := range []string{"vm2", "vm3"} { // the second changes nothing
			if err := hosts[i+1].node.Freeze(t.Context()); err != nil {
				t.Fatal(name, err)
			}
		}
		await(t, "all know", func() bool {
			for _, h := range hosts {
				if f := h.node.Frozen(); f == nil || f.By != "vm2" {
					return false
				}
			}
			return true
		})
		settle(t, hosts, 100, 150, 100)
		if why := hosts[1].node.Preferred(); why != "" {
			t.Errorf("a host wants to preempt in a frozen cluster: %s", why)
		}
		if err := hosts[2].node.Thaw(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, "the better host wants the lease", func() bool { return hosts[1].node.Preferred() != "" })
		haltAll(t, hosts)
	})
}

func TestAPauseOutlivesTheDaemon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, newNetwork(), 1, half)
		h.start()
		for _, paused := range []bool{true, false} {
			if err := h.node.SetPaused(paused); err != nil {
				t.Fatal(err)
			}
			if err := h.halt(); err != nil {
				t.Fatal(err)
			}
			if h.start(); h.node.Paused() != paused {
				t.Errorf("after a restart the pause is %v, want %v", !paused, paused)
			}
		}
		haltAll(t, []*host{h})
	})
}

func TestABetterHostPreempts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		settle(t, hosts, 100, 100, 150)
		why := hosts[2].node.Preferred()
		if want := "vm3 has priority 150, vm1 has 100"; why != want {
			t.Errorf("got %q, want %q", why, want)
		}
		if hosts[0].node.Preferred() != "" || hosts[1].node.Preferred() != "" {
			t.Error("a host that is not better wants the lease")
		}
		if err := hosts[2].node.Preempt(t.Context(), why); err != nil {
			t.Fatal(err)
		}
		await(t, "it holds", func() bool { return hosts[2].node.Lease().Held })
		haltAll(t, hosts)
	})
}

func TestAClaimNamesWhoMustBeFenced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newNetwork()
		var hosts []*host
		for i := range 3 {
			h := newHost(t, w, i+1, half)
			h.cfg.Fences = true
			h.start()
			hosts = append(hosts, h)
		}
		if _, err := hosts[0].node.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, h := range hosts[1:] {
			if _, err := h.join(hosts[0]); err != nil {
				t.Fatal(err)
			}
		}
		claims := func(h *host, want ...string) {
			t.Helper()
			await(t, h.cfg.Name+" holds", func() bool { return h.node.Lease().Held })
			c, err := h.node.Claim(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range c.Unfenced {
				got = append(got, m.Name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s has to fence (-want +got)\n%s", h.cfg.Name, diff)
			}
		}
		lost := func(h *host) *host {
			t.Helper()
			w.isolate(h.cfg.Address.String(), true)
			var next *host
			await(t, "another holds", func() bool {
				next = holder(slices.DeleteFunc(slices.Clone(hosts), func(o *host) bool { return o == h }))
				return next != nil
			})
			return next
		}
		claims(hosts[0])
		if err := hosts[1].node.Move(t.Context(), Move{Target: "vm2", Cause: ByOperator}); err != nil {
			t.Fatal(err)
		}
		claims(hosts[1]) // vm1 has let go
		if _, err := hosts[0].node.Claim(t.Context()); !errors.Is(err, ErrNoLeader) {
			t.Errorf("one that does not hold claims: %v", err)
		}
		second := lost(hosts[1])
		claims(second, "vm2")
		w.isolate("10.11.12.5:7600", false)
		await(t, "vm2 follows", func() bool { return hosts[1].node.Status().Leader.Name == second.cfg.Name })
		// It is lost itself before it could fence.
		third := lost(second)
		if third == hosts[1] {
			claims(third, second.cfg.Name) // vm2 may hold, and so need not be fenced
		} else {
			claims(third, "vm2", second.cfg.Name)
		}
		c, err := third.node.Claim(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		last := c.Unfenced[len(c.Unfenced)-1]
		for _, term := range []uint64{third.node.Lease().Term - 1, third.node.Lease().Term} { // of an earlier one it counts for nothing
			if c, err := third.node.Claim(t.Context()); err != nil || !slices.ContainsFunc(c.Unfenced, func(m Member) bool { return m.Name == second.cfg.Name }) {
				t.Errorf("fenced in an earlier term, it counts as fenced: %v, %v", c, err)
			}
			if err := third.node.Fenced(t.Context(), last, term); err != nil {
				t.Fatal(err)
			}
		}
		if third == hosts[1] {
			claims(third)
		} else {
			claims(third, "vm2")
		}
		haltAll(t, hosts)
	})
}

func TestWhomAHolderHasToFence(t *testing.T) {
	at := func(name string) *party { return &party{"id-" + name, name, "address-" + name} }
	holds := func(name string, term uint64, by *party) command {
		return command{Holder: &Change{To: name, Term: term}, By: by}
	}
	released := func(term uint64) command { return command{Released: true, Term: term} }
	tests := map[string]struct {
		commands []command
		want     []string // ids
	}{
		"the first holder":               {[]command{holds("a", 1, at("a"))}, nil},
		"one that was lost":              {[]command{holds("a", 1, at("a")), holds("b", 2, at("b"))}, []string{"id-a"}},
		"one that let go":                {[]command{holds("a", 1, at("a")), released(1), holds("b", 2, at("b"))}, nil},
		"and another one led in between": {[]command{holds("a", 1, at("a")), released(1), holds("b", 5, at("b"))}, nil},
		"itself":                         {[]command{holds("a", 1, at("a")), holds("a", 2, at("a"))}, nil},
		"two that were lost":             {[]command{holds("a", 1, at("a")), holds("b", 2, at("b")), holds("c", 3, at("c"))}, []string{"id-a", "id-b"}},
		"one of them holds":              {[]command{holds("a", 1, at("a")), holds("b", 2, at("b")), holds("a", 3, at("a"))}, []string{"id-b"}},
		"one was fenced":                 {[]command{holds("a", 1, at("a")), holds("b", 2, at("b")), {Fenced: at("a"), Term: 2}, holds("c", 3, at("c"))}, []string{"id-b"}},
		"too late":                       {[]command{holds("a", 1, at("a")), holds("b", 2, at("b")), holds("c", 3, at("c")), {Fenced: at("a"), Term: 2}}, []string{"id-a", "id-b"}},
		"what a lost one says":           {[]command{holds("a", 1, at("a")), holds("b", 2, at("b")), released(1), holds("c", 3, at("c"))}, []string{"id-a", "id-b"}},
		"nobody fenced before": {[]command{
			{Member: &Member{ID: "id-a", Name: "a", Address: "address-a"}}, holds("a", 1, nil), holds("b", 2, at("b")),
		}, []string{"id-a"}},
		"nobody fences any more":       {[]command{holds("a", 1, at("a")), holds("b", 2, at("b")), holds("c", 3, nil)}, nil},
		"and then somebody does":       {[]command{holds("a", 1, at("a")), holds("b", 2, at("b")), holds("c", 3, nil), holds("d", 4, at("d"))}, []string{"c"}},
		"itself with a new disk":       {[]command{holds("a", 1, at("a")), holds("a", 2, &party{"new", "a", "address-a"})}, nil},
		"another one of the same name": {[]command{holds("a", 1, at("a")), holds("a", 2, &party{"new", "a", "elsewhere"})}, []string{"id-a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var s state
			for _, c := range test.commands {
				s = s.apply(c)
			}
			var got []string
			for _, p := range s.Unfenced {
				got = append(got, p.ID)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestASuccessorIsPreparedBeforeItTakesOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		var prepared []string
		hosts[1].node.prepare = func(context.Context) error { prepared = append(prepared, "vm2"); return nil }
		hosts[2].node.prepare = func(context.Context) error { return errors.New("the disk is full") }
		to, err := hosts[0].node.Successor(t.Context(), "vm2")
		if err != nil {
			t.Fatal(err)
		}
		if err := hosts[0].node.Prepare(t.Context(), to); err != nil || len(prepared) != 1 {
			t.Errorf("got %v, %v", prepared, err)
		}
		to, err = hosts[0].node.Successor(t.Context(), "vm3")
		if err != nil {
			t.Fatal(err)
		}
		if err := hosts[0].node.Prepare(t.Context(), to); err == nil || err.Error() != "prepare vm3: the disk is full" {
			t.Errorf("got %v", err)
		}
		haltAll(t, hosts)
	})
}

func TestWhoLosesTheLeaseSoonIsHeldBackLongerEachTime(t *testing.T) {
	at := func(minutes float64) time.Time {
		return time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC).Add(time.Duration(minutes * float64(time.Minute)))
	}
	change := func(minutes float64, to string) Change { return Change{Time: at(minutes), To: to} }
	asked := func(minutes float64, to string) Change { return Change{Time: at(minutes), To: to, Asked: true} }
	tests := map[string]struct {
		history []Change
		want    time.Time
	}{
		"never held":               {nil, time.Time{}},
		"holds":                    {[]Change{change(0, "a")}, time.Time{}},
		"lost it late":             {[]Change{change(0, "a"), change(6, "b")}, time.Time{}},
		"lost it soon":             {[]Change{change(0, "a"), change(1, "b")}, at(2)},
		"an operator moved it":     {[]Change{change(0, "a"), asked(1, "b")}, time.Time{}},
		"twice":                    {[]Change{change(0, "a"), change(1, "b"), change(2, "a"), change(3, "b")}, at(5)},
		"three times":              {[]Change{change(0, "a"), change(1, "b"), change(2, "a"), change(3, "b"), change(6, "a"), change(7, "b")}, at(11)},
		"with a good time between": {[]Change{change(0, "a"), change(1, "b"), change(2, "a"), change(9, "b"), change(10, "a"), change(11, "b")}, at(12)},
		"long ago":                 {[]Change{change(0, "a"), change(1, "b"), change(300, "a"), change(301, "b")}, at(302)},
		"it was elected once more": {[]Change{change(0, "a"), change(1, "a")}, time.Time{}},
		"others are not held back": {[]Change{change(0, "b"), change(1, "c")}, time.Time{}},
		"as often as one likes":    {flapping(100, at), at(299 + 60)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, heldBack(test.history, "a")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func flapping(n int, at func(float64) time.Time) []Change {
	var history []Change
	for i := range n {
		history = append(history, Change{Time: at(float64(3 * i)), To: "a"}, Change{Time: at(float64(3*i + 2)), To: "b"})
	}
	return history
}
