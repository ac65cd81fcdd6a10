package vip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen listens on an address of the host.
func (h *host) listen(network, address string) net.Listener {
	h.t.Helper()
	var l net.Listener
	h.in(func() {
		var err error
		l, err = net.Listen(network, address)
		must(h.t, err)
	})
	return l
}

// pair is a connection as its two ends have it.
type pair struct{ client, server net.Conn }

// connect connects from one host to a listener on another.
func (h *host) connect(l net.Listener, addr string) pair {
	h.t.Helper()
	var p pair
	h.in(func() {
		var err error
		p.client, err = net.DialTimeout("tcp", net.JoinHostPort(addr, fmt.Sprint(l.Addr().(*net.TCPAddr).Port)), 10*time.Second)
		must(h.t, err)
	})
	var err error
	p.server, err = l.Accept()
	must(h.t, err)
	must(h.t, errors.Join(p.client.SetDeadline(time.Now().Add(30*time.Second)), p.server.SetDeadline(time.Now().Add(30*time.Second))))
	h.t.Cleanup(func() { p.close() })
	return p
}

func (p pair) close() { _, _ = p.client.Close(), p.server.Close() }

// expectReset fails unless both ends learn that the connection is gone.
func (p pair) expectReset(t *testing.T) {
	t.Helper()
	if _, err := p.client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the client of %s reads: %v, want ECONNRESET", p.client.RemoteAddr(), err)
	}
	if _, err := p.server.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNABORTED) {
		t.Errorf("the server of %s reads: %v, want ECONNABORTED", p.client.RemoteAddr(), err)
	}
}

// expectAlive fails unless a byte gets through both ways.
func (p pair) expectAlive(t *testing.T) {
	t.Helper()
	for _, way := range [][2]net.Conn{{p.client, p.server}, {p.server, p.client}} {
		_, err := way[0].Write([]byte{7})
		must(t, err)
		if _, err := io.ReadFull(way[1], make([]byte, 1)); err != nil {
			t.Errorf("%s → %s: %v", way[0].LocalAddr(), way[0].RemoteAddr(), err)
		}
	}
}

// patience is how long a reset may take here: the machine that runs the tests may be slow.
const patience = time.Minute

// expectReset fails unless this many connections are reset.
func (h *host) expectReset(cfg Config, want int) {
	h.t.Helper()
	h.in(func() {
		if got, err := NewBinder(cfg).resetWithin(patience); err != nil || got != want {
			h.t.Errorf("%d reset, %v; want %d", got, err, want)
		}
	})
}

func TestClientsOfAFloatingAddressLearnAtOnceThatItGoes(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4, float6)
	a.bind(cfg)
	for _, test := range []struct{ name, network, listen, addr, own string }{
		{"IPv4", "tcp4", "0.0.0.0:0", float4, addrA},
		{"IPv4 on a socket of IPv6", "tcp", "[::]:0", float4, addrA},
		{"IPv6", "tcp6", "[::]:0", float6, addrA6},
		{"a listener on the address alone", "tcp", "[" + float6 + "]:0", float6, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := a.listen(test.network, test.listen)
			defer l.Close()
			p := b.connect(l, test.addr)
			p.expectAlive(t)
			other := p
			if test.own != "" {
				other = b.connect(l, test.own)
			}
			a.expectReset(cfg, 1)
			p.expectReset(t)
			if test.own != "" {
				other.expectAlive(t)
			}
			again := b.connect(l, test.addr) // the listener is there still
			again.expectAlive(t)
			a.expectReset(cfg, 1)
			a.expectReset(cfg, 0)
		})
	}
}

func TestConnectionsOfThisHostsOwnAreReset(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4)
	a.bind(cfg)
	l := b.listen("tcp", addrB+":0")
	defer l.Close()
	var client net.Conn
	a.in(func() {
		var err error
		client, err = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(float4)}}).Dial("tcp", l.Addr().String())
		must(t, err)
	})
	defer client.Close()
	server, err := l.Accept()
	must(t, err)
	eventually(t, "they are reset in time", func() (done bool) {
		a.in(func() { done = NewBinder(cfg).ResetConnections() == nil })
		return done
	})
	pair{client: server, server: client}.expectReset(t)
}

func TestAHalfClosedConnectionIsReset(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4)
	a.bind(cfg)
	l := a.listen("tcp", float4+":0")
	defer l.Close()
	waiting := b.connect(l, float4) // CLOSE_WAIT here, where the client has nothing more to say
	must(t, waiting.client.(*net.TCPConn).CloseWrite())
	if _, err := waiting.server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("read: %v", err)
	}
	a.expectReset(cfg, 1)
	if _, err := waiting.client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the client reads: %v, want ECONNRESET", err)
	}
}

