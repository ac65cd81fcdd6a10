package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// strikeWord as the first argument makes this program the attacker.
const strikeWord = "strike"

// member is the user and group that the attacker is where it attacks the socket: as one whom its group lets in.
const member = 65534

// target is a daemon as its attacker knows it.
type target struct{ Peers, Probe, Socket string }

// tally is what the attacker has done.
type tally struct {
	Connections int64
	Sent        int64         // bytes
	Received    int64         // bytes
	Failed      int64         // connections that could not be made
	Longest     time.Duration // that a connection was open
	Error       string        // of the last of them
}

// strike runs one attack from the attacker's host. Its process gets less CPU than the daemons do, because a real one has a
// machine of its own.
func (s *stage) strike(ctx context.Context, a attack, length time.Duration) (done tally, err error) {
	self, err := os.Executable()
	if err != nil {
		return done, err
	}
	targets, err := json.Marshal(s.targets())
	if err != nil {
		return done, err
	}
	if a.patient {
		length = max(length, lifeLimit+2*time.Second)
	}
	ctx, cancel := context.WithTimeout(ctx, length+patience)
	defer cancel()
	from := s.attacker
	if a.inside {
		from = s.Others(s.holder)[1]
	}
	out, err := from.Run(ctx, "nice", "-n", "10", self, strikeWord, "-name", a.name, "-for", length.String(), "-at", string(targets))
	if err != nil {
		return done, err
	}
	return done, json.Unmarshal([]byte(out), &done)
}

// beAttacker is the attacker's whole life.
func beAttacker(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet(strikeWord, flag.ContinueOnError)
	f.SetOutput(stderr)
	name := f.String("name", "", "of the attack")
	length := f.Duration("for", 0, "how long")
	at := f.String("at", "", "the targets, as JSON")
	var targets []target
	err := f.Parse(args)
	if err == nil {
		err = json.Unmarshal([]byte(*at), &targets)
	}
	if err != nil {
		fmt.Fprintln(stderr, "attack:", err)
		return 2
	}
	all := attacks()
	i := slices.IndexFunc(all, func(a attack) bool { return a.name == *name })
	if err := all[i].carryOut(ctx, *length, targets, stdout); err != nil {
		fmt.Fprintln(stderr, "attack:", err)
		return 1
	}
	return 0
}

// carryOut calls all targets with as many callers as the attack has, and writes the tally. The time counts from the first
// connection: a busy machine may need some until then.
func (a attack) carryOut(ctx context.Context, length time.Duration, targets []target, out io.Writer) error {
	if a.at == socket || a.inside {
		if err := becomeMember(); err != nil {
			return fmt.Errorf("become an unprivileged user: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := campaign{begun: make(chan struct{})}
	var callers sync.WaitGroup
	for _, to := range targets {
		for i := range a.callers {
			callers.Go(func() { c.call(ctx, a.dialer(i), a.at.of(to), a) })
		}
	}
	if a.callers > 0 {
		c.begins(ctx)
	}
	pause(ctx, length)
	cancel()
	callers.Wait()
	return json.NewEncoder(out).Encode(c.tally())
}

// begins waits for the first connection, for a while.
func (c *campaign) begins(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-c.begun:
	case <-time.After(10 * time.Second):
	}
}

func becomeMember() error {
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(member); err != nil {
		return err
	}
	return syscall.Setuid(member)
}

// dial opens a connection.
type dial func(ctx context.Context, address string) (net.Conn, error)

// dialer returns how the attack's caller of that number connects.
func (a attack) dialer(i int) dial {
	d := &net.Dialer{Timeout: 2 * time.Second, KeepAlive: -1}
	if a.spread {
		ip := firstAlias
		for range i % aliases {
			ip = ip.Next()
		}
		d.LocalAddr = &net.TCPAddr{IP: ip.AsSlice()}
	}
	if a.smallBuffer {
		d.Control = smallBuffer
	}
	network := "tcp"
	if a.at == socket {
		network = "unix"
	}
	return func(ctx context.Context, address string) (net.Conn, error) {
		return d.DialContext(ctx, network, address)
	}
}

// smallBuffer lets a connection take as little unread as the kernel allows.
func smallBuffer(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) })
}

// campaign counts what all callers do.
type campaign struct {
	connections, sent, received, failed atomic.Int64
	longest                             atomic.Int64
	last                                atomic.Pointer[string]
	begun                               chan struct{} // closed at the first connection
}

func (c *campaign) tally() tally {
	t := tally{Connections: c.connections.Load(), Sent: c.sent.Load(), Received: c.received.Load(), Failed: c.failed.Load(), Longest: time.Duration(c.longest.Load())}
	if last := c.last.Load(); last != nil {
		t.Error = strings.TrimSpace(*last)
	}
	return t
}

// call calls again and again.
func (c *campaign) call(ctx context.Context, dial dial, address string, a attack) {
	for ctx.Err() == nil {
		began := time.Now()
		if err := c.once(ctx, dial, address, a.speak); err != nil && ctx.Err() == nil {
			c.failed.Add(1)
			text := err.Error()
			c.last.Store(&text)
		}
		if rest := a.pause - time.Since(began); rest > 0 {
			pause(ctx, rest)
		}
	}
}

func (c *campaign) once(ctx context.Context, dial dial, address string, speak speech) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if c.connections.Add(1) == 1 {
		close(c.begun)
	}
	defer c.lived(time.Now())
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	speak(ctx, &counted{Conn: conn, c: c})
	return nil
}

func (c *campaign) lived(since time.Time) {
	life := int64(time.Since(since))
	for {
		longest := c.longest.Load()
		if life <= longest || c.longest.CompareAndSwap(longest, life) {
			return
		}
	}
}

// counted is a connection whose bytes are counted.
type counted struct {
	net.Conn
	c *campaign
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.c.received.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.c.sent.Add(int64(n))
	return n, err
}

// pause waits for that long, or until ctx ends, and says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
