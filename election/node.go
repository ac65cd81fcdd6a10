package election

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/vipd/vipd/trust"
)

// Config is what a member needs. All fields are required, unless they say otherwise.
type Config struct {
	Name     string         // unique in the cluster
	Address  netip.AddrPort // this host's own fixed address
	Version  string
	Detect   time.Duration // 50 ms to 60 s; must equal the cluster's
	Witness  bool          // votes and never holds
	Pair     bool          // as the leader it lets two hosts have the only votes, neither of them a witness's
	Fences   bool          // whoever held before and did not let go is fenced, see [Node.Claim]; the same on all members
	Disk     Disk          // closed by the node, also when Open fails
	Machine  string        // tells this machine from its clones, see [MachineID]; empty if nothing does
	Listener net.Listener
	Dial     Dialer
	Wire     trust.Wire // what makes the connections of both secure
	Forms    *Formation // nil: a cluster is founded and joined on order only
	Left     bool       // this host has left its cluster before; forms none until it has joined one on order
	Fence    Fence
	Now      func() Instant // CLOCK_BOOTTIME
	Log      *zap.Logger    // must not block
}

// closeTimeout is how long [Node.Close] waits for the disk.
const closeTimeout = 5 * time.Second

// ErrLeft ends [Node.Run] after this host has left its cluster or was removed from
// it. Its data are gone; a new Node may be opened.
var ErrLeft = errors.New("this host has left the cluster")

// Node is one member of the cluster, or a host that is yet to become one.
type Node struct {
	cfg        Config
	log        *zap.Logger
	store      *store
	machine    *machine
	rules      *rules
	stream     *stream
	transport  *transport
	raft       *raft.Raft
	view       *raftView
	watched    chan struct{} // see Changed
	reporting  chan struct{} // holds a token after report has changed
	left       chan struct{} // closed when this host has left
	leaving    sync.Once
	changing   chan struct{} // a token: one change of membership at a time
	lastChange Instant       // when the last one ended; of whoever has the token
	move       func(context.Context, Move) error
	prepare    func(context.Context) error
	background sync.WaitGroup // work that ends soon after raft has
	unanswered atomic.Int64   // questions to raft
	ended      chan struct{}  // closed when raft has ended
	told       atomic.Uint64  // the term whose change of holder was logged last
	trusting   chan struct{}  // holds a token after the replicated state may have changed; see keepTrusted
	former     former
	guesses    guesses

	diskErr  atomic.Pointer[string]        // why the data directory can't be written; nil or empty if it can
	diskLost chan error                    // holds why this member must end
	diskHung atomic.Pointer[diskCondition] // nil at the start

	entering  mutex // a cluster: one founds or joins at a time
	rewriting mutex // of the identity
	mu        sync.Mutex
	identity  identity
	standing  Standing
}

// Open reads the disk, closes the fence and starts to take part. It fails
// on a clone, on a directory in use, and where the cluster's detect is another than
// the configured one. The caller runs [Node.Run] and then [Node.Close].
func Open(cfg Config) (*Node, error) {
	cfg.Fence.SetDeadline(0)
	st := &store{Disk: cfg.Disk}
	id, err := st.identify(cfg.Machine)
	if err == nil && id.Cluster != "" && id.Detect != cfg.Detect {
		err = detectDiffers(cfg.Detect, id.Detect)
	}
	if err == nil && cfg.Left && !id.Left && id.Cluster == "" {
		id.Left = true
		err = st.put(keyIdentity, id)
	}
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	n := &Node{
		cfg: cfg, log: cfg.Log, store: st, machine: newMachine(), view: &raftView{}, identity: id,
		watched: make(chan struct{}, 1), reporting: make(chan struct{}, 1), left: make(chan struct{}), ended: make(chan struct{}), diskLost: make(chan error, 1), changing: make(chan struct{}, 1), trusting: make(chan struct{}, 1),
		move: func(context.Context, Move) error { return errNotHere }, prepare: func(context.Context) error { return nil },
		standing: Standing{Fitness: Unable, Reason: "just started", Priority: DefaultPriority},
	}
	self := raft.ServerID(id.ID)
	n.rules = newRules(self, cfg.Detect, cfg.Now, n.view.votersIn, cfg.Fence)
	st.failing, st.watchdog, st.lost = n.diskFails, newWatchdog(hangLimit(cfg.Detect), n.diskHangs), n.losesDisk
	n.stream = n.listen()
	if err := n.start(self); err != nil {
		n.stream.close()
		return nil, errors.Join(err, st.Close())
	}
	return n, nil
}

func detectDiffers(here, cluster time.Duration) error {
	return hinted(fmt.Sprintf("detect is %s in the configuration of this host, but %s in the cluster", here, cluster),
		fmt.Sprintf("it is fixed when the cluster is founded: write `detect: %s` and restart vipd", cluster))
}

