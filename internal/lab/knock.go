package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// knock begins TCP connections to the address that nobody will ever go on with, two hundred a second, until ctx ends: from
// addresses on the subnet that no host has, so nobody refuses the answers.
func knock(ctx context.Context, ns *namespace, to netip.Addr, port uint16) error {
	var socket int
	err := ns.within(func() (err error) {
		socket, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW) // with our own IP header
		return err
	})
	if err != nil {
		return fmt.Errorf("open a raw socket: %w", err)
	}
	defer unix.Close(socket)
	for ctx.Err() == nil {
		from := netip.AddrFrom4([4]byte{10, 11, 12, byte(200 + rand.IntN(50))})
		// What can't be sent, because the link is down or so, is not sent.
		_ = unix.Sendto(socket, syn(from, to, port), 0, &unix.SockaddrInet4{Addr: to.As4()})
		Pause(ctx, 5*time.Millisecond)
	}
	return nil
}

// syn is the first packet of a TCP connection (RFC 791, RFC 9293 §3.1), from a port chosen at random.
func syn(from, to netip.Addr, port uint16) []byte {
	const header = 20 // bytes, of IP as of TCP
	p := make([]byte, 2*header)
	p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_TCP // the kernel fills in length and checksum
	copy(p[12:], from.AsSlice())
	copy(p[16:], to.AsSlice())
	tcp := p[header:]
	binary.BigEndian.PutUint16(tcp, uint16(20000+rand.IntN(40000)))
	binary.BigEndian.PutUint16(tcp[2:], port)
	binary.BigEndian.PutUint32(tcp[4:], rand.Uint32())
	tcp[12], tcp[13] = header/4<<4, 0x02 // SYN
	binary.BigEndian.PutUint16(tcp[14:], 0xffff)
	pseudo := append(append([]byte{}, p[12:20]...), 0, unix.IPPROTO_TCP, 0, header)
	binary.BigEndian.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))
	return p
}
