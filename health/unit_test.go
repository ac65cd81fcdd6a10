package health

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// systemd is a working model of a system bus on which systemd answers for its units.
type systemd struct {
	units map[dbus.ObjectPath]map[string]string // properties by path
	mute  bool                                  // it takes connections and says nothing
}

// listen makes it the system bus until the test ends.
func (s systemd) listen(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+file)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait() // and with it for the probes to have hung up
	})
}

func (s systemd) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	if s.mute {
		io.Copy(io.Discard, in)
		return
	}
	if !authenticate(in, conn) {
		return
	}
	for {
		message, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		if err := s.answer(message).EncodeTo(conn, binary.LittleEndian); err != nil {
			return
		}
	}
}

// authenticate speaks the server's part of SASL ("Authentication Protocol" in the D-Bus specification).
func authenticate(in *bufio.Reader, out io.Writer) bool {
	if _, err := in.ReadByte(); err != nil {
		return false
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		answer := "ERROR\r\n"
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case word == "BEGIN":
			return true
		case strings.HasPrefix(line, "AUTH EXTERNAL"), word == "DATA":
			answer = "OK 00000000000000000000000000000000\r\n"
		case word == "AUTH":
			answer = "REJECTED EXTERNAL\r\n"
		}
		if _, err := io.WriteString(out, answer); err != nil {
			return false
		}
	}
}

func (s systemd) answer(call *dbus.Message) *dbus.Message {
	answer := &dbus.Message{
		Type:    dbus.TypeMethodReply,
		Headers: map[dbus.HeaderField]dbus.Variant{dbus.FieldReplySerial: dbus.MakeVariant(call.Serial())},
	}
	switch call.Headers[dbus.FieldMember].Value() {
	case "Hello":
		answer.Body = []any{":1.1"}
	case "Get":
		path := call.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
		text, known := s.units[path][call.Body[1].(string)]
		if !known {
			answer.Type = dbus.TypeError
			answer.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.freedesktop.DBus.Error.UnknownObject")
			text = "Unknown object."
			answer.Body = []any{text}
			break
		}
		answer.Body = []any{dbus.MakeVariant(text)}
	}
	if len(answer.Body) > 0 {
		answer.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(answer.Body...))
	}
	return answer
}

func TestAUnitIsActive(t *testing.T) {
	unit := func(active, load string) map[string]string {
		return map[string]string{"ActiveState": active, "LoadState": load}
	}
	const folder = "/org/freedesktop/systemd1/unit/"
	systemd{units: map[dbus.ObjectPath]map[string]string{
		folder + "apache2_2eservice":   unit("active", "loaded"),
		folder + "reloading_2eservice": unit("reloading", "loaded"),
		folder + "starting_2eservice":  unit("activating", "loaded"),
		folder + "failed_2eservice":    unit("failed", "loaded"),
		folder + "stopped_2eservice":   unit("inactive", "loaded"),
		folder + "none_2eservice":      unit("inactive", "not-found"),
	}}.listen(t)
	tests := map[string]string{
		"apache2.service":   "",
		"reloading.service": "",
		"starting.service":  "unit starting.service is activating",
		"failed.service":    "unit failed.service is failed",
		"stopped.service":   "unit stopped.service is inactive",
		"none.service":      "unit none.service does not exist",
		"refused.service":   "ask systemd about unit refused.service: Unknown object.",
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) { wants(t, Unit{name}, want) })
	}
}

func TestAUnitIsNotWaitedForWhenTheBusIsSilent(t *testing.T) {
	systemd{mute: true}.listen(t)
	late(t, Unit{"apache2.service"}, "unit apache2.service: no answer within 100ms")
}

func TestAUnitIsNotActiveWithoutSystemd(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	r := runner{check: check("unit"), start: start}
	r.check.Probe = Unit{"no-such-unit-anywhere.service"}
	// With a systemd on this host, root is answered by that one.
	if _, err := r.run(t.Context()); err == nil {
		t.Error("is active")
	}
}
