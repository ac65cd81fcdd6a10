package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/election"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/hooks"
	"github.com/vipd/vipd/trust"
	"github.com/vipd/vipd/vip"
)

// runDaemon runs vipd until ctx ends, and then stops the service, hands over and
// takes the addresses off before it returns. After this host has left its cluster
// it goes on as a host that belongs to none.
func runDaemon(ctx context.Context, cfg *config.Config, log *zap.Logger) error {
	socket, err := control.Claim(cfg.Socket)
	if err != nil {
		return err
	}
	defer func() { _ = socket.Release() }() // ends with the process anyway
	started := time.Now()
	ready := sync.OnceFunc(func() {
		notify(daemon.SdNotifyReady)
		log.Info("vipd is running", zap.String("node", cfg.Node.Name), zap.Stringer("address", cfg.Node.Address), zap.String("version", version))
	})
	for left := false; ; left = true {
		s := &server{
			cfg: cfg, log: log, started: started, ready: ready, left: left,
			kernel: newKernel(cfg.VIP), monitor: health.NewMonitor(cfg.Checks, log),
		}
		if err := s.run(ctx, socket); !errors.Is(err, election.ErrLeft) {
			return err
		}
		log.Info("this host belongs to no cluster now, and goes on waiting for vipd init or vipd join")
	}
}

// server is one life of the daemon, between joining and leaving.
type server struct {
	cfg     *config.Config
	log     *zap.Logger
	started time.Time // of the daemon
	ready   func()    // says so, the first time
	left    bool      // the daemon was in a cluster in its life before
	kernel  *kernel
	node    *election.Node
	monitor *health.Monitor
	agent   *agent.Agent
	drift   chan struct{}
	pausing sync.Mutex // what is recorded of a pause is what the agent was told last
}

// run is that life: it ends with an error only where it could not be lived, or
// with [election.ErrLeft].
func (s *server) run(ctx context.Context, socket *control.Socket) error {
	if err := s.kernel.Arm(); err != nil {
		s.log.Error("the fence can't be armed; this host will not hold the addresses", zap.Error(err),
			zap.String("hint", control.ErrorOf(err).Advice))
	}
	if err := s.kernel.Release(); err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	err := s.serve(ctx, socket)
	closing := errors.Join(s.node.Close(), s.kernel.Clear())
	if closing != nil && errors.Is(err, election.ErrLeft) {
		return closing // what it has left is not gone yet: the next life is for another process
	}
	return errors.Join(err, closing)
}

// cannotListen adds what to look at when the port is taken.
func cannotListen(err error) error {
	err = fmt.Errorf("listen for the other hosts on node.address: %w", err)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return &control.Error{
		Message: err.Error(),
		Advice:  "`ss -ltnp` shows who has the port; a vipd that was stopped while its disk hangs keeps it until the disk answers",
		Code:    control.CodeFailed,
	}
}

