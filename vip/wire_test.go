package vip

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// tap speaks to a neighbour in raw Ethernet frames and hears what it answers.
type tap struct {
	t        *testing.T
	conn     *packet.Conn
	mac, far [6]byte
}

// newTap opens a tap on the link of one host, towards the hardware address that the link has on the other.
func newTap(near, far *host, link string) *tap {
	near.t.Helper()
	p := &tap{t: near.t}
	far.in(func() { p.far = [6]byte(far.link(link).Attrs().HardwareAddr) })
	near.in(func() {
		attrs := near.link(link).Attrs()
		p.mac = [6]byte(attrs.HardwareAddr)
		var err error
		p.conn, err = packet.Listen(&net.Interface{Index: attrs.Index}, packet.Raw, unix.ETH_P_ALL, nil)
		must(near.t, err)
	})
	near.t.Cleanup(func() { p.conn.Close() })
	return p
}

func (p *tap) send(frame []byte) {
	p.t.Helper()
	_, err := p.conn.WriteTo(frame, &packet.Addr{HardwareAddr: p.far[:]})
	must(p.t, err)
}

// flood sends a frame again and again, from before f until after it.
func (p *tap) flood(frame []byte, f func()) {
	done := make(chan struct{})
	var sent atomic.Int64
	var sender sync.WaitGroup
	sender.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_, _ = p.conn.WriteTo(frame, p.farAddr())
				sent.Add(1)
			}
		}
	})
	more := func(what string) {
		before := sent.Load()
		eventually(p.t, what, func() bool { return sent.Load() > before+100 })
	}
	more("a flood")
	f()
	more("a flood afterwards")
	close(done)
	sender.Wait()
}

// hear returns the next frame that came from the far side.
func (p *tap) hear() []byte {
	p.t.Helper()
	must(p.t, p.conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	buf := make([]byte, 4096)
	for {
		n, _, err := p.conn.ReadFrom(buf)
		must(p.t, err)
		if [6]byte(buf[6:12]) == p.far {
			return buf[:n]
		}
	}
}

// answers says whether a probe to addr is answered, given that one to always is.
func (p *tap) answers(probe func(p *tap, to netip.Addr) []byte, addr, always string) bool {
	p.t.Helper()
	return p.hears(addr, always,
		func() { p.send(probe(p, netip.MustParseAddr(addr))) },
		func() { p.send(probe(p, netip.MustParseAddr(always))) })
}

// hears says whether the far side speaks for addr when stirred. After that it is made to speak for another address,
// twice, one after the other: what has not been heard by then never will be.
func (p *tap) hears(addr, always string, stir, mark func()) bool {
	p.t.Helper()
	stir()
	heard := false
	for range 2 {
		mark()
		for from := (netip.Addr{}); from != netip.MustParseAddr(always); {
			from = speaker(p.hear())
			heard = heard || from == netip.MustParseAddr(addr)
		}
	}
	return heard
}

// speaker is the address that a frame speaks for.
func speaker(frame []byte) netip.Addr {
	var b []byte
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		b = frame[14+12 : 14+16]
	case unix.ETH_P_ARP:
		b = frame[14+14 : 14+18]
	case unix.ETH_P_IPV6:
		b = frame[14+8 : 14+24]
		if frame[14+6] == unix.IPPROTO_ICMPV6 && frame[14+40] == advertisement {
			b = frame[14+48 : 14+64]
		}
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// near is the tap's own address of the family of addr.
func near(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return netip.MustParseAddr(addrB)
	}
	return netip.MustParseAddr(addrB6)
}

func (p *tap) ethernet(protocol uint16, payload []byte) []byte {
	return slices.Concat(p.far[:], p.mac[:], binary.BigEndian.AppendUint16(nil, protocol), payload)
}

// ip wraps a payload, whose checksum field is at offset at, for a packet between two addresses.
func (p *tap) ip(src, dst netip.Addr, protocol byte, at int, payload []byte) []byte {
	length := byte(len(payload))
	pseudo := slices.Concat(src.AsSlice(), dst.AsSlice(), []byte{0, length, 0, protocol})
	if protocol == unix.IPPROTO_ICMP {
		pseudo = nil
	}
	sum := checksum(append(slices.Concat(pseudo, payload), make([]byte, len(payload)%2)...))
	binary.BigEndian.PutUint16(payload[at:], sum)
	if src.Is6() {
		return p.ethernet(unix.ETH_P_IPV6, slices.Concat([]byte{0x60, 0, 0, 0, 0, length, protocol, 255}, src.AsSlice(), dst.AsSlice(), payload))
	}
	header := slices.Concat([]byte{0x45, 0, 0, 20 + length, 0, 0, 0, 0, 64, protocol, 0, 0}, src.AsSlice(), dst.AsSlice())
	binary.BigEndian.PutUint16(header[10:], checksum(header))
	return p.ethernet(unix.ETH_P_IP, slices.Concat(header, payload))
}

// Probes: what a neighbour sends to find out whether somebody has an address.

func whoHas(p *tap, to netip.Addr) []byte {
	return p.ethernet(unix.ETH_P_ARP, slices.Concat([]byte{0, 1, 8, 0, 6, 4, 0, 1}, p.mac[:], near(to).AsSlice(), make([]byte, 6), to.AsSlice()))
}

// arpProbe is whoHas without a sender address (RFC 5227 §2.1.1).
func arpProbe(p *tap, to netip.Addr) []byte {
	frame := whoHas(p, to)
	copy(frame[14+14:], make([]byte, 4))
	return frame
}

func ping(p *tap, to netip.Addr) []byte {
	if to.Is4() {
		return p.ip(near(to), to, unix.IPPROTO_ICMP, 2, []byte{8, 0, 0, 0, 0, 1, 0, 1})
	}
	return p.ip(near(to), to, unix.IPPROTO_ICMPV6, 2, []byte{128, 0, 0, 0, 0, 1, 0, 1})
}

// solicit is a neighbour solicitation (RFC 4861 §4.3), sent straight to the target.
func solicit(p *tap, target netip.Addr) []byte {
	return p.ip(near(target), target, unix.IPPROTO_ICMPV6, 2, solicitationFor(p, target))
}

// solicitGroup is the same to the solicited-node address, whose packets have another destination than the target.
func solicitGroup(p *tap, target netip.Addr) []byte {
	frame := p.ip(near(target), solicitedNode(target), unix.IPPROTO_ICMPV6, 2, solicitationFor(p, target))
	copy(frame, []byte{0x33, 0x33, 0xff, frame[14+37], frame[14+38], frame[14+39]})
	return frame
}

func solicitationFor(p *tap, target netip.Addr) []byte {
	return slices.Concat([]byte{solicitation, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice(), []byte{1, 1}, p.mac[:])
}

func solicitedNode(target netip.Addr) netip.Addr {
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	ip := target.As16()
	copy(group[13:], ip[13:])
	return netip.AddrFrom16(group)
}

// syn is a TCP SYN to a port where nobody listens: the answer is a reset.
func syn(p *tap, to netip.Addr) []byte {
	return p.ip(near(to), to, unix.IPPROTO_TCP, 16, []byte{0x30, 0x39, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, 2, 1, 0, 0, 0, 0, 0})
}

// datagram is a UDP datagram to a port where nobody listens: the answer is that it is unreachable.
func datagram(p *tap, to netip.Addr) []byte {
	return p.ip(near(to), to, unix.IPPROTO_UDP, 6, []byte{0x30, 0x39, 0, 9, 0, 8, 0, 0})
}

// echo serves the UDP echo service on each address until the test ends.
func (h *host) echo(addrs ...string) {
	h.t.Helper()
	for _, addr := range addrs {
		conn := h.listenUDP(addr, 7)
		go func() {
			buf := make([]byte, 64<<10)
			for {
				n, from, err := conn.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				_, _ = conn.WriteToUDPAddrPort(buf[:n], from) // a closed fence answers with an error
			}
		}()
	}
}

func (h *host) listenUDP(addr string, port uint16) *net.UDPConn {
	h.t.Helper()
	var conn *net.UDPConn
	h.in(func() {
		var err error
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), port)))
		must(h.t, err)
	})
	h.t.Cleanup(func() { conn.Close() })
	return conn
}

