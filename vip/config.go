package vip

import "net/netip"

// Address is one floating address and where it belongs.
type Address struct {
	// Prefix is the address with its prefix length: /32 (IPv4) or /128 (IPv6) unless the operator said otherwise.
	// With a shorter one the kernel may make an IPv4 address the primary of its subnet, and takes the others of that subnet
	// away with it unless sysctl net.ipv4.conf.*.promote_secondaries is set.
	Prefix netip.Prefix
	// Interface is the name of the link that carries the address while this host holds the lease; "lo" is allowed.
	Interface string
	// Label is the address's label as ifconfig shows it (IPv4 only), at most 15 bytes; empty for none.
	Label string
	// Scope is "global", "link" or "host" (rtnetlink(7)); empty means "global", on lo too.
	Scope string
}

// Config says which addresses float, and how this daemon's part in the kernel is told from another's.
type Config struct {
	// Addresses float together: all of them are held, or none.
	Addresses []Address
	// Announce asks for gratuitous ARP and unsolicited neighbour advertisements at a take-over.
	// Clouds that route the addresses themselves have no use for them.
	Announce bool
	// Instance tells several daemons on one host apart: the absolute path of the daemon's socket, at most 107 bytes, for which
	// only one process at a time can have the claim. Filters that bear it are this daemon's, of this run or an earlier one.
	Instance string
}
