package hooks

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// httpd is a user of its own, with a group more.
var httpd = User{Name: "httpd", Credential: &syscall.Credential{Uid: 4711, Gid: 4712, Groups: []uint32{4712, 4713}}, Home: "/srv/httpd"}

// runnerAs is a runner of a script that a user may execute, and may write to the directory of.
func runnerAs(t *testing.T, u User, content string) (r *Runner, dir string) {
	t.Helper()
	dir = t.TempDir()
	r = runner(t, strings.ReplaceAll(content, "DIR", dir))
	r.cfg.User = u
	script := r.cfg.Notify[0]
	for _, folder := range []string{filepath.Dir(dir), filepath.Dir(filepath.Dir(script)), filepath.Dir(script), script} {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, int(httpd.Credential.Uid), 0); err != nil {
		t.Fatalf("%v (run the tests as root: sudo make test)", err)
	}
	return r, dir
}

func TestAScriptRunsAsItsUserWithAllGroupsAndNoCapabilities(t *testing.T) {
	for name, first := range map[string]string{"with an interpreter": "#!/bin/sh\n", "without": ""} {
		t.Run(name, func(t *testing.T) {
			r, dir := runnerAs(t, httpd, first+"exec >DIR/got; id -u; id -g; id -G; echo $HOME; grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status\n")
			if err := r.Run(t.Context(), Event{State: "MASTER"}); err != nil {
				t.Fatal(err)
			}
			const none = "\t0000000000000000\n"
			want := "4711\n4712\n4712 4713\n/srv/httpd\nCapPrm:" + none + "CapEff:" + none + "CapAmb:" + none
			if diff := cmp.Diff(want, read(t, dir+"/got")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAScriptOfAnotherUserCanBeKilled(t *testing.T) {
	r, dir := runnerAs(t, httpd, "#!/bin/sh\nsleep 1000 & echo $! >DIR/child\necho $$ >DIR/new && mv DIR/new DIR/script\nsleep 1000\n")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, Event{State: "MASTER"}) }()
	waitUntil(t, "the script runs", func() bool { return exists(dir + "/script") })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	waitUntil(t, "script and child are gone", func() bool {
		return !running(t, dir+"/script") && !running(t, dir+"/child")
	})
}

// The kernel forgets the wish to die with a parent when a process changes its user (prctl(2), PR_SET_PDEATHSIG).
func TestAScriptOfAnotherUserDiesWithVipd(t *testing.T) {
	r, dir := runnerAs(t, httpd, "#!/bin/sh\necho $$ >DIR/new && mv DIR/new DIR/script\nwhile :; do sleep 0.02; done\n")
	vipd := exec.Command(os.Args[0])
	vipd.Env = append(os.Environ(), "HOOKS_TEST_SCRIPT="+r.cfg.Notify[0], "HOOKS_TEST_USER="+httpd.Name)
	if err := vipd.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the script runs", func() bool { return exists(dir + "/script") })
	_ = vipd.Process.Kill()
	_ = vipd.Wait()
	waitUntil(t, "the script is gone", func() bool { return !running(t, dir+"/script") })
}

func TestAUserWhomNobodyHasLookedUpIsNotTakenForRoot(t *testing.T) {
	r, dir := runnerAs(t, User{Name: "httpd"}, "#!/bin/sh\ntouch DIR/ran\n")
	err := r.Run(t.Context(), Event{State: "MASTER"})
	if err == nil || !strings.HasPrefix(err.Error(), "it is not known who the user httpd is") {
		t.Error(err)
	}
	if exists(dir + "/ran") {
		t.Error("the script has run")
	}
}
