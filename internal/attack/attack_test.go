package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/internal/lab"
)

// The test's program is the attacker too, as the program itself is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == strikeWord {
		main()
	}
	os.Exit(m.Run())
}

// What is about time is left to `make attack`, since other tests run on the machine.
func TestAShortAttack(t *testing.T) {
	set := settings{length: 500 * time.Millisecond, only: []string{
		"none", "idle-spread", "inside-churn", "garbage", "old-frame", "hello-huge", "renegotiate", "foreign-ca", "join-tokens", "join-bodies", "join-words",
		"new-words", "probe-spread", "probe-header", "socket-deaf", "socket-orders",
	}}
	var out strings.Builder
	rows, err := besiege(t.Context(), set, &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	if want := len(set.only) + 1; len(rows) != want {
		t.Errorf("%d rows, want %d", len(rows), want)
	}
	for _, r := range rows {
		for _, fault := range r.faults {
			t.Errorf("%s: %s", r.attack.name, fault)
		}
	}
}

func TestEachAttackHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range attacks() {
		if a.name == "" || a.does == "" || seen[a.name] {
			t.Errorf("the name %q is empty or there twice, or it does nothing", a.name)
		}
		if seen[a.name] = true; a.callers > 0 && a.speak == nil {
			t.Errorf("%s says nothing", a.name)
		}
	}
}

// serveTLS is a server that reads until the connection ends, over a real socket.
func serveTLS(t *testing.T) (address string, heard <-chan string, ended <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	words, why := make(chan string, 1), make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{forge()}, MinVersion: tls.VersionTLS13, NextProtos: []string{joinProtocol}})
		text, err := io.ReadAll(io.LimitReader(conn, 200))
		words <- string(text)
		why <- err
	}()
	return l.Addr().String(), words, why
}

func give(t *testing.T, address string, speak speech) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go speak(context.WithoutCancel(t.Context()), c)
}

// An attack that is not understood proves nothing.
func TestKeyUpdatesAreUnderstood(t *testing.T) {
	address, heard, _ := serveTLS(t)
	give(t, address, sealed(keyUpdates))
	if got := <-heard; len(got) != 200 || !strings.HasPrefix(got, "POST /enrol ") || !strings.HasSuffix(got, "\r\n\r\n"+strings.Repeat(" ", 200-len(strings.TrimRight(got, " ")))) {
		t.Errorf("heard %q", got)
	}
}

func TestEachHelloIsWhatItIsMeantToBe(t *testing.T) {
	tests := map[string]struct {
		speak speech
		want  string
	}{
		"renegotiation":          {sealed(renegotiation), "tls: received unexpected handshake message of type *tls.clientHelloMsg"},
		"in the clear":           {inTheClear, "local error: tls: bad record MAC"},
		"16 MiB":                 {claimedHello, "tls: handshake message of length 16777215 bytes exceeds maximum of 65536 bytes"},
		"64 KiB":                 {hugeHello(), ""}, // it is a good one
		"byte by byte":           {bytewiseHello(), ""},
		"TLS 1.2":                {withTLS(oldTLS()), "tls: client offered only unsupported versions: [303]"},
		"of a version of before": {say(oldFrame("{}")), "tls: first record does not look like a TLS handshake"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			address, _, ended := serveTLS(t)
			ctx, cancel := context.WithCancel(t.Context())
			give(t, address, func(_ context.Context, c net.Conn) {
				defer context.AfterFunc(ctx, func() { c.Close() })()
				test.speak(ctx, c)
			})
			defer cancel()
			if test.want == "" {
				time.AfterFunc(200*time.Millisecond, cancel)
			}
			if d := cmp.Diff(test.want, says(<-ended)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func says(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestJudgement(t *testing.T) {
	h := &lab.Host{Name: "vm1"}
	before := size{memory: 20 << 20, files: 20}
	well := sight{most: before, probe: answers{asked: 1}, status: answers{asked: 1}, holder: &control.Holder{Name: "vm1", Term: 2}}
	tests := map[string]struct {
		spoil func(*sight)
		want  string
	}{
		"well":          {func(*sight) {}, ""},
		"memory":        {func(v *sight) { v.most.memory += memoryLimit + 1<<20 }, "vm1: 65 MiB more"},
		"descriptors":   {func(v *sight) { v.most.files += filesLimit + 1 }, "vm1: 301 descriptors more"},
		"death":         {func(v *sight) { v.lives = 1 }, "vm1: its daemon ended"},
		"term":          {func(v *sight) { v.holder.Term = 3 }, "vm1: the holder changed 1 times, to vm1 in term 3"},
		"slow probe":    {func(v *sight) { v.probe.slowest = 2 * time.Second }, "vm1: probe took 2s"},
		"no status":     {func(v *sight) { v.status.note(0, errors.New("no")) }, "vm1: status failed 1 of 2 times: no"},
		"as it must be": {func(v *sight) { v.probe.slowest, v.status.slowest = answerLimit, statusLimit }, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := &stage{Lab: &lab.Lab{Hosts: []*lab.Host{h}}, term: 2, idle: map[*lab.Host]size{h: before}}
			v := well
			holder := *well.holder
			v.holder = &holder
			test.spoil(&v)
			r := row{seen: map[*lab.Host]sight{h: v}}
			s.judgeOne(&r, h)
			if d := cmp.Diff(test.want, strings.Join(append(r.faults, r.late...), "; ")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestWhatIsAskedForWrongly(t *testing.T) {
	var out, complaints bytes.Buffer
	if code := run(t.Context(), []string{"-only", "idle,nonsense"}, &out, &complaints); code != 2 || !strings.HasPrefix(complaints.String(), `attack: there is no attack "nonsense"; there are none, idle, `) {
		t.Errorf("exit code %d: %s", code, complaints.String())
	}
}
