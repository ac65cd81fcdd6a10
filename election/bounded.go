package election

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// maxCall is how many bytes a call of raft or its answer may have: a snapshot is the longest.
const maxCall = 8 << 20

// boundedLayer is a network for raft's transport, which itself would believe any length
// that it is told, and wait for ever for the rest of a call: a snapshot of which nothing
// comes any more would keep raft from all else.
type boundedLayer struct {
	raft.StreamLayer
	patience time.Duration // between two parts of one call
}

// Accept waits for the next connection, on which a member calls.
func (l boundedLayer) Accept() (net.Conn, error) {
	conn, err := l.StreamLayer.Accept()
	if err != nil {
		return nil, err
	}
	return newBounded(&parts{Conn: conn, patience: l.patience}, 1, 1), nil
}

// Dial connects to a member. How long it may take to answer raft says itself.
func (l boundedLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := l.StreamLayer.Dial(address, timeout)
	if err != nil {
		return nil, err
	}
	return newBounded(&parts{Conn: conn}, 0, 2), nil
}

// bounded is a connection on which calls and answers alternate: what is read between two
// writes is one of them. It begins with some bytes and some values of MessagePack, which
// are looked at before raft gets the first byte of them: its decoder takes as much memory
// as a length says. What follows is the content of a snapshot.
type bounded struct {
	*parts
	bytes, values int64
	in            *bufio.Reader // of parts
	seen          bytes.Buffer  // by look, and not yet by raft
	begun         bool
}

func newBounded(p *parts, bytes, values int64) *bounded {
	return &bounded{parts: p, bytes: bytes, values: values, in: bufio.NewReader(p)}
}

// Read reads a part of a call or of an answer.
func (c *bounded) Read(b []byte) (int, error) {
	if !c.begun {
		if err := c.look(); err != nil {
			return 0, err
		}
		c.begun = true
	}
	if c.seen.Len() > 0 {
		return c.seen.Read(b)
	}
	return c.in.Read(b)
}

func (c *bounded) look() error {
	c.seen = bytes.Buffer{} // a large one is not kept
	s := &skimmer{in: c.in, seen: &c.seen}
	if err := s.skip(c.bytes); err != nil {
		return err
	}
	for range c.values {
		if err := s.value(0); err != nil {
			return err
		}
	}
	return nil
}

// Write writes an answer, or a call.
func (c *bounded) Write(b []byte) (int, error) {
	c.begun = false
	return c.parts.Write(b)
}

// parts is a connection that bounds what is read between two writes, in bytes and in
// time.
type parts struct {
	net.Conn
	patience time.Duration // 0: whoever reads sets deadlines
	read     int           // bytes since the last write
}

// Read reads a part of a call. It waits for its first part as long as it takes.
func (p *parts) Read(b []byte) (int, error) {
	if p.read >= maxCall {
		return 0, fmt.Errorf("a call or an answer of %s is longer than %d bytes", p.RemoteAddr(), maxCall)
	}
	if p.patience > 0 && p.read > 0 {
		if err := p.SetReadDeadline(time.Now().Add(p.patience)); err != nil {
			return 0, err
		}
	}
	n, err := p.Conn.Read(b[:min(len(b), maxCall-p.read)])
	p.read += n
	return n, err
}

// Write writes an answer, or a call.
func (p *parts) Write(b []byte) (int, error) {
	if p.patience > 0 && p.read > 0 {
		if err := p.SetReadDeadline(time.Time{}); err != nil {
			return 0, err
		}
	}
	p.read = 0
	return p.Conn.Write(b)
}
