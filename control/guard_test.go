package control

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/seats"
)

// fromUser is a request over a connection that a user has opened.
func fromUser(uid uint32, r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), askerKey{}, unix.Ucred{Uid: uid, Pid: 4711}))
}

func TestOrdersAreTakenFromRootAndTheDaemonsOwnUserOnly(t *testing.T) {
	pause := func() *http.Request { return httptest.NewRequest(http.MethodPost, "/v1/pause", nil) }
	const refused = `{"error":"only root may order this; you are uid 65533","hint":"use sudo","code":1}` + "\n"
	tests := map[string]struct {
		request *http.Request
		status  int
		want    string
	}{
		"root":              {fromUser(0, pause()), 200, "{}\n"},
		"the daemon's user": {fromUser(uint32(os.Geteuid()), pause()), 200, "{}\n"},
		"another":           {fromUser(65533, pause()), 403, refused},
		"nobody knows who":  {pause(), 403, `{"error":"only root may order this, and the kernel does not tell who you are","hint":"use sudo","code":1}` + "\n"},
		"no valid order":    {fromUser(65533, httptest.NewRequest(http.MethodPost, "/v1/join", nil)), 403, refused},
		"a question":        {fromUser(65533, httptest.NewRequest(http.MethodGet, "/v1/leader", nil)), 200, `{"name":"","id":"","address":"","term":0}` + "\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, w := new(recorder), httptest.NewRecorder()
			routes(d, zap.NewNop()).ServeHTTP(w, test.request)
			if w.Code != test.status || d.asked != (test.status == 200) {
				t.Errorf("status %d, carried out: %v; want status %d", w.Code, d.asked, test.status)
			}
			if diff := cmp.Diff(test.want, w.Body.String()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARefusedUserGetsOneLineInTheLogEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		handler := routes(new(recorder), zap.New(core))
		try := func(uid uint32, path string) {
			handler.ServeHTTP(httptest.NewRecorder(), fromUser(uid, httptest.NewRequest(http.MethodPost, path, nil)))
		}
		for range 100 {
			try(1000, "/v1/pause")
		}
		try(1001, "/v1/leave")
		time.Sleep(refusalPause - time.Nanosecond)
		try(1000, "/v1/pause")
		time.Sleep(time.Nanosecond)
		try(1000, "/v1/freeze")

		var got []map[string]any
		for _, entry := range logs.All() {
			if entry.Message != "an order was refused: only root may give one" {
				t.Errorf("logged: %s", entry.Message)
			}
			got = append(got, entry.ContextMap())
		}
		want := []map[string]any{
			{"uid": uint32(1000), "pid": int32(4711), "order": "/v1/pause"},
			{"uid": uint32(1001), "pid": int32(4711), "order": "/v1/leave"},
			{"uid": uint32(1000), "pid": int32(4711), "order": "/v1/freeze"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestWhoMayNotOrderCanKeepOutNobody(t *testing.T) {
	l := reserve(limit(pipes{}, 4), 2)
	accept := func(uid uint32) net.Conn {
		l.peer = func(net.Conn) (unix.Ucred, bool) { return unix.Ucred{Uid: uid}, true }
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var crowd []net.Conn
	for range 10 {
		crowd = append(crowd, accept(1000))
	}
	root, other := accept(0), accept(1001)
	if len(l.places) != 3 || l.others.Taken() != 2 {
		t.Fatalf("%d places are taken, %d of them by others; want 3 and 2", len(l.places), l.others.Taken())
	}
	if _, err := crowd[0].Write(nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the oldest of ten is still open (%v)", err)
	}
	for _, c := range append(crowd, root, other, other) {
		_ = c.Close()
	}
	if len(l.places) != 0 || l.others.Taken() != 0 {
		t.Errorf("at the end %d places are taken, %d by others", len(l.places), l.others.Taken())
	}
}

func TestWorkForAConnectionThatLosesItsPlaceEnds(t *testing.T) {
	s := seats.New[uint32](1)
	first, _ := net.Pipe()
	second, _ := net.Pipe()
	ctx := withAsker(t.Context(), s.Take(first, 1000))
	if ctx.Err() != nil {
		t.Fatal("it ended before")
	}
	s.Take(second, 1001)
	if ctx.Err() == nil {
		t.Error("it goes on")
	}
}
