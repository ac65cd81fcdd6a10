package config

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
)

// agree refuses an address whose parts contradict each other.
func (r *reader) agree(a floating) {
	if !a.Prefix.IsValid() {
		return
	}
	ip := a.Prefix.Addr()
	r.agreeLabel(a, ip)
	if a.Scope != "global" && ip.Is6() {
		r.refuse(a.scope, "leave scope out", "the kernel derives the scope of an IPv6 address from the address")
	}
	switch {
	case a.Interface == "lo" && !a.Prefix.IsSingleIP():
		r.refuse(a.address, loHint(ip), "%s", loProblem(a.Prefix, "lo"))
	case namesNetwork(a.Prefix):
		r.refuse(a.address, fmt.Sprintf("write the address of a host, for example %s/%d", ip.Next(), a.Prefix.Bits()),
			"%s is the network itself, not an address in it", a.Prefix)
	}
}

// loProblem says why a prefix is refused on a loopback link. There the kernel takes
// the whole prefix for its own (fib_add_ifaddr in net/ipv4/fib_frontend.c makes the
// route RTN_LOCAL; IPv6 routes the prefix to lo), even while the address is not
// meant to be used.
func loProblem(prefix netip.Prefix, link string) string {
	return fmt.Sprintf("on %s the kernel takes all of %s for this host, which would cut it off from every other host in there, its peers included",
		link, prefix.Masked())
}

func loHint(ip netip.Addr) string {
	return fmt.Sprintf("write %s, which means %s/%d", ip, ip, ip.BitLen())
}

// namesNetwork reports whether all bits after the prefix are zero: the network's
// own address in IPv4, the routers' anycast address in IPv6 (RFC 4291 §2.6.1).
// Prefixes with only one bit left have neither (RFC 3021, RFC 6164).
func namesNetwork(p netip.Prefix) bool {
	return p.Addr().BitLen()-p.Bits() > 1 && p.Masked() == p
}

// agreeLabel keeps to ip-address(8): a label belongs to IPv4, and is the name of
// its link, or begins with it and a colon.
func (r *reader) agreeLabel(a floating, ip netip.Addr) {
	const longest = 15 // IFNAMSIZ - 1
	link, label := a.Interface, a.Label
	suffix, prefixed := strings.CutPrefix(label, link+":")
	switch {
	case label == "":
		return
	case ip.Is6():
		r.refuse(a.label, "leave label out", "IPv6 addresses have no label")
	case len(label) > longest:
		r.refuse(a.label, "write a shorter label, for example "+shortLabel(link),
			"%s is %d bytes long, and a label has at most %d", quote(label), len(label), longest)
	case strings.ContainsFunc(label, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) || c == '/' }):
		r.refuse(a.label, "write, for example, label: "+shortLabel(link), "%s is not a label", quote(label))
	case link != "" && label != link && (!prefixed || suffix == ""):
		r.refuse(a.label, "write, for example, label: "+shortLabel(link),
			"%s does not begin with the interface and a colon", quote(label))
	}
}

// shortLabel is a label for any link with a name short enough to have one.
func shortLabel(link string) string {
	if len(link) > 13 {
		return link
	}
	return link + ":1"
}

// compare refuses an address that is also something else in this file.
func (r *reader) compare(a floating, node netip.Addr, seen map[netip.Addr]position) {
	ip := a.Prefix.Addr()
	if first, twice := seen[ip]; twice {
		r.refuse(a.address, "keep one of them", "%s stands here a second time; the first is in line %d", ip, first.line)
		return
	}
	seen[ip] = a.address.at
	if ip == node {
		r.refuse(a.address, "write an address that no host has for itself", "%s is node.address, which stays with this host and cannot float", ip)
	}
}
