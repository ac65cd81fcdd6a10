package election

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vipd/vipd/seats"
)

// Limits of what may be under way before it is known who calls. Those of strangers do not
// touch the members, who are known by their addresses: TCP makes sure of these as far as
// nobody sits on the way.
const (
	strangersAtOnce = 64  // of all hosts that are no members
	strangersRate   = 50  // of them, each second
	strangerRate    = 25  // of one of them, each second
	memberAtOnce    = 32  // of one member
	memberRate      = 200 // of one member, each second; one that can't get through calls again and again
)

// doorway limits how many callers are being looked at. The rates keep what handshakes cost
// small. Within them everybody who comes is let in, and the oldest has to go: so who only
// keeps a place keeps out nobody for long.
type doorway struct {
	isMember  func(netip.Addr) bool
	now       func() time.Time
	strangers *seats.Seats[netip.Prefix]

	mu      sync.Mutex
	members map[netip.Addr]*seats.Seats[netip.Prefix]
	second  time.Time // the beginning of the one that is counted
	counted int       // of strangers in it
	came    map[netip.Prefix]int
}

func newDoorway(isMember func(netip.Addr) bool) *doorway {
	return &doorway{
		isMember: isMember, now: time.Now, strangers: seats.New[netip.Prefix](strangersAtOnce),
		members: make(map[netip.Addr]*seats.Seats[netip.Prefix]),
	}
}

// enter returns the caller with its place, which it must leave when it is known who it is.
// It reports false where it may not come in.
func (d *doorway) enter(conn net.Conn) (*seats.Seat[netip.Prefix], bool) {
	from := seats.Origin(conn.RemoteAddr())
	places := d.places(conn.RemoteAddr())
	if !d.inTime(from, places == d.strangers) {
		return nil, false
	}
	return places.Take(conn, from), true
}

// places are those that a caller may have one of: a member's own, or those of all others.
func (d *doorway) places(caller net.Addr) *seats.Seats[netip.Prefix] {
	address, err := netip.ParseAddr(hostOf(caller))
	if address = address.Unmap(); err != nil || !d.isMember(address) {
		return d.strangers
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.members[address] == nil {
		d.members[address] = seats.New[netip.Prefix](memberAtOnce)
	}
	return d.members[address]
}

// inTime reports whether one from there may come in this second, and counts it.
func (d *doorway) inTime(from netip.Prefix, stranger bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.now(); now.Sub(d.second) >= time.Second || now.Before(d.second) {
		d.second, d.counted, d.came = now, 0, make(map[netip.Prefix]int)
	}
	switch {
	case !stranger && d.came[from] >= memberRate:
		return false
	case stranger && (d.came[from] >= strangerRate || d.counted >= strangersRate):
		return false
	case stranger:
		d.counted++
	}
	d.came[from]++
	return true
}
