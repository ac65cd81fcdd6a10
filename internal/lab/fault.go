package lab

// Direction is where a cut of the traffic between a host and its peers takes effect, as the host sees it.
type Direction int

// The directions.
const (
	Both Direction = iota // nothing between it and its peers
	In                    // it hears no peer, they hear it
	Out                   // no peer hears it, it hears them
)

func (d Direction) String() string { return [...]string{"both ways", "in", "out"}[d] }

// Crash has every frame to and from the host dropped, ARP included: all that others can see of a host without power.
// What runs on it goes on and learns nothing of it.
func (h *Host) Crash() error {
	return h.lab.wires.change(h.Name, func(f *fault) { f.down = true })
}

// CutPeers has IP packets between the host and all other hosts dropped; the client and the balancer still reach it.
func (h *Host) CutPeers(d Direction) error {
	return h.lab.wires.change(h.Name, func(f *fault) { f.cutIn, f.cutOut = d != Out, d != In })
}

// Heal mends what Crash and CutPeers have broken at this host.
func (h *Host) Heal() error {
	return h.lab.wires.change(h.Name, func(f *fault) { *f = fault{} })
}

// Loss has that share of all IP packets between hosts dropped at random, 0 … 100 percent; 0 ends it.
func (l *Lab) Loss(percent int) error { return l.wires.lose(percent) }
