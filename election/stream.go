package election

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// Dialer opens a connection to a member's address ("10.11.12.4:7600").
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Protocols that share the port. The first frame on a connection says which.
const (
	protocolRaft    = "raft/1"
	protocolMembers = "members/1"
)

// hello opens a connection, in both directions. Durations are nanoseconds.
type hello struct {
	Protocol string        `json:"protocol"`
	Cluster  string        `json:"cluster,omitempty"` // empty: not yet a member
	Detect   time.Duration `json:"detect"`
	ID       raft.ServerID `json:"id"`
	Refused  string        `json:"refused,omitempty"` // in an answer: why
}

const (
	magic        = "vipd"
	maxHello     = 4 << 10
	helloTimeout = 5 * time.Second
)

// stream tells the protocols on one listener apart and lets only connections of
// this cluster with this detect reach raft (rule "identity and configuration").
type stream struct {
	listener net.Listener
	dial     Dialer
	self     func() hello
	knows    func(raft.ServerID) bool // whether a caller is a member
	log      *zap.Logger

	raft    *queue
	members *queue
	serving sync.WaitGroup

	mu        sync.Mutex
	open      map[net.Conn]struct{} // nil after close
	told      map[string]string     // by host: why it was refused, as last logged
	refused   string                // how a member refused this host last
	refusedAt time.Time
}

func newStream(l net.Listener, dial Dialer, self func() hello, knows func(raft.ServerID) bool, log *zap.Logger) *stream {
	s := &stream{listener: l, dial: dial, self: self, knows: knows, log: log, told: make(map[string]string), raft: newQueue(l.Addr()), members: newQueue(l.Addr()), open: make(map[net.Conn]struct{})}
	s.serving.Go(s.accept)
	return s
}

func (s *stream) accept() {
	for failing := false; ; {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if !failing {
				s.log.Warn("cannot accept connections", zap.Error(err))
			}
			failing = true
			time.Sleep(50 * time.Millisecond) // out of descriptors: give some back first
			continue
		}
		failing = false
		s.serving.Go(func() { s.greet(s.track(conn)) })
	}
}

// greet reads the caller's hello, answers it and hands the connection on.
func (s *stream) greet(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(helloTimeout))
	var theirs hello
	if err := readFrame(conn, &theirs); err != nil {
		_ = conn.Close()
		return
	}
	ours := s.self()
	err := compatible(ours, theirs)
	if err == nil && theirs.Protocol == protocolRaft && !s.knows(theirs.ID) {
		err = errors.New("that host is no member of this cluster: it was removed; `vipd join` makes it one again")
	}
	if err != nil {
		ours.Refused = err.Error()
		s.tell(conn.RemoteAddr(), err)
	}
	if err := writeFrame(conn, ours); err != nil || ours.Refused != "" {
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	target := s.raft
	if theirs.Protocol == protocolMembers {
		target = s.members
	}
	target.put(conn)
}

// tell logs why a host was refused, once for each reason.
func (s *stream) tell(peer net.Addr, err error) {
	host, _, _ := net.SplitHostPort(peer.String())
	s.mu.Lock()
	known := s.told[host] == err.Error()
	s.told[host] = err.Error()
	s.mu.Unlock()
	if !known {
		s.log.Warn("connection refused", zap.String("peer", host), zap.String("reason", err.Error()))
	}
}

func (s *stream) noteRefusal(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reason != s.refused {
		s.log.Warn("refused by a member", zap.String("reason", reason))
	}
	s.refused, s.refusedAt = reason, time.Now()
}

// lastRefusal says how a member refused this host in the last seconds; empty if
// none did.
func (s *stream) lastRefusal() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.refusedAt) > 2*helloTimeout {
		return ""
	}
	return s.refused
}

// compatible reports why two hosts must not talk. Both values are named, because
// the operator who reads it has only one of them at hand; and whose each is in words
// that are true on both hosts, because both show them.
func compatible(called, caller hello) error {
	switch {
	case caller.Protocol == protocolMembers:
		return nil
	case caller.Protocol != protocolRaft:
		return fmt.Errorf("protocol %q is not spoken here (%q is)", caller.Protocol, protocolRaft)
	case caller.Cluster != called.Cluster || called.Cluster == "":
		return fmt.Errorf("the caller is in %s, the host it called in %s", clusterName(caller), clusterName(called))
	case caller.Detect != called.Detect:
		return fmt.Errorf("the caller has detect %s, the host it called %s", caller.Detect, called.Detect)
	}
	return nil
}

func clusterName(h hello) string {
	if h.Cluster == "" {
		return "no cluster"
	}
	return fmt.Sprintf("cluster %q", h.Cluster)
}

// connect dials address and exchanges hellos.
func (s *stream) connect(ctx context.Context, address, protocol string) (net.Conn, error) {
	conn, err := s.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	conn = s.track(conn)
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	ours := s.self()
	ours.Protocol = protocol
	var theirs hello
	if err = writeFrame(conn, ours); err == nil {
		err = readFrame(conn, &theirs)
	}
	if err == nil && theirs.Refused != "" {
		err = fmt.Errorf("%s refused the connection: %s", address, theirs.Refused)
		s.noteRefusal(err.Error())
	}
	if err == nil && protocol == protocolRaft {
		theirs.Protocol = protocol
		err = compatible(theirs, ours)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, nil
}

// close stops listening and closes every connection, in either direction: raft
// leaves its own open.
func (s *stream) close() {
	_ = s.listener.Close()
	s.raft.Close()
	s.members.Close()
	s.mu.Lock()
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for conn := range open {
		_ = conn.Close()
	}
	s.serving.Wait()
}

// track remembers a connection until it is closed.
func (s *stream) track(conn net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		_ = conn.Close()
		return conn
	}
	s.open[conn] = struct{}{}
	return &tracked{conn, s}
}

type tracked struct {
	net.Conn
	stream *stream
}

// Close closes the connection and forgets it.
func (c *tracked) Close() error {
	c.stream.mu.Lock()
	delete(c.stream.open, c.Conn)
	c.stream.mu.Unlock()
	return c.Conn.Close()
}

// raftLayer is the stream as raft's transport wants it.
type raftLayer struct {
	*queue
	stream *stream
}

// Dial connects to a member for raft.
func (l raftLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.stream.connect(ctx, string(address), protocolRaft)
}

// queue is a net.Listener fed with connections whose protocol is known.
type queue struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newQueue(addr net.Addr) *queue {
	return &queue{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (q *queue) put(conn net.Conn) {
	select {
	case q.conns <- conn:
	case <-q.done:
		_ = conn.Close()
	}
}

// Accept waits for the next connection.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. Connections accepted before are not touched.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr returns the address of the shared listener.
func (q *queue) Addr() net.Addr { return q.addr }

// A frame is the magic, a big-endian uint32 length and that much JSON.
func writeFrame(w io.Writer, h hello) error {
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	frame := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(body))) //nolint:gosec // names and numbers, less than maxHello
	_, err = w.Write(append(frame, body...))
	return err
}

func readFrame(r io.Reader, h *hello) error {
	var head [len(magic) + 4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[len(magic):])
	if string(head[:len(magic)]) != magic || size > maxHello {
		return errors.New("this is not vipd's protocol")
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return json.Unmarshal(body, h)
}
