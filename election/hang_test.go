package election

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// drive is what is below a disk: it can hang and be slow.
type drive struct {
	mu      sync.Mutex
	latency time.Duration
	hangAt  string        // hangs from the first write of this key on; "any" is any write
	hung    chan struct{} // not nil while it hangs
	err     error         // how writes of terms and entries end
}

// hang makes all writes wait from the first write of key on.
func (d *drive) hang(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hangAt = key
}

func (d *drive) mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hangAt = ""
	if d.hung != nil {
		close(d.hung)
		d.hung = nil
	}
}

func (d *drive) slow(latency time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.latency = latency
}

func (d *drive) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *drive) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *drive) hangs() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hung != nil
}

// wait lasts as long as the write of key does.
func (d *drive) wait(key string) {
	d.mu.Lock()
	if d.hung == nil && d.hangAt != "" && (d.hangAt == "any" || d.hangAt == key) {
		d.hung = make(chan struct{})
	}
	hung, latency := d.hung, d.latency
	d.mu.Unlock()
	time.Sleep(latency)
	if hung != nil {
		<-hung
	}
}

type drivenDisk struct {
	Disk
	drive *drive
}

func (d *drivenDisk) StoreLogs(logs []*raft.Log) error {
	d.drive.wait("log")
	if err := d.drive.failure(); err != nil {
		return err
	}
	return d.Disk.StoreLogs(logs)
}

func (d *drivenDisk) Set(key, value []byte) error {
	d.drive.wait(string(key))
	return d.Disk.Set(key, value)
}

func (d *drivenDisk) SetUint64(key []byte, value uint64) error {
	d.drive.wait(string(key))
	if err := d.drive.failure(); err != nil {
		return err
	}
	return d.Disk.SetUint64(key, value)
}

func (d *drivenDisk) DeleteRange(first, last uint64) error {
	d.drive.wait("delete")
	return d.Disk.DeleteRange(first, last)
}

// awaitHolder waits for a holder among some hosts while never two of all hold, and
// returns it.
func awaitHolder(t *testing.T, all, among []*host) *host {
	t.Helper()
	await(t, "a holder", func() bool {
		open := 0
		for _, h := range all {
			if h.fence.open(testNow()) {
				open++
			}
		}
		if open > 1 {
			t.Fatal("two fences are open")
		}
		return holder(among) != nil
	})
	return holder(among)
}

// write has an entry written on all members.
func write(h *host) { _ = h.node.Intend("a test", ByItself) }

func TestAHolderWhoseDiskHangsIsReplaced(t *testing.T) {
	for _, detect := range []time.Duration{100 * time.Millisecond, half, 2 * time.Second} {
		t.Run(detect.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				_, hosts := form(t, 3, detect)
				old := hosts[0]
				old.drive.hang("any")
				began := time.Now()
				go write(old)
				now := awaitHolder(t, hosts, hosts[1:])
				took := time.Since(began)
				if bound := hangLimit(detect) + 2*detect; took > bound {
					t.Errorf("another holds after %s, want %s at most", took, bound)
				}
				t.Logf("replaced after %s by %s", took, now.cfg.Name)
				if old.node.Leading() {
					t.Error("it still says that it leads")
				}
				if s := old.node.Status(); s.Leader.ID != "" || s.Members[0].Healthy {
					t.Errorf("its status has the leader %q and calls it well: %v", s.Leader.Name, s.Members[0].Healthy)
				}
				if trouble := strings.Join(old.node.Status().Trouble, " "); !strings.Contains(trouble, "a write hangs since") {
					t.Errorf("its status says %q", trouble)
				}

				old.drive.mend()
				await(t, "it follows", func() bool { return old.node.Status().Leader.Name == now.cfg.Name })
				time.Sleep(calm / 2)
				if m := old.node.reported(); m.Healthy || !m.Able {
					t.Errorf("soon after, it says of itself %+v", m)
				}
				time.Sleep(calm)
				if _, err := now.node.Successor(t.Context(), "vm1"); err != nil {
					t.Errorf("it can't take over when its disk is well again: %v", err)
				}
				haltAll(t, hosts)
			})
		})
	}
}

