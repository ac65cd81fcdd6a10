package seats

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Seats are the places at a listener. Whoever comes gets one. While all are taken, the oldest connection of whoever has
// the most is closed for it. K says who somebody is.
type Seats[K comparable] struct {
	places int

	mu    sync.Mutex
	taken []*Seat[K] // the oldest first
}

// Seat is a connection that has its place until it is closed.
type Seat[K comparable] struct {
	net.Conn
	whose K
	all   *Seats[K]
	lost  func() // nil for nothing; guarded by the mutex of all
}

// New returns that many places, which must be one at least.
func New[K comparable](places int) *Seats[K] { return &Seats[K]{places: places} }

// Take seats a connection.
func (s *Seats[K]) Take(c net.Conn, whose K) *Seat[K] {
	own := &Seat[K]{Conn: c, whose: whose, all: s}
	if loser := s.add(own); loser != nil {
		_ = loser.end()
	}
	return own
}

// Taken is how many places are taken.
func (s *Seats[K]) Taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

// add returns who has lost the place to it, nil if there was a free one.
func (s *Seats[K]) add(own *Seat[K]) *Seat[K] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, own)
	if len(s.taken) <= s.places {
		return nil
	}
	most := s.greediest()
	i := slices.IndexFunc(s.taken, func(o *Seat[K]) bool { return o.whose == most })
	loser := s.taken[i]
	s.taken = slices.Delete(s.taken, i, i+1)
	return loser
}

// greediest is who has the most; of several who have as many, the one whose first connection is the oldest.
func (s *Seats[K]) greediest() K {
	count := map[K]int{}
	for _, o := range s.taken {
		count[o.whose]++
	}
	most := s.taken[0].whose
	for _, o := range s.taken {
		if count[o.whose] > count[most] {
			most = o.whose
		}
	}
	return most
}

// Leave gives the place back. The connection stays open, and counts no more.
func (s *Seat[K]) Leave() {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	if i := slices.Index(s.all.taken, s); i >= 0 {
		s.all.taken = slices.Delete(s.all.taken, i, i+1)
	}
}

// Close closes the connection and gives its place back.
func (s *Seat[K]) Close() error {
	s.Leave()
	return s.end()
}

// OnEnd has f called, once or more, when the connection is closed: by its owner, or because it has lost its place.
func (s *Seat[K]) OnEnd(f func()) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.lost = f
}

func (s *Seat[K]) end() error {
	s.all.mu.Lock()
	lost := s.lost
	s.all.mu.Unlock()
	if lost != nil {
		lost()
	}
	return s.Conn.Close()
}

// NetConn returns the connection itself, as [crypto/tls.Conn] does.
func (s *Seat[K]) NetConn() net.Conn { return s.Conn }

// Listener seats all that comes by where it comes from.
type Listener struct {
	net.Listener
	Seats *Seats[netip.Prefix]
}

// Accept waits for the next connection.
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.Seats.Take(c, Origin(c.RemoteAddr())), nil
}

// Origin is where a connection comes from: an IPv4 address, or the /64 of an IPv6 address, of which anybody has all
// (RFC 4291 §2.5.4). What is no such address is the zero Prefix.
func Origin(a net.Addr) netip.Prefix {
	from, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := from.Addr().Unmap().WithZone("")
	p, _ := ip.Prefix(min(64, ip.BitLen())) // a length that an address has
	return p
}
