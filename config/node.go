package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// defaultPort is that of the election unless the file says otherwise.
const defaultPort = 7600

func (r *reader) node(m mapping, c *Config, hostname string) {
	c.Node.Name = r.nodeName(m, hostname)
	address := r.need(m, "address")
	c.Node.Address = r.nodeAddress(address)
	r.places.node = address
	c.Node.Priority = r.number(m.get("priority"), 100, numbers{1, 254})
	c.Node.Witness = r.boolean(m.get("witness"), false)
}

// nodeName falls back to the host name up to its first dot.
func (r *reader) nodeName(m mapping, hostname string) string {
	v := m.get("name")
	if v.node != nil || m.broken {
		return r.name(v)
	}
	label, _, _ := strings.Cut(hostname, ".")
	if !isName(label) {
		r.refuse(v, "add, for example, "+keyAt(v.path).assignment(),
			"is missing, and the host name %s cannot stand in for it", quote(hostname))
	}
	return label
}

// nodeAddress reads the address under which the peers reach this host.
func (r *reader) nodeAddress(v value) netip.AddrPort {
	text, ok := r.text(v)
	if !ok {
		return netip.AddrPort{}
	}
	address, problem, hint := parseNodeAddress(text)
	if problem != "" {
		r.refuse(v, hint, "%s", problem)
		return netip.AddrPort{}
	}
	return address
}

// parseNodeAddress takes 10.11.12.4, 10.11.12.4:7600, fd00::4, [fd00::4] and
// [fd00::4]:7600. Names are not looked up: an election must not wait for DNS.
func parseNodeAddress(text string) (address netip.AddrPort, problem, hint string) {
	host, port := cutPort(text)
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return address, quote(text) + " is not an IP address", badAddressHint(host)
	}
	if problem, hint := badNodeAddress(ip); problem != "" {
		return address, problem, hint
	}
	number, ok := parsePort(port)
	if !ok {
		return address, fmt.Sprintf("%s is not a port", quote(port)),
			fmt.Sprintf("write a port from 1 to 65535, or none for %d", defaultPort)
	}
	return netip.AddrPortFrom(ip, number), "", ""
}

// cutPort separates the port, if there is one, from the address. A bare IPv6
// address has none: its colons are its own.
func cutPort(text string) (host, port string) {
	none := fmt.Sprint(defaultPort)
	if inner, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "]"); ok && strings.HasPrefix(text, "[") {
		if rest == "" {
			return inner, none
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			return inner, port
		}
		return text, none
	}
	if host, port, ok := strings.Cut(text, ":"); ok && !strings.Contains(port, ":") {
		return host, port
	}
	return text, none
}

func parsePort(text string) (uint16, bool) {
	port, err := strconv.ParseUint(text, 10, 16)
	return uint16(port), err == nil && port > 0
}
