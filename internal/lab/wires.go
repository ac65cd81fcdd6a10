package lab

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// wires is the switch: a bridge in a namespace of its own with one port per host, named like the host. Faults are
// rules of the bridge, so nothing on a host tells of them: its links stay up, its own filters stay as they are.
type wires struct {
	ns *namespace

	mu     sync.Mutex
	ports  []string       // of the hosts among which traffic can be cut; client and balancer are not among them
	index  map[string]int // of the ports' links; the same after a reboot
	faults map[string]fault
	loss   int // percent of the IP packets among these hosts
	pieces []*piece
	relay  *relay // carries what is delayed; nil while nothing is
}

// fault is what is wrong at one host's port.
type fault struct {
	down   bool // nothing passes, whatever it is
	cutIn  bool // no IP packet of another host arrives
	cutOut bool // no IP packet for another host leaves
}

func newWires(name string) (*wires, error) {
	ns, err := newNamespace(name)
	if err != nil {
		return nil, err
	}
	return &wires{ns: ns, index: map[string]int{}, faults: map[string]fault{}},
		runWith("link add br0 type bridge\nlink set br0 up\nlink set lo up\n", "ip", "-n", name, "-batch", "-")
}

// plug connects eth0 of the namespace to the port of that name.
func (w *wires) plug(port, namespace, mac string) error {
	return runWith(fmt.Sprintf("link add %[1]s index %[4]d type veth peer name eth0 address %[3]s netns %[2]s\n"+
		"link set %[1]s master br0 up\n", port, namespace, mac, w.indexOf(port)), "ip", "-n", w.ns.name, "-batch", "-")
}

func (w *wires) indexOf(port string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.index[port] == 0 {
		w.index[port] = 100 + len(w.index)
	}
	return w.index[port]
}

// unplug removes the port, and eth0 at its other end.
func (w *wires) unplug(port string) error { return run("ip", "-n", w.ns.name, "link", "del", port) }

// among has faults between hosts concern the host with that port too.
func (w *wires) among(port string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.ports, port) {
		w.ports = append(w.ports, port)
	}
}

// change changes what is wrong at one port. When it returns the new rules are in force.
func (w *wires) change(port string, edit func(*fault)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.faults[port]
	edit(&f)
	w.faults[port] = f
	return w.apply()
}

// lose changes the loss between hosts.
func (w *wires) lose(percent int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loss = percent
	return w.apply()
}

// apply puts the rules in force; w.mu is held.
func (w *wires) apply() error {
	err := runWith(rules(w.ports, w.faults, w.loss, w.pieces), "ip", "netns", "exec", w.ns.name, "nft", "-f", "-")
	if err != nil {
		return fmt.Errorf("break or mend the network: %w", err)
	}
	return nil
}

// rules writes the faults as an nft script that replaces the earlier ones in one transaction. Between hosts only IP
// is cut, not ARP: in a cloud the fabric answers ARP, also for hosts that are out of reach.
func rules(ports []string, faults map[string]fault, loss int, pieces []*piece) string {
	var b strings.Builder
	b.WriteString("table bridge lab\ndelete table bridge lab\ntable bridge lab {\nchain forward {\n" +
		"type filter hook forward priority -300; policy accept;\n")
	drop := func(wanted bool, format string, args ...any) {
		if wanted {
			fmt.Fprintf(&b, format+" drop\n", args...)
		}
	}
	all := quoted(ports)
	for _, port := range ports {
		f := faults[port]
		drop(f.down, "iifname %q", port)
		drop(f.down, "oifname %q", port)
		drop(f.cutOut, "ether type { ip, ip6 } iifname %q oifname { %s }", port, all)
		drop(f.cutIn, "ether type { ip, ip6 } oifname %q iifname { %s }", port, all)
	}
	drop(loss > 0, "ether type { ip, ip6 } iifname { %[1]s } oifname { %[1]s } numgen random mod 100 <= %[2]d", all, loss-1)
	for _, p := range pieces {
		percent := p.how.Loss
		if p.how.relayed() {
			percent = 100 // the relay carries what the switch drops
		}
		for _, on := range p.on {
			drop(percent > 0, "ether type { ip, ip6 } iifname %q oifname %q numgen random mod 100 <= %d", on.from, on.to, percent-1)
		}
	}
	b.WriteString("}\n}\n")
	return b.String()
}

// quoted lists the ports as nft reads a list.
func quoted(ports []string) string {
	var list []string
	for _, port := range ports {
		list = append(list, fmt.Sprintf("%q", port))
	}
	return strings.Join(list, ", ")
}
