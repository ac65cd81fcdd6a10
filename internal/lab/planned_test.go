package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The notify script of a planned session waits while the file "hang" is there.
const hangingScript = `#!/bin/sh
while [ -e %[1]s/hang ]; do sleep 0.05; done
exec %[2]s "$@"
`

// plannedSession is a session whose hosts have a probe, drain and have all hooks.
func plannedSession(t *testing.T) *session {
	t.Helper()
	binary, err := BuildVipd(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := bareSession(t)
	for _, h := range s.Hosts {
		cfg := VipdConfig{Binary: binary, Detect: detect, RestartDelay: 100 * time.Millisecond}
		apache, err := h.InstallApache()
		if err != nil {
			t.Fatal(err)
		}
		for name, script := range map[string]string{
			"hanging.sh": fmt.Sprintf(hangingScript, h.Dir, apache),
			"prepare.sh": fmt.Sprintf("#!/bin/sh\necho \"$(date +%%s.%%N) $3\" >>%s/prepare.log\n", h.Dir),
			"fence.sh":   fmt.Sprintf("#!/bin/sh\necho \"$3 $VIPD_OLD_HOLDER $VIPD_OLD_ADDRESS\" >>%s/fence.log\n", h.Dir),
		} {
			path, err := h.WriteFile(name, script, 0o755)
			if err != nil {
				t.Fatal(err)
			}
			switch name {
			case "hanging.sh":
				cfg.Notify = path
			case "prepare.sh":
				cfg.Prepare = path
			case "fence.sh":
				cfg.Fence = path
			}
		}
		if cfg.Check, err = h.InstallCheck(); err != nil {
			t.Fatal(err)
		}
		cfg.More = fmt.Sprintf("drain_time: 1s\nprobe: {listen: %s:7610, wait_for_hook: true}", h.Address)
		s.starts(t, h, func() (*Daemon, error) { return h.StartVipd(cfg) })
	}
	return s
}

// starts notes a daemon and shows its log if the test fails.
func (s *session) starts(t *testing.T, h *Host, start func() (*Daemon, error)) {
	t.Helper()
	d, err := start()
	if err != nil {
		t.Fatal(err)
	}
	s.daemons[h] = d
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of vipd on %s:\n%s", h, d.Log())
		}
	})
}

