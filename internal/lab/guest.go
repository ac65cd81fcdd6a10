package lab

import "net/netip"

// Guest plugs one more machine into the switch, with that name and fixed address (/24, and none that another machine
// has). It is no host: nobody probes it, and faults between hosts do not concern it. It lives as long as the lab.
func (l *Lab) Guest(name string, address netip.Addr) (*Host, error) {
	g := &Host{Name: name, Address: address, lab: l}
	if err := g.prepare(); err != nil {
		return nil, err
	}
	return g, g.powerOn()
}
