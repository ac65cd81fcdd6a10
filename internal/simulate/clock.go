package simulate

import (
	"time"

	"github.com/vipd/vipd/election"
)

// clock is CLOCK_BOOTTIME of one host: it began anywhere and runs at its own rate.
type clock struct {
	began  time.Time // of the run
	offset election.Instant
	rate   float64
}

// drift is how far a clock's rate may be from 1. Two clocks then differ by less than
// 10 %, as docs/guarantees.md asks for.
const drift = 0.047

func (c clock) now() election.Instant {
	return c.offset.Add(time.Duration(c.rate * float64(time.Since(c.began))))
}