func TestAFollowerWhoseDiskHangsDoesNotDisturbAndIsNotChosen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		hosts[1].drive.hang("any")
		write(hosts[0])
		for range 10_000 {
			time.Sleep(time.Millisecond)
			if !hosts[0].node.Lease().Held {
				t.Fatal("the lease was lost")
			}
		}
		if _, err := hosts[0].node.Successor(t.Context(), "vm2"); err == nil {
			t.Error("it may be chosen as the successor")
		}
		if to, err := hosts[0].node.Successor(t.Context(), ""); err != nil || to.Name != "vm3" {
			t.Errorf("the successor is %q, %v", to.Name, err)
		}
		await(t, "the cluster knows", func() bool {
			m, _ := hosts[0].node.machine.get().member(func(m Member) bool { return m.Name == "vm2" })
			return !m.Healthy && !m.Able && strings.Contains(m.Reason, "a write hangs since")
		})
		hosts[1].drive.mend()
		haltAll(t, hosts)
	})
}

// Between the beginning of the hang and its being noticed, a member may be told to
// take over. It must not cost the cluster more than one more election.
func TestASuccessorWhoseDiskHangsDelaysTheHandOverOnly(t *testing.T) {
	for _, key := range []string{"CurrentTerm", keyVote, "log"} {
		t.Run(strings.ReplaceAll(key, "/", "-"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				_, hosts := form(t, 3, half)
				to, err := hosts[0].node.Successor(t.Context(), "vm2")
				if err != nil {
					t.Fatal(err)
				}
				hosts[1].drive.hang(key)
				began := time.Now()
				if err := hosts[0].node.HandOver(t.Context(), to, 0); err != nil {
					t.Logf("the hand-over: %v", err)
				}
				await(t, "the disk hangs", hosts[1].drive.hangs)
				awaitHolder(t, hosts, []*host{hosts[0], hosts[2]})
				took := time.Since(began)
				if bound := hangLimit(half) + 4*half; took > bound {
					t.Errorf("another holds after %s, want %s at most", took, bound)
				}
				t.Logf("another holds after %s", took)
				hosts[1].drive.mend()
				time.Sleep(time.Second)
				awaitHolder(t, hosts, hosts)
				haltAll(t, hosts)
			})
		})
	}
}

// The best candidate gets its pre-votes and then hangs: at the write of its term, of
// its vote, or of its first entry as the leader.
func TestACandidateWhoseDiskHangsDelaysTheElectionOnly(t *testing.T) {
	for _, key := range []string{"CurrentTerm", keyVote, "log"} {
		t.Run(strings.ReplaceAll(key, "/", "-"), func(t *testing.T) {
			for _, first := range []int{1, 2, 3, 4} { // whichever stands first
				bubble(t, func(t *testing.T) {
					_, hosts := form(t, 5, half)
					hosts[first].drive.hang(key)
					began := time.Now()
					if err := hosts[0].halt(); err != nil {
						t.Fatal(err)
					}
					var rest []*host
					for i, h := range hosts[1:] {
						if i+1 != first {
							rest = append(rest, h)
						}
					}
					awaitHolder(t, hosts[1:], rest)
					took := time.Since(began)
					if bound := hangLimit(half) + 5*half; took > bound {
						t.Errorf("another holds after %s, want %s at most", took, bound)
					}
					t.Logf("vm%d hangs: %v; another holds after %s", first+1, hosts[first].drive.hangs(), took)
					hosts[first].drive.mend()
					haltAll(t, hosts[1:])
				})
			}
		})
	}
}

// All disks hang for a while, as those of one storage system do.
func TestWhenAllDisksHangedAHolderIsFoundAtOnceAfterwards(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		for _, h := range hosts {
			h.drive.hang("any")
		}
		go write(hosts[0])
		time.Sleep(10 * time.Second)
		if holder(hosts) != nil {
			t.Error("somebody holds whose disk hangs")
		}
		for _, h := range hosts {
			h.drive.mend()
		}
		began := time.Now()
		awaitHolder(t, hosts, hosts)
		took := time.Since(began)
		if took > 4*half {
			t.Errorf("a holder %s after the disks came back, want %s at most", took, 4*half)
		}
		t.Logf("a holder %s after the disks came back", took)
		haltAll(t, hosts)
	})
}

