package control_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/control/controltest"
	"go.uber.org/zap"
)

// listen claims a socket in a directory of the test and listens on it.
func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vipd.sock")
	socket, err := control.Claim(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Release() })
	l, err := socket.Listen()
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

// serve serves d until the test ends and returns a client of it.
func serve(t *testing.T, d control.Daemon, log *zap.Logger) *control.Client {
	t.Helper()
	l, path := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- control.Serve(ctx, l, d, log) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return control.NewClient(path, "vipd")
}

func TestADaemonKeepsItsPromisesDirectlyAndThroughTheSocket(t *testing.T) {
	t.Run("directly", func(t *testing.T) {
		keepsItsPromises(t, func(h *controltest.Host) control.Daemon { return h })
		keepsItsPromisesToKeepStill(t, func(h *controltest.Host) control.Daemon { return h })
		keepsItsPromisesOfTokens(t, func(h *controltest.Host) control.Daemon { return h })
	})
	t.Run("through the socket", func(t *testing.T) {
		keepsItsPromises(t, func(h *controltest.Host) control.Daemon { return serve(t, h, zap.NewNop()) })
		keepsItsPromisesToKeepStill(t, func(h *controltest.Host) control.Daemon { return serve(t, h, zap.NewNop()) })
		keepsItsPromisesOfTokens(t, func(h *controltest.Host) control.Daemon { return serve(t, h, zap.NewNop()) })
	})
}

// token is the first token of each model, which init makes.
const token = "vipd1.model1"

func keepsItsPromises(t *testing.T, way func(*controltest.Host) control.Daemon) {
	t.Helper()
	ctx := t.Context()
	cluster := controltest.NewCluster("vm1", "vm2", "vm3")
	vm1, vm2, vm3 := way(cluster.Host("vm1")), way(cluster.Host("vm2")), way(cluster.Host("vm3"))

	founded := control.Formed{
		Cluster: controltest.ClusterID, Node: "vm1", JoinCommand: "vipd join 10.11.12.4 --token vipd1.model1",
		TokenUse: control.TokenUse{TTL: control.Millis(time.Hour), Uses: 10},
	}
	got, err := vm1.Init(ctx)
	same(t, "init", founded, got, err)
	founded.Already, founded.JoinCommand = true, "vipd join 10.11.12.4 --token vipd1.model2"
	got, err = vm1.Init(ctx)
	same(t, "init again", founded, got, err)

	_, err = vm2.Join(ctx, "10.11.12.6", token)
	refused(t, "join a host that is no member", err, control.CodeFailed)
	joined := control.Joined{Cluster: controltest.ClusterID, Leader: "vm1", Members: []string{"vm1", "vm2"}, Waiting: true}
	j, err := vm2.Join(ctx, "10.11.12.4", token)
	same(t, "join", joined, j, err)
	j, err = vm2.Join(ctx, "10.11.12.4:7600", token)
	same(t, "join again, without a vote", joined, j, err)
	_, err = vm1.Transfer(ctx, control.Transfer{Node: "vm2"})
	refused(t, "transfer to a member without a vote", err, control.CodeFailed)
	joined = control.Joined{Cluster: controltest.ClusterID, Leader: "vm1", Members: []string{"vm1", "vm2", "vm3"}}
	j, err = vm3.Join(ctx, "10.11.12.5", token)
	same(t, "join by way of a follower", joined, j, err)
	joined.Already = true
	j, err = vm2.Join(ctx, "10.11.12.4:7600", token)
	same(t, "join again", joined, j, err)

	m, err := vm3.Transfer(ctx, control.Transfer{Node: "vm2"})
	same(t, "transfer", control.Moved{From: "vm1", To: "vm2", Term: 2, Took: m.Took}, m, err)
	m, err = vm3.Transfer(ctx, control.Transfer{Node: "vm2"})
	same(t, "transfer to the holder", control.Moved{From: "vm2", To: "vm2", Term: 2, Took: m.Took}, m, err)
	m, err = vm3.Transfer(ctx, control.Transfer{})
	same(t, "transfer to anybody", control.Moved{From: "vm2", To: "vm1", Term: 3, Took: m.Took}, m, err)
	_, err = vm3.Transfer(ctx, control.Transfer{Node: "vm9"})
	refused(t, "transfer to a stranger", err, control.CodeUsage)

	refused(t, "remove a stranger", vm1.Remove(ctx, "vm9"), control.CodeUsage)
	refused(t, "remove the holder", vm2.Remove(ctx, "vm1"), control.CodeFailed)
	done(t, "remove", vm1.Remove(ctx, "vm3"))
	done(t, "leave", vm1.Leave(ctx))
	done(t, "leave again", vm1.Leave(ctx))

	s, err := vm2.Status(ctx)
	done(t, "status", err)
	if s.Holder == nil || s.Holder.Name != "vm2" || len(s.Cluster.Members) != 1 {
		t.Errorf("at the end: holder %v, members %v; want vm2 alone", s.Holder, s.Cluster.Members)
	}

	_, err = vm2.Simulate(ctx, control.Suppose{Lose: []string{"vm9"}})
	refused(t, "simulate the loss of a stranger", err, control.CodeUsage)
	f, err := vm2.Simulate(ctx, control.Suppose{Lose: []string{"vm2"}})
	same(t, "simulate the loss of the last member", control.Forecast{
		Before: "vm2", Why: "0 of 1 voters would be left, and 1 are needed",
		Members: []control.ForecastMember{{Name: "vm2", Priority: 100, Why: "silent for longer than 500ms"}},
	}, f, err)

	cluster.Cut()
	_, err = vm2.Transfer(ctx, control.Transfer{})
	refused(t, "transfer without a leader", err, control.CodeNoLeader)
	_, err = vm3.Join(ctx, "10.11.12.5", token)
	refused(t, "join without a leader", err, control.CodeNoLeader)
	_, err = vm2.Simulate(ctx, control.Suppose{})
	refused(t, "simulate without a leader", err, control.CodeNoLeader)
	refused(t, "remove without a leader", vm2.Remove(ctx, "vm2"), control.CodeNoLeader)

	ended, end := context.WithCancel(ctx)
	end()
	if err := vm2.Leave(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("leave after its context ended: %v, want %v", err, context.Canceled)
	}
}

