package simulate

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vipd/vipd/election"
	"github.com/vipd/vipd/hooks"
)

// The invariants would all hold if nobody looked.
func TestEachInvariantIsSeenToBeBroken(t *testing.T) {
	tests := map[string]struct {
		wrong func(w *world, a, b *daemon)
		want  string
	}{
		"two fences": {func(_ *world, a, b *daemon) {
			open(a, time.Second)
			open(b, time.Second)
		}, "two fences are open"},
		"address without lease": {func(_ *world, a, _ *daemon) {
			time.Sleep(time.Minute)
			_ = calls{a.host, a.process}.Bind(time.Second)
		}, "binds the address, and its fence"},
		"address stays": {func(w *world, a, _ *daemon) {
			open(a, time.Second)
			_ = calls{a.host, a.process}.Bind(time.Hour)
			time.Sleep(time.Minute)
			w.inspect()
		}, "still has the address"},
		"MASTER without lease": {func(w *world, a, _ *daemon) {
			time.Sleep(time.Minute)
			w.hookBegins(a, hooks.Event{State: "MASTER"})
		}, "notify MASTER, and the fence"},
		"hooks overlap": {func(w *world, a, _ *daemon) {
			w.hookBegins(a, hooks.Event{State: "BACKUP"})
			w.hookBegins(a, hooks.Event{State: "FAULT"})
		}, "begins while BACKUP runs"},
		"hook twice": {func(w *world, a, _ *daemon) {
			w.hookBegins(a, hooks.Event{State: "BACKUP"})
			w.hookEnds(a, hooks.Event{State: "BACKUP"}, nil)
			w.hookBegins(a, hooks.Event{State: "BACKUP", Previous: "BACKUP"})
		}, "comes twice"},
		"history changes": {func(w *world, a, _ *daemon) {
			w.saw(a, election.Status{History: []election.Change{{Term: 3, To: "vm1"}}}, time.Now())
			w.saw(a, election.Status{History: []election.Change{{Term: 3, To: "vm2"}}}, time.Now())
		}, "its history says of term 3"},
		"a join is lost": {func(w *world, a, _ *daemon) {
			w.ledger.ends(in, nil, "x")
			open(a, time.Second)
			w.saw(a, election.Status{Lease: election.Lease{Held: true}}, time.Now())
		}, "x, whose join was acknowledged, is no voter"},
		"a removal is lost": {func(w *world, a, _ *daemon) {
			w.ledger.ends(out, nil, "x")
			open(a, time.Second)
			w.saw(a, election.Status{Lease: election.Lease{Held: true}, Members: []election.MemberStatus{{Member: election.Member{ID: "x"}}}}, time.Now())
		}, "x, whose leave or removal was acknowledged, is still a member"},
		"a witness opens its fence": {func(_ *world, a, _ *daemon) {
			a.host.policy.Witness = true
			open(a, time.Second)
		}, "is a witness, and opens its fence"},
		"a witness binds": {func(_ *world, a, _ *daemon) {
			a.host.policy.Witness = true
			_ = calls{a.host, a.process}.Bind(time.Second)
		}, "is a witness, and binds"},
		"a crash is not fenced": {func(_ *world, a, b *daemon) {
			bindUnderLease(a)
			a.kill("is killed", false)
			time.Sleep(time.Minute)
			bindUnderLease(b)
		}, "has neither let go in order nor been fenced"},
		"a hand-over is not in order": {func(w *world, a, b *daemon) {
			bindUnderLease(a)
			w.hookBegins(a, hooks.Event{State: "MASTER"})
			_ = calls{a.host, a.process}.Release()
			w.handsOver(a)
			time.Sleep(time.Minute)
			bindUnderLease(b)
		}, "has neither let go in order nor been fenced"},
		"what was not let go is called so": {func(w *world, a, _ *daemon) {
			w.hookBegins(a, hooks.Event{State: "MASTER"})
			w.releases(a)
		}, "says that it has let go, and has not"},
		"a hand-over with the address": {func(w *world, a, _ *daemon) {
			bindUnderLease(a)
			w.handsOver(a)
		}, "hands over, and has the address"},
		"fencing itself": {func(w *world, a, _ *daemon) {
			w.hookBegins(a, hooks.Event{State: "FENCE", OldHolder: "vm1"})
		}, "fences itself"},
		"a lease after a pause": {func(_ *world, a, _ *daemon) {
			a.host.paused = pausing{by: a.host.disk.contents(), since: time.Now()}
			time.Sleep(time.Minute)
			open(a, time.Second)
		}, "begins a lease, and has been paused"},
		"a move in the frost": {func(_ *world, a, _ *daemon) {
			time.Sleep(time.Minute)
			_ = calls{a.host, a.process}.Arm()
			open(a, time.Hour)
			a.host.kept = a
			calls{a.host, a.process}.SetDeadline(0)
		}, "gives up its lease, and the cluster is frozen"},
		"the best host does not hold": {func(w *world, _, b *daemon) {
			b.host.policy.Priority, b.host.policy.Preempt = 200, true
			w.awaitBest()
		}, "vm2 is the best host and preempts, and nobody holds"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1, Profile{Nodes: 2, Detect: time.Second})
				test.wrong(w, w.hosts[0].spawn(), w.hosts[1].spawn())
				if broken := strings.Join(w.broken, "; "); !strings.Contains(broken, test.want) {
					t.Errorf("got %q, want %q", broken, test.want)
				}
			})
		})
	}
}

// bindUnderLease opens the fence of a host for some seconds, and has it bind the address.
func bindUnderLease(d *daemon) {
	d.host.policy.Fence = true
	open(d, 10*time.Second)
	_ = calls{d.host, d.process}.Bind(time.Second)
}

