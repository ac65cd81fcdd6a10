package hooks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// aNotifyScript is the usual script of a keepalived installation.
const aNotifyScript = `#!/bin/bash
TYPE=$1
NAME=$2
STATE=$3

case $STATE in
        "MASTER") echo "start httpd" >> LOG
                  exit 0
                  ;;
        "BACKUP"|"STOP"|"FAULT")
                  echo "stop httpd for $TYPE $NAME" >> LOG
                  exit 0
                  ;;
        *)        echo "unknown state"
                  exit 1
                  ;;
esac
`

func TestKeepalivedNotifyScriptWorksUnchanged(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	r := runner(t, strings.ReplaceAll(aNotifyScript, "LOG", log))
	for _, state := range []string{"BACKUP", "MASTER", "FAULT", "STOP"} {
		if err := r.Run(t.Context(), Event{State: state}); err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
	if err := r.Run(t.Context(), Event{State: "DELETED"}); err == nil {
		t.Error("a state that the script refuses is no error")
	}
	stop := "stop httpd for INSTANCE web\n"
	if diff := cmp.Diff(stop+"start httpd\n"+stop+stop, read(t, log)); diff != "" {
		t.Errorf("what the script did (-want +got):\n%s", diff)
	}
}

func TestScriptIsToldAllAndNothingElse(t *testing.T) {
	t.Setenv("SECRET", "of the daemon")
	got := filepath.Join(t.TempDir(), "got")
	script := "#!/bin/sh\n(for a in \"$@\"; do echo \"$a\"; done; pwd; tr '\\0' '\\n' </proc/$$/environ) >" + got + "\n"
	r := runner(t, script)
	r.cfg.Notify = append(r.cfg.Notify, "own argument")
	event := Event{State: "MASTER", Previous: "BACKUP", Term: 7, Reason: "vm1 is\nsilent", Leader: "vm2"}
	if err := r.Run(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"own argument", "INSTANCE", "web", "MASTER", "100", "/",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root",
		"VIPD_STATE=MASTER", "VIPD_PREVIOUS=BACKUP", "VIPD_TERM=7", "VIPD_REASON=vm1 is", "silent",
		"VIPD_ADDRESSES=42.159.241.126 2001:db8::1", "VIPD_INTERFACE=eth0", "VIPD_LEADER=vm2",
		"VIPD_OLD_HOLDER=", "VIPD_OLD_ADDRESS=",
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(read(t, got)), "\n")); diff != "" {
		t.Errorf("arguments, directory, environment (-want +got):\n%s", diff)
	}
}

func TestEachCallRunsItsOwnScript(t *testing.T) {
	got := filepath.Join(t.TempDir(), "got")
	r := runner(t, "#!/bin/sh\necho \"$@: $VIPD_STATE, $VIPD_OLD_HOLDER at $VIPD_OLD_ADDRESS\" >>"+got+"\n")
	script := r.cfg.Notify[0]
	r.cfg.Notify, r.cfg.Prepare, r.cfg.Fence = []string{script, "tell"}, []string{script, "warm", "up"}, []string{script}
	event := Event{State: "MASTER", OldHolder: "vm1", OldAddress: "10.11.12.4"}
	for _, call := range []func(context.Context, Event) error{r.Prepare, r.Fence, r.Run} {
		if err := call(t.Context(), event); err != nil {
			t.Error(err)
		}
	}
	const vm1 = ", vm1 at 10.11.12.4\n"
	want := "warm up INSTANCE web PREPARE 100: PREPARE" + vm1 + "INSTANCE web FENCE 100: FENCE" + vm1 + "tell INSTANCE web MASTER 100: MASTER" + vm1
	if diff := cmp.Diff(want, read(t, got)); diff != "" {
		t.Errorf("what was run (-want +got):\n%s", diff)
	}
}

