package health

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wants runs a probe once and compares why it failed; want is empty if it should not.
func wants(t *testing.T, p Probe, want string) {
	t.Helper()
	r := runner{check: Check{Probe: p, Timeout: time.Minute}, start: start}
	_, err := r.run(t.Context())
	if got := reason(err); got != want {
		t.Errorf("%s:\ngot  %q\nwant %q", p, got, want)
	}
}

// late runs a probe that is never answered.
func late(t *testing.T, p Probe, want string) {
	t.Helper()
	r := runner{check: Check{Probe: p, Timeout: 100 * time.Millisecond}, start: start}
	if _, err := r.run(t.Context()); !strings.HasPrefix(reason(err), want) {
		t.Errorf("%s:\ngot  %q\nwant %q …", p, reason(err), want)
	}
}

func TestTCPIsAPortThatAccepts(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "[::1]"} {
		listener, err := net.Listen("tcp", ip+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		wants(t, TCP{netip.MustParseAddrPort(listener.Addr().String())}, "")
	}
	refused := netip.MustParseAddrPort(deaf(t))
	wants(t, TCP{refused}, "connect to "+refused.String()+": connection refused")
}

func TestAFileIsThereOrNot(t *testing.T) {
	folder := t.TempDir()
	file, link, none := filepath.Join(folder, "ready"), filepath.Join(folder, "link"), filepath.Join(folder, "none")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(none, link); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		probe File
		want  string
	}{
		"there":                        {File{Path: file}, ""},
		"a folder":                     {File{Path: folder}, ""},
		"missing":                      {File{Path: none}, none + " does not exist"},
		"a link to nothing":            {File{Path: link}, link + " does not exist"},
		"absent":                       {File{Path: none, Absent: true}, ""},
		"there, and should not be":     {File{Path: file, Absent: true}, file + " exists"},
		"below a file":                 {File{Path: file + "/x"}, "stat " + file + "/x: not a directory"},
		"below a file, and absent too": {File{Path: file + "/x", Absent: true}, "stat " + file + "/x: not a directory"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { wants(t, test.probe, test.want) })
	}
}

func TestALinkHasACarrier(t *testing.T) {
	wants(t, Link{"nolinkhere"}, "link nolinkhere does not exist")
	tests := map[string]struct{ operstate, carrier, want string }{
		"up":                     {"up\n", "1\n", ""},
		"no word of the driver":  {"unknown\n", "1\n", ""},
		"dormant":                {"dormant\n", "1\n", ""},
		"cable out":              {"down\n", "0\n", "link eth0 has no carrier, its state is down"},
		"set down":               {"down\n", "", "link eth0 has no carrier, its state is down"},
		"the link below is down": {"lowerlayerdown\n", "0\n", "link eth0 has no carrier, its state is lowerlayerdown"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			links := t.TempDir()
			if err := os.Mkdir(filepath.Join(links, "eth0"), 0o700); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"operstate": test.operstate, "carrier": test.carrier} {
				if text == "" {
					continue // reading it fails, as it does in sysfs
				}
				if err := os.WriteFile(filepath.Join(links, "eth0", file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := reason((Link{"eth0"}).carrier(links)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// The loopback link is the one that every host has; its state is "unknown", or the word for a link that is set down.
func TestALinkIsReadAsTheKernelShowsIt(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	if lo.Flags&net.FlagUp == 0 {
		want = "link lo has no carrier, its state is down"
	}
	wants(t, Link{"lo"}, want)
}

func TestAProgramRunsUnderItsNameOrThatOfItsFile(t *testing.T) {
	const short, long = "vipd-t-short", "vipd-t-longer-than-15-bytes"
	wants(t, Program{short}, "no process called "+short+" runs")
	sleeps(t, short)
	sleeps(t, long)
	wants(t, Program{short}, "")
	wants(t, Program{long}, "")
	wants(t, Program{long[:15]}, "") // its name, as pgrep -x takes it
	wants(t, Program{long[:16]}, "no process called "+long[:16]+" runs")
}

// The unit leaves vipd no CAP_SYS_PTRACE, without which the kernel does not say which file a process of more rights executes.
func TestAProgramOfMoreRightsRunsUnderTheNameItWasCalledBy(t *testing.T) {
	const long = "vipd-t-of-root-and-long"
	pid := sleeps(t, long).Process.Pid
	found := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends without its capabilities
		none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&none, &make([]unix.CapUserData, 2)[0]); err != nil {
			found <- err
			return
		}
		if file, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
			found <- errors.New("the kernel tells the file, " + file + ": this test proves nothing")
			return
		}
		found <- Program{long}.try(t.Context())
	}()
	if err := <-found; err != nil {
		t.Error(err)
	}
}

func TestAProgramWhoseFileWasReplacedRuns(t *testing.T) {
	const long = "vipd-t-replaced-and-long"
	program := sleeps(t, long)
	if err := os.Remove(program.Path); err != nil {
		t.Fatal(err)
	}
	wants(t, Program{long}, "")
}

func TestAZombieDoesNotRun(t *testing.T) {
	const name = "vipd-t-zombie"
	program := sleeps(t, name)
	pid := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(pid, []byte(strconv.Itoa(program.Process.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it is a zombie", func() bool { return !running(t, pid) })
	wants(t, Program{name}, "no process called "+name+" runs")
	wants(t, PIDFile{pid}, "process "+strconv.Itoa(program.Process.Pid)+" of "+pid+" does not run")
}

func TestAPIDFileNamesAProcess(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	tests := map[string]struct{ text, want string }{
		"own":             {own + "\n", ""},
		"as postgres has": {own + "\n/var/lib/postgresql\n" + strings.Repeat("x", 1000), ""},
		"no id":           {"\n", "FILE: holds no process id"},
		"another text":    {"httpd", `FILE: "httpd" is not a process id`},
		"zero":            {"0", `FILE: "0" is not a process id`},
		"a group":         {"-1", `FILE: "-1" is not a process id`},
		"no process":      {"2147483647", "process 2147483647 of FILE does not run"}, // PID_MAX_LIMIT is 2^22
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.pid")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			wants(t, PIDFile{file}, strings.ReplaceAll(test.want, "FILE", file))
		})
	}
	wants(t, PIDFile{"/nonexistent/x.pid"}, "open /nonexistent/x.pid: no such file or directory")
}

// sleeps runs a copy of this program, which TestMain makes do nothing, under that name until the test ends.
func sleeps(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, program, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file)
	cmd.Env = []string{"HEALTH_TEST_SLEEP=1"}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("4711 (httpd) S 1 4711"))
	f.Add([]byte("4711 (a) Z (b) R) Z 1"))
	f.Add([]byte("4711 () "))
	f.Fuzz(func(t *testing.T, stat []byte) {
		name, running := parseStat(stat)
		if running && !strings.Contains(string(stat), " ("+name+") ") {
			t.Errorf("%q is not the name in %q", name, stat)
		}
	})
}

func FuzzParsePID(f *testing.F) {
	f.Add([]byte("4711\n"))
	f.Add([]byte(" -1 x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		pid, err := parsePID(text)
		if err == nil && pid < 1 {
			t.Errorf("%q is process %d", text, pid)
		}
	})
}
