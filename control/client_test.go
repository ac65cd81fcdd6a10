package control_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/control"
)

func TestTheClientSaysThatTheDaemonIsNotRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vipd.sock")
	want := &control.Error{
		Message: "the daemon is not running: nobody listens on " + path,
		Advice:  "systemctl start vipd",
		Code:    control.CodeFailed,
	}
	_, err := control.NewClient(path, "vipd").Status(t.Context())
	if d := cmp.Diff(want, control.ErrorOf(err)); d != "" {
		t.Errorf("without a socket (-want +got):\n%s", d)
	}

	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	_, err = control.NewClient(path, "vipd").Status(t.Context())
	if d := cmp.Diff(want, control.ErrorOf(err)); d != "" {
		t.Errorf("with the socket of a dead daemon (-want +got):\n%s", d)
	}
}

func TestTheClientMakesSenseOfOddAnswers(t *testing.T) {
	tests := map[string]struct{ answer, want string }{
		"not JSON":        {response("200 OK", "hi"), "read the daemon's answer to status: invalid character 'h' looking for beginning of value"},
		"not our error":   {response("500 Oops", "hi"), "the daemon answered 500 Oops"},
		"too many millis": {response("200 OK", `{"cluster":{"detect_ms":1e99}}`), "read the daemon's answer to status: 1e99 milliseconds are too many"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := statusFrom(t, t.Context(), test.answer)
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func response(status, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func TestTheClientSaysThatTheDaemonWentAway(t *testing.T) {
	_, err := statusFrom(t, t.Context(), "")
	refused(t, "a daemon that went away", err, control.CodeFailed)
}

func TestTheClientGivesUpWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	if _, err := statusFrom(t, ctx, ""); !errors.Is(err, interrupted) {
		t.Errorf("got %v, want %v", err, interrupted)
	}
}

// statusFrom asks for the status a daemon that answers just this and hangs up.
func statusFrom(t *testing.T, ctx context.Context, answer string) (control.Status, error) {
	t.Helper()
	l, path := listen(t)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte(answer))
	}()
	return control.NewClient(path, "vipd").Status(ctx)
}
