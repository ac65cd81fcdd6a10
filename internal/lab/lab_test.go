package lab

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newTestLab makes a lab that ends with the test.
func newTestLab(t *testing.T, cfg Config) *Lab {
	t.Helper()
	l, err := New(cfg)
	if err != nil {
		t.Fatalf("make a lab: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	return l
}

// sleeper is a service that ignores every polite request to end.
var sleeper = Service{Name: "sleeper", Start: []string{"/bin/sh", "-c", "trap '' TERM INT HUP; sleep 1000 & wait; wait"}, Restart: true}

func TestCloseLeavesNothing(t *testing.T) {
	l, err := New(Config{Hosts: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Hosts[1].StartService(sleeper); err != nil {
		t.Error(err)
	}
	if _, err := l.StartProber(); err != nil {
		t.Error(err)
	}
	l.StartBalancer(BalancerConfig{})
	l.StartVisitor(time.Millisecond)
	if len(traces(l.prefix)) == 0 {
		t.Error("the test would not see a trace")
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if left := traces(l.prefix); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestMain lets the test binary be a process that makes a lab, with a program that waits for a hanging disk, and then waits
// to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("LAB_TO_BE_KILLED") == "" {
		os.Exit(m.Run())
	}
	l, err := New(Config{Hosts: 1})
	if err != nil {
		panic(err)
	}
	disk, err := l.Hosts[0].InstallDisk("data", 8)
	if err != nil {
		panic(err)
	}
	disk.Hang()
	writer := sleeper
	writer.Start = []string{"/bin/sh", "-c", "trap '' TERM INT HUP; echo x >data/file & sleep 1000 & wait; wait"}
	d, err := l.Hosts[0].StartService(writer)
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(l.prefix + " " + strconv.Itoa(d.PID()) + " " + strconv.Itoa(l.reaper.cmd.Process.Pid) + "\n")
	select {}
}

// doomed starts such a process and returns it, its lab's name, its service and its reaper.
func doomed(t *testing.T) (cmd *exec.Cmd, prefix string, service, reaper int) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LAB_TO_BE_KILLED=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it is dead unless the test failed
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(line)
	service, _ = strconv.Atoi(fields[1])
	reaper, _ = strconv.Atoi(fields[2])
	return cmd, fields[0], service, reaper
}

func TestDeathOfTheProcessLeavesNothing(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGINT, unix.SIGTERM} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			cmd, prefix, service, _ := doomed(t)
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // says that it was killed
			err := WaitFor(long, func() (bool, error) { return len(traces(prefix)) == 0 && !alive(service), nil })
			if err != nil {
				t.Errorf("left: %v, service alive: %v", traces(prefix), alive(service))
			}
		})
	}
}

func TestTheNextLabSweepsUpAfterADeadReaper(t *testing.T) {
	cmd, prefix, _, reaper := doomed(t)
	if err := unix.Kill(reaper, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	newTestLab(t, Config{Hosts: 1})
	if len(traces(prefix)) == 0 {
		t.Error("the lab of a living process was swept up")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	newTestLab(t, Config{Hosts: 1})
	if left := traces(prefix); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRebootForgetsAllButTheDisk(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 2})
	vm1 := l.Hosts[0]
	hold(t, vm1, "eth0")
	p := startProber(t, l)
	settled(t, p, vm1)
	d, err := vm1.StartService(sleeper)
	if err != nil {
		t.Fatal(err)
	}
	file, err := vm1.WriteFile("kept", "", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	before := d.PID()
	if err := vm1.Reboot(); err != nil {
		t.Fatal(err)
	}
	rebooted := p.Now()
	if after := d.PID(); alive(before) || !alive(after) {
		t.Errorf("service: process %d before, alive %v; %d after, alive %v", before, alive(before), after, alive(after))
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if !hears(t, vm1, l.Hosts[1], long) {
		t.Error("the host is not back on the network")
	}
	var after Timeline
	probed := func() (bool, error) { after = p.Timeline(rebooted); return len(after.Ticks)-after.Missed() >= 20, nil }
	if err := WaitFor(long, probed); err != nil || after.First(vm1.Name) >= 0 {
		t.Errorf("who answers after the reboot: %s, %v; want nobody", after.Summary(), err)
	}
}

func TestServiceIsLookedAfterAsSystemdWould(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 1})
	h := l.Hosts[0]
	d, err := h.StartService(Service{
		Name: "daemon", Restart: true, RestartDelay: time.Millisecond,
		Start:    []string{"/bin/sh", "-c", "echo up; sleep 1000"},
		StopPost: []string{"/bin/echo", "down"},
	})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(log string) {
		t.Helper()
		err := WaitFor(long, func() (bool, error) { return strings.Join(strings.Fields(d.Log()), " ") == log, nil })
		if err != nil {
			t.Fatalf("log %q, want %q", d.Log(), log)
		}
	}
	expect("up")
	if err := d.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expect("up down up")
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	expect("up down up down")
	if err := d.Restart(); err != nil {
		t.Fatal(err)
	}
	expect("up down up down up")
	if got := filepath.Dir(d.LogFile()); got != h.Dir {
		t.Errorf("log in %s, want %s", got, h.Dir)
	}
}
