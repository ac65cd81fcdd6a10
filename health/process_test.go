package health

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

func TestScriptsAreJudgedByTheirExitStatus(t *testing.T) {
	tests := map[string]struct{ script, want, output string }{
		"success":                 {"#!/bin/sh\necho fine\n", "", "fine"},
		"failure":                 {"#!/bin/sh\necho why >&2\nexit 2\n", "exit status 2", "why"},
		"killed":                  {"#!/bin/sh\nkill -9 $$\n", "signal: killed", ""},
		"without interpreter":     {"echo fine\n", "", "fine"},
		"missing interpreter":     {"#!/nonexistent/bash\n", "no such file", ""},
		"clean environment":       {"#!/bin/sh\necho $LANG $HOME $SECRET\n", "", "C.UTF-8 /root"},
		"much output":             {"#!/bin/sh\nhead -c 200000 /dev/zero | tr '\\0' x\necho end\n", "", strings.Repeat("x", tailLimit-4) + "end"},
		"a child keeps the pipe":  {"#!/bin/sh\necho fine\nsleep 5 &\n", "", "fine"},
		"a child fails unnoticed": {"#!/bin/sh\nfalse\ntrue\n", "", ""},
	}
	t.Setenv("SECRET", "of the daemon")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := runner{check: Check{Probe: Script{Command: []string{script(t, test.script)}}, Timeout: time.Minute}, start: start}
			began := time.Now()
			output, err := r.run(t.Context())
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if output != test.output {
				t.Errorf("output %q, want %q", output, test.output)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestACommandThatDoesNotExistFails(t *testing.T) {
	r := runner{check: Check{Probe: Script{Command: []string{"/nonexistent/check.sh"}}, Timeout: time.Minute}, start: start}
	if _, err := r.run(t.Context()); err == nil || !strings.Contains(err.Error(), "run /nonexistent/check.sh: ") {
		t.Errorf("got %v", err)
	}
}

func TestTheTimeoutKillsTheWholeGroup(t *testing.T) {
	dir := t.TempDir()
	file := script(t, "#!/bin/sh\nsleep 1000 & echo $! >"+dir+"/child\necho $$ >"+dir+"/script\necho begun\nsleep 1000\n")
	r := runner{check: Check{Probe: Script{Command: []string{file}}, Timeout: 300 * time.Millisecond}, start: start}
	output, err := r.run(t.Context())
	if err == nil || err.Error() != "still running after 300ms, killed" || output != "begun" {
		t.Errorf("got %q, %v", output, err)
	}
	waitUntil(t, "script and child are gone", func() bool {
		return !running(t, dir+"/script") && !running(t, dir+"/child")
	})
}

func TestAChildInAnotherSessionDoesNotDelayTheTimeout(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	file := script(t, "#!/bin/sh\nsetsid sleep 1000 & echo $! >"+pid+"\nsleep 1000\n")
	r := runner{check: Check{Probe: Script{Command: []string{file}}, Timeout: 300 * time.Millisecond}, start: start}
	began := time.Now()
	if _, err := r.run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "still running after 300ms, killed") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	_ = syscall.Kill(atoi(t, pid), syscall.SIGKILL)
}

// TestMain is a vipd that runs a check, when it is called as one by the test below, or any other program, for as long as the
// test that has started it lives.
func TestMain(m *testing.M) {
	if os.Getenv("HEALTH_TEST_SLEEP") != "" {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	if file := os.Getenv("HEALTH_TEST_SCRIPT"); file != "" {
		r := runner{check: Check{Probe: Script{Command: []string{file}}, Timeout: time.Hour}, start: start}
		_, _ = r.run(context.Background())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestTheScriptDiesWithVipd(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	vipd := exec.Command(os.Args[0])
	vipd.Env = append(os.Environ(), "HEALTH_TEST_SCRIPT="+script(t, "#!/bin/sh\necho $$ >"+pid+".new; mv "+pid+".new "+pid+"\nwhile :; do sleep 0.02; done\n"))
	if err := vipd.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the script runs", func() bool { _, err := os.Stat(pid); return err == nil })
	if err := vipd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = vipd.Wait()
	waitUntil(t, "the script is gone", func() bool { return !running(t, pid) })
}

func FuzzTail(f *testing.F) {
	f.Add([]byte("one\n"), []byte("two"))
	f.Add(make([]byte, tailLimit+1), []byte("\xff\n"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		out := &tail{}
		for _, p := range [][]byte{one, two} {
			if n, err := out.Write(p); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		all := slices.Concat(one, two)
		if want := string(all[max(0, len(all)-tailLimit):]); string(out.kept) != want {
			t.Errorf("kept %q, want %q", out.kept, want)
		}
		if !utf8.ValidString(out.String()) {
			t.Errorf("%q is not UTF-8", out.String())
		}
	})
}

func script(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "check.sh")
	if err := os.WriteFile(file, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// waitUntil polls, since what it waits for is the state of other processes, of which nobody tells us.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// running says whether the process whose id a script wrote into file runs: it is not gone, and not a zombie.
func running(t *testing.T, file string) bool {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(atoi(t, file)) + "/stat")
	if err != nil {
		return false
	}
	afterName := strings.Fields(string(stat[slices.Index(stat, ')')+1:]))
	return afterName[0] != "Z" && afterName[0] != "X"
}

func atoi(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
