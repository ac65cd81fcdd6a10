package election

import (
	"fmt"
	"sync"
	"time"
)

// Limits of what the log is told about those who are refused: anybody who reaches the port can say something else each
// time, from many addresses.
const (
	complaining   = 10 * time.Minute
	maxComplaints = 64 // of all hosts, in that time
	maxAboutAHost = 8
	maxComplaint  = 300 // characters
)

// complaints are the refusals that the log was told of lately.
type complaints struct {
	mu    sync.Mutex
	since time.Time
	told  map[complaint]bool
	about map[string]int // by host
}

type complaint struct{ host, reason string }

// news returns what to log about a refusal: empty if that was logged lately, or enough else.
func (c *complaints) news(host string, err error, now time.Time) string {
	one := complaint{host, fmt.Sprintf("%.*s", maxComplaint, err.Error())}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told == nil || now.Sub(c.since) >= complaining {
		c.since, c.told, c.about = now, make(map[complaint]bool), make(map[string]int)
	}
	if c.told[one] || len(c.told) >= maxComplaints || c.about[host] >= maxAboutAHost {
		return ""
	}
	c.told[one] = true
	c.about[host]++
	return one.reason
}
