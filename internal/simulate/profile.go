package simulate

import (
	"fmt"
	"time"
)

// Profile says what happens in a run.
type Profile struct {
	Nodes    int
	Pair     bool           // two hosts may have the only votes
	Varied   bool           // hosts are configured each in its way, see policies; otherwise alike, without what may be left out
	Detect   time.Duration  // 0: drawn from the range that the configuration allows
	Rounds   int            // of faults, each followed by calm
	Every    float64        // detect times between faults, on average
	Faults   float64        // detect times of faults in a round
	Far      float64        // how long a segment takes on a good link at most, in detect times; 0: 0.2 ms; see farthest
	Hesitate int            // one of so many calls is held up between two steps of the rules; 0: none; see hesitate
	Weight   map[string]int // of the kinds of faults, by name

	Loss       float64     // of one segment, on every good link
	Starvation *Starvation // of every host; nil: none
}

// Everything returns the profile of a seed in which all happens, to three hosts or
// five, near to each other or far apart, rarely or often. Some seeds have a pair, which
// shrinks to one and grows again.
func Everything(seed uint64) Profile {
	c := newChance(seed, 3)
	far := max(0, 0.4*c.unit()-0.2)
	p := Profile{Nodes: 3 + 2*c.below(2), Rounds: 4, Every: 0.5 + 3*c.unit(), Faults: 40, Far: far, Weight: map[string]int{
		"partition": 6, "one-way cut": 4, "bridge": 2, "flapping link": 3, "shifting majority": 3, "slow link": 4, "loss": 2, "connections reset": 3,
		"process killed": 5, "power lost": 3, "stopped in good order": 2, "disk wiped": 1,
		"process stopped": 5, "goroutines held up": 6,
		"slow disk": 3, "failing disk": 2, "hanging disk": 1,
		"service unwell": 3, "hook fails": 1, "hook slow": 1, "address refused": 1, "release refused": 1, "fence removed": 1, "address removed": 1,
		"transfer": 6, "leave": 1, "remove": 1, "pause": 3, "freeze": 3, "rotate": 2,
		"weighted check fails": 3, "prepare hook": 2, "fence hook": 2,
	}, Varied: true}
	if c.in(6) {
		p.Nodes, p.Pair = 2, true
		for _, kind := range []string{"disk wiped", "shifting majority", "bridge"} {
			delete(p.Weight, kind)
		}
		p.Weight["leave"], p.Weight["remove"], p.Weight["hanging disk"] = 8, 8, 8
	}
	return p
}

// Totals counts what a run, or many, went through.
type Totals struct {
	Runs      int
	Virtual   time.Duration
	Detects   float64 // virtual time in units of detect
	Faults    int
	Openings  int // of fences that were closed
	Transfers int // that were acknowledged
	Changes   int // of membership, acknowledged
	Hooks     int
	Fencings  int     // by the fence hook
	Pauses    int     // that were taken
	Freezes   int     // that were acknowledged
	Rotations int     // of the CA, that were acknowledged
	Preferred int     // times that the best host was to preempt, and held in the end
	Mended    int     // times that faults stopped and a holder was found
	Worst     float64 // until then, in units of detect, at most
}

// Add adds another run.
func (t *Totals) Add(o Totals) {
	t.Runs += o.Runs
	t.Virtual += o.Virtual
	t.Detects += o.Detects
	t.Faults += o.Faults
	t.Openings += o.Openings
	t.Transfers += o.Transfers
	t.Changes += o.Changes
	t.Hooks += o.Hooks
	t.Fencings += o.Fencings
	t.Pauses += o.Pauses
	t.Freezes += o.Freezes
	t.Rotations += o.Rotations
	t.Preferred += o.Preferred
	t.Mended += o.Mended
	t.Worst = max(t.Worst, o.Worst)
}

// String is one line.
func (t Totals) String() string {
	return fmt.Sprintf("%d runs, %.1f simulated hours, %.0f detect times, %d faults, %d openings of a fence, %d transfers, %d changes of membership, %d hooks, %d fencings, %d pauses, %d freezes, %d rotations; after faults stopped %d times a holder, within %.1f detect times, and %d times the best one",
		t.Runs, t.Virtual.Hours(), t.Detects, t.Faults, t.Openings, t.Transfers, t.Changes, t.Hooks, t.Fencings, t.Pauses, t.Freezes, t.Rotations, t.Mended, t.Worst, t.Preferred)
}
