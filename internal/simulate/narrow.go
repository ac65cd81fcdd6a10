package simulate

import "time"

// Narrow are the profiles that look for what each rule of the protocol prevents, by
// the rules' names in package election: the faults that matter for it, often.
//
// One rule is not among them: "configuration of the term". Without it no run has ever
// opened two fences, and it seems that none can. The members that elected the leader
// who made the later configuration had no acknowledgement of the earlier term that
// still counts, and the others are no majority of a configuration that differs in one
// member; the same leader makes the next change T later. The rule spares the proof
// this argument.
var Narrow = map[string]Profile{
	"send time": narrow(Profile{Far: 0.3, Weight: map[string]int{"slow link": 6, "partition": 3, "one-way cut": 3}}),
	"promise": narrow(Profile{Far: 0.25, Weight: map[string]int{
		"partition": 3, "flapping link": 4, "slow link": 4, "bridge": 2, "one-way cut": 3, "loss": 2,
	}}),
	"own lease is a promise": narrow(Profile{Far: 0.02, Weight: map[string]int{
		"shifting majority": 4, "flapping link": 4, "partition": 2, "one-way cut": 2, "failing disk": 6, "service unwell": 6,
	}}),
	"serial":     narrow(Profile{Far: 0.15, Hesitate: 100, Every: 3, Weight: map[string]int{"silence": 6, "partition": 1, "one-way cut": 1}}),
	"quarantine": narrow(Profile{Weight: map[string]int{"partition": 3, "one-way cut": 3, "bridge": 2, "process killed": 8}}),
	"abdication": narrow(Profile{Far: 0.1, Weight: map[string]int{"transfer": 8, "slow link": 6, "one-way cut": 2}}),
	"take-over call": narrow(Profile{Detect: 100 * time.Millisecond, Far: 0.1, Every: 1.5, Weight: map[string]int{
		"transfer": 8, "loss": 8, "flapping link": 2, "one-way cut": 2, "process killed": 1,
	}}),
}

// narrow fills in what most of these profiles have in common.
func narrow(p Profile) Profile {
	p.Rounds, p.Faults, p.Pair = 5, 60, true
	if p.Nodes == 0 {
		p.Nodes = 3
	}
	if p.Detect == 0 {
		p.Detect = time.Second
	}
	if p.Every == 0 {
		p.Every = 1
	}
	return p
}
