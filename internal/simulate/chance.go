package simulate

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// chance is a source of random numbers that many goroutines may use.
type chance struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newChance(seed, stream uint64) *chance {
	return &chance{rng: rand.New(rand.NewPCG(seed, stream))}
}

// below returns a number from 0 to n-1.
func (c *chance) below(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

// in is true once in n times.
func (c *chance) in(n int) bool { return c.below(n) == 0 }

// unit returns a number from 0 to 1.
func (c *chance) unit() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.Float64()
}

// upTo returns a duration from 0 to d.
func (c *chance) upTo(d time.Duration) time.Duration {
	return time.Duration(c.unit() * float64(d))
}

// exponential returns a duration that is mean on average, as the time between events
// that do not depend on each other.
func (c *chance) exponential(mean time.Duration) time.Duration {
	return time.Duration(-math.Log(1-c.unit()) * float64(mean))
}

// between returns a duration from a to b, each order of magnitude as likely as any
// other.
func (c *chance) between(a, b time.Duration) time.Duration {
	return time.Duration(float64(a) * math.Pow(float64(b)/float64(a), c.unit()))
}
