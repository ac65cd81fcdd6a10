package simulate

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// network carries TCP connections between the hosts. A segment takes a while; one
// that is lost, or sent into a cut link, stays with the sender's kernel and is sent
// again: it stalls its connection and is never a hole in it. What a process has
// written arrives even after it has closed the connection or has died, and may then
// arrive behind what it, or its next life, sent over a newer one.
type network struct {
	chance *chance
	near   link // a good link

	mu        sync.Mutex
	links     map[[2]string]*link // by sender and receiver
	listeners map[string]*listener
	dark      map[string]bool // hosts without power: they refuse nothing
	flows     map[*flow]struct{}
}

// link is one direction between two hosts.
type link struct {
	cut    bool
	delay  time.Duration
	jitter time.Duration
	loss   float64 // of one segment
}

const (
	retransmission = 200 * time.Millisecond // of a lost segment, doubled each time (RFC 6298; the minimum of Linux)
	secondSYN      = time.Second            // of a connection that nobody answers, each time
	backlog        = 64
)

func newNetwork(c *chance, near link) *network {
	return &network{
		chance: c, near: near, links: make(map[[2]string]*link), listeners: make(map[string]*listener),
		dark: make(map[string]bool), flows: make(map[*flow]struct{}),
	}
}

// link returns one direction between two hosts; the caller has n.mu.
func (n *network) link(from, to string) *link {
	l := n.links[[2]string{from, to}]
	if l == nil {
		l = new(n.near)
		n.links[[2]string{from, to}] = l
	}
	return l
}

// change changes one direction between two hosts.
func (n *network) change(from, to string, f func(*link)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(from, to)
	was := l.cut
	f(l)
	if was == l.cut {
		return
	}
	for fl := range n.flows {
		switch {
		case fl.from != from || fl.to != to:
		case l.cut && n.chance.in(2):
			fl.hold()
		case !l.cut:
			fl.sendAgain(n.chance.upTo(retransmission) + l.delay)
		}
	}
}

// mend makes all links good.
func (n *network) mend() {
	n.mu.Lock()
	ends := slices.Collect(maps.Keys(n.links))
	n.mu.Unlock()
	for _, e := range ends {
		n.change(e[0], e[1], func(l *link) { *l = n.near })
	}
}

// latency returns how long a segment takes, together with those that are lost before
// it; false if the link is cut. The caller has n.mu.
func (n *network) latency(from, to string) (time.Duration, bool) {
	l := n.link(from, to)
	d := l.delay + n.chance.upTo(l.jitter)
	for again := retransmission; n.loses(l) && again < time.Minute; again *= 2 {
		d += again
	}
	return d, !l.cut
}

// once is latency for a segment that is not sent again; false also if it is lost.
func (n *network) once(from, to string) (time.Duration, bool) {
	l := n.link(from, to)
	return l.delay + n.chance.upTo(l.jitter), !l.cut && !n.loses(l)
}

func (n *network) loses(l *link) bool { return l.loss > 0 && n.chance.unit() < l.loss }

// listen makes a process reachable at an address.
func (n *network) listen(address string, p *process) *listener {
	l := &listener{address: address, process: p, conns: make(chan *conn, backlog), done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.dead.Load() {
		return l
	}
	n.listeners[address] = l
	n.dark[address] = false
	return l
}

// dial connects a process at an address to another, as connect(2) does: it takes a
// round trip, is refused where nobody listens, and waits where nobody answers.
func (n *network) dial(ctx context.Context, p *process, from, to string) (net.Conn, error) {
	p.pass()
	for {
		n.mu.Lock()
		there, through := n.once(from, to)
		back, answered := n.once(to, from)
		answered = answered && through && !n.dark[to]
		n.mu.Unlock()
		wait := there + back
		if !answered {
			wait = secondSYN
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
		}
		if answered {
			break
		}
	}
	p.pass()
	c, err := n.connect(p, from, to)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return c, nil
}

func (n *network) connect(p *process, from, to string) (*conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[to]
	if l == nil || p.dead.Load() || l.process.dead.Load() {
		return nil, syscall.ECONNREFUSED
	}
	out, in := newFlow(from, to, p, l.process), newFlow(to, from, l.process, p)
	here := &conn{network: n, process: p, in: in, out: out}
	there := &conn{network: n, process: l.process, in: out, out: in}
	select {
	case l.conns <- there:
	default:
		return nil, syscall.ECONNREFUSED // more than the backlog wait
	}
	n.flows[out], n.flows[in] = struct{}{}, struct{}{}
	return here, nil
}

// abandon ends all connections of a process that has died. With its host's power,
// nobody tells the peers, and some of what was on its way is lost.
func (n *network) abandon(address string, p *process, power bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.listeners[address]; l != nil && l.process == p {
		delete(n.listeners, address)
	}
	if power {
		n.dark[address] = true
	}
	for f := range n.flows {
		switch {
		case f.from == address && power:
			f.loseSome(n.chance)
		case f.from == address && f.writer == p:
			f.finish(n)
		}
		if f.to == address && f.reader == p {
			n.unread(f)
		}
	}
}

// unread notes that nobody reads f any more. The caller has n.mu.
func (n *network) unread(f *flow) {
	f.close()
	delete(n.flows, f)
}

// breakSome resets about half of the connections between two hosts.
func (n *network) breakSome(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for f := range n.flows {
		if (f.from == a && f.to == b || f.from == b && f.to == a) && n.chance.in(2) {
			f.reset()
		}
	}
}

// listener is where a process accepts connections.
type listener struct {
	address string
	process *process
	conns   chan *conn
	done    chan struct{}
	once    sync.Once
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		l.process.pass()
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr returns the address of the host.
func (l *listener) Addr() net.Addr { return address(l.address) }

type address string

// Network is "tcp".
func (a address) Network() string { return "tcp" }

func (a address) String() string { return string(a) }