func TestResetOfAThousandConnections(t *testing.T) {
	const n = 1000
	a, b := neighbours(t)
	cfg := testConfig(float4, float6)
	a.bind(cfg)
	l := a.listen("tcp", "[::]:0")
	defer l.Close()
	var pairs []pair
	for i := range n {
		pairs = append(pairs, b.connect(l, []string{float4, float6}[i%2]))
	}
	a.in(func() {
		began := time.Now()
		got, err := NewBinder(cfg).resetWithin(patience)
		t.Logf("%d connections reset in %s", got, time.Since(began))
		if err != nil || got != n {
			t.Errorf("%d reset, %v; want %d", got, err, n)
		}
	})
	for _, p := range pairs {
		p.expectReset(t)
	}
}

func TestResetGivesUpInTimeAndSaysWhatIsLeft(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4)
	a.bind(cfg)
	l := a.listen("tcp", float4+":0")
	defer l.Close()
	p := b.connect(l, float4)
	a.in(func() {
		got, err := NewBinder(cfg).resetWithin(0)
		if got != 0 || !errors.Is(err, errTooLong) {
			t.Errorf("without any time: %d reset, %v", got, err)
		}
		d, err := openDiag(time.Now().Add(patience))
		must(t, err)
		defer d.socket.Close()
		list, err := d.connections(addresses(cfg))
		must(t, err)
		d.deadline = time.Now()
		if got, err := d.resetAll(list); got != 0 || fmt.Sprint(err) != "1 of 1 are left: it took too long" {
			t.Errorf("with the time over: %d reset, %v", got, err)
		}
	})
	p.expectAlive(t)
}

func TestAConnectionThatIsGoneIsNoErrorAndNoListenerIsTakenForIt(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4)
	a.bind(cfg)
	l := a.listen("tcp", float4+":0")
	defer l.Close()
	b.connect(l, float4)
	a.in(func() {
		d, err := openDiag(time.Now().Add(patience))
		must(t, err)
		defer d.socket.Close()
		list, err := d.connections(addresses(cfg))
		must(t, err)
		for i, want := range []int{1, 0} {
			if got, err := d.resetAll(list); err != nil || got != want {
				t.Errorf("time %d: %d reset, %v; want %d", i, got, err, want)
			}
		}
	})
	b.connect(l, float4).expectAlive(t)
}

func TestWithoutPrivilegeNothingIsReset(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4)
	a.bind(cfg)
	l := a.listen("tcp", float4+":0")
	defer l.Close()
	p := b.connect(l, float4)
	a.in(func() {
		unprivileged(t, func() {
			got, err := NewBinder(cfg).resetWithin(patience)
			if got != 0 || !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "1 of 1 are left") || !strings.Contains(hintOf(err), "CAP_NET_ADMIN") {
				t.Errorf("%d reset, %v, hint %q", got, err, hintOf(err))
			}
		})
	})
	p.expectAlive(t)
}

func TestAKernelThatCannotResetIsNamed(t *testing.T) {
	for _, errno := range []error{unix.EOPNOTSUPP, unix.ENOENT, unix.EPROTONOSUPPORT} {
		if err := explainDiag(errno); !errors.Is(err, errno) || !strings.Contains(hintOf(err), "CONFIG_INET_DIAG_DESTROY") {
			t.Errorf("%v: hint %q", err, hintOf(err))
		}
	}
}

// FuzzReadConnection makes sure that no message of the kernel makes the program panic, and that none is read beyond its end.
func FuzzReadConnection(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{unix.AF_INET}, 52))
	f.Add(append([]byte{unix.AF_INET6, 1, 0, 0}, bytes.Repeat([]byte{9}, 68)...))
	f.Fuzz(func(t *testing.T, message []byte) {
		c, ok := readConnection(message)
		if ok != (len(message) >= 52) {
			t.Fatalf("%d bytes: %t", len(message), ok)
		}
		if !ok {
			return
		}
		if local := c.local(); !local.IsValid() || local.Is4In6() || c.family == unix.AF_INET && !local.Is4() {
			t.Errorf("local address %s of family %d", local, c.family)
		}
		if !bytes.Equal(message[4:52], c.id[:]) {
			t.Error("the id is not what the kernel said")
		}
	})
}
