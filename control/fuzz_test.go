package control

import (
	"bytes"
	"context"
	"encoding/json"
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

func (r *recorder) Init(context.Context) (Formed, error)             { return Formed{}, r.take("") }
func (r *recorder) Leader(context.Context) (Leader, error)           { return Leader{}, r.take("") }
func (r *recorder) Leave(context.Context) error                      { return r.take("") }
func (r *recorder) Join(_ context.Context, p string) (Joined, error) { return Joined{}, r.take(p) }
func (r *recorder) Remove(_ context.Context, n string) error         { return r.take(n) }
func (r *recorder) Pause(context.Context) error                      { return r.take("") }
func (r *recorder) Resume(context.Context) error                     { return r.take("") }
func (r *recorder) Freeze(context.Context) error                     { return r.take("") }
func (r *recorder) Thaw(context.Context) error                       { return r.take("") }
func (r *recorder) Transfer(_ context.Context, t Transfer) (Moved, error) {
	return Moved{}, r.take(t.Node)
}

// FuzzOrders sends any bytes as the body of any order: the answer is JSON, and
// the daemon is asked if and only if it is 200, with a name that may be logged.
func FuzzOrders(f *testing.F) {
	orders := []string{"init", "join", "leave", "remove", "transfer", "pause", "resume", "freeze", "thaw"}
	for i := range orders {
		for _, body := range []string{``, `{}`, `null`, `{"peer":"10.11.12.4"}`, `{"node":"vm2"}`, `{"node":"\u0000"}`, `{"node":1}`, `{"node":"vm2","hasty":true}`, `{"hasty":1}`, "{\"peer\":\"\xff\"}", `[{}]`, `{}}`} {
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
