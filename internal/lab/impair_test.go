package lab

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// impair makes paths worse until the test ends or mend is called.
func impair(t *testing.T, l *Lab, paths []Path, how Impairment) (mend func()) {
	t.Helper()
	undo, err := l.Impair(paths, how)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := undo(); err != nil {
			t.Error(err)
		}
	}
}

func TestCutsOfPathsAddUpAndAreMendedOneByOne(t *testing.T) {
	l := newTestLab(t, Config{})
	vm1, vm2, vm3 := l.Hosts[0], l.Hosts[1], l.Hosts[2]
	cut := Impairment{Loss: 100}
	expect := func(what string, want ...bool) {
		t.Helper()
		got := []bool{arrives(t, vm1, vm2) > 0, arrives(t, vm2, vm1) > 0, arrives(t, vm1, vm3) > 0}
		if !slices.Equal(got, want) {
			t.Errorf("%s: vm1 to vm2, vm2 to vm1, vm1 to vm3 arrives: %v, want %v", what, got, want)
		}
	}
	oneWay := impair(t, l, []Path{{vm1, vm2}}, cut)
	expect("one way", false, true, true)
	bothWays := impair(t, l, append(Paths([]*Host{vm1}, []*Host{vm2}), Paths([]*Host{vm2}, []*Host{vm1})...), cut)
	expect("and both ways", false, false, true)
	oneWay()
	expect("both ways", false, false, true)
	bothWays()
	expect("mended", true, true, true)
}

// echo has one host send that many bytes to another over TCP and waits until all have come back.
func echo(t *testing.T, from, to *Host, size int) (time.Duration, error) {
	t.Helper()
	var listener net.Listener
	err := to.ns.within(func() (err error) { listener, err = net.Listen("tcp", to.Address.String()+":7"); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	began := time.Now()
	var c net.Conn
	err = from.ns.within(func() (err error) {
		c, err = net.DialTimeout("tcp", listener.Addr().String(), long)
		return err
	})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(began.Add(time.Minute))
	go func() { _, _ = c.Write(make([]byte, size)) }()
	_, err = io.ReadFull(c, make([]byte, size))
	return time.Since(began), err
}

func TestDelayAndRateSlowTCPDown(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 2})
	vm1, vm2 := l.Hosts[0], l.Hosts[1]
	tests := []struct {
		name  string
		how   Impairment
		size  int
		least time.Duration
	}{
		{"nothing", Impairment{}, 1 << 20, 0},
		{"delay", Impairment{Delay: 100 * time.Millisecond}, 1, 200 * time.Millisecond}, // SYN and data
		{"packets overtake one another", Impairment{Jitter: 5 * time.Millisecond}, 1 << 20, 0},
		{"rate", Impairment{Rate: 100_000}, 100_000, 500 * time.Millisecond},
		{"large packets pass the relay whole", Impairment{Delay: time.Millisecond}, 1 << 20, 0},
		{"nothing again", Impairment{}, 1 << 20, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mend := impair(t, l, []Path{{vm1, vm2}}, test.how)
			defer mend()
			took, err := echo(t, vm1, vm2, test.size)
			if err != nil || took < test.least {
				t.Errorf("%d bytes there and back took %v, %v; want %v or more", test.size, took, err, test.least)
			}
			t.Log(took)
		})
	}
}

// What is cut is cut, also for packets that the relay carries.
func TestADelayedPathCanBeCut(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 2})
	vm1, vm2 := l.Hosts[0], l.Hosts[1]
	defer impair(t, l, []Path{{vm1, vm2}}, Impairment{Delay: time.Millisecond})()
	if arrives(t, vm1, vm2) == 0 {
		t.Error("nothing arrives late")
	}
	mend := impair(t, l, []Path{{vm1, vm2}}, Impairment{Loss: 100})
	if got := arrives(t, vm1, vm2); got != 0 {
		t.Errorf("%d packets arrive on a path that is cut", got)
	}
	mend()
	if arrives(t, vm1, vm2) == 0 {
		t.Error("nothing arrives after the cut was mended")
	}
}

func TestALinkThatWasDownIsAsBefore(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 2})
	vm1, vm2 := l.Hosts[0], l.Hosts[1]
	if err := vm1.LinkDown(); err != nil {
		t.Fatal(err)
	}
	if hears(t, vm2, vm1, short) {
		t.Error("a host whose link is down answers")
	}
	for range 2 { // also if it was up
		if err := vm1.LinkUp(); err != nil {
			t.Fatal(err)
		}
	}
	if !hears(t, vm1, vm2, long) || !hears(t, vm2, vm1, long) {
		t.Error("the hosts do not hear each other after the link is up again")
	}
	routes, err := vm1.Run(t.Context(), "ip", "route", "get", probeAddress.String())
	if err != nil {
		t.Error(err)
	}
	t.Log(routes)
}
