package vip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Announce tells the neighbours of each address's link once that the address is here, if cfg.Announce asks for it.
//
// For IPv4 it broadcasts a gratuitous ARP request (RFC 5227 §3) and the same as a reply (RFC 5944 §4.6), since some switches and
// hosts heed only one of them; for IPv6 it sends an unsolicited neighbour advertisement to all nodes (RFC 4861 §7.2.6).
// Links without such neighbours are passed over: loopback, links without ARP, links with other than Ethernet addresses. So
// an address on lo is never announced: where neighbours shall learn it, it belongs on the link that they are on.
//
// It needs CAP_NET_RAW, and must be called with the fence open: a closed fence drops announcements (ENOBUFS).
func (b *Binder) Announce() error {
	if !b.cfg.Announce {
		return nil
	}
	var problems []error
	for _, a := range b.cfg.Addresses {
		if err := announce(a); err != nil {
			problems = append(problems, fmt.Errorf("announce %s on %s: %w", a.Prefix.Addr(), a.Interface, explainNetlink(err)))
		}
	}
	return errors.Join(problems...)
}

func announce(a Address) error {
	link, err := netlink.LinkByName(a.Interface)
	if err != nil {
		return err
	}
	attrs := link.Attrs()
	if attrs.RawFlags&unix.IFF_NOARP != 0 || len(attrs.HardwareAddr) != 6 { // lo has none
		return nil
	}
	mac, ip := [6]byte(attrs.HardwareAddr), a.Prefix.Addr()
	if ip.Is6() {
		return send(attrs.Index, unix.ETH_P_IPV6, net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, unsolicitedNA(mac, ip))
	}
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	return send(attrs.Index, unix.ETH_P_ARP, broadcast, gratuitousARP(arpRequest, mac, ip), gratuitousARP(arpReply, mac, ip))
}

// send puts each payload on the link, in a frame to the given hardware address.
func send(index, protocol int, to net.HardwareAddr, payloads ...[]byte) error {
	conn, err := packet.Listen(&net.Interface{Index: index}, packet.Datagram, protocol, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, payload := range payloads {
		if _, err := conn.WriteTo(payload, &packet.Addr{HardwareAddr: to}); err != nil {
			return err
		}
	}
	return nil
}

// ARP operations (RFC 826).
const (
	arpRequest = 1
	arpReply   = 2
)

// gratuitousARP says that ip is at mac: sender and target are both ip. In a reply both hardware addresses are mac
// (RFC 5944 §4.6); in a request the target's is zero (RFC 5227 §3).
func gratuitousARP(operation byte, mac [6]byte, ip netip.Addr) []byte {
	var target [6]byte
	if operation == arpReply {
		target = mac
	}
	header := []byte{0, 1, unix.ETH_P_IP >> 8, unix.ETH_P_IP & 0xff, 6, 4, 0, operation}
	return slices.Concat(header, mac[:], ip.AsSlice(), target[:], ip.AsSlice())
}

// unsolicitedNA is an IPv6 packet from ip to all nodes that says that ip is at mac, whatever was known before.
func unsolicitedNA(mac [6]byte, ip netip.Addr) []byte {
	const override, targetLinkLayerAddress, length = 0x20, 2, 32
	allNodes := netip.IPv6LinkLocalAllNodes()
	message := slices.Concat(
		[]byte{advertisement, 0, 0, 0, override, 0, 0, 0}, ip.AsSlice(),
		[]byte{targetLinkLayerAddress, 1}, mac[:],
	)
	// The checksum covers a pseudo-header: addresses, length, next header (RFC 8200 §8.1).
	pseudo := slices.Concat(ip.AsSlice(), allNodes.AsSlice(), []byte{0, 0, 0, length, 0, 0, 0, icmpv6})
	binary.BigEndian.PutUint16(message[2:], checksum(slices.Concat(pseudo, message)))
	header := []byte{0x60, 0, 0, 0, 0, length, icmpv6, 255}
	return slices.Concat(header, ip.AsSlice(), allNodes.AsSlice(), message)
}

// checksum is the internet checksum (RFC 1071) of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
