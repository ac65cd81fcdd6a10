package lab

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	units    = "../../deploy/"
	examples = "../../deploy/examples/"
	dropIns  = "etc/systemd/system/vipd.service.d/"
)

// A host whose vipd is a service of a real systemd, in the unit that is shipped, is a member like another: it arms the fence,
// binds the address and hands it over, and its notify script has systemd start and stop the service. With what the unit leaves
// of root's rights, and without root in both ways that are documented.
func TestTheUnitDoesWithWhatItIsAllowed(t *testing.T) {
	binary, err := BuildVipd(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// Capabilities in hexadecimal, as in linux/capability.h: NET_ADMIN, NET_RAW, BPF, and for sudo KILL.
	tests := map[string]struct {
		more   map[string]string // files of the host
		status string            // of the daemon (proc_pid_status(5)), below who owns its memory: root, unless it is open to its user (proc(5))
	}{
		"as shipped": {nil, `(?s)Owner: 0\n.*Uid:\t0\t.*CapPrm:\t0000008000003000\n.*CapBnd:\t0000008000003000\n.*NoNewPrivs:\t1\n`},
		"as a user, with polkit": {
			map[string]string{
				dropIns + "b.conf":                   read(t, examples+"unprivileged.conf"),
				"etc/polkit-1/rules.d/50-vipd.rules": read(t, examples+"50-vipd.rules"),
			},
			`(?s)Owner: 0\n.*Uid:\t[1-9].*CapPrm:\t0000008000003000\n.*CapBnd:\t0000008000003000\n.*NoNewPrivs:\t1\n`,
		},
		"as a user, with sudo": {
			map[string]string{
				dropIns + "b.conf":   read(t, examples+"unconfined.conf"),
				dropIns + "c.conf":   strings.ReplaceAll(read(t, examples+"unprivileged.conf"), "\n#Amb", "\nAmb"),
				"etc/sudoers.d/vipd": regexp.MustCompile(`vipd ALL=.*\n`).FindString(read(t, examples+"unprivileged.conf")),
				"etc/vipd/notify.sh": strings.ReplaceAll(read(t, examples+"notify.sh"), "systemctl", "sudo -n systemctl"),
			},
			`(?s)Owner: 0\n.*Uid:\t[1-9].*CapPrm:\t0000008000003020\n.*NoNewPrivs:\t0\n`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newTestLab(t, Config{Hosts: 2})
			u := &unitHost{t, startProber(t, l), bootSystemd(t, l.Hosts[0], binary, test.more)}
			u.holds(l.Hosts[0], "started\n")
			if got := u.wrote("status"); !regexp.MustCompile(test.status).MatchString(got) {
				t.Errorf("the daemon does not match %q:\n%s", test.status, got)
			}
			u.movesTheAddress(l, binary)
		})
	}
}

// unitHost is vm1, with a systemd of its own.
type unitHost struct {
	*testing.T
	prober *Prober
	out    string
}

// movesTheAddress has vm2 join, and the address go there and back.
func (u *unitHost) movesTheAddress(l *Lab, binary string) {
	u.Helper()
	vm1, vm2 := l.Hosts[0], l.Hosts[1]
	if _, err := vm2.StartVipd(VipdConfig{Binary: binary, Detect: detect, More: "allow_two_voters: true"}); err != nil {
		u.Fatal(err)
	}
	if _, err := vm2.Run(u.Context(), vm2.vipdArgs("join", vm1.Address.String(), "--token", u.token())...); err != nil {
		u.Fatal(err)
	}
	for _, to := range []*Host{vm2, vm1} {
		err := WaitFor(20*time.Second, func() (bool, error) { // refused until vm2 has its vote
			r, err := vm2.Vipd(u.Context(), "transfer", to.Name)
			return r.Code == 0, err
		})
		if err != nil {
			u.Fatalf("transfer to %s: %v; the log of vipd on vm1:\n%s", to, err, u.wrote("log"))
		}
		u.holds(to, map[*Host]string{vm1: "started\n", vm2: "stopped\n"}[to])
	}
}

