package main

import (
	"math/rand/v2"
	"time"
)

// How long a round is.
const (
	spread   = time.Second            // within which its faults begin
	shortest = 300 * time.Millisecond // that a fault lasts
	longest  = 4 * time.Second
)

// planned is one fault of a round as the seed has it.
type planned struct {
	kind         kind
	host, other  int  // by index
	holder       bool // it hits whoever holds then, not host
	after, lasts time.Duration
	seed         uint64 // of what the kind itself chooses
}

// plan draws the faults of a round: as many as hosts, or up to four more. In every second round or so all of them are
// mended at the same time. It depends on nothing but its arguments.
func plan(seed uint64, number, hosts int, all []kind) []planned {
	random := rand.New(rand.NewPCG(seed, uint64(number)))
	var faults []planned
	together := random.IntN(2) == 0
	for range hosts + random.IntN(5) {
		faults = append(faults, planned{
			kind:   all[random.IntN(len(all))],
			host:   random.IntN(hosts),
			other:  random.IntN(hosts - 1),
			holder: random.IntN(2) == 0,
			after:  time.Duration(random.Int64N(int64(spread))),
			lasts:  shortest + time.Duration(random.Int64N(int64(longest-shortest))),
			seed:   random.Uint64(),
		})
	}
	if end := spread + faults[0].lasts; together {
		for i := range faults {
			faults[i].lasts = end - faults[i].after
		}
	}
	return faults
}
