package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/zap"
)

// recorder keeps the last name that got as far as the daemon.
type recorder struct {
	Daemon
	name  string
	asked bool
}

func (r *recorder) take(name string) error {
	r.name, r.asked = name, true
	return nil
}

func (r *recorder) Init(context.Context) (Formed, error)           { return Formed{}, r.take("") }
func (r *recorder) Leader(context.Context) (Leader, error)         { return Leader{}, r.take("") }
func (r *recorder) Leave(context.Context) error                    { return r.take("") }
func (r *recorder) Remove(_ context.Context, n string) error       { return r.take(n) }
func (r *recorder) RevokeToken(_ context.Context, id string) error { return r.take(id) }
func (r *recorder) Rotate(context.Context) error                   { return r.take("") }
func (r *recorder) Pause(context.Context) error                    { return r.take("") }
func (r *recorder) Resume(context.Context) error                   { return r.take("") }
func (r *recorder) Freeze(context.Context) error                   { return r.take("") }
func (r *recorder) Thaw(context.Context) error                     { return r.take("") }
func (r *recorder) Transfer(_ context.Context, t Transfer) (Moved, error) {
	return Moved{}, r.take(t.Node)
}

func (r *recorder) Join(_ context.Context, peer, _ string) (Joined, error) {
	return Joined{}, r.take(peer)
}

func (r *recorder) CreateToken(context.Context, TokenUse) (NewToken, error) {
	return NewToken{}, r.take("")
}

// FuzzOrders sends any bytes as the body of any order: the answer is JSON, and
// the daemon is asked if and only if it is 200, with a name that may be logged.
func FuzzOrders(f *testing.F) {
	orders := []string{"init", "join", "leave", "remove", "transfer", "pause", "resume", "freeze", "thaw", "rotate", "token/create", "token/revoke"}
	for i := range orders {
		for _, body := range []string{``, `{}`, `null`, `{"peer":"10.11.12.4"}`, `{"peer":"10.11.12.4","token":"vipd1.x"}`, `{"peer":"10.11.12.4","token":"a b"}`, `{"ttl_ms":60000,"uses":1}`, `{"ttl_ms":1e300,"uses":-1}`, `{"id":"9a"}`, `{"node":"vm2"}`, `{"node":"\u0000"}`, `{"node":1}`, `{"node":"vm2","hasty":true}`, `{"hasty":1}`, "{\"peer\":\"\xff\"}", `[{}]`, `{}}`} {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		d := new(recorder)
		w := httptest.NewRecorder()
		path := "/v1/" + orders[int(which)%len(orders)]
		routes(d, zap.NewNop()).ServeHTTP(w, fromUser(0, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))))

		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("the answer is not JSON: %q", w.Body)
		}
		if asked := w.Code == http.StatusOK; asked != d.asked {
			t.Errorf("status %d, but asked is %v", w.Code, d.asked)
		}
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("status %d, want 200 or 400", w.Code)
		}
		if len(d.name) > maxName || !utf8.ValidString(d.name) || strings.ContainsAny(d.name, "\x00\n\r\t \x1b") {
			t.Errorf("the daemon was asked about %q", d.name)
		}
	})
}

func (r *recorder) Simulate(_ context.Context, s Suppose) (Forecast, error) {
	return Forecast{}, r.take(strings.Join(slices.Concat(s.Fail, s.Lose, s.Pause), ""))
}

// FuzzSuppositions sends any query: the answer is JSON, and the daemon is asked if and
// only if it is 200, with names that may be logged and that the client would send alike.
func FuzzSuppositions(f *testing.F) {
	for _, query := range []string{"", "lose=vm1", "fail=web@vm1&lose=vm2&lose=vm3&pause=vm4", "fail=web", "lose=", "lose=%00", "%zz", "loose=vm1", "lose=vm1;pause=vm2", strings.Repeat("lose=a&", maxSupposed+1)} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		d := new(recorder)
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/v1/simulate", nil)
		r.URL.RawQuery = query
		routes(d, zap.NewNop()).ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("the answer is not JSON: %q", w.Body)
		}
		if asked := w.Code == http.StatusOK; asked != d.asked || !asked && w.Code != http.StatusBadRequest {
			t.Errorf("status %d, but asked is %v", w.Code, d.asked)
		}
		if !utf8.ValidString(d.name) || strings.ContainsAny(d.name, "\x00\n\r\t \x1b") {
			t.Errorf("the daemon was asked about %q", d.name)
		}
		s, err := readSuppose(query)
		if err != nil {
			return
		}
		if back, err := readSuppose(s.query()); err != nil || !reflect.DeepEqual(s, back) {
			t.Errorf("%+v became %+v, %v", s, back, err)
		}
	})
}

// daemonThat is the client's end of a connection to a daemon that says answer to whatever it is asked.
func daemonThat(answer []byte) net.Conn {
	here, there := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, there) }()
	go func() {
		_, _ = there.Write(answer)
		_ = there.Close()
	}()
	return here
}

// FuzzAnswers lets the daemon answer any bytes: the client returns what was asked for, or an error made for people with an exit
// code that scripts know.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{"{}", "null", "[]", `{"error":"no","hint":"do","code":3}`, `{"error":"no","code":99}`, `{"error":"\u001b[2J"}`, `{"cluster":{"detect_ms":1e99}}`, `{"time":"9999-12-31T23:59:59+23:59"}`, strings.Repeat("[", 10_001)} {
		for _, status := range []string{"200 OK", "400 Bad Request", "503 x", "302 Found\r\nLocation: http://x/", "101 Switching Protocols"} {
			f.Add([]byte("HTTP/1.1 " + status + "\r\nConnection: close\r\n\r\n" + body))
		}
	}
	for _, answer := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n{", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n{", "SSH-2.0-x\r\n"} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := NewClient("/run/vipd.sock", "vipd")
		c.http.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return daemonThat(answer), nil }}
		status, err := c.Status(t.Context())
		leave := c.Leave(t.Context())
		if (err == nil) && !bytes.Contains(answer, []byte("200")) {
			t.Errorf("%q was taken for %+v", answer, status)
		}
		for _, err := range []error{err, leave} {
			e, ok := errors.AsType[*Error](err)
			if err != nil && (!ok || e.Message == "" || ErrorOf(e).Code < CodeFailed || ErrorOf(e).Code > CodeNoLeader) {
				t.Errorf("not an error for people: %#v", err)
			}
		}
	})
}
