package control_test

import (
	"bufio"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipd/vipd/control"
)

func TestClosingTheListenerRemovesTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vipd.sock")
	if err := mustListen(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: %v, want no such file", err)
	}
}

func TestTheSocketOfADeadDaemonIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vipd.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := errors.Join(dead.Close(), os.WriteFile(path+".lock", nil, 0o600), os.WriteFile(filepath.Join(filepath.Dir(path), "vipd.soc~"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}

	l := mustListen(t, path)
	defer l.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestALiveDaemonKeepsItsSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vipd.sock")
	first, err := control.Claim(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = control.Claim(path)
	refused(t, "a second claim", err, control.CodeFailed)

	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	second, err := control.Claim(path)
	if err != nil {
		t.Fatalf("after the first has released it: %v", err)
	}
	_ = second.Release()
}

// A process that held the claim and was killed must not keep it, and neither
// must a script that it had started.
func TestTheKernelTakesTheClaimBackFromAKilledDaemon(t *testing.T) {
	if path := os.Getenv("CONTROL_TEST_CLAIM"); path != "" {
		claimAndHang(path)
	}
	path := filepath.Join(t.TempDir(), "vipd.sock")
	daemon := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	daemon.Env = append(os.Environ(), "CONTROL_TEST_CLAIM="+path)
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "claimed\n" {
		t.Fatalf("the daemon said %q (%v), want claimed", line, err)
	}
	_, err = control.Claim(path)
	refused(t, "a claim while it lives", err, control.CodeFailed)

	_ = daemon.Process.Kill()
	_ = daemon.Wait()
	s, err := control.Claim(path)
	if err != nil {
		t.Fatalf("after it was killed: %v", err)
	}
	_ = s.Release()
}

// claimAndHang is the daemon of the test above: it has started a script that
// outlives it by a little.
func claimAndHang(path string) {
	if _, err := control.Claim(path); err != nil {
		panic(err)
	}
	if err := exec.Command("sleep", "5").Start(); err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("claimed\n")
	select {}
}

func TestWhatIsNotASocketIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vipd.sock")
	if err := os.WriteFile(path, []byte("a letter"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := control.Claim(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	_, err = s.Listen()
	refused(t, "listen", err, control.CodeUsage)
	if text, _ := os.ReadFile(path); string(text) != "a letter" {
		t.Errorf("the file now says %q", text)
	}
}

func TestAPathMayBeAsLongAsTheKernelTakesIt(t *testing.T) {
	dir := t.TempDir() + "/"
	for _, end := range []string{"x", "~"} {
		longest := dir + strings.Repeat("x", 106-len(dir)) + end
		mustListen(t, longest).Close()
		_, err := control.Claim(longest + "x")
		refused(t, "claim", err, control.CodeUsage)
	}
}

func mustListen(t *testing.T, path string) net.Listener {
	t.Helper()
	s, err := control.Claim(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Release() })
	l, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	return l
}
