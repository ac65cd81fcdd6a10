package simulate

import (
	"time"

	"github.com/vipd/vipd/agent"
)

// weighted is what a failure of the weighted check takes from the priority of a host:
// more than lies between some of the priorities that are drawn, less than between others.
const weighted = -60

// policies draws how the operators of a run have configured its hosts. What all members
// must agree in, or would be unwise not to, is the same for all.
func policies(c *chance, hosts int, detect time.Duration) []agent.Policy {
	common := agent.Policy{PrepareLimit: hookTimeout, Prepare: c.in(2), Fence: c.in(2), Release: c.in(3)}
	if c.in(2) {
		common.DrainTime = c.between(detect/10, 2*detect)
	}
	if c.in(2) {
		common.PreemptDelay = c.between(detect/10, 5*detect)
	}
	all, preempt := make([]agent.Policy, hosts), c.in(2)
	for i := range all {
		all[i] = common
		all[i].Priority = []int{0, 50, 100, 150, 200}[c.below(5)]
		all[i].Preempt = preempt && !c.in(4)
	}
	if hosts >= 5 && c.in(3) {
		all[hosts-1] = agent.Policy{Witness: true, Fence: common.Fence}
	}
	return all
}
