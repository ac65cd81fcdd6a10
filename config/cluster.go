package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vipd/vipd/vip"
)

// The least and the most hosts that form a cluster by themselves.
const fewestExpected, mostExpected = 2, 32

// cluster reads how the hosts form a cluster by themselves. The node's address and the
// floating addresses have been read before.
func (r *reader) cluster(v value, c *Config) {
	if v.node == nil {
		return
	}
	m := r.mapping(v)
	c.Formation.Expect = r.expect(r.need(m, "expect"), c)
	r.places.secret = r.need(m, "secret_file")
	c.Formation.SecretFile = r.path(r.places.secret, "")
}

// expect reads the own addresses of all hosts.
func (r *reader) expect(v value, c *Config) []netip.AddrPort {
	var all []netip.AddrPort
	seen := make(map[netip.AddrPort]position)
	items := r.list(v)
	for _, item := range items {
		address := r.nodeAddress(item)
		if !address.IsValid() {
			continue
		}
		if first, twice := seen[address]; twice {
			r.refuse(item, "keep one of them", "%s stands here a second time; the first is in line %d", address, first.line)
		} else if c.floats(address.Addr()) {
			r.refuse(item, "write the own address of a host, as its file has it in node.address", "%s floats", address.Addr())
		}
		seen[address] = item.at
		all = append(all, address)
	}
	if items != nil && len(all) == len(items) {
		r.checkExpected(v, all, c.Node.Address)
	}
	return all
}

// checkExpected refuses a list of hosts that are too few or too many, or without this one.
func (r *reader) checkExpected(v value, all []netip.AddrPort, own netip.AddrPort) {
	switch {
	case len(all) < fewestExpected || len(all) > mostExpected:
		r.refuse(v, "write the own addresses of all hosts, this one's too", "a cluster that forms itself has %d to %d hosts, not %d",
			fewestExpected, mostExpected, len(all))
	case own.IsValid() && !slices.Contains(all, own):
		r.refuse(v, fmt.Sprintf("add %s; the list is the same on all hosts", own), "node.address, %s, is not among them", own)
	}
}

func (c *Config) floats(ip netip.Addr) bool {
	return slices.ContainsFunc(c.VIP.Addresses, func(a vip.Address) bool { return a.Prefix.Addr() == ip })
}
