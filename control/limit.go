package control

import (
	"net"
	"sync"
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
	return l.seated(c), nil
}

// seated returns c as what gives its place back.
func (l *limited) seated(c net.Conn) net.Conn {
	return &place{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}
}

// reserving closes at once what comes from users who may not order while as many as
// others has places of them are connected, so that they can't keep out who may.
type reserving struct {
	*limited
	others   chan struct{}
	mayOrder func(net.Conn) bool
}

func reserve(l *limited, others int) *reserving {
	return &reserving{limited: l, others: make(chan struct{}, others), mayOrder: func(c net.Conn) bool {
		who, known := peer(c)
		return known && mayOrder(who)
	}}
}

func (l *reserving) Accept() (net.Conn, error) {
	for {
		c, err := l.limited.Accept()
		if err != nil || l.mayOrder(c) {
			return c, err
		}
		select {
		case l.others <- struct{}{}:
			return &place{Conn: c, leave: sync.OnceFunc(func() { <-l.others })}, nil
		default:
			_ = c.Close()
		}
	}
}

// shedding closes at once what comes while all places are taken: who asks is
// told no, instead of nothing.
type shedding struct{ *limited }

func (l shedding) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return l.seated(c), nil
		default:
			_ = c.Close()
		}
	}
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
