package control

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/seats"
)

// limited accepts no more connections while as many as it has places are open:
// the others wait in the kernel.
type limited struct {
	net.Listener
	places chan struct{}
}

func limit(l net.Listener, connections int) *limited {
	return &limited{Listener: l, places: make(chan struct{}, connections)}
}

func (l *limited) Accept() (net.Conn, error) {
	l.places <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &place{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

// reserving has some of the places for users who may not order, and seats them by user: so they can keep out neither who
// may order nor one another.
type reserving struct {
	*limited
	others *seats.Seats[uint32]
	peer   func(net.Conn) (unix.Ucred, bool)
}

func reserve(l *limited, others int) *reserving {
	return &reserving{limited: l, others: seats.New[uint32](others), peer: peer}
}

func (l *reserving) Accept() (net.Conn, error) {
	c, err := l.limited.Accept()
	if err != nil {
		return nil, err
	}
	who, known := l.peer(c)
	if known && mayOrder(who) {
		return c, nil
	}
	return l.others.Take(c, who.Uid), nil
}

// place is a connection that counts until it is closed.
type place struct {
	net.Conn
	leave func()
}

func (p *place) Close() error {
	defer p.leave()
	return p.Conn.Close()
}

// NetConn returns the connection itself, as [crypto/tls.Conn] does.
func (p *place) NetConn() net.Conn { return p.Conn }
