package election

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/vipd/vipd/trust/trusttest"
)

// network connects the members of a test in memory. Cutting a member makes its
// connections swallow what is written, as a network does that drops packets.
type network struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
	cut       map[string]bool // "from>to"
}

func newNetwork() *network {
	return &network{listeners: make(map[string]*pipeListener), cut: make(map[string]bool)}
}

type pipeListener struct {
	*queue
	addr string
}

type pipeAddr string

func (a pipeAddr) Network() string { return "pipe" }
func (a pipeAddr) String() string  { return string(a) }

func (w *network) listen(addr string) net.Listener {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &pipeListener{newQueue(pipeAddr(addr)), addr}
	w.listeners[addr] = l
	return l
}

func (w *network) dialer(from string) Dialer {
	return func(ctx context.Context, to string) (net.Conn, error) {
		w.mu.Lock()
		l := w.listeners[to]
		w.mu.Unlock()
		if w.isCut(from, to) || w.isCut(to, from) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if l == nil {
			return nil, errors.New("connection refused")
		}
		here, there := net.Pipe()
		select {
		case l.conns <- &lossyConn{there, w, to, from}:
			return &lossyConn{here, w, from, to}, nil
		case <-l.done:
			return nil, errors.New("connection refused")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (w *network) isCut(from, to string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut[from+">"+to]
}

// isolate cuts or heals all links of one address.
func (w *network) isolate(addr string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for other := range w.listeners {
		w.cut[addr+">"+other], w.cut[other+">"+addr] = cut, cut
	}
}

// part cuts or heals the link between two addresses.
func (w *network) part(a, b string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[a+">"+b], w.cut[b+">"+a] = cut, cut
}

type lossyConn struct {
	net.Conn
	network  *network
	from, to string
}

// RemoteAddr is that of the member at the other end.
func (c *lossyConn) RemoteAddr() net.Addr { return pipeAddr(c.to) }

func (c *lossyConn) Write(b []byte) (int, error) {
	if c.network.isCut(c.from, c.to) {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// memoryFence is a fence that a test can look at.
type memoryFence struct {
	mu    sync.Mutex
	until int64
}

func (f *memoryFence) SetDeadline(until int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = until
}

func (f *memoryFence) open(now Instant) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(now) < f.until
}

// host is one member under test.
type host struct {
	t     *testing.T
	dir   string
	drive *drive
	net   *network
	cfg   Config
	fence *memoryFence
	node  *Node
	stop  context.CancelFunc
	done  chan error
}

func testNow() Instant { return Instant(time.Now().UnixNano()) }

func newHost(t *testing.T, w *network, i int, detect time.Duration) *host {
	addr := netip.MustParseAddrPort(fmt.Sprintf("10.11.12.%d:7600", 3+i))
	log := zap.NewNop()
	if testing.Verbose() {
		log = zaptest.NewLogger(t).Named(fmt.Sprintf("vm%d", i))
	}
	h := &host{t: t, dir: t.TempDir(), drive: &drive{}, net: w, fence: &memoryFence{}, cfg: Config{
		Name: fmt.Sprintf("vm%d", i), Address: addr, Version: "test", Detect: detect, Machine: "m", Pair: true,
		Dial: w.dialer(addr.String()), Wire: trusttest.Plain{Now: time.Now}, Now: testNow, Log: log,
	}}
	h.cfg.Fence = h.fence
	return h
}

func (h *host) start() {
	h.t.Helper()
	h.cfg.Listener = h.net.listen(h.cfg.Address.String())
	h.cfg.Disk = &drivenDisk{h.disk(), h.drive}
	node, err := Open(h.cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	node.HandleMoves(func(ctx context.Context, m Move) error {
		to, err := node.Successor(ctx, m.Target)
		if err != nil {
			return err
		}
		if err := node.Intend("asked", m.Cause); err != nil {
			return err
		}
		if err := node.Release(node.Lease().Term); err != nil {
			return err
		}
		return node.HandOver(ctx, to, 0)
	})
	node.SetStanding(Standing{Fitness: Ready})
	ctx, cancel := context.WithCancel(context.Background())
	h.node, h.stop, h.done = node, cancel, make(chan error, 1)
	go func() { h.done <- node.Run(ctx) }()
}

// join makes h a member of the cluster of a peer, with a token from there.
func (h *host) join(peer *host) (already bool, err error) {
	return h.node.Join(h.t.Context(), peer.cfg.Address.String(), peer.token())
}

func (h *host) token() string {
	h.t.Helper()
	text, _, err := h.node.CreateToken(h.t.Context(), Use{TTL: time.Hour, Uses: 1})
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

func (h *host) disk() Disk {
	h.t.Helper()
	d, err := OpenDataDir(h.dir, h.cfg.Log)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

// halt stops the member without a word to the others, like a crash after which
// the files are as they were.
func (h *host) halt() error {
	h.stop()
	err := <-h.done
	return errors.Join(err, h.node.Close())
}

// form starts n hosts and makes them one cluster, led by the first.
func form(t *testing.T, n int, detect time.Duration) (*network, []*host) {
	t.Helper()
	w := newNetwork()
	hosts := make([]*host, n)
	for i := range hosts {
		hosts[i] = newHost(t, w, i+1, detect)
		hosts[i].start()
	}
	if _, err := hosts[0].node.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts[1:] {
		if _, err := h.join(hosts[0]); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the founder holds the lease", func() bool { return hosts[0].node.Lease().Held })
	return w, hosts
}

func haltAll(t *testing.T, hosts []*host) {
	for _, h := range hosts {
		if err := h.halt(); err != nil {
			t.Error(err)
		}
	}
}

// await waits for a condition, in the bubble's time.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for range 60_000 {
		if condition() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("never happened: %s", what)
}

func holder(hosts []*host) *host {
	i := slices.IndexFunc(hosts, func(h *host) bool { return h.node.Lease().Held })
	if i < 0 {
		return nil
	}
	return hosts[i]
}

func TestAnIsolatedHolderIsReplacedAtDetectAndNeverOverlaps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const detect = 500 * time.Millisecond
		w, hosts := form(t, 3, detect)
		old := hosts[0]
		w.isolate(old.cfg.Address.String(), true)
		cut := time.Now()
		await(t, "another holder", func() bool {
			open := 0
			for _, h := range hosts {
				if h.fence.open(testNow()) {
					open++
				}
			}
			if open > 1 {
				t.Fatal("two fences are open")
			}
			return hosts[1].node.Lease().Held || hosts[2].node.Lease().Held
		})
		if took := time.Since(cut); took > 2*detect {
			t.Errorf("took %s to replace the holder", took)
		} else {
			t.Logf("replaced after %s", took)
		}
		w.isolate(old.cfg.Address.String(), false)
		await(t, "the old holder follows", func() bool {
			return old.node.Status().Leader.ID != "" && !old.node.Lease().Held && holder(hosts) != nil
		})
		haltAll(t, hosts)
	})
}
