package election

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vipd/vipd/seats"
)

const aMember, aStranger = "10.11.12.5", "10.11.12.66"

// door is a doorway with one member, and with a clock that only the test moves.
type door struct {
	*doorway
	time time.Time
}

func newDoor() *door {
	d := &door{time: time.Unix(1_000_000, 0)}
	d.doorway = newDoorway(func(a netip.Addr) bool { return a == netip.MustParseAddr(aMember) })
	d.now = func() time.Time { return d.time }
	return d
}

// arrival is a connection from a host.
type arrival struct {
	net.Conn
	host   string
	closed bool
}

func (c *arrival) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.host), 40000))
}

func (c *arrival) Close() error {
	c.closed = true
	return nil
}

// let lets so many come from each host, one after the other, and returns who came in.
func (d *door) let(times int, hosts ...string) (in []*seats.Seat[netip.Prefix]) {
	for range times {
		for _, host := range hosts {
			if seat, ok := d.enter(&arrival{host: host}); ok {
				in = append(in, seat)
			}
		}
	}
	return in
}

func manyHosts() []string {
	var hosts []string
	for i := range 200 {
		hosts = append(hosts, fmt.Sprintf("10.11.13.%d", i))
	}
	return hosts
}

func TestHowManyHandshakesMayBeUnderWay(t *testing.T) {
	tests := map[string]struct {
		hosts []string
		want  int
	}{
		"a stranger":     {[]string{aStranger}, strangersAtOnce},
		"a member":       {[]string{aMember}, memberAtOnce},
		"many strangers": {manyHosts(), strangersAtOnce},
		"both":           {append(manyHosts(), aMember), strangersAtOnce + memberAtOnce},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDoor()
			var in []*seats.Seat[netip.Prefix]
			for range 20 {
				in = append(in, d.let(100, test.hosts...)...)
				d.time = d.time.Add(time.Second)
			}
			if open := stillOpen(in); open != test.want {
				t.Errorf("%d are open, want %d", open, test.want)
			}
		})
	}
}

func stillOpen(all []*seats.Seat[netip.Prefix]) (open int) {
	for _, seat := range all {
		if !seat.Conn.(*arrival).closed {
			open++
		}
	}
	return open
}

func TestHowManyMayComeInASecond(t *testing.T) {
	tests := map[string]struct {
		hosts []string
		want  int
	}{
		"a stranger":              {[]string{aStranger}, strangerRate},
		"a member":                {[]string{aMember}, memberRate},
		"many strangers":          {manyHosts(), strangersRate},
		"a flood and another one": {[]string{aStranger, aStranger, aStranger, "10.11.12.7"}, 2 * strangerRate},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDoor()
			for second := range 3 {
				if in := len(d.let(1000, test.hosts...)); in != test.want {
					t.Errorf("second %d: %d came in, want %d", second, in, test.want)
				}
				d.time = d.time.Add(time.Second)
			}
		})
	}
}

// One who floods the port and says nothing takes no other's place.
func TestAFloodDoesNotKeepOutWhoWantsToJoin(t *testing.T) {
	d := newDoor()
	for range 10 {
		d.let(1000, aStranger)
		d.time = d.time.Add(time.Second)
	}
	joiner := d.let(1, "10.11.12.7")
	d.let(1000, aStranger)
	if len(joiner) != 1 || stillOpen(joiner) != 1 {
		t.Errorf("of one who wants to join %d came in and %d stayed", len(joiner), stillOpen(joiner))
	}
}

// A user without rights on a member's host is taken for the member, as far as addresses go.
func TestAMemberGetsThroughBesideAFloodFromItsHost(t *testing.T) {
	d := newDoor()
	for range 10 {
		d.let(1000, aMember)
		d.time = d.time.Add(time.Second)
	}
	own := d.let(1, aMember)
	d.let(memberAtOnce-1, aMember)
	if len(own) != 1 || stillOpen(own) != 1 {
		t.Errorf("of the member's own %d came in and %d stayed", len(own), stillOpen(own))
	}
}
