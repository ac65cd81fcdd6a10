package election

import (
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// noRoom is what the kernel says of a write for which there is no room.
var noRoom = &fs.PathError{Op: "write", Path: "raft.db", Err: syscall.ENOSPC}

// wantEnd waits until a member ends by itself, because of its disk, and closes it.
func wantEnd(t *testing.T, h *host) {
	t.Helper()
	select {
	case err := <-h.done:
		if err == nil || !strings.Contains(err.Error(), "data directory: a write failed: ") {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
	began := time.Now()
	if err := h.node.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s to close", took)
	}
}

func TestAHolderWhoseWriteFailsEndsAndIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		hosts[0].drive.fail(syscall.EIO)
		write(hosts[0])
		wantEnd(t, hosts[0])
		awaitHolder(t, hosts, hosts[1:])
		haltAll(t, hosts[1:])
	})
}

// raft itself would panic when it can't write its term.
func TestACandidateThatCannotWriteItsTermEndsAndAnotherIsElected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		best := hosts[1]
		if best.node.order()[0] != best.node.rules.self {
			best = hosts[2]
		}
		best.drive.fail(syscall.EIO)
		w.isolate(hosts[0].cfg.Address.String(), true)
		wantEnd(t, best)
		best.drive.fail(nil)
		best.start()
		w.isolate(hosts[0].cfg.Address.String(), false)
		awaitHolder(t, hosts, hosts)
		haltAll(t, hosts)
	})
}

// A full disk may have room again, and what is on it is as it was.
func TestAFollowerWhoseDiskIsFullStaysAndSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		hosts[1].drive.fail(noRoom)
		write(hosts[0])
		time.Sleep(time.Minute)
		if !hosts[0].node.Lease().Held {
			t.Error("the holder lost its lease")
		}
		if trouble := strings.Join(hosts[1].node.Status().Trouble, " "); !strings.Contains(trouble, "no space left") {
			t.Errorf("its status says %q", trouble)
		}
		hosts[1].drive.fail(nil)
		await(t, "it has caught up", func() bool { return len(hosts[1].node.Status().Trouble) == 0 })
		haltAll(t, hosts)
	})
}

func TestAStartWhoseTermCannotBeWrittenSaysSo(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{syscall.EIO, "data directory: a write failed: input/output error"},
		{noRoom, "failed to save current term: write raft.db: no space left on device"},
	} {
		bubble(t, func(t *testing.T) {
			w, hosts := form(t, 1, half)
			haltAll(t, hosts)
			h := hosts[0]
			h.drive.fail(c.err)
			h.cfg.Listener = w.listen(h.cfg.Address.String())
			h.cfg.Disk = &drivenDisk{h.disk(), h.drive}
			if _, err := Open(h.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// raft believes that what it has removed, to write something else in its place, is there
// anew, also if that could not be written.
func TestAFollowerWithoutRoomForWhatReplacesItsEntriesEndsAndCatchesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		old := hosts[0]
		w.isolate(old.cfg.Address.String(), true)
		old.node.raft.Apply([]byte(`{"intent":{"term":1,"reason":"nobody else has this"}}`), 0)
		now := awaitHolder(t, hosts, hosts[1:])
		time.Sleep(4 * half)
		old.drive.fail(noRoom)
		w.isolate(old.cfg.Address.String(), false)
		wantEnd(t, old)
		old.drive.fail(nil)
		old.start()
		await(t, "it has caught up", func() bool { return old.node.raft.LastIndex() == now.node.raft.LastIndex() })
		haltAll(t, hosts)
	})
}

func TestAfterAWriteThatFailedNothingIsWritten(t *testing.T) {
	h := newHost(t, newNetwork(), 1, half)
	told := 0
	s := &store{Disk: &drivenDisk{h.disk(), h.drive}, lost: func(error) { told++ }}
	t.Cleanup(func() { _ = s.Close() })
	entry := &raft.Log{Index: 1, Term: 1}
	h.drive.fail(syscall.EDQUOT) // of a sync: part of it may be there
	if err := s.StoreLog(entry); err == nil || told != 1 {
		t.Errorf("%v; told %d times", err, told)
	}
	h.drive.fail(nil)
	if err := s.StoreLog(entry); err == nil || told != 1 {
		t.Errorf("%v; told %d times", err, told)
	}
}

// Raft forgets what it has committed and not yet applied when it is shut down. FuzzMembersAPI met a daemon that waited for the answer
// until it said that its disk hangs.
func TestEntriesThatAreUnderWayDoNotDelayTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 1, half)
		h := hosts[0]
		h.stop()
		<-h.done
		h.node.machine.mu.Lock() // nothing is applied
		for last := h.node.raft.AppliedIndex() + 8; h.node.raft.AppliedIndex() < last; {
			before := h.node.raft.AppliedIndex()
			go write(h)
			for h.node.raft.AppliedIndex() == before {
				runtime.Gosched()
			}
		}
		closed := make(chan error)
		go func() { closed <- h.node.Close() }()
		for range 1000 { // until it ends raft, if it does not wait
			runtime.Gosched()
		}
		h.node.machine.mu.Unlock()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}