func TestASimulationIsCalledForEveryScriptThereIs(t *testing.T) {
	r := NewRunner(Config{Notify: []string{"notify"}, Fence: []string{"fence"}}, zap.NewNop())
	refused := errors.New("refused")
	var got []string
	r.RunInstead(func(_ context.Context, e Event) error {
		got = append(got, e.State)
		return refused
	})
	if err := r.Fence(t.Context(), Event{}); !errors.Is(err, refused) || !strings.HasSuffix(err.Error(), "(fence INSTANCE  FENCE 0)") {
		t.Errorf("got %v, want %v, and then the command", err, refused)
	}
	if err := r.Prepare(t.Context(), Event{}); err != nil {
		t.Errorf("there is no such script: %v", err)
	}
	if err := r.Run(t.Context(), Event{State: "STOP"}); !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
	if diff := cmp.Diff([]string{"FENCE", "STOP"}, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestWithoutAScriptACallDoesNothing(t *testing.T) {
	r := NewRunner(Config{}, zap.NewNop())
	for _, call := range []func(context.Context, Event) error{r.Run, r.Prepare, r.Fence} {
		if err := call(t.Context(), Event{State: "MASTER"}); err != nil {
			t.Error(err)
		}
	}
}

func TestScriptWithoutInterpreterLineIsRunByTheShell(t *testing.T) {
	if err := runner(t, `[ "$3" = MASTER ]`).Run(t.Context(), Event{State: "MASTER"}); err != nil {
		t.Error(err)
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	script := writeScript(t, "#!/bin/sh\nexit 3\n")
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	slow := writeScript(t, "#!/bin/sh\nsleep 1000\n")
	tests := map[string]struct{ file, want, hint string }{
		"exit status":       {script, "exit status 3", "by hand"},
		"missing":           {"/nonexistent/notify.sh", "no such file", "path"},
		"not in PATH":       {"vipd-no-such-program", "not found", "path"},
		"not executable":    {plain, "permission denied", "chmod +x"},
		"no interpreter":    {writeScript(t, "#!/nonexistent/bash\n"), "no such file", "#!"},
		"timeout":           {slow, "still running after 200ms, killed", "hooks.timeout"},
		"killed by another": {writeScript(t, "#!/bin/sh\nkill -9 $$\n"), "signal: killed", "by hand"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Notify: []string{test.file}, Timeout: 200 * time.Millisecond, Instance: "web"}
			if test.file != slow {
				cfg.Timeout = time.Minute
			}
			err := NewRunner(cfg, zap.NewNop()).Run(t.Context(), Event{State: "MASTER"})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasSuffix(err.Error(), " ("+test.file+" INSTANCE web MASTER 0)") {
				t.Errorf("got %v, want %q, and then the command", err, test.want)
			}
			hinted, ok := errors.AsType[interface {
				error
				Hint() string
			}](err)
			if !ok || !strings.Contains(hinted.Hint(), test.hint) {
				t.Errorf("the hint of %v does not say %q", err, test.hint)
			}
		})
	}
}

func TestACancelledCallFailsWithTheCause(t *testing.T) {
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	started := filepath.Join(t.TempDir(), "started")
	r := runner(t, "#!/bin/sh\ntouch "+started+"\nsleep 1000\n")
	go func() {
		waitUntil(t, "the script runs", func() bool { return exists(started) })
		cancel(cause)
	}()
	if err := r.Run(ctx, Event{State: "MASTER"}); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if err := r.Run(ctx, Event{State: "MASTER"}); !errors.Is(err, cause) {
		t.Errorf("a call under a context that has ended: got %v, want %v", err, cause)
	}
}

func TestCallsDoNotOverlap(t *testing.T) {
	dir := t.TempDir()
	r := runner(t, "#!/bin/sh\nmkdir "+dir+"/lock || exit 1\nsleep 0.05\nrmdir "+dir+"/lock\n")
	errs := make(chan error)
	r.cfg.Prepare, r.cfg.Fence = r.cfg.Notify, r.cfg.Notify
	for _, call := range []func(context.Context, Event) error{r.Run, r.Prepare, r.Fence, r.Run, r.Run} {
		go func() { errs <- call(t.Context(), Event{State: "BACKUP"}) }()
	}
	for range 5 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestWaitingForTheTurnEndsWithTheContext(t *testing.T) {
	r := runner(t, "#!/bin/sh\n")
	r.turn <- struct{}{} // another call is running
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx, Event{State: "MASTER"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// runner returns a Runner of the given script, with a time limit that no test reaches.
func runner(t *testing.T, script string) *Runner {
	t.Helper()
	return NewRunner(Config{
		Notify:    []string{writeScript(t, script)},
		Timeout:   time.Minute,
		Instance:  "web",
		Priority:  100,
		Addresses: []string{"42.159.241.126", "2001:db8::1"},
		Interface: "eth0",
	}, zap.NewNop())
}

func writeScript(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "notify.sh")
	if err := os.WriteFile(file, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// waitUntil polls, since what it waits for is the state of other processes, of which nobody tells us.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-deadline:
			t.Errorf("not within 20 s: %s", what)
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// running says whether pid, as a script wrote it into file, is a process that runs: not gone, not a zombie.
func running(t *testing.T, file string) bool {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(read(t, file)) + "/stat")
	if err != nil {
		return false
	}
	afterName := strings.Fields(string(stat[slices.Index(stat, ')')+1:]))
	return afterName[0] != "Z" && afterName[0] != "X"
}