// keepsItsPromisesToKeepStill is about what keeps the addresses from moving.
func keepsItsPromisesToKeepStill(t *testing.T, way func(*controltest.Host) control.Daemon) {
	t.Helper()
	ctx := t.Context()
	cluster := controltest.NewCluster("vm1", "vm2", "vm3")
	vm1, vm2, vm3 := way(cluster.Host("vm1")), way(cluster.Host("vm2")), way(cluster.Host("vm3"))
	refused(t, "freeze without a cluster", vm1.Freeze(ctx), control.CodeFailed)
	done(t, "pause without a cluster", vm2.Pause(ctx))
	_, err := vm1.Init(ctx)
	done(t, "init", err)
	_, err = vm2.Join(ctx, "10.11.12.4", token)
	done(t, "join", err)
	_, err = vm3.Join(ctx, "10.11.12.4", token)
	done(t, "join", err)
	done(t, "pause a third one for the rest of the test", vm3.Pause(ctx))

	_, err = vm1.Transfer(ctx, control.Transfer{Node: "vm2"})
	refused(t, "transfer to a paused member", err, control.CodeFailed)
	_, err = vm1.Transfer(ctx, control.Transfer{})
	refused(t, "transfer while all others are paused", err, control.CodeFailed)
	done(t, "pause the holder, which nobody can relieve", vm1.Pause(ctx))
	still(t, vm1, "vm1", true, nil)
	done(t, "resume", vm2.Resume(ctx))
	still(t, vm1, "vm2", true, nil)
	done(t, "pause again", vm1.Pause(ctx))
	done(t, "resume", vm1.Resume(ctx))
	done(t, "resume again", vm1.Resume(ctx))
	still(t, vm1, "vm2", false, nil)

	done(t, "thaw what is not frozen", vm1.Thaw(ctx))
	done(t, "freeze", vm1.Freeze(ctx))
	done(t, "freeze again", vm2.Freeze(ctx))
	still(t, vm1, "vm2", false, &control.Frozen{By: "vm1", Time: controltest.Now()})
	_, err = vm1.Transfer(ctx, control.Transfer{Node: "vm1"})
	refused(t, "transfer while frozen", err, control.CodeFailed)
	done(t, "thaw", vm2.Thaw(ctx))
	m, err := vm1.Transfer(ctx, control.Transfer{Node: "vm1", Hasty: true})
	same(t, "transfer after that", control.Moved{From: "vm2", To: "vm1", Term: 3, Took: m.Took}, m, err)
	still(t, vm1, "vm1", false, nil)

	cluster.Cut()
	refused(t, "freeze without a leader", vm1.Freeze(ctx), control.CodeNoLeader)
	refused(t, "thaw without a leader", vm1.Thaw(ctx), control.CodeNoLeader)
	done(t, "pause without a leader", vm1.Pause(ctx))
	done(t, "resume without a leader", vm1.Resume(ctx))
}

