package simulate

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is one end of a TCP connection.
type conn struct {
	network *network
	process *process
	in, out *flow
}

// Read waits for what has arrived. Only one goroutine may read at a time.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	c.process.pass()
	return n, err
}

// Write hands b to the kernel, which takes any amount.
func (c *conn) Write(b []byte) (int, error) {
	c.process.pass()
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.process.dead.Load() {
		return 0, net.ErrClosed
	}
	if err := c.in.broken(); err != nil {
		return 0, err
	}
	if c.out.write(c.network, b) && !c.network.dark[c.out.to] && !c.network.link(c.out.to, c.out.from).cut {
		c.in.reset() // nobody reads there any more
	}
	return len(b), nil
}

// Close ends both directions; what was written still arrives.
func (c *conn) Close() error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.out.finish(c.network)
	c.network.unread(c.in)
	return nil
}

// SetDeadline limits Read.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline limits Read, also one that waits.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.limit(t)
	return nil
}

// SetWriteDeadline does nothing: Write does not wait.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr returns this end.
func (c *conn) LocalAddr() net.Addr { return address(c.out.from) }

// RemoteAddr returns the other end.
func (c *conn) RemoteAddr() net.Addr { return address(c.out.to) }

// flow is one direction of a connection: what has been sent and not yet been read.
type flow struct {
	from, to string
	writer   *process
	reader   *process
	wake     chan struct{} // holds a token after something has changed

	mu       sync.Mutex
	segments []segment
	arrived  time.Time // the last segment does, or will
	deadline time.Time
	isReset  bool // ECONNRESET for whoever reads
	finished bool // nothing is sent any more
	closed   bool // nobody reads any more
}

// segment is what one Write has sent.
type segment struct {
	bytes []byte
	at    time.Time // when it arrives; zero: it has not left, since the link is cut
	fin   bool
}

func newFlow(from, to string, writer, reader *process) *flow {
	return &flow{from: from, to: to, writer: writer, reader: reader, wake: make(chan struct{}, 1)}
}

func (f *flow) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *flow) read(b []byte) (int, error) {
	for {
		f.mu.Lock()
		n, until, err := f.take(b)
		f.mu.Unlock()
		if n > 0 || err != nil {
			return n, err
		}
		if until.IsZero() {
			<-f.wake
			continue
		}
		timer := time.NewTimer(time.Until(until))
		select {
		case <-timer.C:
		case <-f.wake:
		}
		timer.Stop()
	}
}

// take returns what has arrived, or until when to wait; zero: until it is roused.
func (f *flow) take(b []byte) (n int, until time.Time, err error) {
	now := time.Now()
	switch {
	case f.closed:
		return 0, until, net.ErrClosed
	case !f.deadline.IsZero() && !now.Before(f.deadline):
		return 0, until, os.ErrDeadlineExceeded
	case f.isReset:
		return 0, until, syscall.ECONNRESET
	}
	if len(f.segments) > 0 {
		s := &f.segments[0]
		switch {
		case s.at.IsZero():
		case s.at.After(now):
			until = s.at
		case s.fin:
			return 0, until, io.EOF
		default:
			n = copy(b, s.bytes)
			if s.bytes = s.bytes[n:]; len(s.bytes) == 0 {
				f.segments = f.segments[1:]
			}
			return n, until, nil
		}
	}
	if until.IsZero() || !f.deadline.IsZero() && f.deadline.Before(until) {
		until = f.deadline
	}
	return 0, until, nil
}

// write sends b and reports whether nobody reads it any more. The caller has the
// network's lock.
func (f *flow) write(n *network, b []byte) (unread bool) {
	return f.send(n, segment{bytes: append([]byte(nil), b...)})
}

// finish sends the end of the stream.
func (f *flow) finish(n *network) {
	f.send(n, segment{fin: true})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finished = true
}

func (f *flow) send(n *network, s segment) (unread bool) {
	delay, through := n.latency(f.from, f.to)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.isReset || f.finished {
		return f.closed
	}
	if last := len(f.segments) - 1; through && (last < 0 || !f.segments[last].at.IsZero()) {
		s.at = time.Now().Add(delay)
		if s.at.Before(f.arrived) {
			s.at = f.arrived
		}
		f.arrived = s.at
	}
	f.segments = append(f.segments, s)
	f.rouse()
	return false
}

// hold keeps what is on its way until it is sent again: the link was cut before it
// arrived.
func (f *flow) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.segments {
		if f.segments[i].at.After(time.Now()) {
			f.segments[i].at = time.Time{}
		}
	}
}

// sendAgain sends what has not left, since the link is no longer cut.
func (f *flow) sendAgain(delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.segments {
		if f.segments[i].at.IsZero() {
			f.segments[i].at = time.Now().Add(delay)
			f.arrived = f.segments[i].at
		}
	}
	f.rouse()
}

// loseSome loses what was on its way when the sender's power failed, and all that
// comes after.
func (f *flow) loseSome(c *chance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finished = true
	for i, s := range f.segments {
		if s.at.IsZero() || c.in(2) {
			f.segments = f.segments[:i]
			return
		}
	}
}

func (f *flow) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isReset, f.segments = true, nil
	f.rouse()
}

func (f *flow) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed, f.segments = true, nil
	f.rouse()
}

func (f *flow) limit(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = t
	f.rouse()
}

func (f *flow) broken() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return net.ErrClosed
	case f.isReset:
		return syscall.ECONNRESET
	}
	return nil
}
