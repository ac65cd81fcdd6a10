package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/hooks"
)

// playground is a short path (a problem shows a piece of the line only) that leads through a sticky folder.
func playground(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "vipd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// lay makes what a line of text says, below dir: "name/ mode owner", "name mode owner" or "name -> target owner".
func lay(t *testing.T, dir string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		var name, target string
		var mode, owner int
		var err error
		if strings.Contains(line, " -> ") {
			_, err = fmt.Sscanf(line, "%s -> %s %d", &name, &target, &owner)
		} else {
			_, err = fmt.Sscanf(line, "%s %o %d", &name, &mode, &owner)
		}
		path := filepath.Join(dir, name)
		switch {
		case err != nil:
		case target != "":
			err = os.Symlink(strings.ReplaceAll(target, "DIR", dir), path)
		case strings.HasSuffix(name, "/"):
			err = os.Mkdir(path, 0o700)
		default:
			err = os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700)
		}
		if err == nil {
			err = os.Lchown(path, owner, -1)
		}
		if err == nil && target == "" {
			err = syscall.Chmod(path, uint32(mode))
		}
		if err != nil {
			t.Fatalf("%s: %v (run the tests as root: sudo make test)", line, err)
		}
	}
}

func TestAScriptIsRefusedIfAnotherUserCouldChangeItOrExchangeIt(t *testing.T) {
	nobody := hooks.User{Credential: &syscall.Credential{Uid: 65534}}
	tests := map[string]struct {
		files   []string
		command string
		user    hooks.User
		want    []string
	}{
		"root's alone": {
			files: []string{"a/ 755 0", "a/x.sh 755 0"}, command: "DIR/a/x.sh",
		},
		"a file for the group": {
			files: []string{"x.sh 775 0"}, command: "DIR/x.sh",
			want: []string{`"DIR/x.sh" could be changed by others than root: it belongs to root and has mode 0775; chmod go-w DIR/x.sh`},
		},
		"a file of another": {
			files: []string{"x.sh 755 4711"}, command: "DIR/x.sh",
			want: []string{`"DIR/x.sh" could be changed by others than root: it belongs to uid 4711 and has mode 0755; chown root DIR/x.sh`},
		},
		"a folder above": {
			files: []string{"a/ 757 0", "a/b/ 755 0", "a/b/x.sh 755 0"}, command: "DIR/a/b/x.sh",
			want: []string{`"DIR/a/b/x.sh" could be changed by others than root: "DIR/a" belongs to root and has mode 0757; chmod go-w DIR/a`},
		},
		"a folder of another, and the file": {
			files: []string{"a/ 775 4711", "a/x.sh 757 65534"}, command: "DIR/a/x.sh",
			want: []string{
				`"DIR/a/x.sh" could be changed by others than root: "DIR/a" belongs to uid 4711 and has mode 0775; chown root DIR/a && chmod go-w DIR/a`,
				`"DIR/a/x.sh" could be changed by others than root: it belongs to nobody and has mode 0757; chown root DIR/a/x.sh && chmod go-w DIR/a/x.sh`,
			},
		},
		"the script's user's own": {
			files: []string{"a/ 755 65534", "a/x.sh 700 65534"}, command: "DIR/a/x.sh", user: nobody,
		},
		"of a third": {
			files: []string{"a/ 755 65534", "a/x.sh 700 4711"}, command: "DIR/a/x.sh", user: nobody,
			want: []string{`"DIR/a/x.sh" could be changed by others than root and nobody: it belongs to uid 4711 and has mode 0700; chown root DIR/a/x.sh`},
		},
		"a sticky folder": {
			files: []string{"a/ 1777 0", "a/x.sh 755 0"}, command: "DIR/a/x.sh",
		},
		"a sticky folder, and below it what others can write": {
			files: []string{"a/ 1777 0", "a/b/ 1777 0", "a/b/x.sh 755 0"}, command: "DIR/a/b/x.sh",
			want: []string{`"DIR/a/b/x.sh" could be changed by others than root: "DIR/a/b" belongs to root and has mode 1777; chmod go-w DIR/a/b`},
		},
		"a sticky folder, and below it what is another's": {
			files: []string{"a/ 1777 0", "a/b/ 755 4711", "a/b/x.sh 755 0"}, command: "DIR/a/b/x.sh",
			want: []string{`"DIR/a/b/x.sh" could be changed by others than root: "DIR/a/b" belongs to uid 4711 and has mode 0755; chown root DIR/a/b`},
		},
		"a sticky folder of the script's user": {
			files: []string{"a/ 1777 65534", "a/x.sh 755 0"}, command: "DIR/a/x.sh", user: nobody,
			want: []string{`"DIR/a/x.sh" could be changed by others than root and nobody: "DIR/a" belongs to nobody and has mode 1777; chmod go-w DIR/a`},
		},
		"a sticky file": {
			files: []string{"x.sh 1777 0"}, command: "DIR/x.sh",
			want: []string{`"DIR/x.sh" could be changed by others than root: it belongs to root and has mode 1777; chmod go-w DIR/x.sh`},
		},
		"links": {
			files:   []string{"a/ 755 0", "a/b/ 755 0", "a/b/x.sh 755 0", "in -> a/b 0", "a/b/y.sh -> ../../in/./x.sh 0", "z.sh -> DIR/a/b/y.sh 0"},
			command: "DIR/z.sh",
		},
		"a link of another": {
			files: []string{"x.sh 755 0", "y.sh -> x.sh 4711"}, command: "DIR/y.sh",
			want: []string{`"DIR/y.sh" could be changed by others than root: it belongs to uid 4711 and has mode 0777; chown -h root DIR/y.sh`},
		},
		"what a link leads through": {
			files: []string{"a/ 755 0", "b/ 777 0", "b/c/ 755 0", "b/c/x.sh 755 0", "a/y.sh -> ../b/c/x.sh 0"}, command: "DIR/a/y.sh",
			want: []string{`"DIR/a/y.sh" could be changed by others than root: "DIR/b" belongs to root and has mode 0777; chmod go-w DIR/b`},
		},
		"the script of an interpreter": {
			files: []string{"x.py 777 0"}, command: "/bin/sh -c DIR/x.py x.py",
			want: []string{`"DIR/x.py" could be changed by others than root: it belongs to root and has mode 0777; chmod go-w DIR/x.py`},
		},
		"arguments that are no files": {
			files: []string{"a/ 777 0"}, command: "/bin/sh DIR/a DIR/none DIR",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := playground(t)
			lay(t, dir, test.files...)
			c := custody{reader: &reader{source: newSource("vipd.yaml", nil)}, told: make(map[string]bool)}
			c.command(value{}, strings.Fields(strings.ReplaceAll(test.command, "DIR", dir)), test.user)
			var got []string
			for _, p := range c.problems {
				got = append(got, strings.ReplaceAll(p.Message+"; "+p.Hint, dir, "DIR"))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTheWayToAFileIsTheKernels(t *testing.T) {
	dir := playground(t)
	lay(t, dir, "a/ 755 0", "a/b/ 755 0", "b/ 755 0", "b/x 755 0", "a/up -> ../b 0", "in -> DIR/a 0", "round -> round 0", "lost -> none 0")
	steps, err := way(dir + "/in/b/../up/x")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range steps {
		got = append(got, strings.ReplaceAll(s.path, dir, "DIR"))
	}
	want := []string{"/", "/tmp", "DIR", "DIR/in", "/tmp", "DIR", "DIR/a", "DIR/a/b", "DIR/a/up", "DIR/b", "DIR/b/x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, path := range []string{dir + "/round", dir + "/lost", dir + "/b/x/y"} {
		if _, err := way(path); err == nil {
			t.Errorf("%s leads somewhere", path)
		}
	}
}

const smallest = "node: {address: 10.11.12.4}\nvip: {interface: eth0, addresses: [42.159.241.126]}\n"

const expecting = "cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k}\n"

const secret = "0123456789abcdef0123456789abcdef"

func fill(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAHostThatOthersCouldTamperWithIsRefusedWithThisText(t *testing.T) {
	tests := map[string]struct {
		files      []string
		uid        uint32
		bound      bool
		content    string // of the file k
		file, want string
	}{
		"one folder above two scripts": {
			files: []string{"a/ 777 0", "a/x.sh 755 0", "a/y.sh 755 0"},
			file:  "checks: [{name: a, script: DIR/a/x.sh}]\nhooks: {notify: [/bin/sh, DIR/a/y.sh]}\n",
			want: `vipd.yaml:3:28: checks[0].script: "DIR/a/x.sh" could be changed by others than root: "DIR/a" belongs to root and has mode 0777
    checks: [{name: a, script: DIR/a/x.sh}]
                               ^
hint: chmod go-w DIR/a`,
		},
		"users that there are not": {
			files: []string{"x.sh 755 0"},
			file:  "checks: [{name: a, user: nosuchuser, script: DIR/x.sh}]\nhooks: {user: no.such.user, notify: DIR/x.sh}\n",
			want: `vipd.yaml:3:26: checks[0].user: this host has no user "nosuchuser"
    checks: [{name: a, user: nosuchuser, script: DIR/x.sh}]
                             ^
hint: write one of those in /etc/passwd, or make it: useradd --system nosuchuser

vipd.yaml:4:15: hooks.user: this host has no user "no.such.user"
    hooks: {user: no.such.user, notify: DIR/x.sh}
                  ^
hint: write one of those in /etc/passwd, or make it: useradd --system no.such.user`,
		},
		"a vipd that is not root's": {
			files: []string{"x.sh 755 4711"}, uid: 4711,
			file: "hooks: {user: nobody, notify: DIR/x.sh}\n",
			want: `vipd.yaml:3:15: hooks.user: only root can run a script as another user, and vipd runs as uid 4711
    hooks: {user: nobody, notify: DIR/x.sh}
                  ^
hint: run vipd as root, or leave user out`,
		},
		"a vipd that may not become another user": {
			files: []string{"x.sh 755 0"}, bound: true,
			file: "hooks: {user: nobody, notify: DIR/x.sh}\n",
			want: `vipd.yaml:3:15: hooks.user: vipd lacks the capabilities to run a script as another user
    hooks: {user: nobody, notify: DIR/x.sh}
                  ^
hint: systemctl edit vipd, and under [Service]: CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL`,
		},
		"a data directory that others may read": {
			files: []string{"d/ 755 0"}, file: "data_dir: DIR/d\n",
			want: `vipd.yaml:3:11: data_dir: "DIR/d" must be for root alone: it belongs to root and has mode 0755
    data_dir: DIR/d
              ^
hint: if nothing else is in it, chmod 700 DIR/d`,
		},
		"a data directory of another": {
			files: []string{"d/ 700 4711", "d/key 640 0"}, file: "data_dir: DIR/d\n",
			want: `vipd.yaml:3:11: data_dir: "DIR/d" must be for root alone: it belongs to uid 4711 and has mode 0700
    data_dir: DIR/d
              ^
hint: if nothing else is in it, chmod 700 DIR/d && chown root DIR/d`,
		},
		"files in the data directory": {
			files: []string{"d/ 700 0", "d/key 640 0", "d/raft.db 600 4711", "d/s/ 755 0", "d/s/key 640 0", "d/link -> key 4711"}, file: "data_dir: DIR/d\n",
			want: `vipd.yaml:3:11: data_dir: "DIR/d/key" must be for root alone: it belongs to root and has mode 0640
    data_dir: DIR/d
              ^
hint: chmod 600 DIR/d/key

vipd.yaml:3:11: data_dir: "DIR/d/raft.db" must be for root alone: it belongs to uid 4711 and has mode 0600
    data_dir: DIR/d
              ^
hint: chmod 600 DIR/d/raft.db && chown root DIR/d/raft.db`,
		},
		"root's data directory for another user": {
			files: []string{"d/ 700 0"}, uid: 65534, file: "data_dir: DIR/d\n",
			want: `vipd.yaml:3:11: data_dir: "DIR/d" must be for nobody alone: it belongs to root and has mode 0700
    data_dir: DIR/d
              ^
hint: check as the user who runs vipd: sudo vipd check`,
		},
		"a secret that others may read": {
			files: []string{"k 644 0"}, file: expecting, content: secret,
			want: `vipd.yaml:3:58: cluster.secret_file: "DIR/k" has mode 0644, and what is in it is for vipd alone
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k}
                                                             ^
hint: chmod 600 DIR/k; if others may have read it, make a new one`,
		},
		"a secret that others may write": {
			files: []string{"k 622 0"}, file: expecting, content: secret,
			want: `vipd.yaml:3:58: cluster.secret_file: "DIR/k" has mode 0622, and what is in it is for vipd alone
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k}
                                                             ^
hint: chmod 600 DIR/k; if others may have read it, make a new one`,
		},
		"a secret of another": {
			files: []string{"k 600 4711"}, file: expecting, content: secret,
			want: `vipd.yaml:3:58: cluster.secret_file: "DIR/k" could be changed by others than root: it belongs to uid 4711 and has mode 0600
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k}
                                                             ^
hint: chown root DIR/k`,
		},
		"a secret of root for another user": {
			files: []string{"d/ 700 65534", "k 600 0"}, uid: 65534, file: "data_dir: DIR/d\n" + expecting, content: secret,
			want: `vipd.yaml:4:58: cluster.secret_file: "DIR/k" belongs to root, and vipd runs as nobody
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k}
                                                             ^
hint: chown nobody DIR/k`,
		},
		"a secret in a folder for all": {
			files: []string{"s/ 777 0", "k 600 0", "s/k -> ../k 0"}, file: strings.Replace(expecting, "DIR/k", "DIR/s/k", 1), content: secret,
			want: `vipd.yaml:3:58: cluster.secret_file: "DIR/s/k" could be changed by others than root: "DIR/s" belongs to root and has mode 0777
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/s/k}
                                                             ^
hint: chmod go-w DIR/s`,
		},
		"a secret that is too short": {
			files: []string{"k 600 0"}, file: expecting, content: "  " + secret[1:] + "\n",
			want: `vipd.yaml:3:58: cluster.secret_file: "DIR/k" holds 31 bytes, and a secret that nobody guesses has at least 32
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k}
                                                             ^
hint: openssl rand -hex 32 >DIR/k && chmod 600 DIR/k; the same file on all hosts`,
		},
		"a secret that is too long": {
			files: []string{"k 600 0"}, file: expecting, content: strings.Repeat(secret, 129),
			want: `vipd.yaml:3:58: cluster.secret_file: "DIR/k" holds more than 4096 bytes
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k}
                                                             ^
hint: openssl rand -hex 32 >DIR/k && chmod 600 DIR/k; the same file on all hosts`,
		},
		"a secret that there is not": {
			file: expecting,
			want: `vipd.yaml:3:58: cluster.secret_file: "DIR/k" does not exist
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k}
                                                             ^
hint: openssl rand -hex 32 >DIR/k && chmod 600 DIR/k; the same file on all hosts`,
		},
		"a secret that is a folder": {
			files: []string{"k/ 700 0"}, file: expecting,
			want: `vipd.yaml:3:58: cluster.secret_file: "DIR/k" is not a file
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k}
                                                             ^
hint: openssl rand -hex 32 >DIR/k && chmod 600 DIR/k; the same file on all hosts`,
		},
		"a secret below a file": {
			files: []string{"k 600 0"}, file: strings.Replace(expecting, "DIR/k", "DIR/k/k", 1),
			want: `vipd.yaml:3:58: cluster.secret_file: "DIR/k/k" cannot be looked at: not a directory
    cluster: {expect: [10.11.12.4, 10.11.12.5], secret_file: DIR/k/k}
                                                             ^
hint: every folder on the path must be readable`,
		},
		"a socket in a folder for all": {
			files: []string{"s/ 1777 0"}, file: "socket: DIR/s/vipd.sock\n",
			want: `vipd.yaml:3:9: socket: others could put a socket of their own into "DIR/s": it belongs to root and has mode 1777
    socket: DIR/s/vipd.sock
            ^
hint: name a folder that vipd has for itself, as /run/vipd, or leave socket out`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := playground(t)
			lay(t, dir, test.files...)
			if test.content != "" {
				fill(t, filepath.Join(dir, "k"), test.content)
			}
			h := vm1()
			h.uid, h.bound = test.uid, test.bound
			err := accepted(t, strings.ReplaceAll(smallest+test.file, "DIR", dir)).checkHost(h)
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.ReplaceAll(err.Error(), dir, "DIR")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhatIsPrivateIsAccepted(t *testing.T) {
	dir := playground(t)
	lay(t, dir, "d/ 700 0", "d/raft.db 600 0", "d/key 400 0", "d/snapshots/ 755 0", "s/ 755 0")
	text := strings.ReplaceAll(smallest+"data_dir: DIR/d\nsocket: DIR/s/vipd.sock\n", "DIR", dir)
	if err := accepted(t, text).checkHost(vm1()); err != nil {
		t.Error(err)
	}
	if err := accepted(t, strings.ReplaceAll(smallest+"data_dir: DIR/e\nsocket: DIR/f/vipd.sock\n", "DIR", dir)).checkHost(vm1()); err != nil {
		t.Errorf("what is missing is made at the start: %v", err)
	}
}

func TestTheUsersOfScriptsAreLookedUp(t *testing.T) {
	script := program755(t)
	c := accepted(t, smallest+"checks: [{name: a, script: "+script+", user: nobody}, {name: b, script: "+script+"}]\nhooks: {notify: "+script+", user: root}\n")
	if err := c.checkHost(vm1()); err != nil {
		t.Fatal(err)
	}
	nobody := c.Checks[0].Probe.(health.Script).User
	if nobody.Name != "nobody" || nobody.Home == "" || nobody.Credential == nil || nobody.Credential.Uid != 65534 || !slices.Contains(nobody.Credential.Groups, nobody.Credential.Gid) {
		t.Errorf("nobody is %+v, %+v", nobody, nobody.Credential)
	}
	if vipds := c.Checks[1].Probe.(health.Script).User; vipds != (health.User{}) {
		t.Errorf("without a user it is %+v", vipds)
	}
	if root := c.Hooks.User; root.Credential == nil || root.Credential.Uid != 0 || root.Home != "/root" {
		t.Errorf("root is %+v, %+v", root, root.Credential)
	}
}
