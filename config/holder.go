package config

import "time"

// holder reads what only a host that can hold the addresses has.
func (r *reader) holder(m mapping, c *Config) {
	r.vip(r.mapping(m.get("vip")), c)
	r.checks(m.get("checks"), c)
	r.hooks(m.get("hooks"), c)
	r.probe(m.get("probe"), c)
	r.preempt(m.get("preempt"), m.get("preempt_delay"), c)
	c.ReleaseUnwell = r.choice(m.get("all_unhealthy"), "hold", "release") == "release"
	drain := m.get("drain_time")
	c.DrainTime = r.duration(drain, 0, span{0, 10 * time.Minute})
	if m.get("probe").node == nil {
		r.without(drain, "probe.listen")
	}
}

func (r *reader) preempt(v, delay value, c *Config) {
	c.Preempt = r.boolean(v, false)
	c.PreemptDelay = r.duration(delay, 30*time.Second, span{0, time.Hour})
	if off := v.node == nil || v.node.Tag == "!!bool" && !c.Preempt; off {
		r.without(delay, "preempt: true")
	}
}

// witness refuses the keys that holder reads.
func (r *reader) witness(m, node mapping) {
	unused := []value{node.get("priority")}
	for _, name := range []string{"vip", "checks", "hooks", "probe", "preempt", "preempt_delay", "all_unhealthy", "drain_time"} {
		unused = append(unused, m.get(name))
	}
	for _, v := range unused {
		if v.node != nil {
			v.at = v.key // what is in a section is of no interest
			r.refuse(v, "a witness votes and never holds the address: take it out", "has no effect in the file of a witness")
		}
	}
}
