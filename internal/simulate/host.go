package simulate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/election"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/hooks"
	"github.com/vipd/vipd/trust/trusttest"
)

// host is a machine: what outlives its daemon.
type host struct {
	world   *world
	name    string
	address string
	clock   clock
	disk    *disk
	log     *zap.Logger

	// guarded by world.mu
	kernel    kernel
	daemon    *daemon   // the one that lives; nil if none does
	disturbed time.Time // it was stopped, slow or without its means until then
	down      bool      // it shall not start
	ids       []string  // that joins of this host were for
	changing  bool      // an operator's change of its membership is under way

	owed   bool      // it had the address, and whoever has it next must fence it
	paused pausing   // by an operator
	resume bool      // an operator shall resume it when the round is over
	frozen time.Time // since when its daemon is known to know that the cluster is
	kept   *daemon   // which must not hand over, because of that

	policy  agent.Policy
	sick    atomic.Bool
	lame    atomic.Bool // its check with a weight fails
	scripts scripts
}

// restartDelay is how long systemd waits before it starts a daemon that has died.
const restartDelay = 100 * time.Millisecond

// daemon is one life of vipd, put together as cmd/vipd does.
type daemon struct {
	host    *host
	process *process
	handle  *handle
	node    *election.Node
	agent   *agent.Agent
	monitor *health.Monitor
	hooks   *hooks.Runner
	script  script
	ready   atomic.Bool // node and agent may be asked
	asked   atomic.Bool // its status is being asked for

	// guarded by world.mu
	cancel   context.CancelFunc
	known    bool   // id is
	id       string // of the member, as it says
	stopping bool   // it was told to, or ends by itself
}

func newHost(w *world, i int) *host {
	name := fmt.Sprintf("vm%d", i+1)
	return &host{
		world: w, name: name, address: fmt.Sprintf("10.11.12.%d:7600", 4+i),
		clock: clock{w.began, election.Instant(w.chance.upTo(1000 * time.Hour)), 1 + drift*(2*w.chance.unit()-1)},
		disk:  &disk{chance: w.chance, data: newData()}, log: w.timeline.logger(name), policy: agent.Policy{PrepareLimit: hookTimeout},
	}
}

// boot starts the daemon, and again whenever it ends by itself, until it is killed.
func (h *host) boot() {
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	if h.daemon != nil || h.world.over || h.down {
		return
	}
	d := h.spawn()
	h.world.running.Go(func() { d.live() })
}

// spawn makes a new process; the caller has world.mu.
func (h *host) spawn() *daemon {
	p := &process{chance: h.world.chance, starved: h.world.profile.Starvation}
	d := &daemon{host: h, process: p, handle: h.disk.open(p)}
	h.kernel.drift = make(chan struct{}, 1)
	h.daemon = d
	return d
}

// live runs the daemon and its successors.
func (d *daemon) live() {
	for {
		err := d.run()
		if !d.kill(fmt.Sprintf("ended: %v", err), false) {
			return // it was killed from outside, and is started from there
		}
		if !errors.Is(err, election.ErrLeft) {
			time.Sleep(restartDelay)
		}
		w := d.host.world
		w.mu.Lock()
		if w.over || d.host.daemon != nil || d.host.down {
			w.mu.Unlock()
			return
		}
		d = d.host.spawn()
		w.mu.Unlock()
	}
}

// kill ends a life at once: nothing of it reaches network, disk, fence, addresses
// or hooks from here on. Its goroutines end later. It is false if it was dead.
func (d *daemon) kill(how string, power bool) bool {
	h, w := d.host, d.host.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.process.dead.Swap(true) {
		return false
	}
	w.timeline.add(h.name, "%s", how)
	w.network.abandon(h.address, d.process, power)
	d.handle.crash()
	if power {
		h.losePower()
	}
	h.daemon = nil
	d.process.resume()
	if d.cancel != nil {
		d.cancel()
	}
	return true
}

// losePower forgets what the kernel knew. The caller has world.mu.
func (h *host) losePower() {
	h.kernel.set(h.clock.now(), 0)
	h.kernel.armed, h.kernel.bound, h.kernel.leased = false, false, 0
}