// ring is a packet socket with a transmit ring: the kernel sends its frames with nothing but the Ethernet
// header in the linear part, on this side of the cable and on the other.
type ring struct {
	t     *testing.T
	fd    int
	index int
	mem   []byte
}

func newRing(h *host, link string) *ring {
	h.t.Helper()
	r := &ring{t: h.t}
	h.in(func() {
		var err error
		r.index = h.link(link).Attrs().Index
		r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		must(h.t, err)
		must(h.t, unix.SetsockoptTpacketReq(r.fd, unix.SOL_PACKET, unix.PACKET_TX_RING,
			&unix.TpacketReq{Block_size: 4096, Block_nr: 1, Frame_size: 4096, Frame_nr: 1}))
		r.mem, err = unix.Mmap(r.fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(h.t, err)
	})
	h.t.Cleanup(func() {
		must(h.t, unix.Munmap(r.mem))
		must(h.t, unix.Close(r.fd))
	})
	return r
}

// send transmits one frame through the ring's only slot: struct tpacket_hdr, then the frame (packet_mmap.rst).
func (r *ring) send(frame []byte) error {
	const header = 32
	binary.NativeEndian.PutUint64(r.mem, unix.TP_STATUS_SEND_REQUEST)
	binary.NativeEndian.PutUint32(r.mem[8:], uint32(len(frame)))
	copy(r.mem[header:], frame)
	protocol := binary.NativeEndian.Uint16(frame[12:])
	return unix.Sendto(r.fd, nil, 0, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: r.index})
}

func (p *tap) farAddr() *packet.Addr { return &packet.Addr{HardwareAddr: p.far[:]} }

// heard says whether a frame from the far side comes within a moment.
func (p *tap) heard() bool {
	must(p.t, p.conn.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	buf := make([]byte, 4096)
	for {
		_, _, err := p.conn.ReadFrom(buf)
		if err != nil {
			return false
		}
		if [6]byte(buf[6:12]) == p.far {
			return true
		}
	}
}