// start builds the transport and raft on top of it.
func (n *Node) start(self raft.ServerID) error {
	logger := newRaftLogger(n.log)
	timeout := max(2*n.cfg.Detect, 500*time.Millisecond)
	network := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: boundedLayer{raftLayer{n.stream.raft, n.stream}, timeout}, MaxPool: 3, MaxRPCsInFlight: 1,
		Timeout: timeout, Logger: logger,
	})
	order := &turn{self: self, detect: n.cfg.Detect, now: n.cfg.Now, order: n.order, unfit: n.handicap, heard: n.rules.lastHeard}
	n.transport = newTransport(network, n.rules, n.view, order)
	var r *raft.Raft
	err := contained(func() (err error) { // it panics where entries are missing
		r, err = raft.NewRaft(n.raftConfig(self), n.machine, n.store, n.store, n.store, n.transport)
		return err
	})
	if err != nil {
		err = hinted(fmt.Sprintf("data directory: open the log and the snapshots: %v", err), wayOut(err, beginAnew))
		select {
		case err = <-n.diskLost:
		default:
		}
		return errors.Join(err, n.transport.Close())
	}
	n.store.started.Store(true)
	n.raft = r
	n.view.raft.Store(r)
	for _, s := range n.view.Configuration().Servers {
		if s.ID == self && s.Address != n.transport.LocalAddr() {
			err = hinted(fmt.Sprintf("node.address is %s, but the cluster knows this host at %s", n.transport.LocalAddr(), s.Address),
				"set it back, run `vipd leave`, and then change it and join again")
			return errors.Join(err, r.Shutdown().Error())
		}
	}
	return nil
}

// raftConfig sets raft's own timers as the fallback below the detector. Its leader
// lease must not be shorter than ours, or it would step down while the fence is
// open.
func (n *Node) raftConfig(self raft.ServerID) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = self
	c.HeartbeatTimeout = n.cfg.Detect
	c.ElectionTimeout = n.cfg.Detect + time.Microsecond // constant under poke, which moves only the other
	if c.LeaderLeaseTimeout = n.rules.lease; leftOut(ruleSerial) {
		c.LeaderLeaseTimeout = n.cfg.Detect // safety does not rest on raft's own lease, which nearly hides what is missing
	}
	c.CommitTimeout = min(max(n.cfg.Detect/2, 25*time.Millisecond), 500*time.Millisecond)
	c.SnapshotThreshold, c.TrailingLogs = 128, 64
	c.ShutdownOnRemove = false
	c.NoLegacyTelemetry = true
	c.Logger = newRaftLogger(n.log)
	return c
}

// Run takes part until ctx ends, and then returns nil; or until this host has left
// its cluster, and then returns [ErrLeft]; or until its disk can't be relied on.
func (n *Node) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { n.detectSilence(ctx); return nil })
	g.Go(func() error { return n.holdAlone(ctx) })
	g.Go(func() error { n.watchLease(ctx); return nil })
	g.Go(func() error { n.keepReported(ctx); return nil })
	g.Go(func() error { n.watchMembers(ctx); return nil })
	g.Go(func() error { n.keepEnfranchised(ctx); return nil })
	n.background.Go(func() { n.keepTrusted(ctx) }) // these two write to the disk, which may hang
	n.background.Go(func() { n.form(ctx) })
	g.Go(func() error { return serve(ctx, n.stream.members, n.forMembers()) })
	g.Go(func() error { return serve(ctx, n.stream.strangers, n.forStrangers()) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-n.left:
			return ErrLeft
		case err := <-n.diskLost:
			return err
		}
	})
	return g.Wait()
}

// Close gives up the lease, stops taking part and closes all files. After the host
// has left its cluster it also removes its data. It does not wait for a disk that
// hangs: after some seconds it fails, and only the end of the process helps.
func (n *Node) Close() error {
	n.rules.setFitness(Unable)
	n.rules.abdicate(n.raft.CurrentTerm())
	closed := make(chan error, 1)
	go func() { closed <- n.shutDown() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(closeTimeout):
		reason := append(n.diskTrouble(), "data directory: it does not answer")[0]
		return hinted(fmt.Sprintf("stopped without closing the files: %s", reason), "look at the disk of this host; what was not written is not missed, the other members have it")
	}
}

func (n *Node) shutDown() error {
	for until := time.Now().Add(n.cfg.Detect / 4); n.unanswered.Load() > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond) // raft would forget some of it
	}
	err := n.raft.Shutdown().Error() // closes the transport as well
	close(n.ended)
	n.stream.close()
	n.transport.drain()
	n.background.Wait()
	n.store.watchdog.stop()
	err = errors.Join(err, n.store.Close())
	select {
	case <-n.left:
		err = errors.Join(err, n.store.Remove())
	default:
	}
	return err
}

