package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// stuck is a daemon that answers nothing before it is told to give up.
type stuck struct{ Daemon }

func (stuck) Status(ctx context.Context) (Status, error) {
	<-ctx.Done()
	return Status{}, ctx.Err()
}

func (stuck) Leave(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAStuckDaemonIsGivenUpInTime(t *testing.T) {
	tests := map[string]struct {
		method, path string
		want         time.Duration
	}{
		"question": {http.MethodGet, "/v1/status", questionLimit},
		"order":    {http.MethodPost, "/v1/leave", orderLimit},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				w := httptest.NewRecorder()
				routes(stuck{}, zap.NewNop()).ServeHTTP(w, fromUser(0, httptest.NewRequest(test.method, test.path, nil)))
				if took := time.Since(begin); took != test.want {
					t.Errorf("answered after %v, want %v", took, test.want)
				}
				want := "{\"error\":\"not done in time: context deadline exceeded\",\"hint\":\"it may still happen: see `vipd status`\",\"code\":1}\n"
				if d := cmp.Diff(want, w.Body.String()); d != "" {
					t.Errorf("answer (-want +got):\n%s", d)
				}
			})
		})
	}
}

func TestTheClientGivesUpOnAFrozenDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClient("/run/vipd/web.sock", "vipd@web")
		ours, frozen := net.Pipe()
		defer frozen.Close()
		c.http.Transport = &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return ours, nil },
		}
		begin := time.Now()
		_, err := c.Status(t.Context())
		want := &Error{
			Message: "the daemon does not answer on /run/vipd/web.sock",
			Advice:  "is it stopped, or the host overloaded? systemctl status vipd@web",
			Code:    CodeFailed,
		}
		if d := cmp.Diff(want, ErrorOf(err)); d != "" {
			t.Errorf("error (-want +got):\n%s", d)
		}
		if took := time.Since(begin); took != questionLimit+time.Second {
			t.Errorf("given up after %v, want %v", took, questionLimit+time.Second)
		}
	})
}

// crowded is a daemon that answers nothing and counts who has asked.
type crowded struct {
	Daemon
	asked atomic.Int32
}

func (c *crowded) Status(ctx context.Context) (Status, error) {
	c.asked.Add(1)
	<-ctx.Done()
	return Status{}, ctx.Err()
}

func TestWhoMayNotOrderAsksInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d crowded
		server := routes(&d, zap.NewNop())
		ask := func(uid uint32) {
			server.ServeHTTP(httptest.NewRecorder(), fromUser(uid, httptest.NewRequest(http.MethodGet, "/v1/status", nil)))
		}
		const others, root = 20, 5
		for range others {
			go ask(1000)
		}
		for range root {
			go ask(0)
		}
		synctest.Wait()
		if got := d.asked.Load(); got != root+othersAtOnce {
			t.Errorf("%d were let through, want all %d of root and %d", got, root, othersAtOnce)
		}
		time.Sleep(questionLimit) // then all have given up
	})
}

// pipes is a listener that hands out one end of a pipe each time.
type pipes struct{ net.Listener }

func (pipes) Accept() (net.Conn, error) {
	c, _ := net.Pipe()
	return c, nil
}

// broken is a listener that accepts nothing.
type broken struct{ net.Listener }

func (broken) Accept() (net.Conn, error) { return nil, errors.New("broken") }

func TestNoMoreConnectionsAreAcceptedThanThereArePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit(pipes{}, 2)
		accepted := make(chan net.Conn, 3)
		go func() {
			for range 3 {
				c, _ := l.Accept()
				accepted <- c
			}
		}()
		synctest.Wait()
		if len(accepted) != 2 {
			t.Fatalf("%d accepted, want 2", len(accepted))
		}
		first := <-accepted
		_ = first.Close()
		_ = first.Close() // its place is given back once only
		synctest.Wait()
		if len(accepted) != 2 || len(l.places) != 2 {
			t.Errorf("after one has closed: %d waiting, %d places taken; want 2 and 2", len(accepted), len(l.places))
		}
	})
}

func TestAFailedAcceptTakesNoPlace(t *testing.T) {
	l := limit(broken{}, 1)
	for range 3 {
		if _, err := l.Accept(); err == nil {
			t.Fatal("no error")
		}
	}
}

type withHint struct{ error }

func (withHint) Hint() string { return "do this" }

type withCode struct {
	error
	code int
}

func (e withCode) ExitCode() int { return e.code }

func TestErrorsKeepTheirHintAndExitCode(t *testing.T) {
	plain := errors.New("no")
	tests := map[string]struct {
		err  error
		want Error
	}{
		"plain":               {plain, Error{Message: "no", Code: CodeFailed}},
		"hint, wrapped":       {fmt.Errorf("join: %w", withHint{plain}), Error{Message: "join: no", Advice: "do this", Code: CodeFailed}},
		"code":                {withCode{plain, 3}, Error{Message: "no", Code: CodeNoLeader}},
		"hint and code":       {withHint{plain}, Error{Message: "no", Advice: "do this", Code: CodeFailed}},
		"a code that is none": {withCode{plain, 0}, Error{Message: "no", Code: CodeFailed}},
		"our own":             {&Error{Message: "no", Advice: "go", Code: 2}, Error{Message: "no", Advice: "go", Code: 2}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(&test.want, ErrorOf(test.err)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
