package election

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"github.com/vipd/vipd/trust"
)

// Dialer opens a connection to a member's address ("10.11.12.4:7600").
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// welcome is the first thing on a connection, from the host that was called, which knows
// by the handshake who calls.
type welcome struct {
	Refused string `json:"refused,omitempty"` // why
	Removed bool   `json:"removed,omitempty"` // the caller was a member
}

// refusal is what w says to the host that is not welcome.
func (w welcome) refusal(address string) *refusedError {
	if w.Removed {
		return refused(address+" says that this host was removed from the cluster", "`vipd leave` makes it forget that; then it may join again, with a token", true)
	}
	return refused(fmt.Sprintf("%s refused the connection: %s", address, w.Refused), "", false)
}

const (
	maxWelcome   = 4 << 10
	helloTimeout = 5 * time.Second
)

// stream tells the protocols on one listener apart and lets only members reach raft
// (rule "identity and configuration").
type stream struct {
	listener net.Listener
	dial     Dialer
	wire     trust.Wire
	keys     func() trust.Keys
	admits   func(trust.Peer) error
	doorway  *doorway
	log      *zap.Logger

	callers complaints // those that were refused
	called  complaints // those that have refused this host

	raft      *queue
	members   *queue
	strangers *queue
	serving   sync.WaitGroup

	mu        sync.Mutex
	open      map[net.Conn]trust.Peer // nil after close; the zero Peer before the handshake is over
	refused   *refusedError           // how a member refused this host last
	refusedAt time.Time
}

// accept hands out what comes in; a handshake takes as long as it takes.
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
		seat, ok := s.doorway.enter(conn)
		if !ok {
			_ = conn.Close()
			continue
		}
		caller := newStranger(seat)
		s.serving.Go(func() { s.greet(caller, s.track(caller, seat.Leave)) })
	}
}

// greet finds out who calls, welcomes or refuses it, and hands the connection on.
func (s *stream) greet(caller *stranger, conn *tracked) {
	ctx, cancel := context.WithTimeout(context.Background(), helloTimeout)
	defer cancel()
	_ = conn.SetDeadline(time.Now().Add(helloTimeout))
	secure, peer, err := s.wire.Server(ctx, conn, s.keys())
	if err != nil {
		s.tell(conn.RemoteAddr(), err)
		_ = conn.Close()
		return
	}
	w := welcome{}
	if err = s.admits(peer); err != nil {
		s.tell(conn.RemoteAddr(), err)
		w.Refused, w.Removed = err.Error(), errors.Is(err, ErrRemoved)
	}
	if err := writeFrame(secure, w); err != nil || w.Refused != "" || !s.identify(conn, peer) {
		_ = secure.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	if peer.Protocol == trust.Raft || peer.Protocol == trust.Members {
		caller.recognise()
		conn.leave()
	}
	s.handOn(&identified{secure, peer})
}

// handOn gives the connection to whoever speaks its protocol.
func (s *stream) handOn(known *identified) {
	switch known.peer.Protocol {
	case trust.Raft:
		s.raft.put(known)
	case trust.Members:
		s.members.put(known)
	default:
		s.strangers.put(known)
	}
}

// identified is a connection of which it is known who is at its other end.
type identified struct {
	net.Conn
	peer trust.Peer
}

// tell logs why a caller was refused.
func (s *stream) tell(peer net.Addr, err error) {
	if errors.Is(err, trust.ErrGone) {
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		err = errSilent
	}
	host := hostOf(peer)
	if reason := s.callers.news(host, err, time.Now()); reason != "" {
		s.log.Warn("connection refused", zap.String("peer", host), zap.String("error", reason))
	}
}

var errSilent = errors.New("the caller did not say in time who it is")

func hostOf(address net.Addr) string {
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	return host
}

// refusal notes that this host was refused, and returns why.
func (s *stream) refusal(address string, err *refusedError) error {
	if s.called.news(address, err, time.Now()) != "" {
		s.log.Warn("refused by another host", zap.String("reason", err.message), zap.String("hint", err.hint))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused, s.refusedAt = err, time.Now()
	return err
}

// lastRefusal says how a member refused this host in the last seconds, and what to do;
// empty if none did.
func (s *stream) lastRefusal() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.refused == nil || time.Since(s.refusedAt) > 2*helloTimeout:
		return ""
	case s.refused.hint == "":
		return s.refused.message
	}
	return s.refused.message + ": " + s.refused.hint
}

