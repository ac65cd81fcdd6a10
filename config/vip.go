package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/vipd/vipd/vip"
)

func (r *reader) vip(m mapping, c *Config) {
	common := m.get("interface")
	link := r.link(common)
	c.VIP.Announce = r.boolean(m.get("announce"), true)
	list := r.need(m, "addresses")
	items := r.list(list)
	if list.node != nil && list.node.Kind == yaml.SequenceNode && len(items) == 0 {
		r.refuse(list, "write, for example, "+keyAt(list.path).assignment(), "the list is empty, and without an address there is nothing to do")
	}
	seen := make(map[netip.Addr]position)
	for _, item := range items {
		a := r.floating(item, common, link)
		if !a.Prefix.IsValid() {
			continue
		}
		r.compare(a, c.Node.Address.Addr(), seen)
		c.VIP.Addresses = append(c.VIP.Addresses, a.Address)
		r.places.addresses = append(r.places.addresses, a.address)
		r.places.interfaces = append(r.places.interfaces, a.link)
	}
}

// floating is an address together with the places of its parts in the file.
type floating struct {
	vip.Address
	address, label, scope value
	link                  value // the interface, wherever it was given
}

// floating reads an item of the list: an address, or a mapping with one. common is
// what stands in vip.interface, and link what was read from it.
func (r *reader) floating(item, common value, link string) floating {
	a := floating{address: item, link: common}
	a.Interface, a.Scope = link, "global" // rtnetlink(7)
	if item.node.Kind == yaml.MappingNode {
		m := r.mapping(item)
		a.address, a.label, a.scope = r.need(m, "address"), m.get("label"), m.get("scope")
		a.Label, _ = r.text(a.label)
		a.Scope = r.choice(a.scope, "global", "link", "host")
		if own := m.get("interface"); own.node != nil {
			a.Interface, a.link = r.link(own), own
		}
	}
	a.Prefix = r.prefix(a.address)
	if a.link.node == nil && a.Prefix.IsValid() {
		r.refuse(a.address, "add interface: eth0 under vip, or to this address as in {address: 42.159.241.126, interface: eth0}",
			"no interface is given for this address")
	}
	r.agree(a)
	return a
}

// prefix reads IP or IP/LENGTH; the zero Prefix if there is none.
func (r *reader) prefix(v value) netip.Prefix {
	text, ok := r.text(v)
	if !ok {
		return netip.Prefix{}
	}
	host, length, given := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(host)
	if err != nil {
		r.refuse(v, badAddressHint(host), "%s is not an IP address", quote(host))
		return netip.Prefix{}
	}
	if problem, hint := badFloating(ip); problem != "" {
		r.refuse(v, hint, "%s", problem)
		return netip.Prefix{}
	}
	bits := ip.BitLen()
	if given {
		n, err := strconv.ParseUint(length, 10, 8)
		if err != nil || n < 1 || int(n) > bits {
			r.refuse(v, fmt.Sprintf("write %s, which means %s/%d", ip, ip, bits), "%s is not a prefix length from 1 to %d", quote(length), bits)
			return netip.Prefix{}
		}
		bits = int(n)
	}
	return netip.PrefixFrom(ip, bits)
}
