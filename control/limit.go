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
	return &place{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
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