// connect dials address, finds out who is there and waits to be welcomed.
func (s *stream) connect(ctx context.Context, address, protocol string, keys trust.Keys) (net.Conn, error) {
	plain, err := s.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	conn := s.track(plain, func() {})
	secure, err := s.introduce(ctx, conn, address, protocol, keys)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

func (s *stream) introduce(ctx context.Context, conn *tracked, address, protocol string, keys trust.Keys) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	secure, peer, err := s.wire.Client(ctx, conn, protocol, keys)
	if err != nil {
		return nil, s.untrusted(address, err)
	}
	var w welcome
	if err := readFrame(secure, &w); err != nil {
		return nil, s.untrusted(address, trust.Explain(protocol, err))
	}
	if w.Refused != "" {
		return nil, s.refusal(address, w.refusal(address))
	}
	if protocol == trust.Raft {
		if err := s.admits(peer); err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
	}
	if !stop() || !s.identify(conn, peer) {
		return nil, net.ErrClosed
	}
	_ = conn.SetDeadline(time.Time{})
	return secure, nil
}

// untrusted notes that the two hosts do not trust each other, if that is what err says.
func (s *stream) untrusted(address string, err error) error {
	reason, ok := errors.AsType[*trust.Error](err)
	if !ok {
		return err
	}
	return s.refusal(address, &refusedError{hintedError{fmt.Sprintf("%s: %v", address, reason), reason.Hint()}, reason})
}

// close stops listening and closes every connection, in either direction: raft
// leaves its own open.
func (s *stream) close() {
	_ = s.listener.Close()
	for _, q := range []*queue{s.raft, s.members, s.strangers} {
		_ = q.Close()
	}
	s.mu.Lock()
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for conn := range open {
		_ = conn.Close()
	}
	s.serving.Wait()
}

// drop closes the connections with those who are not trusted any more.
func (s *stream) drop(trusted func(trust.Peer) bool) {
	s.mu.Lock()
	var dropped []net.Conn
	for conn, peer := range s.open {
		if peer.ID != "" && !trusted(peer) {
			dropped = append(dropped, conn)
			delete(s.open, conn)
		}
	}
	s.mu.Unlock()
	for _, conn := range dropped {
		_ = conn.Close()
	}
}

// track remembers a connection until it is closed.
func (s *stream) track(conn net.Conn, leave func()) *tracked {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		_ = conn.Close()
	} else {
		s.open[conn] = trust.Peer{}
	}
	return &tracked{conn, s, leave}
}

// identify remembers who is at the other end. It reports false where the connection
// was closed meanwhile.
func (s *stream) identify(conn *tracked, peer trust.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.open[conn.Conn]
	if ok {
		s.open[conn.Conn] = peer
	}
	return ok
}

type tracked struct {
	net.Conn
	stream *stream
	leave  func() // the doorway
}

// Close closes the connection and forgets it.
func (c *tracked) Close() error {
	c.stream.mu.Lock()
	delete(c.stream.open, c.Conn)
	c.stream.mu.Unlock()
	c.leave()
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
	return l.stream.connect(ctx, string(address), trust.Raft, l.stream.keys())
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

// A frame is a big-endian uint32 length and that much JSON.
func writeFrame(w io.Writer, value welcome) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body))) //nolint:gosec // an error's text, less than maxWelcome
	_, err = w.Write(append(frame, body...))
	return err
}

func readFrame(r io.Reader, value *welcome) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxWelcome {
		return errors.New("this is not vipd's protocol")
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return json.Unmarshal(body, value)
}
