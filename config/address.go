package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// badAddressHint guesses what was written in place of an IP address.
func badAddressHint(text string) string {
	const form = "write four numbers from 0 to 255 as in 10.11.12.4, or an IPv6 address as in fd00::4"
	if host, _, ok := strings.Cut(text, "/"); ok {
		if _, err := netip.ParseAddr(host); err == nil {
			return fmt.Sprintf("write %s, without a prefix length", host)
		}
	}
	if _, err := netip.ParseAddrPort(text); err == nil {
		return "write the address without a port"
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c >= 'g' && c <= 'z' || c >= 'G' && c <= 'Z' }) {
		return "write the address itself; names are not looked up, because an election must not wait for DNS"
	}
	return form
}

// badNodeAddress says why the peers can't reach this host under an address; empty
// if they can.
func badNodeAddress(ip netip.Addr) (problem, hint string) {
	const own = "write the address of this host on the network that it shares with its peers; ip -brief address shows it"
	switch {
	case ip.Is4In6():
		return fmt.Sprintf("%s is an IPv4 address in IPv6 notation", ip), fmt.Sprintf("write %s", ip.Unmap())
	case ip.IsLoopback():
		return fmt.Sprintf("%s is a loopback address, which the peers cannot reach", ip), own
	case ip.IsUnspecified():
		return fmt.Sprintf("%s stands for any address, and the peers need one to call", ip), own
	case ip.IsMulticast(), isBroadcast(ip):
		return fmt.Sprintf("%s is the address of many hosts, not of one", ip), own
	case ip.Zone() != "", ip.Is6() && ip.IsLinkLocalUnicast():
		return fmt.Sprintf("%s is a link-local address, which means another host on each link", ip), own
	}
	return "", ""
}

// badFloating says why an address can't be a service's; empty if it can.
func badFloating(ip netip.Addr) (problem, hint string) {
	const floats = "write the address that the clients of the service use"
	switch {
	case ip.Is4In6():
		return fmt.Sprintf("%s is an IPv4 address in IPv6 notation", ip), fmt.Sprintf("write %s", ip.Unmap())
	case ip.Zone() != "":
		return fmt.Sprintf("%s names a zone", ip), fmt.Sprintf("write {address: %q, interface: %s}", ip.WithZone(""), ip.Zone())
	case ip.IsLoopback():
		return fmt.Sprintf("%s is a loopback address, which every host has", ip), floats
	case ip.IsUnspecified(), ip.IsMulticast(), isBroadcast(ip):
		return fmt.Sprintf("%s cannot be the address of one host", ip), floats
	}
	return "", ""
}

func isBroadcast(ip netip.Addr) bool { return ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) }
