package lab

import (
	"slices"
	"time"
)

// Impairment is what happens to the IP packets on the way from one host to another.
type Impairment struct {
	Loss   int           // percent that is dropped at random; 100 is a cut
	Delay  time.Duration // how much later each arrives
	Jitter time.Duration // up to that much more, at random; packets overtake one another
	Rate   int           // bytes per second, 0: no limit; what would have to wait for longer than a second is dropped
}

// relayed says whether it takes more than dropping.
func (i Impairment) relayed() bool { return i.Delay > 0 || i.Jitter > 0 || i.Rate > 0 }

// Path is a way from one host to another, in that direction.
type Path struct{ From, To *Host }

// Paths are all ways from one of the hosts of the first list to one of the second.
func Paths(from, to []*Host) []Path {
	var paths []Path
	for _, f := range from {
		for _, t := range to {
			if f != t {
				paths = append(paths, Path{From: f, To: t})
			}
		}
	}
	return paths
}

// piece is one impairment in force. Several on one path add up.
type piece struct {
	on  []path
	how Impairment
}

// path is a Path by the names of the ports.
type path struct{ from, to string }

// Impair makes the paths between hosts worse until mend is called. Impairments add up, with those of Crash, CutPeers and
// Loss too, and each is mended for itself. The client's and the balancer's packets are never concerned.
func (l *Lab) Impair(paths []Path, how Impairment) (mend func() error, err error) {
	p := &piece{how: how}
	for _, w := range paths {
		p.on = append(p.on, path{w.From.Name, w.To.Name})
	}
	if err := l.wires.add(p, l.macs()); err != nil {
		return nil, err
	}
	return func() error { return l.wires.remove(p) }, nil
}

// macs says which port a MAC address is behind.
func (l *Lab) macs() map[[6]byte]string {
	ports := map[[6]byte]string{}
	for _, h := range l.Hosts {
		ports[h.MAC()] = h.Name
	}
	return ports
}

func (w *wires) add(p *piece, macs map[[6]byte]string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.how.relayed() && w.relay == nil {
		var err error
		if w.relay, err = startRelay(w, macs); err != nil {
			return err
		}
	}
	w.pieces = append(w.pieces, p)
	return w.apply()
}

func (w *wires) remove(p *piece) error {
	w.mu.Lock()
	w.pieces = slices.DeleteFunc(w.pieces, func(other *piece) bool { return other == p })
	err := w.apply()
	idle := w.relay
	if idle != nil && slices.ContainsFunc(w.pieces, func(p *piece) bool { return p.how.relayed() }) {
		idle = nil
	}
	if idle != nil {
		w.relay = nil
	}
	w.mu.Unlock()
	if idle != nil {
		idle.stop()
	}
	return err
}

// total adds up what is wrong on a path; the chances to get through (0 … 1) are multiplied. A path without a relayed
// piece is none of the relay's business: relayed is false.
func (w *wires) total(on path) (how Impairment, passes float64, relayed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from, to := w.faults[on.from], w.faults[on.to]
	if from.down || from.cutOut || to.down || to.cutIn {
		return how, 0, false
	}
	passes = 1 - float64(w.loss)/100
	for _, p := range w.pieces {
		if !slices.Contains(p.on, on) {
			continue
		}
		relayed = relayed || p.how.relayed()
		passes *= 1 - float64(p.how.Loss)/100
		how.Delay += p.how.Delay
		how.Jitter += p.how.Jitter
		if p.how.Rate > 0 && (how.Rate == 0 || p.how.Rate < how.Rate) {
			how.Rate = p.how.Rate
		}
	}
	return how, passes, relayed
}