// What is in order must not be taken for broken.
func TestWhoeverLetGoInOrderOrWasFencedNeedsNoFencing(t *testing.T) {
	for name, letGo := range map[string]func(w *world, d *daemon){
		"in order": func(w *world, d *daemon) {
			for _, state := range []string{"MASTER", "BACKUP"} {
				w.hookBegins(d, hooks.Event{State: state, Previous: d.script.last})
				w.hookEnds(d, hooks.Event{State: state}, nil)
			}
			_ = calls{d.host, d.process}.Release()
			w.releases(d)
		},
		"fenced": func(w *world, d *daemon) { w.cutOff(d.host.name) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1, Profile{Nodes: 2, Detect: time.Second})
				a, b := w.hosts[0].spawn(), w.hosts[1].spawn()
				bindUnderLease(a)
				letGo(w, a)
				w.mu.Lock()
				w.over = true // whoever was fenced stays so
				w.mu.Unlock()
				time.Sleep(time.Minute)
				bindUnderLease(b)
				if len(w.broken) > 0 {
					t.Error(w.broken)
				}
			})
		})
	}
}

func open(d *daemon, length time.Duration) {
	calls{d.host, d.process}.SetDeadline(int64(d.host.clock.now().Add(length)))
}

func TestWhatADeadProcessDoesHasNoEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1, Profile{Nodes: 1, Detect: time.Second})
		d := w.hosts[0].spawn()
		d.kill("is killed", false)
		open(d, time.Second)
		if err := d.handle.SetUint64([]byte("n"), 1); err != nil {
			t.Error(err)
		}
		next := w.hosts[0].spawn()
		if _, err := next.handle.GetUint64([]byte("n")); err == nil {
			t.Error("it has written to the disk")
		}
		if w.hosts[0].kernel.isOpen(w.hosts[0].clock.now()) {
			t.Error("it has opened the fence")
		}
	})
}

func TestAWriteThatACrashCutsOffIsDoneOrNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen, dice := make(map[bool]bool), newChance(1, 1)
		for range 50 {
			disk := &disk{chance: dice, data: newData()}
			p := &process{chance: disk.chance}
			h := disk.open(p)
			disk.set(diskFaults{hang: make(chan struct{})})
			go func() { _ = h.StoreLog(&raft.Log{Index: 1}) }()
			time.Sleep(time.Second)
			p.dead.Store(true)
			h.crash()
			last, _ := disk.open(p).LastIndex()
			seen[last == 1] = true
			disk.set(diskFaults{})
			time.Sleep(time.Second)
			if after, _ := disk.open(p).LastIndex(); after != last {
				t.Error("a dead process has written")
			}
		}
		if len(seen) != 2 {
			t.Errorf("always the same: %v", seen)
		}
	})
}

func TestWhatWasWrittenIntoACutLinkArrivesAfterItIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1, Profile{Nodes: 2, Detect: time.Second})
		a, b := w.hosts[0].spawn().process, w.hosts[1].spawn().process
		from, to := w.hosts[0].address, w.hosts[1].address
		l := w.network.listen(to, b)
		pair := func() (io.WriteCloser, io.Reader) {
			here, err := w.network.dial(t.Context(), a, from, to)
			if err != nil {
				t.Fatal(err)
			}
			there, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return here, there
		}
		oldHere, oldThere := pair()
		newHere, newThere := pair()
		w.network.change(from, to, func(l *link) { l.cut = true })
		_, _ = oldHere.Write([]byte("old"))
		_ = oldHere.Close()
		time.Sleep(time.Minute)
		w.network.mend()
		_, _ = newHere.Write([]byte("new"))
		buffer := make([]byte, 3)
		if _, err := io.ReadFull(newThere, buffer); err != nil || string(buffer) != "new" {
			t.Errorf("got %q, %v", buffer, err)
		}
		if got, err := io.ReadAll(oldThere); err != nil || string(got) != "old" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestAStoppedProcessDoesNothingUntilItIsContinued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1, Profile{Nodes: 1, Detect: time.Second})
		d := w.hosts[0].spawn()
		deadline := func() election.Instant {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.hosts[0].kernel.deadline
		}
		d.process.stop()
		go open(d, time.Hour)
		time.Sleep(time.Minute)
		if deadline() != 0 {
			t.Error("it has opened the fence")
		}
		d.process.resume()
		time.Sleep(time.Second)
		if deadline() == 0 {
			t.Error("it does not go on")
		}
	})
}

func TestARefusedConnectionIsNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1, Profile{Nodes: 2, Detect: time.Second})
		d := w.hosts[0].spawn()
		_, err := w.network.dial(t.Context(), d.process, w.hosts[0].address, w.hosts[1].address)
		var timeout interface{ Timeout() bool }
		if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("got %v", err)
		}
	})
}

// A holder asks its successor whether it can take over, and on a slow network never gets
// the answer in time. A leader that holds nothing must not wait for it.
func TestALeaderThatCannotHoldHandsOverOnASlowNetwork(t *testing.T) {
	setRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1, Profile{Nodes: 3, Detect: time.Second, Far: 0.2})
		defer w.stop()
		if !w.assemble() {
			t.Fatal(w.broken)
		}
		h := w.serving(false).host
		w.mu.Lock()
		h.kernel.faults.arm = true
		h.kernel.disarm(h.clock.now())
		h.kernel.changed()
		w.mu.Unlock()
		time.Sleep(10 * time.Second)
		if d := w.serving(true); d == nil || d.host == h {
			t.Errorf("%s holds\n%s", name(d), w.timeline)
		}
	})
}
