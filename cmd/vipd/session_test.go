package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/control/controltest"
	"go.uber.org/zap"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// asVipd in the environment makes this program vipd.
const asVipd = "VIPD_TEST_AS_VIPD"

// TestMain fixes what the commands take from their surroundings.
func TestMain(m *testing.M) {
	if os.Getenv(asVipd) != "" {
		main()
	}
	time.Local = time.UTC
	_ = os.Unsetenv(tokenVariable)
	if len(os.TempDir()) > 20 { // sockets have short paths
		_ = os.Setenv("TMPDIR", "/tmp")
	}
	os.Exit(m.Run())
}

// Each file below testdata/sessions is a session at the keyboards of three hosts
// that run a model of the daemon. A line "vm1# vipd leader" is typed; below it
// stand what came to stdout, to stderr (behind "! "), and the exit code if it
// was not 0. "vm1# cut" cuts the hosts off from each other.
func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/sessions/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sessions: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, file, replay(t, string(script)))
		})
	}
}

// replay types what the script types and returns the script with what came.
func replay(t *testing.T, script string) string {
	t.Helper()
	w := newWorld(t)
	var out strings.Builder
	for line := range strings.Lines(script) {
		host, command, typed := strings.Cut(strings.TrimSpace(line), "# ")
		switch {
		case strings.HasPrefix(line, "#"), line == "\n" && !strings.HasSuffix(out.String(), "\n\n"):
			out.WriteString(line)
		case typed:
			out.WriteString(line + w.enter(t, host, command))
		}
	}
	return out.String()
}

// world is three hosts.
type world struct {
	dir     string
	cluster *controltest.Cluster
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := world{dir: t.TempDir(), cluster: controltest.NewCluster("vm1", "vm2", "vm3")}
	for i, name := range []string{"vm1", "vm2", "vm3", "down"} {
		text := fmt.Sprintf(`node: {name: %[1]s, address: 10.11.12.%[2]d}
vip: {interface: eth0, addresses: [42.159.241.126]}
data_dir: %[3]s/%[1]s.data
socket: %[3]s/%[1]s.sock
`, name, 4+i, w.dir)
		write(t, w.config(name), text)
		if name != "down" {
			serve(t, filepath.Join(w.dir, name+".sock"), w.cluster.Host(name))
		}
	}
	write(t, w.config("broken"), "node: {nam: vm1}\n")
	return w
}

func (w world) config(host string) string { return filepath.Join(w.dir, host+".yaml") }

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func serve(t *testing.T, path string, d control.Daemon) {
	t.Helper()
	socket, err := control.Claim(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := socket.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- control.Serve(ctx, l, d, zap.NewNop()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		_ = socket.Release()
	})
}

// enter runs one command on a host and returns what came of it.
func (w world) enter(t *testing.T, host, command string) string {
	t.Helper()
	if command == "cut" {
		w.cluster.Cut()
		return ""
	}
	args, ok := strings.CutPrefix(command, "vipd")
	if !ok {
		t.Fatalf("there is no command %q", command)
	}
	fields := strings.Fields(strings.ReplaceAll(args, "$DIR", w.dir))
	if !strings.Contains(args, "--socket") {
		fields = append([]string{"--config", w.config(host)}, fields...)
	}
	var stdout, stderr strings.Builder
	code := run(t.Context(), fields, &stdout, &stderr)
	text := stdout.String() + behind("! ", stderr.String())
	if code != 0 {
		text += fmt.Sprintf("exit %d\n", code)
	}
	return strings.ReplaceAll(text, w.dir, "$DIR")
}

// behind returns text with a prefix before each line.
func behind(prefix, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(prefix + line)
	}
	return out.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}
