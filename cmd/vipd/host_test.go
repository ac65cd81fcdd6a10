package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/vip"
	"golang.org/x/sys/unix"
)

// ownNetwork gives the rest of the test a network namespace of its own, in which
// lo is up. The thread is not used again, and the namespace ends with it.
func ownNetwork(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("make a network namespace: %v (run the tests as root: sudo make test)", err)
	}
	ip(t, "link", "set", "lo", "up")
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s (package iproute2)", strings.Join(args, " "), err, out)
	}
}

// outcome is what came of a command.
type outcome struct {
	Code           int
	Stdout, Stderr string
}

func vipd(t *testing.T, args ...string) outcome {
	t.Helper()
	var stdout, stderr strings.Builder
	code := run(t.Context(), args, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

func TestReleaseRemovesWhatADeadDaemonLeft(t *testing.T) {
	ownNetwork(t)
	w := newWorld(t)
	ip(t, "address", "add", "42.159.241.126/32", "dev", "lo")

	steps := []struct {
		what string
		want outcome
	}{
		{"the address is there", outcome{Stderr: "vipd: removed 42.159.241.126\n"}},
		{"nothing is there", outcome{}},
	}
	for _, step := range steps {
		if d := cmp.Diff(step.want, vipd(t, "release", "--config", w.config("down"))); d != "" {
			t.Errorf("release while %s (-want +got):\n%s", step.what, d)
		}
	}
	if found := addresses(t); len(found) != 2 {
		t.Errorf("lo has %v, want its own two only", found)
	}
}

// TestReleaseKnowsWhatADeadDaemonHadBeforeItsFileWasEdited leaves an address behind a fence that is not in the file, and one
// for a socket whose file is gone.
func TestReleaseKnowsWhatADeadDaemonHadBeforeItsFileWasEdited(t *testing.T) {
	ownNetwork(t)
	w := newWorld(t)
	gone := filepath.Join(w.dir, "gone.sock")
	for socket, address := range map[string]string{filepath.Join(w.dir, "down.sock"): "192.0.2.1/32", gone: "192.0.2.2/32"} {
		cfg := vip.Config{Instance: socket, Addresses: []vip.Address{{Prefix: netip.MustParsePrefix(address), Interface: "lo"}}}
		_, err := vip.Arm(cfg)
		if err := errors.Join(err, vip.NewBinder(cfg).Bind(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		args []string
		want outcome
	}{
		{[]string{"release", "--config", w.config("down")}, outcome{Stderr: "vipd: removed 192.0.2.1\n"}},
		{[]string{"release", "--socket", gone}, outcome{Stderr: "vipd: removed 192.0.2.2\n"}},
		{[]string{"release", "--socket", gone}, outcome{}},
	} {
		if d := cmp.Diff(step.want, vipd(t, step.args...)); d != "" {
			t.Errorf("%v (-want +got):\n%s", step.args, d)
		}
	}
	if out, err := exec.Command("tc", "filter", "show", "dev", "lo", "ingress").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("filters on lo: %s, %v; want none", out, err)
	}
}

func TestReleaseLeavesALiveDaemonAlone(t *testing.T) {
	ownNetwork(t)
	w := newWorld(t)
	ip(t, "address", "add", "42.159.241.126/32", "dev", "lo")

	want := outcome{
		Code: control.CodeFailed,
		Stderr: "vipd: nothing was released: a daemon is already running: it has " + filepath.Join(w.dir, "vm1.sock") + "\n" +
			"hint: stop it first; a second group on this host needs a configuration file of its own\n",
	}
	if d := cmp.Diff(want, vipd(t, "release", "--config", w.config("vm1"))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if found := addresses(t); len(found) != 3 {
		t.Errorf("lo has %v, want the floating address still", found)
	}
}

func addresses(t *testing.T) []net.Addr {
	t.Helper()
	found, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCheckSaysWhatAConfigurationMeans(t *testing.T) {
	ownNetwork(t)
	ip(t, "link", "add", "eth0", "type", "veth", "peer", "name", "switch")
	ip(t, "address", "add", "10.11.12.4/24", "dev", "eth0")
	ip(t, "link", "set", "eth0", "up")
	dir := t.TempDir()
	script := filepath.Join(dir, "script.sh")
	write(t, script, "#!/bin/sh\n")
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	write(t, secret, strings.Repeat("0123456789abcdef", 2))

	files := []struct{ name, text string }{
		{"small", "node: {name: vm1, address: 10.11.12.4}\nvip: {interface: eth0, addresses: [42.159.241.126]}\n"},
		{"full", fmt.Sprintf(`node: {name: vm1, address: 10.11.12.4:7601}
vip: {interface: lo, addresses: [42.159.241.126, "2001:db8::7"]}
detect: 200ms
checks: [{name: appsvc, script: [%[1]s, --fast], interval: 1s, timeout: 900ms, fall: 2, rise: 3, user: nobody}]
hooks: {notify: %[1]s, timeout: 30s, user: nobody}
`, script)},
		{"everything", fmt.Sprintf(`node: {name: vm1, address: 10.11.12.4, priority: 150}
vip: {interface: eth0, addresses: [42.159.241.126], announce: false}
detect: 1m
preempt: true
preempt_delay: 10s
all_unhealthy: release
drain_time: 10m
allow_two_voters: true
checks:
  - {name: web, http: {url: "http://127.0.0.1/healthz"}, interval: 1h}
  - {name: db, tcp: 5432, weight: 30}
  - {name: disk, file: /srv, weight: -20}
hooks: {notify: %[1]s, prepare: [%[1]s, warm], fence: %[1]s, fence_failure: proceed, timeout: 1m30s}
probe: {listen: 10.11.12.4:7610, wait_for_hook: true}
`, script)},
		{"witness", fmt.Sprintf(`node: {name: vm1, address: 10.11.12.4, witness: true}
allow_two_voters: true
cluster: {expect: [10.11.12.4, 10.11.12.5, "10.11.12.6:7601"], secret_file: %s}
`, secret)},
		{"elsewhere", "node: {name: vm1, address: 10.11.12.9}\nvip: {interface: eth1, addresses: [42.159.241.126]}\n"},
	}
	var all strings.Builder // no subtests: they would run in the namespace of the machine
	for _, file := range files {
		path := filepath.Join(dir, file.name+".yaml")
		write(t, path, file.text)
		got := vipd(t, "check", "--config", path)
		fmt.Fprintf(&all, "%s%sexit %d\n\n", got.Stdout, behind("! ", got.Stderr), got.Code)
	}
	text := strings.ReplaceAll(all.String(), behind("! ", "vipd: "+noMachine+"\nhint: "+noMachineHint+"\n"), "") // of this machine
	golden(t, "testdata/check.txt", strings.ReplaceAll(text, dir, "$DIR"))
}

// TestCheckWarnsWhereAMachineCannotBeToldFromItsClones hides what this machine has of the kind.
func TestCheckWarnsWhereAMachineCannotBeToldFromItsClones(t *testing.T) {
	ownNetwork(t)
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/etc/machine-id", "/sys/class/dmi/id/product_uuid"} {
		err := unix.Mount("/dev/null", file, "", unix.MS_BIND, "")
		if err != nil && !errors.Is(err, unix.ENOENT) { // nothing to hide
			t.Fatalf("hide %s: %v", file, err)
		}
	}
	ip(t, "address", "add", "10.11.12.4/32", "dev", "lo")
	path := filepath.Join(t.TempDir(), "vipd.yaml")
	write(t, path, "node: {name: vm1, address: 10.11.12.4}\nvip: {interface: lo, addresses: [42.159.241.126]}\n")
	got := vipd(t, "check", "--config", path)
	if want := "vipd: " + noMachine + "\nhint: " + noMachineHint + "\n"; got.Code != 0 || got.Stderr != want {
		t.Errorf("got %+v, want exit 0 and %q", got, want)
	}
}

// TestTransferToNobodyIsRefused is about a script whose variable is empty: it must not move the address anywhere.
func TestTransferToNobodyIsRefused(t *testing.T) {
	w := newWorld(t)
	got := vipd(t, "transfer", "", "--config", w.config("vm1"))
	if got.Code != control.CodeUsage || !strings.Contains(got.Stderr, "takes the name of one member, or nothing") {
		t.Errorf("got %+v", got)
	}
}

func TestVersionSaysWhatThisProgramIs(t *testing.T) {
	got := vipd(t, "version")
	want := outcome{Stdout: fmt.Sprintf("vipd %s (%s)\n", version, runtime.Version())}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
