package vip

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Some of the tests need a process of their own. It is this binary again, with these variables set.
const (
	childArms         = "VIPD_TEST_CHILD_ARMS"         // arm, open for so many nanoseconds, say so, wait to be killed
	childCapabilities = "VIPD_TEST_CHILD_CAPABILITIES" // before that, keep only this set
)

func TestMain(m *testing.M) {
	if lease := os.Getenv(childArms); lease != "" {
		if err := child(lease, os.Getenv(childCapabilities)); err != nil {
			fmt.Printf("%v; hint: %s\n", err, hintOf(err))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// child arms a fence in the network namespace that it gets as file 3.
func child(lease, capabilities string) error {
	runtime.LockOSThread()
	if err := unix.Setns(3, unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := keepCapabilities(capabilities); err != nil {
		return err
	}
	f, err := Arm(testConfig(float4))
	if err != nil {
		return err
	}
	open, err := strconv.ParseInt(lease, 10, 64)
	if err != nil {
		return err
	}
	f.SetDeadline(boottime() + open)
	if err := errors.Join(f.Check(), NewBinder(testConfig(float4)).Bind(time.Minute)); err != nil {
		return err
	}
	fmt.Println(f.Deadline())
	select {}
}

// keepCapabilities takes all capabilities but these, given in hexadecimal, from the thread.
func keepCapabilities(set string) error {
	if set == "" {
		return nil
	}
	keep, err := strconv.ParseUint(set, 16, 64)
	if err != nil {
		return err
	}
	low, high := uint32(keep), uint32(keep>>32)
	return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3},
		&[]unix.CapUserData{{Effective: low, Permitted: low}, {Effective: high, Permitted: high}}[0])
}

// spawn starts the child, under a wrapper command if there is one, and returns its first line.
func (h *host) spawn(lease time.Duration, capabilities uint64, wrapper ...string) (*exec.Cmd, string) {
	h.t.Helper()
	argv := append(wrapper, "/proc/self/exe")
	if len(wrapper) > 0 {
		self, err := os.Executable()
		must(h.t, err)
		argv[len(argv)-1] = self
	}
	cmd := exec.CommandContext(h.t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), childArms+"="+strconv.FormatInt(int64(lease), 10))
	if capabilities != 0 {
		cmd.Env = append(cmd.Env, childCapabilities+"="+strconv.FormatUint(capabilities, 16))
	}
	cmd.ExtraFiles = []*os.File{h.ns}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(h.t, err)
	must(h.t, cmd.Start())
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(h.t, err)
	return cmd, strings.TrimSpace(line)
}

// TestFenceClosesAfterTheDaemonWasKilled kills the only process that knew of the fence, and a second that was stopped.
func TestFenceClosesAfterTheDaemonWasKilled(t *testing.T) {
	for _, signal := range []unix.Signal{unix.SIGKILL, unix.SIGSTOP} {
		t.Run(unix.SignalName(signal), func(t *testing.T) {
			a, b := neighbours(t)
			wire := newTap(b, a, "eth0")
			daemon, line := a.spawn(500*time.Millisecond, 0)
			deadline, err := strconv.ParseInt(line, 10, 64)
			must(t, err)
			must(t, daemon.Process.Signal(signal))
			if signal == unix.SIGKILL {
				_ = daemon.Wait()
			}
			for sent := int64(0); sent < deadline+(50*time.Millisecond).Nanoseconds(); {
				sent = boottime()
				answered := wire.answers(ping, float4, addrA)
				if heard := boottime(); answered && sent >= deadline || !answered && heard < deadline {
					t.Fatalf("a request sent %d ns before the deadline, heard of %d ns before it: answered %t", deadline-sent, deadline-heard, answered)
				}
			}
			f := a.arm(testConfig(float4)) // the next daemon
			if wire.answers(ping, float4, addrA) {
				t.Error("answered after a new fence was armed")
			}
			f.SetDeadline(boottime() + time.Hour.Nanoseconds())
			if !wire.answers(ping, float4, addrA) {
				t.Error("not answered through the new fence")
			}
		})
	}
}

// TestArmNeedsTheseCapabilities runs it with just them, and without each.
func TestArmNeedsTheseCapabilities(t *testing.T) {
	const bpf, netAdmin = uint64(1) << unix.CAP_BPF, uint64(1) << unix.CAP_NET_ADMIN
	for _, c := range []struct {
		name  string
		set   uint64
		wants string
	}{
		{"both", bpf | netAdmin, ""},
		{"without CAP_BPF", netAdmin, "operation not permitted"},
		{"without CAP_NET_ADMIN", bpf, "operation not permitted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := neighbours(t)
			_, line := a.spawn(time.Hour, c.set)
			if _, err := strconv.Atoi(line); c.wants == "" && err != nil {
				t.Errorf("the child says: %s", line)
			}
			if c.wants != "" && (!strings.Contains(line, c.wants) || !strings.Contains(line, "CAP_BPF and CAP_NET_ADMIN")) {
				t.Errorf("the child says: %s; want %q and a hint", line, c.wants)
			}
		})
	}
}

// TestArmRefusesInATimeNamespace moves the daemon's boot clock a second forth, so that its leases would end later in the kernel.
func TestArmRefusesInATimeNamespace(t *testing.T) {
	for _, offset := range []string{"1", "-2"} {
		t.Run(offset, func(t *testing.T) {
			a, _ := neighbours(t)
			_, line := a.spawn(time.Hour, 0, "unshare", "--time", "--boottime="+offset, "--fork", "--kill-child")
			if !strings.Contains(line, "self-test") || !strings.Contains(line, "time namespace") {
				t.Errorf("the child says: %s", line)
			}
		})
	}
}