// holds waits until that host alone answers, and the service on vm1 is as it should be then.
func (u *unitHost) holds(want *Host, service string) {
	u.Helper()
	ctx, cancel := context.WithTimeout(u.Context(), 30*time.Second)
	defer cancel()
	if _, err := u.prober.Settled(ctx, 50*time.Millisecond, func(h *Host) bool { return h == want }); err != nil {
		u.Fatalf("%s should hold the address: %v; the log of vipd on vm1:\n%s", want, err, u.wrote("log"))
	}
	if err := WaitFor(20*time.Second, func() (bool, error) { return u.wrote("service") == service, nil }); err != nil {
		u.Fatalf("the service on vm1 is %q, want %q; the log of vipd there:\n%s", u.wrote("service"), service, u.wrote("log"))
	}
}

// token waits for the one that init prints.
func (u *unitHost) token() string {
	u.Helper()
	printed := regexp.MustCompile(`--token (\S+)\n`)
	if err := WaitFor(5*time.Second, func() (bool, error) { return printed.MatchString(u.wrote("status")), nil }); err != nil {
		u.Fatalf("init on vm1 prints no token: %v\n%s", err, u.wrote("log"))
	}
	return printed.FindStringSubmatch(u.wrote("status"))[1]
}

// wrote returns what is in a file of /out on vm1.
func (u *unitHost) wrote(file string) string {
	text, err := os.ReadFile(filepath.Join(u.out, file))
	if err != nil {
		return "" // not yet
	}
	return string(text)
}

// bootSystemd boots a systemd on the host, with vipd as an administrator installs it, and has it found a cluster. It returns the
// directory where one can see what happens in there.
func bootSystemd(t *testing.T, h *Host, binary string, more map[string]string) (out string) {
	t.Helper()
	tree, out := filepath.Join(h.Dir, "tree"), filepath.Join(h.Dir, "out")
	files := map[string]string{
		"usr/bin/vipd":                    read(t, binary),
		"etc/systemd/system/vipd.service": read(t, units+"vipd.service"),
		"etc/vipd/notify.sh":              read(t, examples+"notify.sh"),
		"etc/vipd/vipd.yaml": fmt.Sprintf("node: {name: %s, address: %s}\nvip: {interface: eth0, addresses: [%s]}\ndetect: %v\n"+
			"allow_two_voters: true\nhooks: {notify: /etc/vipd/notify.sh}\n", h.Name, h.Address, h.lab.Floating, detect),
		dropIns + "a.conf":              "[Service]\nStandardError=append:/out/log\n",
		"etc/systemd/system/lab.target": "[Unit]\nWants=dbus.socket vipd.service init.service\n",
		"etc/systemd/system/apache2.service": "[Service]\nExecStart=sleep infinity\n" +
			"ExecStartPost=sh -c 'echo started >/out/service'\nExecStopPost=sh -c 'echo stopped >/out/service'\n",
		"etc/systemd/system/init.service": "[Unit]\nAfter=vipd.service\n[Service]\nStandardOutput=append:/out/status\nStandardError=append:/out/log\n" +
			"ExecStart=sh -c 'cd /proc/$$(systemctl show -P MainPID vipd); stat -c \"Owner: %%u\" environ; cat status; vipd init'\n",
	}
	maps.Copy(files, more)
	for name, content := range files {
		write(t, filepath.Join(tree, name), content)
	}
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	boot, err := filepath.Abs("testdata/boot")
	if err != nil {
		t.Fatal(err)
	}
	group := h.lab.prefix + "-" + h.Name
	systemd, err := h.StartService(Service{Name: "systemd", Start: []string{boot, group, tree, out}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the boot:\n%s", systemd.Log())
		}
		systemd.losePower()
		if err := WaitFor(10*time.Second, func() (bool, error) { return removeGroup(group) }); err != nil {
			t.Errorf("remove the control group: %v", err)
		}
	})
	return out
}

// removeGroup removes a control group of testdata/boot, and reports whether it is gone. That takes until the last of its
// processes is.
func removeGroup(name string) (gone bool, err error) {
	gone = true
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var groups []string
		err := filepath.WalkDir(filepath.Join(mount, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil // what is gone meanwhile need not be removed
		})
		if err != nil {
			return false, err
		}
		for i := len(groups) - 1; i >= 0; i-- {
			gone = os.Remove(groups[i]) == nil && gone
		}
	}
	return gone, nil
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write makes the file, which may be executed if it is a program.
func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(content, "#!") || strings.HasPrefix(content, "\x7fELF") {
		mode = 0o755
	}
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