// who returns what this host is.
func (n *Node) who() identity {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.identity
}

// adopt records, durably, that this host belongs to cluster from now on. A log of another
// one must not come with it: its entries would pass for those of the new one where their
// terms are the same.
func (n *Node) adopt(cluster string, credentials *trust.Credentials) error {
	return n.changeIdentity(func(id *identity) error {
		if id.Cluster != cluster && len(n.view.Configuration().Servers) > 0 {
			return hinted("the data directory has the log of another cluster", "if a `vipd recover` was broken off, repeat it; if not, stop vipd, empty the data directory and start vipd")
		}
		id.Cluster, id.Detect, id.Credentials, id.Authority = cluster, n.cfg.Detect, credentials, trust.Authority{}
		return nil
	})
}

// changeIdentity changes what this host is, first on the disk. Nobody waits meanwhile but
// those who want to change it too: the disk may hang.
func (n *Node) changeIdentity(change func(*identity) error) error {
	n.rewriting.Lock()
	defer n.rewriting.Unlock()
	n.mu.Lock()
	id := n.identity
	n.mu.Unlock()
	if err := change(&id); err != nil {
		return err
	}
	if err := n.store.put(keyIdentity, id); err != nil {
		return fmt.Errorf("write the identity: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.identity = id
	return nil
}

// reportSoon has the cluster told of what has changed here.
func (n *Node) reportSoon() { signal(n.reporting) }

// diskFails notes how the last write to the data directory ended.
func (n *Node) diskFails(err error) {
	failure := ""
	if err != nil {
		failure = "data directory: " + err.Error()
	}
	before := n.diskErr.Swap(&failure)
	changed := before == nil && err != nil || before != nil && *before != failure
	switch {
	case changed && err != nil:
		n.log.Error("the data directory can't be written", zap.Error(err))
	case changed:
		n.log.Info("the data directory can be written again")
	}
}

// losesDisk ends this member: after a write that failed, other than for want of room,
// what the files hold is only certain once they are opened and checked anew.
func (n *Node) losesDisk(err error) {
	select {
	case n.diskLost <- hinted(fmt.Sprintf("data directory: a write failed: %v", err), wayOut(err, "see `dmesg` for errors of the disk; the daemon that is started next checks the files")):
	default:
	}
}

// diskHangs notes whether writes come back, see [watchdog]. It runs inside a write,
// so it must not wait for one.
func (n *Node) diskHangs(c diskCondition) {
	before := n.diskCondition()
	n.diskHung.Store(&c)
	n.rules.setHanging(c.fitness == Unable)
	switch {
	case c.fitness == Unable:
		n.log.Error("a write to the data directory hangs; this host does not hold the addresses until it has come back", zap.Duration("limit", n.store.watchdog.limit))
	case before.fitness == Unable:
		n.log.Warn("the write to the data directory has come back", zap.String("reason", c.trouble))
	case c.fitness == Ready:
		n.log.Info("writes to the data directory come back in time again")
	}
	n.notify()
	n.reportSoon()
}

func (n *Node) diskCondition() diskCondition {
	if c := n.diskHung.Load(); c != nil {
		return *c
	}
	return diskCondition{fitness: Ready}
}

// diskTrouble says what is wrong with the data directory, the gravest first.
func (n *Node) diskTrouble() []string {
	var trouble []string
	if c := n.diskCondition(); c.trouble != "" {
		trouble = append(trouble, c.trouble)
	}
	if failure := n.diskErr.Load(); failure != nil && *failure != "" {
		trouble = append(trouble, *failure)
	}
	return trouble
}

// raftView lets the transport ask its own raft, also while raft is being built.
type raftView struct{ raft atomic.Pointer[raft.Raft] }

func (v *raftView) Configuration() raft.Configuration {
	if r := v.raft.Load(); r != nil {
		return r.GetConfiguration().Configuration()
	}
	return raft.Configuration{}
}

func (v *raftView) Term() uint64 {
	if r := v.raft.Load(); r != nil {
		return r.CurrentTerm()
	}
	return 0
}

func (v *raftView) Campaigning(term uint64) bool {
	r := v.raft.Load()
	return r != nil && r.State() == raft.Candidate && r.CurrentTerm()+1 == term
}

// votersIn returns the voters of the latest configuration if it is none of a later
// term. Raft enters a term before it takes over a configuration from it.
func (v *raftView) votersIn(term uint64) []raft.ServerID {
	ids := v.voters()
	if v.Term() != term && !leftOut(ruleFresh) {
		return nil
	}
	return ids
}

func (v *raftView) voters() []raft.ServerID {
	var ids []raft.ServerID
	for _, s := range v.Configuration().Servers {
		if s.Suffrage == raft.Voter {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
