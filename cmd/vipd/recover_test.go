package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/election"
	"github.com/vipd/vipd/trust"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// noFence is for members whose kernel does not matter.
type noFence struct{}

func (noFence) SetDeadline(int64) {}

// here returns a dialer that connects from the network namespace of this thread, on
// whatever thread it is called.
func here(t *testing.T, cfg *config.Config) election.Dialer {
	t.Helper()
	space, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = space.Close() })
	type dialed struct {
		conn net.Conn
		err  error
	}
	return func(ctx context.Context, address string) (net.Conn, error) {
		answer := make(chan dialed)
		go func() {
			runtime.LockOSThread() // ends with its goroutine
			if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
				answer <- dialed{nil, err}
				return
			}
			conn, err := dialFrom(cfg)(ctx, address)
			answer <- dialed{conn, err}
		}()
		d := <-answer
		return d.conn, d.err
	}
}

// startMember runs the election of one host, as the daemon does, and returns what
// stops it.
func startMember(t *testing.T, file string) (node *election.Node, stop func()) {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", cfg.Node.Address.String())
	if err != nil {
		t.Fatal(err)
	}
	disk, err := election.OpenDataDir(cfg.DataDir, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	node, err = election.Open(election.Config{
		Name: cfg.Node.Name, Address: cfg.Node.Address, Version: "test", Detect: cfg.Detect, Disk: disk, Machine: election.MachineID(),
		Listener: listener, Dial: here(t, cfg), Wire: trust.TLS{Now: time.Now}, Fence: noFence{}, Now: boottime, Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	node.SetStanding(election.Standing{Fitness: election.Ready})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	return node, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The commands of an operator whose three hosts were two too few.
func TestRecoverAfterTheMajorityIsLost(t *testing.T) {
	ownNetwork(t)
	dir := t.TempDir()
	file := func(i int) string { return filepath.Join(dir, fmt.Sprintf("vm%d.yaml", i)) }
	var stops []func()
	var token string
	for i := 1; i <= 3; i++ {
		ip(t, "address", "add", fmt.Sprintf("10.11.12.%d/32", 3+i), "dev", "lo")
		write(t, file(i), fmt.Sprintf("node: {name: vm%[1]d, address: 10.11.12.%[2]d}\nvip: {interface: lo, addresses: [42.159.241.126]}\ndata_dir: %[3]s/vm%[1]d\nsocket: %[3]s/vm%[1]d.sock\n", i, 3+i, dir))
		node, stop := startMember(t, file(i))
		stops = append(stops, stop)
		var err error
		if i == 1 {
			if _, err := node.Init(t.Context()); err != nil {
				t.Fatal(err)
			}
			token, _, err = node.CreateToken(t.Context(), election.Use{TTL: time.Hour, Uses: 2})
		} else {
			_, err = node.Join(t.Context(), "10.11.12.4", token)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what, want string, code int, args ...string) {
		t.Helper()
		got := vipd(t, append([]string{"recover", "--config", file(3)}, args...)...)
		if got.Code != code || got.Stdout != "" || !strings.HasPrefix(got.Stderr, "vipd: "+want) || !strings.Contains(got.Stderr, "\nhint: ") {
			t.Errorf("%s: %+v", what, got)
		}
	}
	refused("its own daemon runs", filepath.Join(dir, "vm3", "raft.db")+" is in use by another process", control.CodeFailed)
	stops[2]()
	refused("the others run", "vm1 answers at 10.11.12.4:7600, so it is not lost", control.CodeFailed, "--without", "vm1,vm2")
	stops[0]()
	stops[1]()
	refused("one is not named", "vm2 is a member too", control.CodeFailed, "--without", "vm1")
	refused("an argument", "recover takes no arguments", control.CodeUsage, "vm1")

	plan := vipd(t, "recover", "--config", file(3))
	golden(t, "testdata/recover.txt", regexp.MustCompile(`(term|entry|cluster) [0-9a-f]+`).ReplaceAllString(strings.ReplaceAll(plan.Stdout, dir, "$DIR"), "$1 N"))
	if plan.Code != 0 || plan.Stderr != "" {
		t.Errorf("the plan: %+v", plan)
	}

	done := vipd(t, "recover", "--config", file(3), "--without", "vm1,vm2")
	create := "vipd token create --config " + file(3) + " --uses 2\n"
	if done.Code != 0 || !strings.Contains(done.Stdout, "vm3 is the only member of the new cluster ") || !strings.Contains(done.Stdout, create) {
		t.Fatalf("%+v", done)
	}
	node, stop := startMember(t, file(3))
	for deadline := time.Now().Add(20 * time.Second); !node.Lease().Held; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never holds")
		}
	}
	if s := node.Status(); !strings.Contains(done.Stdout, s.Cluster) || len(s.Members) != 1 {
		t.Errorf("it is %+v, but was told %q", s, done.Stdout)
	}
	stop()
}
