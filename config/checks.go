package config

import (
	"time"

	"github.com/vipd/vipd/health"
)

// mostInARow bounds rise and fall, heaviest a weight, as in keepalived.conf(5).
const mostInARow, heaviest = 100, 253

func (r *reader) checks(v value, c *Config) {
	// A process takes milliseconds to start: below these, a check would only ever fail.
	intervals, timeouts := span{50 * time.Millisecond, time.Hour}, span{10 * time.Millisecond, time.Hour}
	seen := make(map[string]string)
	for _, item := range r.list(v) {
		m := r.mapping(item)
		interval := r.duration(m.get("interval"), time.Second, intervals)
		name := r.need(m, "name")
		probe, looked := r.tried(m)
		check := health.Check{
			Name:     r.name(name),
			Probe:    probe,
			Interval: interval,
			Timeout:  r.duration(m.get("timeout"), interval, timeouts),
			Fall:     r.count(m.get("fall"), mostInARow),
			Rise:     r.count(m.get("rise"), mostInARow),
			Weight:   r.number(m.get("weight"), 0, numbers{-heaviest, heaviest}),
		}
		if first, twice := seen[check.Name]; twice && check.Name != "" {
			r.refuse(name, "give each check a name of its own", "%s is the name of %s already", quote(check.Name), first)
		} else {
			seen[check.Name] = item.path
		}
		c.Checks = append(c.Checks, check)
		r.places.checks = append(r.places.checks, looked)
		r.places.users = append(r.places.users, m.get("user"))
	}
}
