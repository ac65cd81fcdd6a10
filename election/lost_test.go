package election

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// wantEnd waits until a member ends by itself, because of its disk, and closes it.
func wantEnd(t *testing.T, h *host) {
	t.Helper()
	select {
	case err := <-h.done:
		if err == nil || !strings.Contains(err.Error(), "data directory: a write failed: input/output error") {
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
		hosts[1].drive.fail(syscall.ENOSPC)
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
		{syscall.ENOSPC, "failed to save current term: no space left on device"},
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
