package lab

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var floating = netip.MustParseAddr("42.159.241.126")

// replyTo is what the kernel of a host that holds the address makes of a probe.
func replyTo(p []byte) []byte {
	r := append([]byte(nil), p...)
	copy(r[0:6], p[6:12])
	copy(r[6:12], p[0:6])
	copy(r[atIP+12:], p[atIP+16:atIP+20])
	copy(r[atIP+16:], p[atIP+12:atIP+16])
	r[atICMP] = echoReply
	return r
}

func TestAnswerNamesHostAndTick(t *testing.T) {
	host := [6]byte{2, 0, 10, 11, 12, 4}
	p := newProbe([6]byte{2, 1}, host, clientAddress, floating, 2, 77)
	sent := p.at(123456)
	if checksum(sent[atIP:atICMP]) != 0 || checksum(sent[atICMP:]) != 0 {
		t.Error("the probe's checksums are wrong")
	}
	got, ok := parseAnswer(replyTo(sent), floating, 77)
	if want := (answer{mac: host, host: 2, tick: 123456}); !ok || got != want {
		t.Errorf("got %+v %v, want %+v", got, ok, want)
	}
}

func TestOtherFramesAreNoAnswers(t *testing.T) {
	good := replyTo(newProbe([6]byte{}, [6]byte{}, clientAddress, floating, 0, 77).at(1))
	changed := func(at int, to byte) []byte {
		f := append([]byte(nil), good...)
		f[at] = to
		return f
	}
	frames := map[string][]byte{
		"nothing":         nil,
		"short":           good[:frameSize-1],
		"ARP":             changed(13, 6),
		"IP options":      changed(atIP, 0x46),
		"TCP":             changed(atIP+9, 6),
		"request":         changed(atICMP, echoRequest),
		"another address": changed(atIP+12, 10),
		"another prober":  changed(atPayload+7, 78),
	}
	for name, frame := range frames {
		t.Run(name, func(t *testing.T) {
			if a, ok := parseAnswer(frame, floating, 77); ok {
				t.Errorf("taken for %+v", a)
			}
		})
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(replyTo(newProbe([6]byte{1}, [6]byte{2}, clientAddress, floating, 1, 77).at(9)))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		a, ok := parseAnswer(frame, floating, 77)
		if again, okAgain := parseAnswer(append(frame, 0), floating, 77); ok && (!okAgain || !cmp.Equal(a, again, cmp.AllowUnexported(answer{}))) {
			t.Errorf("padding changes %+v to %+v", a, again)
		}
	})
}