// keepsItsPromisesOfTokens is about who may join.
func keepsItsPromisesOfTokens(t *testing.T, way func(*controltest.Host) control.Daemon) {
	t.Helper()
	ctx := t.Context()
	cluster := controltest.NewCluster("vm1", "vm2", "vm3")
	vm1, vm2, vm3 := way(cluster.Host("vm1")), way(cluster.Host("vm2")), way(cluster.Host("vm3"))
	once := control.TokenUse{TTL: control.Millis(time.Minute), Uses: 1}
	_, err := vm1.CreateToken(ctx, once)
	refused(t, "make a token without a cluster", err, control.CodeFailed)
	_, err = vm1.Init(ctx)
	done(t, "init", err)

	want := control.NewToken{
		ID: "token2", Text: "vipd1.model2", JoinCommand: "vipd join 10.11.12.4 --token vipd1.model2",
		Expires: controltest.Now().Add(time.Minute), TokenUse: once,
	}
	made, err := vm1.CreateToken(ctx, once)
	same(t, "make a token", want, made, err)
	_, err = vm2.Join(ctx, "10.11.12.4", "")
	refused(t, "join without a token", err, control.CodeFailed)
	_, err = vm2.Join(ctx, "10.11.12.4", "vipd1.model9")
	refused(t, "join with another one", err, control.CodeFailed)
	_, err = vm2.Join(ctx, "10.11.12.4", made.Text)
	done(t, "join", err)
	_, err = vm2.Join(ctx, "10.11.12.4", "")
	done(t, "join again", err)
	_, err = vm3.Join(ctx, "10.11.12.4", made.Text)
	refused(t, "join with a token that is used up", err, control.CodeFailed)

	refused(t, "revoke a token that there is not", vm2.RevokeToken(ctx, "token9"), control.CodeUsage)
	done(t, "revoke", vm2.RevokeToken(ctx, "token1"))
	done(t, "revoke again", vm2.RevokeToken(ctx, "token1"))
	_, err = vm3.Join(ctx, "10.11.12.4", token)
	refused(t, "join with a token that was revoked", err, control.CodeFailed)
	known, err := vm2.Tokens(ctx)
	same(t, "tokens", []control.Token{
		{ID: "token2", By: "vm1", Created: controltest.Now(), Expires: made.Expires, Uses: 1},
		{ID: "token1", By: "vm1", Created: controltest.Now(), Expires: controltest.Now().Add(time.Hour), Uses: 10, Left: 10, Revoked: true},
	}, known, err)

	made, err = vm2.CreateToken(ctx, once)
	done(t, "make a token on another member", err)
	before, err := vm1.Status(ctx)
	done(t, "status", err)
	done(t, "rotate", vm2.Rotate(ctx))
	after, err := vm1.Status(ctx)
	done(t, "status", err)
	if before.Trust.Authority == after.Trust.Authority {
		t.Errorf("rotate has left the authority %s", after.Trust.Authority)
	}
	_, err = vm3.Join(ctx, "10.11.12.5", made.Text)
	refused(t, "join with a token from before", err, control.CodeFailed)

	cluster.Cut()
	_, err = vm1.CreateToken(ctx, once)
	refused(t, "make a token without a leader", err, control.CodeNoLeader)
	refused(t, "revoke without a leader", vm1.RevokeToken(ctx, "token1"), control.CodeNoLeader)
	refused(t, "rotate without a leader", vm1.Rotate(ctx), control.CodeNoLeader)
}

// still fails unless a host says that holder holds, and whether it is itself paused and its cluster frozen.
func still(t *testing.T, d control.Daemon, holder string, paused bool, frozen *control.Frozen) {
	t.Helper()
	s, err := d.Status(t.Context())
	done(t, "status", err)
	if s.Holder == nil || s.Holder.Name != holder || s.Node.Paused != paused {
		t.Errorf("holder %v, paused %t; want %s, %t", s.Holder, s.Node.Paused, holder, paused)
	}
	if d := cmp.Diff(frozen, s.Cluster.Frozen); d != "" {
		t.Errorf("frozen (-want +got):\n%s", d)
	}
}

func same[A any](t *testing.T, what string, want, got A, err error) {
	t.Helper()
	done(t, what, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func done(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func refused(t *testing.T, what string, err error, code int) {
	t.Helper()
	e, ok := errors.AsType[*control.Error](err)
	if !ok || e.Code != code {
		t.Errorf("%s: %#v, want an Error with code %d", what, err, code)
	}
}

func TestTheLeaderIsTheHolderAlsoWhenAskedOnAFollower(t *testing.T) {
	cluster := controltest.NewCluster("vm1", "vm2")
	vm2 := serve(t, cluster.Host("vm2"), zap.NewNop())
	if _, err := cluster.Host("vm1").Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := vm2.Join(t.Context(), "10.11.12.4", token); err != nil {
		t.Fatal(err)
	}

	got, err := vm2.Leader(t.Context())
	same(t, "leader", control.Leader{Name: "vm1", ID: "id-vm1", Address: "10.11.12.4:7600", Term: 1}, got, err)

	cluster.Cut()
	_, err = vm2.Leader(t.Context())
	refused(t, "leader while nobody holds", err, control.CodeNoLeader)
}

func TestTheServerAddsWhatFollowsFromTheStatus(t *testing.T) {
	vm1 := serve(t, controltest.NewCluster("vm1").Host("vm1"), zap.NewNop())
	s, err := vm1.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"this host is in no cluster yet: found one with `vipd init`, or join one: `vipd token create` there prints the command"}
	if d := cmp.Diff(want, s.Warnings); d != "" {
		t.Errorf("warnings (-want +got):\n%s", d)
	}
}

// TestMain keeps the paths of sockets short: t.TempDir() below a long TMPDIR
// would not fit into sun_path.
func TestMain(m *testing.M) {
	if len(os.TempDir()) > 20 {
		_ = os.Setenv("TMPDIR", "/tmp")
	}
	os.Exit(m.Run())
}