// run is one life, as runMember in cmd/vipd is.
func (d *daemon) run() error {
	h, kernel := d.host, calls{d.host, d.process}
	if err := kernel.Arm(); err != nil {
		h.log.Error("the fence can't be armed")
	}
	if err := kernel.Release(); err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	if err := d.open(kernel); err != nil {
		return err
	}
	err := d.serve()
	h.world.mu.Lock()
	d.stopping = true
	h.world.mu.Unlock()
	err = errors.Join(err, d.node.Close())
	kernel.SetDeadline(0)
	return errors.Join(err, kernel.Release())
}

func (d *daemon) open(kernel calls) error {
	h, w := d.host, d.host.world
	listener := w.network.listen(h.address, d.process)
	node, err := election.Open(election.Config{
		Name: h.name, Address: netip.MustParseAddrPort(h.address), Version: "simulated", Detect: w.detect, Disk: d.handle,
		Witness: h.policy.Witness, Pair: w.profile.Pair, Fences: h.policy.Fence,
		Machine: h.name, Listener: listener, Wire: trusttest.Plain{Now: time.Now}, Fence: kernel, Now: d.now, Log: h.log,
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return w.network.dial(ctx, d.process, h.address, address)
		},
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	d.node = node
	d.monitor = health.NewMonitor(h.checks(), h.log)
	d.monitor.RunInstead(d.check)
	d.hooks = hooks.NewRunner(hooksFor(h.policy), zap.NewNop())
	d.hooks.RunInstead(d.execute)
	d.agent = agent.New(agent.Config{
		Policy: h.policy, Paused: node.Paused(), Election: observed{node, d}, Kernel: kernel, Hooks: d, Validity: validity(w.detect),
		Lease: node.Changed(), Drift: h.kernel.drift, Alive: func() {}, Log: h.log,
	})
	node.HandleMoves(func(ctx context.Context, m election.Move) error {
		_, err := d.agent.Transfer(ctx, m)
		return err
	})
	node.HandlePrepare(d.agent.Prepare)
	return nil
}

// checks has one with a weight where priorities differ. A witness has none.
func (h *host) checks() []health.Check {
	service := health.Check{Name: "service", Interval: max(time.Second, h.world.detect/4), Timeout: 5 * time.Second, Fall: 1, Rise: 1}
	shifting := service
	shifting.Name, shifting.Weight = "weighted", weighted
	switch {
	case h.policy.Witness:
		return nil
	case h.world.profile.Varied:
		return []health.Check{service, shifting}
	}
	return []health.Check{service}
}

// validity is the lifetime of a bound address, as in cmd/vipd.
func validity(detect time.Duration) time.Duration { return detect + 2*time.Second }

func (d *daemon) now() election.Instant {
	now := d.host.clock.now()
	d.process.pass() // a reading may be used late
	return now
}

func (d *daemon) serve() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d.host.world.mu.Lock()
	d.cancel = cancel
	dead := d.process.dead.Load()
	d.host.world.mu.Unlock()
	if dead {
		return errDead
	}
	g, running := errgroup.WithContext(ctx)
	running, done := context.WithCancelCause(running)
	defer done(nil)
	g.Go(func() error {
		d.agent.Run(running)
		done(nil)
		return nil
	})
	g.Go(func() error { return d.node.Run(running) })
	g.Go(func() error {
		return d.monitor.Run(running, func(v health.Verdict) {
			if v.Known {
				d.agent.Report(agent.HealthChanged{Healthy: v.Healthy, Reason: v.Reason, Shift: v.Shift})
			}
		})
	})
	d.ready.Store(true)
	return g.Wait()
}

// check is the script of the checks.
func (d *daemon) check(ctx context.Context, c health.Check) error {
	d.process.pass()
	if c.Weight == 0 && d.host.sick.Load() || c.Weight != 0 && d.host.lame.Load() {
		return errors.New("exit status 1")
	}
	return ctx.Err()
}
