package hooks

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestTheTimeoutKillsTheWholeGroup(t *testing.T) {
	dir := t.TempDir()
	r := runner(t, "#!/bin/sh\n(echo $$; sleep 1000) & echo $! >"+dir+"/child\necho $$ >"+dir+"/script\nsleep 1000\n")
	r.cfg.Timeout = 300 * time.Millisecond
	if err := r.Run(t.Context(), Event{State: "MASTER"}); err == nil {
		t.Fatal("a call that timed out is no error")
	}
	waitUntil(t, "script and child are gone", func() bool {
		return !running(t, dir+"/script") && !running(t, dir+"/child")
	})
}

func TestAServiceThatTheScriptStartsOutlivesIt(t *testing.T) {
	dir := t.TempDir()
	// The service keeps the script's output open, as one that was started carelessly does, and writes more than a pipe holds.
	r := runner(t, `#!/bin/sh
(trap 'echo stopped >`+dir+`/stopped; exit' TERM
 while ! [ -e `+dir+`/go ]; do sleep 0.02; done
 head -c 300000 /dev/zero | tr '\0' '\n'
 echo $? >`+dir+`/new; mv `+dir+`/new `+dir+`/written
 while :; do sleep 0.02; done) &
echo $! >`+dir+`/service
`)
	began := time.Now()
	if err := r.Run(t.Context(), Event{State: "MASTER"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pid, _ := strconv.Atoi(strings.TrimSpace(read(t, dir+"/service")))
		_ = syscall.Kill(pid, syscall.SIGTERM)
		waitUntil(t, "the service has stopped", func() bool { return exists(dir + "/stopped") })
	})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the call took %v: it has waited for the service", took)
	}
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the service has written all", func() bool { return exists(dir + "/written") })
	if status := strings.TrimSpace(read(t, dir+"/written")); status != "0" || !running(t, dir+"/service") {
		t.Errorf("writing on ended with status %s; the service runs: %v", status, running(t, dir+"/service"))
	}
}

// TestMain is a vipd that runs a hook, when it is called as one by a test.
func TestMain(m *testing.M) {
	if script := os.Getenv("HOOKS_TEST_SCRIPT"); script != "" {
		cfg := Config{Notify: []string{script}}
		if os.Getenv("HOOKS_TEST_USER") != "" {
			cfg.User = httpd
		}
		_ = NewRunner(cfg, zap.NewNop()).Run(context.Background(), Event{State: "MASTER"})
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestTheScriptDiesWithVipdAndTheServiceLives(t *testing.T) {
	dir := t.TempDir()
	script := writeScript(t, `#!/bin/sh
setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >`+dir+`/service
echo $$ >`+dir+`/script.new && mv `+dir+`/script.new `+dir+`/script
while :; do sleep 0.02; done
`)
	vipd := exec.Command(os.Args[0])
	vipd.Env = append(os.Environ(), "HOOKS_TEST_SCRIPT="+script)
	if err := vipd.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the script runs", func() bool { return exists(dir + "/script") })
	if err := vipd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = vipd.Wait()
	waitUntil(t, "the script is gone", func() bool { return !running(t, dir+"/script") })
	if !running(t, dir+"/service") {
		t.Error("the service is gone too")
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(read(t, dir+"/service")))
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestAProcessThatCannotBeKilledIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began, killed := time.Now(), false
		p := &process{exited: make(chan struct{}), kill: func() { killed = true }}
		err := p.await(ctx)
		if err == nil || !strings.Contains(err.Error(), "hangs in the kernel") || !killed {
			t.Errorf("got %v, killed: %v", err, killed)
		}
		if took := time.Since(began); took != time.Second+killGrace {
			t.Errorf("waited %v", took)
		}
	})
}

func TestAServiceDoesNotInheritVipdsStandingWithTheOOMKiller(t *testing.T) {
	const own = "/proc/self/oom_score_adj"
	before := read(t, own)
	// The unit sets -900. A test sets what needs no capability: more, which the kernel lets everybody take back.
	if err := os.WriteFile(own, []byte("123"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(own, []byte(strings.TrimSpace(before)), 0o600) })
	got := filepath.Join(t.TempDir(), "got")
	script := "#!/bin/sh\nuntil cat /proc/self/oom_score_adj >" + got + "; grep -qx 0 " + got + "; do sleep 0.01; done\n"
	if err := runner(t, script).Run(t.Context(), Event{State: "MASTER"}); err != nil {
		t.Error(err)
	}
}
