package control_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/control/controltest"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// groups shows the rest of the test, and what it starts, an /etc/group with this text.
// The thread is not used again.
func groups(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "group")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatalf("make a mount namespace: %v (run the tests as root: sudo make test)", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(file, "/etc/group", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
}

func TestTheSocketIsForItsOwnerAndTheGroupVipd(t *testing.T) {
	tests := map[string]struct {
		groups string
		mode   fs.FileMode
		gid    uint32
	}{
		"with the group":    {"root:x:0:\nvipd:x:4242:\n", 0o660, 4242},
		"without the group": {"root:x:0:\n", 0o600, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run", "vipd", "vipd.sock")
			groups(t, test.groups)
			defer mustListen(t, path).Close()

			modes := map[string]fs.FileMode{}
			for _, name := range []string{filepath.Dir(path), path, path + ".lock"} {
				info, err := os.Stat(name)
				if err != nil {
					t.Fatal(err)
				}
				modes[filepath.Base(name)] = info.Mode()
			}
			want := map[string]fs.FileMode{"vipd": fs.ModeDir | 0o755, "vipd.sock": fs.ModeSocket | test.mode, "vipd.sock.lock": 0o600}
			if d := cmp.Diff(want, modes); d != "" {
				t.Errorf("modes (-want +got):\n%s", d)
			}
			var stat unix.Stat_t
			if err := unix.Stat(path, &stat); err != nil || stat.Uid != 0 || stat.Gid != test.gid {
				t.Errorf("owner %d, group %d (%v); want 0 and %d", stat.Uid, stat.Gid, err, test.gid)
			}
		})
	}
}

// The askers are processes of real users.
func TestAMemberOfTheGroupMayAskAndOnlyRootMayOrder(t *testing.T) {
	if path := os.Getenv("CONTROL_TEST_ASK"); path != "" {
		askAndOrder(path)
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // the test's, which is 0700
		t.Fatal(err)
	}
	path := filepath.Join(dir, "vipd.sock")
	groups(t, "vipd:x:4242:\n")
	l := mustListen(t, path)
	go control.Serve(t.Context(), l, controltest.NewCluster("vm1").Host("vm1"), zap.NewNop())

	const denied = "no permission to use PATH; hint: use sudo; who is in the group vipd may look without\n"
	tests := []struct {
		who        string
		credential syscall.Credential
		want       string
	}{
		{"root", syscall.Credential{}, "status: vm1\ninit: done\n"},
		{"a member", syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{4242}}, "status: vm1\ninit: only root may order this; you are uid 65534; hint: use sudo; exit code 1\n"},
		{"another", syscall.Credential{Uid: 65534, Gid: 65534}, "status: " + denied},
	}
	for _, test := range tests { // no subtests: they would run in the namespace of the machine
		// Others may not enter the directory of the test's program, but each process may execute itself.
		asker := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
		asker.Env = append(os.Environ(), "CONTROL_TEST_ASK="+path)
		asker.Dir = "/"
		asker.SysProcAttr = &syscall.SysProcAttr{Credential: &test.credential}
		out, err := asker.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", test.who, err)
		}
		if d := cmp.Diff(test.want, strings.ReplaceAll(string(out), path, "PATH")); d != "" {
			t.Errorf("%s (-want +got):\n%s", test.who, d)
		}
	}
}

// askAndOrder is an asker of the test above.
func askAndOrder(path string) {
	client := control.NewClient(path, "vipd")
	ctx := context.Background()
	s, err := client.Status(ctx)
	if err != nil {
		e := control.ErrorOf(err)
		fmt.Printf("status: %s; hint: %s\n", e.Message, e.Advice)
		os.Exit(0)
	}
	fmt.Printf("status: %s\n", s.Node.Name)
	if _, err := client.Init(ctx); err != nil {
		e := control.ErrorOf(err)
		fmt.Printf("init: %s; hint: %s; exit code %d\n", e.Message, e.Advice, e.Code)
		os.Exit(0)
	}
	fmt.Println("init: done")
	os.Exit(0)
}
