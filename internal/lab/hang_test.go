package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The disk of the holder hangs when the next entry is written, here because a check fails elsewhere. Another host takes the
// address; the daemon that waits for its disk ends when it is told to, and when the disk is back it is a member again.
func TestTheHolderMakesWayWhenItsDiskHangs(t *testing.T) {
	binary, err := BuildVipd(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := newTestLab(t, Config{})
	prober := startProber(t, l)
	disks, daemons := map[*Host]*Disk{}, map[*Host]*Daemon{}
	for _, h := range l.Hosts {
		if disks[h], err = h.InstallDisk("vipd", 8); err != nil {
			t.Fatal(err)
		}
		check, err := h.WriteFile("check.sh", fmt.Sprintf("#!/bin/sh\ntest ! -e %s/sick\n", h.Dir), 0o755)
		if err != nil {
			t.Fatal(err)
		}
		if daemons[h], err = h.StartVipd(VipdConfig{Binary: binary, Detect: detect, Check: check, RestartDelay: 100 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("log of vipd on %s:\n%s", h, daemons[h].Log())
			}
		})
	}
	if err := l.FormCluster(t.Context()); err != nil {
		t.Fatal(err)
	}
	allVote(t, l) // who has no vote yet can't take over
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	holder, err := l.Agreed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prober.Settled(ctx, detect, func(h *Host) bool { return h == holder }); err != nil {
		t.Fatal(err)
	}

	from := prober.Now()
	disks[holder].Hang()
	if err := os.WriteFile(filepath.Join(l.Others(holder)[0].Dir, "sick"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	heir, err := prober.Settled(ctx, detect, func(h *Host) bool { return h != holder })
	if err != nil {
		t.Fatal(err)
	}
	t.Log(prober.Timeline(from).Summary())
	if status, err := holder.Vipd(ctx, "status"); err != nil || !strings.Contains(status.Stdout, "data directory: a write hangs since") || strings.Contains(status.Stdout, holder.Name+" (this host) holds") {
		t.Errorf("%v\n%s", err, status.Stdout)
	}

	if err := daemons[holder].Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = WaitFor(30*time.Second, func() (bool, error) {
		return strings.Contains(daemons[holder].Log(), "vipd: stopped without closing the files: data directory: a write hangs"), nil
	})
	if err != nil {
		t.Error(err)
	}
	disks[holder].Mend()
	if again, err := l.Agreed(ctx); err != nil || again != heir {
		t.Errorf("all name %v, want %v: %v", again, heir, err)
	}
	if overlap := prober.Timeline(from).Overlap(); overlap != 0 {
		t.Errorf("two answered for %v", overlap)
	}
}
