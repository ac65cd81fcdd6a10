package lab

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// How long a test waits for what should come, since the machine may be slow, and for what should not.
const (
	long  = 20 * time.Second
	short = 300 * time.Millisecond
)

// hears reports whether a TCP connection from one host to another can be made within that time; nobody listens there, so
// that it is refused is the answer.
func hears(t *testing.T, from, to *Host, within time.Duration) bool {
	t.Helper()
	_, err := get(t.Context(), from.httpClient(within, nil), to.Address.String())
	return errors.Is(err, unix.ECONNREFUSED)
}

// patience is how long to wait for what should come or should not.
func patience(comes bool) time.Duration {
	if comes {
		return long
	}
	return short
}

func TestFaultsBreakWhatTheyName(t *testing.T) {
	l := newTestLab(t, Config{})
	vm1, vm2, vm3 := l.Hosts[0], l.Hosts[1], l.Hosts[2]
	p := startProber(t, l)
	hold(t, vm1, "eth0")
	tests := []struct {
		name                 string
		do                   func() error
		peers, client, aside bool // vm1 talks with vm2; vm1 answers the client; vm2 talks with vm3
	}{
		{"nothing", func() error { return nil }, true, true, true},
		{"crash", vm1.Crash, false, false, true},
		{"heal", vm1.Heal, true, true, true},
		{"cut both", func() error { return vm1.CutPeers(Both) }, false, true, true},
		{"cut in", func() error { return vm1.CutPeers(In) }, false, true, true},
		{"cut out", func() error { return vm1.CutPeers(Out) }, false, true, true},
		{"heal again", vm1.Heal, true, true, true},
		{"loss of everything", func() error { return l.Loss(100) }, false, true, false},
		{"no loss", func() error { return l.Loss(0) }, true, true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := test.do(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience(test.client))
			defer cancel()
			_, err := p.Settled(ctx, 50*time.Millisecond, nil)
			got := [...]bool{hears(t, vm1, vm2, patience(test.peers)), err == nil, hears(t, vm2, vm3, patience(test.aside))}
			if want := [...]bool{test.peers, test.client, test.aside}; got != want {
				t.Errorf("vm1 with vm2, vm1 with the client, vm2 with vm3: %v, want %v", got, want)
			}
		})
	}
}

// The rules of the two directions look alike; a flow of datagrams tells them apart.
func TestCutsHaveADirection(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 2})
	vm1, vm2 := l.Hosts[0], l.Hosts[1]
	tests := []struct {
		direction   Direction
		in, outward bool
	}{{In, false, true}, {Out, true, false}, {Both, false, false}}
	for _, test := range tests {
		t.Run(test.direction.String(), func(t *testing.T) {
			if err := vm1.CutPeers(test.direction); err != nil {
				t.Fatal(err)
			}
			in, outward := arrives(t, vm2, vm1) > 0, arrives(t, vm1, vm2) > 0
			if in != test.in || outward != test.outward {
				t.Errorf("arrives: in %v, out %v; want %v, %v", in, outward, test.in, test.outward)
			}
		})
	}
}

func TestLossLosesThatShare(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 2})
	if err := l.Loss(33); err != nil {
		t.Fatal(err)
	}
	// 1000 packets: 670 ± 15 arrive, 100 off is seven standard deviations.
	if got := arrives(t, l.Hosts[0], l.Hosts[1]); got < 570 || got > 770 {
		t.Errorf("%d of 1000 packets arrived, want about 670", got)
	}
}
