package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// states are the letters of the processes of a host in /proc/PID/stat, as "ST".
func states(t *testing.T, h *Host) string {
	t.Helper()
	pids, err := h.pids()
	if err != nil {
		t.Fatal(err)
	}
	letters := ""
	for _, pid := range pids {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // it may just have ended
		if _, rest, ok := strings.Cut(string(text), ") "); ok {
			letters += rest[:1]
		}
	}
	return letters
}

func TestSignalAllReachesEveryProcessOfThatHostOnly(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 2})
	for _, h := range l.Hosts {
		_, err := h.StartService(Service{Name: "two", Start: []string{"/bin/sh", "-c", "setsid sleep 1000 & sleep 1000; true"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(first, second string) {
		t.Helper()
		var got [2]string
		err := WaitFor(long, func() (bool, error) {
			got = [2]string{states(t, l.Hosts[0]), states(t, l.Hosts[1])}
			return got == [2]string{first, second}, nil
		})
		if err != nil {
			t.Fatalf("states of the processes on vm1 and vm2: %q, want %q and %q", got, first, second)
		}
	}
	expect("SSS", "SSS")
	if err := l.Hosts[0].SignalAll(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	expect("TTT", "SSS")
	if err := l.Hosts[0].SignalAll(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	expect("SSS", "SSS")
}

// A service that opens a file, or takes memory, again and again and says how that went.
func TestExhaustedLimitsAreFeltAndMended(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 1})
	tests := []struct {
		name, script string
		exhaust      func(*Daemon) (func() error, error)
	}{
		{"files", "while :; do sleep 0.02; (exec 7</dev/null) && echo well || echo short; done", (*Daemon).ExhaustFiles},
		{
			"memory", "while :; do sleep 0.02; x=$(head -c 3000000 /dev/zero | tr '\\0' x) && echo well || echo short; done",
			(*Daemon).ExhaustMemory,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, err := l.Hosts[0].StartService(Service{Name: test.name, Start: []string{"/bin/bash", "-c", test.script}, Restart: true})
			if err != nil {
				t.Fatal(err)
			}
			from := 0
			says := func(word string) {
				t.Helper()
				err := WaitFor(long, func() (bool, error) {
					log := d.Log()
					return len(log) > from && strings.Contains(log[from:], word), nil
				})
				if err != nil {
					t.Errorf("it did not say %q: %s", word, d.Log()[from:])
				}
				from = len(d.Log())
			}
			says("well")
			mend, err := test.exhaust(d)
			if err != nil {
				t.Fatal(err)
			}
			says(map[string]string{"files": "Too many open files", "memory": "cannot allocate"}[test.name])
			if err := mend(); err != nil {
				t.Fatal(err)
			}
			says("well")
		})
	}
}

func TestStarvingTakesProcessorsUntilItIsMended(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 1})
	mend, err := l.Starve(2)
	if err != nil {
		t.Fatal(err)
	}
	loops := &Host{ns: l.wires.ns}
	if err := WaitFor(long, func() (bool, error) { return states(t, loops) == "RR", nil }); err != nil {
		t.Errorf("states of the busy loops: %q, want RR", states(t, loops))
	}
	if err := mend(); err != nil || states(t, loops) != "" {
		t.Errorf("left: %q, %v", states(t, loops), err)
	}
}

func TestFiltersAreReplacedAndRemovedByHand(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 1})
	h := l.Hosts[0]
	p := startProber(t, l)
	hold(t, h, "eth0")
	settled(t, p, h)
	drop := func() {
		t.Helper()
		for _, args := range [][]string{
			{"qdisc", "replace", "dev", "eth0", "clsact"},
			{"filter", "replace", "dev", "eth0", "ingress", "pref", "1", "handle", "0x1", "bpf", "da", "bytecode", "1,6 0 0 2"},
		} {
			if err := run(append([]string{"tc", "-n", h.ns.name}, args...)...); err != nil {
				t.Fatal(err)
			}
		}
		now := p.Now()
		silent := func() (bool, error) {
			return p.Now() > now+100*time.Millisecond && p.Timeline(p.Now()-50*time.Millisecond).First(h.Name) < 0, nil
		}
		if err := WaitFor(long, silent); err != nil {
			t.Fatal("the filter drops nothing")
		}
	}
	drop()
	if found, err := h.ReplaceFilters("ingress"); err != nil || !found {
		t.Fatal(found, err)
	}
	settled(t, p, h)
	drop()
	if err := h.RemoveFilters("ingress"); err != nil {
		t.Fatal(err)
	}
	settled(t, p, h)
	if found, err := h.ReplaceFilters("ingress"); err != nil || found {
		t.Errorf("replaced filters that are not there: %v, %v", found, err)
	}
}

func TestNonsenseIsTalkedUntilItIsMended(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 2})
	binary, err := BuildVipd(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := l.Hosts[0]
	d, err := h.StartVipd(VipdConfig{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Run(t.Context(), h.vipdArgs("init")...); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*Nonsense{l.Client.TalkNonsense(h), l.Hosts[1].TalkNonsense(h), h.TalkNonsenseLocally()} {
		if err := WaitFor(long, func() (bool, error) { return n.Calls.Load() > 40, nil }); err != nil {
			t.Errorf("%d calls, want more than 40", n.Calls.Load())
		}
		if err := n.Mend(); err != nil {
			t.Error(err)
		}
		calls := n.Calls.Load()
		if _, err := h.Run(t.Context(), h.vipdArgs("status")...); err != nil {
			t.Errorf("after nonsense: %v", err)
		}
		if n.Calls.Load() != calls || len(d.Starts()) != 1 {
			t.Errorf("calls after the end: %d; starts of vipd: %v", n.Calls.Load()-calls, d.Starts())
		}
	}
}

func TestKnockingLeavesConnectionsHalfOpen(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 2})
	vm1, vm2 := l.Hosts[0], l.Hosts[1]
	var listener net.Listener
	err := vm1.ns.within(func() (err error) { listener, err = net.Listen("tcp", vm1.Address.String()+":7600"); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- knock(ctx, vm2.ns, vm1.Address, 7600) }()
	err = WaitFor(long, func() (bool, error) {
		half, err := vm1.Run(t.Context(), "ss", "-Htn", "state", "syn-recv")
		return strings.Count(half, "\n") > 20, err
	})
	if err != nil {
		t.Errorf("connections that are half open: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
