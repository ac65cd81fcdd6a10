package lab

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// arrives sends 1000 datagrams from one host to another and counts those that are there 100 ms after the last.
func arrives(t *testing.T, from, to *Host) int {
	t.Helper()
	receiver := udp(t, to, nil)
	sender := udp(t, from, receiver.LocalAddr().(*net.UDPAddr))
	n := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [1]byte
		for {
			if _, _, err := receiver.ReadFrom(b[:]); err != nil {
				return
			}
			n++
		}
	}()
	for range 1000 {
		if _, err := sender.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := receiver.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	<-done
	return n
}

// udp opens a socket of the host, connected to that address if there is one.
func udp(t *testing.T, h *Host, to *net.UDPAddr) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	err := h.ns.within(func() (err error) {
		if to == nil {
			conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: h.Address.AsSlice()})
		} else {
			conn, err = net.DialUDP("udp4", nil, to)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	// All datagrams of a test fit into it, so that none is lost to a reader that the machine lets wait.
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	})
	if err := errors.Join(err, set); err != nil {
		t.Fatal(err)
	}
	return conn
}
