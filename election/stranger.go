package election

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// What a caller has as long as it is not known to be a member.
const (
	maxStranger     = 16 << 10 // bytes to say all, TLS included; who joins needs about 3 KiB
	strangerTimeout = 10 * time.Second
)

// stranger is a connection of a caller who is not known to be a member. When its time is
// over it is closed, and when it has said too much: so whatever TLS and HTTP allow one to
// say or to leave unread to keep the other side busy, it ends.
type stranger struct {
	net.Conn
	end   *time.Timer
	heard atomic.Int64 // bytes
	known atomic.Bool
}

func newStranger(conn net.Conn) *stranger {
	return &stranger{Conn: conn, end: time.AfterFunc(strangerTimeout, func() { _ = conn.Close() })}
}

// recognise ends the limits: a member calls.
func (s *stranger) recognise() {
	s.end.Stop()
	s.known.Store(true)
}

// Read reads what there is to be said.
func (s *stranger) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if s.heard.Add(int64(n)) > maxStranger && !s.known.Load() {
		return 0, errTooMuch
	}
	return n, err
}

// Close closes the connection.
func (s *stranger) Close() error {
	s.end.Stop()
	return s.Conn.Close()
}

var errTooMuch = errors.New("the caller says more than one has to say who is no member")