// open joins the parts.
func (s *server) open(ctx context.Context) error {
	machine := election.MachineID()
	if machine == "" {
		s.log.Warn(noMachine, zap.String("hint", noMachineHint))
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Node.Address.String())
	if err != nil {
		return cannotListen(err)
	}
	disk, err := election.OpenDataDir(s.cfg.DataDir, s.log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.node, err = election.Open(election.Config{
		Name: s.cfg.Node.Name, Address: s.cfg.Node.Address, Version: version, Detect: s.cfg.Detect,
		Witness: s.cfg.Node.Witness, Pair: s.cfg.AllowTwoVoters, Fences: len(s.cfg.Hooks.Fence) > 0,
		Disk: disk, Machine: machine, Listener: listener, Dial: dialFrom(s.cfg), Wire: trust.TLS{Now: time.Now},
		Forms: formation(s.cfg), Left: s.left,
		Fence: s.kernel, Now: boottime, Log: s.log,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.drift = make(chan struct{}, 1)
	s.agent = agent.New(agent.Config{
		Policy: policy(s.cfg), Paused: s.node.Paused(),
		Election: s.node, Kernel: s.kernel, Hooks: hookRunner{hooks.NewRunner(s.cfg.Hooks, s.log), s.node}, Validity: validity(s.cfg.Detect),
		Lease: s.node.Changed(), Drift: s.drift, Alive: func() { notify(daemon.SdNotifyWatchdog) }, Log: s.log,
	})
	s.node.HandleMoves(func(ctx context.Context, m election.Move) error {
		_, err := s.agent.Transfer(ctx, m)
		return err
	})
	s.node.HandlePrepare(s.agent.Prepare)
	return nil
}

// formation is how this host finds the others without an operator; nil if it does not.
func formation(cfg *config.Config) *election.Formation {
	if len(cfg.Formation.Expect) == 0 {
		return nil
	}
	return &election.Formation{Expect: cfg.Formation.Expect, Secret: cfg.Secret}
}

// prepareGrace is how much longer than its script may take a successor may take to say how
// that has ended.
const prepareGrace = 5 * time.Second

// policy is what of the configuration the agent goes by.
func policy(cfg *config.Config) agent.Policy {
	return agent.Policy{
		Priority: cfg.Node.Priority, Witness: cfg.Node.Witness,
		Preempt: cfg.Preempt, PreemptDelay: cfg.PreemptDelay, DrainTime: cfg.DrainTime, Release: cfg.ReleaseUnwell,
		Prepare: len(cfg.Hooks.Prepare) > 0, PrepareLimit: cfg.Hooks.Timeout + prepareGrace,
		Fence: len(cfg.Hooks.Fence) > 0, FenceProceeds: cfg.FenceProceeds, WaitForHook: cfg.Probe.WaitForHook,
	}
}

// dialFrom returns what connects to the other hosts from node.address.
func dialFrom(cfg *config.Config) election.Dialer {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: cfg.Node.Address.Addr().AsSlice()}}
	return func(ctx context.Context, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", address)
	}
}

// serve runs the parts until the agent has let go of everything, or one of them
// fails.
func (s *server) serve(ctx context.Context, socket *control.Socket) error {
	listener, err := socket.Listen()
	if err != nil {
		return err
	}
	probe, err := s.listenForProbes(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	g, running := errgroup.WithContext(context.WithoutCancel(ctx))
	running, done := context.WithCancelCause(running)
	g.Go(func() error {
		s.agent.Run(running)
		done(nil)
		return nil
	})
	g.Go(func() error { return s.node.Run(running) })
	g.Go(func() error { return control.Serve(running, listener, answers{s}, s.log) })
	g.Go(func() error { return vip.Watch(running, s.drift) })
	g.Go(func() error {
		return s.monitor.Run(running, func(v health.Verdict) {
			if v.Known {
				s.agent.Report(healthChanged(v))
			}
		})
	})
	if probe != nil {
		g.Go(func() error {
			return control.ServeProbe(running, probe, s.answering, s.log)
		})
	}
	stop := context.AfterFunc(ctx, func() {
		notify(daemon.SdNotifyStopping)
		s.agent.Report(agent.StopAsked{})
		s.hurry(running)
	})
	defer stop()
	s.ready()
	return g.Wait()
}

// answering reports whether load balancers should send to this host. The lease is asked
// for itself: the agent may be held up.
func (s *server) answering() bool {
	state, lease := s.agent.State(), s.node.Lease()
	return state.Answering() && lease.Held && lease.Term == state.Term
}

// hurry takes each further signal to stop for a wish to be quicker: the first is not to
// wait for the successor to be prepared or for connections to end, the next not to wait
// for the hooks.
func (s *server) hurry(ctx context.Context) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	for {
		select {
		case <-signals:
			s.log.Warn("told to stop once more: in haste")
			s.agent.Report(agent.StopAsked{Hasty: true})
		case <-ctx.Done():
			return
		}
	}
}

// listenForProbes returns where load balancers ask; nil if nowhere.
func (s *server) listenForProbes(ctx context.Context) (net.Listener, error) {
	if !s.cfg.Probe.Listen.IsValid() {
		return nil, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Probe.Listen.String())
	if err != nil {
		return nil, &control.Error{Message: fmt.Sprintf("listen for load balancers on probe.listen: %v", err), Advice: "`ss -ltnp` shows who has the port", Code: control.CodeFailed}
	}
	return listener, nil
}

// notify tells systemd (sd_notify(3)); without systemd it does nothing.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

// healthChanged is a verdict as the agent and the cluster know it.
func healthChanged(v health.Verdict) agent.HealthChanged {
	e := agent.HealthChanged{Healthy: v.Healthy, Reason: v.Reason, Shift: v.Shift}
	for _, c := range v.Checks {
		e.Checks = append(e.Checks, election.Check{Name: c.Name, Healthy: c.Healthy, Weight: c.Weight, Reason: c.Reason})
	}
	return e
}

// hookRunner runs the operator's scripts for the agent.
type hookRunner struct {
	runner *hooks.Runner
	node   *election.Node
}

// Run tells the script of a change of role.
func (h hookRunner) Run(ctx context.Context, role, previous agent.Role, term uint64, reason string) error {
	return h.runner.Run(ctx, hooks.Event{
		State: string(role), Previous: string(previous), Term: term, Reason: reason, Leader: h.node.Status().Leader.Name,
	})
}

// Prepare has the script warm the service up.
func (h hookRunner) Prepare(ctx context.Context, reason string) error {
	s := h.node.Status()
	return h.runner.Prepare(ctx, hooks.Event{Term: s.Term, Reason: reason, Leader: s.Leader.Name})
}

// Fence has the script put a holder before out of action.
func (h hookRunner) Fence(ctx context.Context, previous election.Member, term uint64, reason string) error {
	address := previous.Address
	if a, err := netip.ParseAddrPort(address); err == nil {
		address = a.Addr().String()
	}
	return h.runner.Fence(ctx, hooks.Event{
		Term: term, Reason: reason, Leader: h.node.Status().Leader.Name, OldHolder: previous.Name, OldAddress: address,
	})
}