func TestASoleMemberGoesOnWhileItsDiskHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 1, half)
		hosts[0].drive.hang("any")
		go write(hosts[0])
		for range 10_000 {
			time.Sleep(time.Millisecond)
			if !hosts[0].node.Lease().Held {
				t.Fatal("it gave the lease up, to nobody")
			}
		}
		hosts[0].drive.mend()
		haltAll(t, hosts)
	})
}

// What the agent does when it is told to stop: look for a successor, write down the
// reason, hand over, close. None of it may wait for the disk for ever, or systemd
// could not start the daemon anew.
func TestAMemberIsStoppedWhileItsDiskHangs(t *testing.T) {
	for _, after := range []time.Duration{100 * time.Millisecond, 3 * time.Second} { // before and after the hang is noticed
		bubble(t, func(t *testing.T) {
			_, hosts := form(t, 3, half)
			old := hosts[0]
			old.drive.hang("any")
			go write(old)
			time.Sleep(after)
			began := time.Now()
			err := old.halt()
			if err == nil || !strings.Contains(err.Error(), "stopped without closing the files: data directory: ") {
				t.Errorf("halt: %v", err)
			}
			if old.fence.open(testNow()) {
				t.Error("the fence is open")
			}
			if took, bound := time.Since(began), closeTimeout+time.Second; took > bound {
				t.Errorf("it took %s, want %s at most", took, bound)
			}
			old.drive.mend()
			awaitHolder(t, hosts, hosts[1:])
			haltAll(t, hosts[1:])
		})
	}
}

func TestAHandOverDoesNotWaitForADiskThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		old := hosts[0]
		old.drive.hang("any")
		go write(old)
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		to, err := old.node.Successor(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		write(old)
		if err := old.node.HandOver(t.Context(), to, 0); err == nil && old.node.Status().Leader.Name == "vm1" {
			t.Error("handed over to nobody")
		}
		if took, bound := time.Since(began), patience+2*half+time.Second; took > bound {
			t.Errorf("it took %s, want %s at most", took, bound)
		}
		awaitHolder(t, hosts, hosts[1:])
		old.drive.mend()
		time.Sleep(time.Second)
		haltAll(t, hosts)
	})
}

func TestTheWatchdogTellsOfAHangOnceAndOfItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []Fitness
		w := newWatchdog(time.Second, func(c diskCondition) { told = append(told, c.fitness) })
		for range 100 { // well in time
			ended := w.watch()
			time.Sleep(999 * time.Millisecond)
			ended()
		}
		first, second := w.watch(), w.watch() // the second waits for the first
		time.Sleep(3 * time.Second)
		first()
		second()
		time.Sleep(calm - time.Second)
		third := w.watch()
		time.Sleep(2 * time.Second)
		third()
		time.Sleep(2 * calm)
		w.stop()
		synctest.Wait()
		want := []Fitness{Unable, Unwell, Unable, Unwell, Ready}
		if len(told) != len(want) {
			t.Fatalf("told %v, want %v", told, want)
		}
		for i := range want {
			if told[i] != want[i] {
				t.Errorf("told %v, want %v", told, want)
			}
		}
	})
}

// What a slow disk costs. A call of the leader is answered when what it carries is
// on the disk, and the next one waits for that, heartbeats included: so twice the
// time of a write must be well below a lease.
func TestASlowDiskCostsNoLeaseBelowAThirdOfDetect(t *testing.T) {
	for _, latency := range []time.Duration{half / 10, half / 5, half * 3 / 10, half * 2 / 5, half * 3 / 5, half} {
		bubble(t, func(t *testing.T) {
			_, hosts := form(t, 3, half)
			for _, h := range hosts {
				h.drive.slow(latency)
			}
			began, term := time.Now(), hosts[0].node.Lease().Term
			go func() {
				for range 100 {
					write(hosts[0])
				}
			}()
			without := 0
			for range 60_000 {
				time.Sleep(time.Millisecond)
				if holder(hosts) == nil {
					without++
				}
			}
			lost := without > 0 || holder(hosts).node.Lease().Term != term
			t.Logf("a write takes %s: %d ms of %s without a lease", latency, without, time.Since(began))
			if lost && latency < half/3 {
				t.Error("the lease was lost")
			}
			for _, h := range hosts {
				h.drive.slow(0)
			}
			time.Sleep(10 * time.Second)
			awaitHolder(t, hosts, hosts)
			haltAll(t, hosts)
		})
	}
}
