package lab

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// detect is longer than the default, so that a machine that is busy with other things, and lets all hosts wait for half
// a second, is not taken for a fault. How fast vipd is, bench says.
const detect = 1500 * time.Millisecond

// session is three hosts with vipd, Apache and a check, behind a balancer that somebody reads pages through.
type session struct {
	*Lab
	prober   *Prober
	balancer *Balancer
	visitor  *Visitor
	daemons  map[*Host]*Daemon
}

func newSession(t *testing.T, link string) *session {
	t.Helper()
	binary, err := BuildVipd(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := bareSession(t)
	for _, h := range s.Hosts {
		s.install(t, h, VipdConfig{Binary: binary, Interface: link, Detect: detect})
	}
	return s
}

// bareSession is a session whose hosts have no vipd yet.
func bareSession(t *testing.T) *session {
	t.Helper()
	s := &session{Lab: newTestLab(t, Config{}), daemons: map[*Host]*Daemon{}}
	s.prober = startProber(t, s.Lab)
	s.balancer = s.StartBalancer(BalancerConfig{Interval: 50 * time.Millisecond})
	s.visitor = s.StartVisitor(20 * time.Millisecond)
	return s
}

// install does what an operator does on one host before the cluster is formed.
func (s *session) install(t *testing.T, h *Host, cfg VipdConfig) {
	t.Helper()
	var err error
	if cfg.Notify, err = h.InstallApache(); err != nil {
		t.Fatal(err)
	}
	if cfg.Check, err = h.InstallCheck(); err != nil {
		t.Fatal(err)
	}
	cfg.RestartDelay = 100 * time.Millisecond
	d, err := h.StartVipd(cfg)
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

// types runs a vipd command on the host and checks its exit code. It returns what the command printed. A command that
// should succeed, and finds no leader, is typed again, as its hint says, for as long as an overloaded machine may take.
func (s *session) types(t *testing.T, h *Host, code int, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := h.Vipd(ctx, args...)
	for err == nil && code == 0 && r.Code == 3 {
		time.Sleep(100 * time.Millisecond)
		r, err = h.Vipd(ctx, args...)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != code {
		t.Fatalf("%s# vipd %s: exit code %d, want %d\n%s%s", h, strings.Join(args, " "), r.Code, code, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(r.Stdout)
}

// whole waits until all is well again: all hosts name one leader, it alone answers, and its page is seen.
func (s *session) whole(t *testing.T) *Host {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// Longer than detect, so that the quarantine of a daemon that was started anew is over.
	leader, err := s.prober.Whole(ctx, detect+200*time.Millisecond, s.Agreed)
	if err != nil {
		t.Fatal(err)
	}
	pageOf(t, s.prober, s.visitor, leader)
	return leader
}

// moves has something happen to the holder, waits until another one answers, and returns that one.
func (s *session) moves(t *testing.T, happens func(holder *Host) error) *Host {
	t.Helper()
	holder := s.whole(t)
	from := s.prober.Now()
	if err := happens(holder); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	heir, err := s.prober.Settled(ctx, 100*time.Millisecond, func(h *Host) bool { return h != holder })
	if err != nil {
		t.Fatal(err)
	}
	t.Log(s.prober.Timeline(from).Summary())
	return heir
}

func TestOperatorsSession(t *testing.T) {
	s := newSession(t, "eth0")
	t.Run("a cluster forms", s.forms)
	t.Run("transfer", s.transfers)
	t.Run("faults", s.survives)
	t.Run("a failing check", s.failsACheck)
	t.Run("reboot of the leader", s.reboots)
	t.Run("no quorum", s.losesQuorum)
	t.Run("leave and remove", s.shrinks)
	t.Run("never two", s.neverTwo)
}

// On Azure the address is usually on lo. It must be as quiet there where no lease is.
func TestAddressOnLoopback(t *testing.T) {
	s := newSession(t, "lo")
	t.Run("a cluster forms", s.forms)
	t.Run("transfer", s.transfers)
	t.Run("crash", func(t *testing.T) {
		var hit *Host
		s.moves(t, func(holder *Host) error { hit = holder; return holder.Crash() })
		if err := hit.Heal(); err != nil {
			t.Fatal(err)
		}
		s.whole(t)
	})
	if all := s.prober.Timeline(0); all.Overlap() != 0 {
		t.Errorf("two hosts answered for %v: %v", all.Overlap(), all.Overlaps())
	}
}

func (s *session) forms(t *testing.T) {
	vm1, vm2, vm3 := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.types(t, vm1, 3, "leader")
	_, command, ok := strings.Cut(s.types(t, vm1, 0, "init"), "vipd join 10.11.12.4 ")
	if !ok {
		t.Fatal("init did not print the command for the others")
	}
	token := strings.Fields(command) // --token TOKEN …
	s.types(t, vm2, 0, append([]string{"join", "10.11.12.4"}, token[:2]...)...)
	s.types(t, vm3, 0, append([]string{"join", "10.11.12.5"}, token[:2]...)...) // any member will do
	allVote(t, s.Lab)                                                           // a member that waits for its vote may ask for it again
	if got, want := s.types(t, vm2, 0, "join", "10.11.12.4"), "already a member"; !strings.Contains(got, want) {
		t.Errorf("joining again printed %q, want %q", got, want)
	}
	for _, h := range s.Hosts {
		status := s.types(t, h, 0, "status")
		for _, name := range []string{"vm1", "vm2", "vm3", "42.159.241.126"} {
			if !strings.Contains(status, name) {
				t.Errorf("%s# vipd status does not mention %s:\n%s", h, name, status)
			}
		}
	}
	s.whole(t)
}

func (s *session) transfers(t *testing.T) {
	var from *Host
	got := s.moves(t, func(holder *Host) error { from = holder; s.types(t, holder, 0, "transfer", "vm3"); return nil })
	if got.Name != "vm3" {
		t.Errorf("transfer to vm3 made %s the holder", got)
	}
	calls := notified(t, from)
	told, gone := s.prober.At(calls[len(calls)-1].At), s.prober.Timeline(0).Last(from.Name)
	if told > gone {
		t.Errorf("the service was stopped at %v, after the address had gone at %v", told, gone)
	}
	if got := s.moves(t, func(*Host) error { s.types(t, s.Hosts[1], 0, "transfer"); return nil }); got.Name == "vm3" {
		t.Error("transfer to anybody left the address where it was")
	}
}

func (s *session) survives(t *testing.T) {
	nothing := func(*Host) error { return nil }
	tests := []struct {
		name           string
		happens, after func(*Host) error
	}{
		{"crash", (*Host).Crash, (*Host).Heal},
		{"daemon killed", func(h *Host) error { return s.daemons[h].Signal(unix.SIGKILL) }, nothing},
		{
			"daemon frozen",
			func(h *Host) error { return s.daemons[h].Signal(unix.SIGSTOP) },
			func(h *Host) error { return s.daemons[h].Signal(unix.SIGCONT) },
		},
		{"cut off", func(h *Host) error { return h.CutPeers(Both) }, (*Host).Heal},
		{"deaf", func(h *Host) error { return h.CutPeers(In) }, (*Host).Heal},
		{"dumb", func(h *Host) error { return h.CutPeers(Out) }, (*Host).Heal},
		{
			"daemon stopped",
			func(h *Host) error { return s.daemons[h].Stop() },
			func(h *Host) error { return s.daemons[h].Restart() },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var hit *Host
			s.moves(t, func(holder *Host) error { hit = holder; return test.happens(holder) })
			if err := test.after(hit); err != nil {
				t.Fatal(err)
			}
			s.whole(t)
		})
	}
}

func (s *session) failsACheck(t *testing.T) {
	var sick *Host
	s.moves(t, func(holder *Host) error { sick = holder; return holder.Sicken() })
	if got := s.types(t, sick, 0, "status"); !strings.Contains(got, "appsvc") {
		t.Errorf("status does not name the failing check:\n%s", got)
	}
	if err := sick.Cure(); err != nil {
		t.Fatal(err)
	}
	s.whole(t)
}

// What people try first: httpd runs on the holder; after its reboot the page is still there, from another host, and
// httpd does not run on the first.
func (s *session) reboots(t *testing.T) {
	var rebooted *Host
	s.moves(t, func(holder *Host) error { rebooted = holder; return holder.Reboot() })
	leader := s.whole(t)
	if got := s.balancer.Well(); !slices.Equal(got, []*Host{leader}) {
		t.Errorf("httpd answers the balancer on %v, want %v alone", got, leader)
	}
	if leader == rebooted {
		t.Errorf("%s holds the address again", rebooted)
	}
	if got := s.types(t, rebooted, 0, "leader"); got != leader.Name {
		t.Errorf("%s# vipd leader: %q, want %s", rebooted, got, leader)
	}
}

// A holder without a majority lets go, nobody takes over, and once the majority is back somebody does.
func (s *session) losesQuorum(t *testing.T) {
	holder := s.whole(t)
	others := s.Others(holder)
	for _, h := range others {
		if err := s.daemons[h].Signal(unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	err := WaitFor(30*time.Second, func() (bool, error) {
		now := s.prober.Now()
		return s.prober.Timeline(now-300*time.Millisecond).Longest() > 250*time.Millisecond, nil
	})
	if err != nil {
		t.Errorf("%s still answers without a majority", holder)
	}
	s.types(t, holder, 3, "leader")
	for _, h := range others {
		if err := s.daemons[h].Signal(unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	s.whole(t)
}

// leaves has the host leave its cluster, and waits until its daemon is there again, in no cluster.
func (s *session) leaves(t *testing.T, h *Host) {
	t.Helper()
	s.types(t, h, 0, "leave")
	err := WaitFor(30*time.Second, func() (bool, error) {
		asked, err := h.Vipd(t.Context(), "leader")
		return asked.Code == 3, err
	})
	if err != nil {
		t.Fatalf("vipd on %s after it has left: %v", h, err)
	}
}

func (s *session) shrinks(t *testing.T) {
	leader := s.whole(t)
	others := s.Others(leader)
	starts := func() int { return strings.Count(s.daemons[others[0]].Log(), "vipd is running") }
	before := starts()
	s.leaves(t, others[0])
	if err := others[0].Join(t.Context(), leader); err != nil {
		t.Fatal(err)
	}
	s.whole(t)
	if after := starts(); after != before {
		t.Errorf("the log of %s tells of %d starts after it left and joined, of %d before", others[0], after, before)
	}
	if err := s.daemons[others[1]].Stop(); err != nil {
		t.Fatal(err)
	}
	s.types(t, leader, 0, "remove", others[1].Name)
	if got := s.types(t, leader, 0, "leader"); got != leader.Name {
		t.Errorf("after remove the leader is %q, want %s", got, leader)
	}
	// The holder itself leaves a cluster of two: the other one goes on alone.
	s.types(t, leader, 0, "leave")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := s.prober.Settled(ctx, 100*time.Millisecond, func(h *Host) bool { return h == others[0] }); err != nil {
		t.Error(err)
	}
}

// neverTwo judges everything that the prober has seen, and that every script told of a gain ran after the gain.
func (s *session) neverTwo(t *testing.T) {
	all := s.prober.Timeline(0)
	if overlap := all.Overlap(); overlap != 0 {
		t.Errorf("two hosts answered for %v: %v", overlap, all.Overlaps())
	}
	t.Logf("%d ticks, %d left out, %d unclear", len(all.Ticks), all.Missed(), all.Unclear())
	for _, h := range s.Hosts {
		calls := notified(t, h)
		for _, call := range calls {
			at := s.prober.At(call.At)
			if call.State == "MASTER" && !heldAt(all, h, at) {
				around := all.Between(at-50*time.Millisecond, at+50*time.Millisecond)
				t.Errorf("%s was told MASTER at %v, when it did not hold the address; 50 ms before to 50 ms after: %s; %d left out",
					h, at, around.Summary(), around.Missed())
			}
		}
		if !slices.ContainsFunc(calls, func(c Notification) bool { return c.State == "MASTER" }) {
			t.Errorf("%s was never told MASTER: %v", h, calls)
		}
	}
}

// heldAt reports whether the host answered a probe in the two seconds before that instant, or the first one after it,
// which may be late if the machine let the prober wait.
func heldAt(all Timeline, h *Host, at time.Duration) bool {
	host := slices.Index(all.Hosts, h.Name)
	for _, tick := range all.Between(at-2*time.Second, at+time.Second).Ticks {
		switch {
		case tick.Sent < 0:
		case tick.Answered.Has(host):
			return true
		case tick.Sent > at:
			return false
		}
	}
	return false
}

func notified(t *testing.T, h *Host) []Notification {
	t.Helper()
	calls, err := h.Notified()
	if err != nil {
		t.Fatal(err)
	}
	return calls
}
