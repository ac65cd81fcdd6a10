package control

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// probed is a probe in the bubble of a test. It hands one end of a pipe to who
// dials; the time that it allows costs none.
type probed struct {
	t      *testing.T
	dialed chan net.Conn
	closed chan struct{}
	holds  atomic.Bool
	log    *observer.ObservedLogs
}

// startProbe serves a probe until the test ends. The bubble then fails the test
// if a goroutine is left.
func startProbe(t *testing.T) *probed {
	core, logs := observer.New(zap.DebugLevel)
	p := &probed{t: t, dialed: make(chan net.Conn), closed: make(chan struct{}), log: logs}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- ServeProbe(ctx, p, p.holds.Load, zap.New(core)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ServeProbe: %v", err)
		}
		for _, entry := range logs.All() {
			t.Errorf("a line in the log: %s", entry.Message)
		}
	})
	return p
}

func (p *probed) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *probed) Close() error {
	close(p.closed)
	return nil
}

func (p *probed) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 11, 12, 4), Port: 7680} }

func (p *probed) dial() net.Conn {
	ours, its := net.Pipe()
	p.dialed <- its
	return ours
}

// says writes a request and returns all that comes until the end.
func (p *probed) says(request string) string {
	c := p.dial()
	defer c.Close()
	go func() { _, _ = io.WriteString(c, request) }()
	text, _ := io.ReadAll(c)
	return string(text)
}

// ask returns the status and the body of what comes, and fails unless that is one whole answer.
func (p *probed) ask(request string) string {
	p.t.Helper()
	text := p.says(request)
	method, _, _ := strings.Cut(request, " ")
	in := bufio.NewReader(strings.NewReader(text))
	answer, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("%q: %v in %q", request, err, text)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || in.Buffered() > 0 || !answer.Close {
		p.t.Errorf("%q: %v, %d bytes behind the answer, close %t", request, err, in.Buffered(), answer.Close)
	}
	return fmt.Sprint(answer.StatusCode, " ", string(body))
}

func TestTheProbeSaysWhetherThisHostAnswers(t *testing.T) {
	tests := map[string]struct{ request, holder, standby string }{
		"GET":              {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "200 holder\n", "503 standby\n"},
		"any path":         {"GET /a/%2e/../b?c=;d HTTP/1.1\r\nHost: x\r\n\r\n", "200 holder\n", "503 standby\n"},
		"HEAD":             {"HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n", "200 ", "503 "},
		"HTTP/1.0":         {"GET / HTTP/1.0\r\n\r\n", "200 holder\n", "503 standby\n"},
		"keep-alive":       {"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", "200 holder\n", "503 standby\n"},
		"two at once":      {"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "200 holder\n", "503 standby\n"},
		"a body":           {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\nabc", "200 holder\n", "503 standby\n"},
		"POST":             {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405 ", "405 "},
		"OPTIONS *":        {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "405 ", "405 "},
		"CONNECT":          {"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", "405 ", "405 "},
		"garbage":          {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400 400 Bad Request", "400 400 Bad Request"},
		"a long header":    {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 9000), "431 431 Request Header Fields Too Large", "431 431 Request Header Fields Too Large"},
		"HTTP/2 with hope": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "405 ", "405 "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startProbe(t)
				got := []string{p.ask(test.request)}
				p.holds.Store(true)
				got = append(got, p.ask(test.request))
				if d := cmp.Diff([]string{test.standby, test.holder}, got); d != "" {
					t.Errorf("standby, then holder (-want +got):\n%s", d)
				}
			})
		})
	}
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

func TestTheProbeHangsUpOnWhoIsSlow(t *testing.T) {
	tests := map[string]func(c net.Conn){
		"says nothing": func(net.Conn) {},
		"a byte at a time": func(c net.Conn) {
			for range get {
				time.Sleep(100 * time.Millisecond)
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
			}
		},
		"takes no answer":           func(c net.Conn) { _, _ = io.WriteString(c, get) },
		"a body that does not come": func(c net.Conn) { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n") },
	}
	for name, behave := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startProbe(t)
				began := time.Now()
				c := p.dial()
				defer c.Close()
				behave(c)
				time.Sleep(2*slowProbe - time.Since(began))
				synctest.Wait()
				if _, err := c.Write([]byte("x")); err == nil {
					t.Errorf("%s later it still listens", time.Since(began))
				}
			})
		})
	}
}

func TestNobodyKeepsAnotherFromTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startProbe(t)
		first := p.dial()
		for range 2 * probeConnections {
			defer p.dial().Close()
		}
		synctest.Wait()
		if _, err := first.Write([]byte(get)); err == nil {
			t.Error("beyond the limit the oldest connection is still open")
		}
		if got := p.ask(get); got != "503 standby\n" {
			t.Errorf("while all places are taken: %q", got)
		}
	})
}

func TestTheProbeEndsAtOnceAndSaysWhenItsListenerBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startProbe(t)
		defer p.dial().Close() // it has two seconds yet; the cleanup does not wait for them
		began := time.Now()
		t.Cleanup(func() {
			if took := time.Since(began); took > 0 {
				t.Errorf("ended after %s", took)
			}
		})
	})
	err := ServeProbe(t.Context(), brokenProbe{}, func() bool { return true }, zap.NewNop())
	if want := "answer probes on 10.11.12.4:7680: broken"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

type brokenProbe struct{ broken }

func (brokenProbe) Addr() net.Addr { return (*probed)(nil).Addr() }
func (brokenProbe) Close() error   { return nil }

// A real socket, as a load balancer would use it.
func TestTheProbeOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ServeProbe(ctx, l, func() bool { return true }, zap.NewNop()) }()
	answer, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != "holder\n" || answer.StatusCode != http.StatusOK {
		t.Errorf("%d %q %v", answer.StatusCode, body, err)
	}
	_ = answer.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// FuzzProbe sends any bytes: the probe says 200 to no one while this host is on
// standby, sends one answer at most, logs nothing, and hangs up in time.
func FuzzProbe(f *testing.F) {
	for _, request := range []string{"", get, "HEAD * HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		f.Add([]byte(request), true)
		f.Add([]byte(request), false)
	}
	f.Fuzz(func(t *testing.T, request []byte, holds bool) {
		synctest.Test(t, func(t *testing.T) {
			p := startProbe(t)
			p.holds.Store(holds)
			began := time.Now()
			text := p.says(string(request))
			if took := time.Since(began); took > 2*slowProbe {
				t.Errorf("it hung up after %s", took)
			}
			if n := strings.Count(text, "HTTP/1."); n > 1 {
				t.Errorf("%d answers: %q", n, text)
			}
			if strings.Contains(text, " 200 ") && !holds || strings.Contains(text, "holder") && !holds {
				t.Errorf("on standby: %q", text)
			}
		})
	})
}