func TestPlannedMoves(t *testing.T) {
	s := plannedSession(t)
	if err := s.FormCluster(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("in order", s.movesInOrder)
	t.Run("pause", s.pauses)
	t.Run("freeze", s.freezes)
	t.Run("SIGTERM again", s.hurries)
	t.Run("fence", s.fences)
	if all := s.prober.Timeline(0); all.Overlap() != 0 {
		t.Errorf("two hosts answered for %v: %v", all.Overlap(), all.Overlaps())
	}
}

// probed is what the probe of vipd on a host says.
func (s *session) probed(t *testing.T, h *Host) string {
	t.Helper()
	says, err := get(t.Context(), s.Balancer.httpClient(long, nil), h.Address.String()+":7610")
	if err != nil {
		return err.Error()
	}
	return says
}

func (s *session) movesInOrder(t *testing.T) {
	holder := s.whole(t)
	heir := s.Others(holder)[0]
	if got := s.probed(t, holder); got != "holder" {
		t.Errorf("the probe of the holder says %q", got)
	}
	if got := s.probed(t, heir); !strings.Contains(got, "503") {
		t.Errorf("the probe of another says %q", got)
	}
	var conn net.Conn
	err := s.Client.ns.within(func() (err error) {
		conn, err = net.DialTimeout("tcp", s.Floating.String()+":80", long)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: vip\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(long))
	if _, err := conn.Read(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}

	moved := make(chan string, 1)
	go func() {
		r, err := heir.Vipd(context.WithoutCancel(t.Context()), "transfer", heir.Name)
		moved <- fmt.Sprint(r.Stdout, r.Stderr, err)
	}()
	// While it drains, the probe says no and the address answers still.
	err = WaitFor(20*time.Second, func() (bool, error) { return strings.Contains(s.probed(t, holder), "503"), nil })
	if err != nil {
		t.Fatal("the probe of the old holder never said no")
	}
	drains := time.Now()
	if got := <-moved; !strings.Contains(got, holder.Name+" → "+heir.Name) {
		t.Fatalf("transfer: %s", got)
	}
	if got := s.whole(t); got != heir {
		t.Errorf("%s holds", got)
	}
	if got := s.probed(t, heir); got != "holder" {
		t.Errorf("the probe of the new holder says %q", got)
	}
	stopped := notified(t, holder)
	prepared, err := heir.readFile("prepare.log")
	if err != nil || !strings.HasSuffix(strings.TrimSpace(prepared), " PREPARE") {
		t.Fatalf("prepared: %q, %v", prepared, err)
	}
	warm, err := unixTime(strings.Fields(prepared)[0])
	if err != nil {
		t.Fatal(err)
	}
	last := stopped[len(stopped)-1]
	if last.State != "BACKUP" || !warm.Before(drains) || last.At.Before(drains) {
		t.Errorf("prepared at %v, drained at %v, told %s at %v", warm, drains, last.State, last.At)
	}
	if gone := s.prober.Timeline(0).Last(holder.Name); gone < s.prober.At(last.At) {
		t.Errorf("the address had gone at %v, before the service was told to stop at %v", gone, s.prober.At(last.At))
	}
	_ = conn.SetReadDeadline(time.Now().Add(long))
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a client that was connected has learnt nothing of the move: %v", err)
	}
}

func (s *session) pauses(t *testing.T) {
	var paused *Host
	s.moves(t, func(holder *Host) error { paused = holder; s.types(t, holder, 0, "pause"); return nil })
	if err := s.daemons[paused].Restart(); err != nil {
		t.Fatal(err)
	}
	s.whole(t)
	if got := s.types(t, paused, 0, "status"); !strings.Contains(got, "THIS HOST IS PAUSED") {
		t.Errorf("the pause has not outlived a restart:\n%s", got)
	}
	leader := s.whole(t)
	s.types(t, leader, 1, "transfer", paused.Name)
	for _, h := range s.Others(paused) {
		if h != leader {
			s.moves(t, func(holder *Host) error { s.types(t, holder, 0, "transfer", "--no-drain"); return nil })
			if got := s.whole(t); got != h {
				t.Errorf("the best placed member is %s, and not %s, which is not paused", got, h)
			}
		}
	}
	s.types(t, paused, 0, "resume")
	s.whole(t)
}

func (s *session) freezes(t *testing.T) {
	holder := s.whole(t)
	s.types(t, s.Others(holder)[0], 0, "freeze")
	if r, err := holder.Vipd(t.Context(), "transfer"); err != nil || r.Code != 1 || !strings.Contains(r.Stderr, "vipd thaw") {
		t.Errorf("transfer in a frozen cluster: %+v, %v", r, err)
	}
	if err := holder.Sicken(); err != nil {
		t.Fatal(err)
	}
	err := WaitFor(20*time.Second, func() (bool, error) {
		return strings.Contains(s.types(t, holder, 0, "status"), "UNWELL"), nil
	})
	if err != nil {
		t.Fatal("the check does not fail")
	}
	if got := s.whole(t); got != holder {
		t.Errorf("%s holds, though the cluster is frozen", got)
	}
	s.moves(t, func(holder *Host) error { return holder.Crash() })
	if err := holder.Heal(); err != nil {
		t.Fatal(err)
	}
	if err := holder.Cure(); err != nil {
		t.Fatal(err)
	}
	s.types(t, s.whole(t), 0, "thaw")
}

// The service hangs while it is stopped. The third SIGTERM does not wait for it; the second
// one has left out what is merely considerate.
func (s *session) hurries(t *testing.T) {
	holder := s.whole(t)
	path, err := holder.WriteFile("hang", "", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	d := s.daemons[holder]
	pid := d.PID()
	s.moves(t, func(*Host) error {
		if err := d.Signal(unix.SIGTERM); err != nil {
			return err
		}
		return WaitFor(20*time.Second, func() (bool, error) {
			if !strings.Contains(d.Log(), `{"state": "STOP"`) {
				return false, nil
			}
			return true, errors.Join(d.Signal(unix.SIGTERM), WaitFor(30*time.Second, func() (bool, error) {
				return strings.Contains(d.Log(), "told to stop once more"), nil
			}), d.Signal(unix.SIGTERM))
		})
	})
	if err := unix.Unlink(path); err != nil {
		t.Fatal(err)
	}
	s.whole(t)
	if d.PID() == pid {
		t.Error("the daemon that was told to stop still runs")
	}
}

// A holder that is lost is fenced by its heir.
func (s *session) fences(t *testing.T) {
	var lost *Host
	heir := s.moves(t, func(holder *Host) error { lost = holder; return holder.Crash() })
	if err := lost.Heal(); err != nil {
		t.Fatal(err)
	}
	s.whole(t)
	log, err := heir.readFile("fence.log")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("FENCE %s %s", lost.Name, lost.Address)
	if lines := strings.Split(strings.TrimSpace(log), "\n"); lines[len(lines)-1] != want {
		t.Errorf("fenced %q, want %q", lines, want)
	}
}

// Two real hosts and a witness bear the loss of either.
func TestAWitnessKeepsTwoHostsGoing(t *testing.T) {
	binary, err := BuildVipd(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := bareSession(t)
	witness := s.Host("vm2")
	for _, h := range s.Hosts {
		if h == witness {
			s.starts(t, h, func() (*Daemon, error) {
				return h.StartWitness(VipdConfig{Binary: binary, Detect: detect, RestartDelay: 100 * time.Millisecond})
			})
			continue
		}
		s.install(t, h, VipdConfig{Binary: binary, Detect: detect, Node: "priority: 120"})
	}
	if err := s.FormCluster(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.whole(t)
	err = WaitFor(20*time.Second, func() (bool, error) { // until all have told of themselves
		return strings.Contains(s.types(t, witness, 0, "status"), "all is well"), nil
	})
	if err != nil {
		t.Errorf("something is wrong in the eyes of the witness:\n%s", s.types(t, witness, 0, "status"))
	}
	s.types(t, witness, 2, "transfer", "vm9")
	s.types(t, witness, 2, "remove", "vm9")
	if got := s.types(t, witness, 0, "simulate", "--lose", s.whole(t).Name); !strings.Contains(got, " would take over from ") {
		t.Errorf("simulate: %s", got)
	}
	for range 2 {
		var lost *Host
		heir := s.moves(t, func(holder *Host) error { lost = holder; return holder.Crash() })
		if heir == witness || slices.Contains([]*Host{heir}, lost) {
			t.Fatalf("%s holds", heir)
		}
		if err := lost.Heal(); err != nil {
			t.Fatal(err)
		}
		s.whole(t)
	}
	s.types(t, witness, 1, "transfer", witness.Name)
	if all := s.prober.Timeline(0); all.Overlap() != 0 {
		t.Errorf("two hosts answered for %v: %v", all.Overlap(), all.Overlaps())
	}
}
