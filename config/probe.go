package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// probe reads where load balancers ask. The floating addresses, the node's address
// and the hooks have been read before.
func (r *reader) probe(v value, c *Config) {
	m := r.mapping(v)
	wait := m.get("wait_for_hook")
	c.Probe.WaitForHook = r.boolean(wait, false)
	if c.Probe.WaitForHook && len(c.Hooks.Notify) == 0 {
		r.without(wait, "hooks")
	}
	if v.node == nil {
		return
	}
	listen := r.need(m, "listen")
	r.places.listen = listen
	text, ok := r.text(listen)
	if !ok {
		return
	}
	c.Probe.Listen, ok = r.listen(listen, text)
	if ok {
		r.ownListen(listen, c)
	}
}

// listen reads IP:PORT.
func (r *reader) listen(v value, text string) (netip.AddrPort, bool) {
	at, err := netip.ParseAddrPort(text)
	problem, hint := badListen(at.Addr())
	switch {
	case err != nil:
		problem, hint = quote(text)+" is not "+keyAt(v.path).kind, badListenHint(text)
	case at.Port() == 0:
		problem, hint = "0 is not a port", "write a port from 1 to 65535"
	}
	if problem != "" {
		r.refuse(v, hint, "%s", problem)
		return netip.AddrPort{}, false
	}
	return at, true
}

// badListen says why nothing can listen on an address; empty if it can.
func badListen(ip netip.Addr) (problem, hint string) {
	switch {
	case ip.Is4In6():
		return fmt.Sprintf("%s is an IPv4 address in IPv6 notation", ip), fmt.Sprintf("write %s", ip.Unmap())
	case ip.Zone() != "", ip.IsMulticast(), isBroadcast(ip):
		return fmt.Sprintf("%s cannot be listened on", ip), "write an address of this host, or 0.0.0.0 for all of them"
	}
	return "", ""
}

// badListenHint guesses what was written in place of IP:PORT.
func badListenHint(text string) string {
	if ip, err := netip.ParseAddr(text); err == nil {
		return fmt.Sprintf("add a port, for example %q", netip.AddrPortFrom(ip, 7610))
	}
	if _, ok := parsePort(strings.TrimPrefix(text, ":")); ok {
		return fmt.Sprintf("write %q for all addresses of this host", "0.0.0.0:"+strings.TrimPrefix(text, ":"))
	}
	host, _ := cutPort(text)
	if _, err := netip.ParseAddr(host); err != nil {
		return badAddressHint(host)
	}
	return "write a port from 1 to 65535, for example " + keyAt("probe.listen").assignment()
}

// ownListen refuses a place that something else has.
func (r *reader) ownListen(v value, c *Config) {
	at := c.Probe.Listen
	if at.Port() == c.Node.Address.Port() {
		r.refuse(v, "write another port", "%d is the port of node.address, where the other hosts call", at.Port())
	}
	for _, a := range c.VIP.Addresses {
		if a.Prefix.Addr() == at.Addr() {
			r.refuse(v, "write this host's own address, which is always there to say no", "%s floats", at.Addr())
		}
	}
}
