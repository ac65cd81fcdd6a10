package agent

import "time"

// fencePause lies between two runs of a fence hook that fails.
const fencePause = 5 * time.Second

// cleared reports whether the holders before have let go for certain, as far as anybody
// wants to be: the lease itself says so, a fence hook makes sure.
func (s State) cleared() bool {
	return !s.Policy.Fence || s.Claimed == s.Term && len(s.Unfenced) == 0
}

// clear makes sure that the holders before have let go.
func (d *decision) clear() {
	switch {
	case d.Stopping, !d.mayBegin(), d.Claiming:
	case d.Claimed != d.Term:
		if d.ClaimErr == "" || d.retry {
			d.Claiming = true
			d.do(Claim{d.Term})
		}
	case !d.scripting() && (d.FenceErr == "" || !d.now.Before(d.FenceAgain)):
		d.Fencing = true
		m := d.Unfenced[0]
		d.do(RunFence{Previous: m, Term: d.Term, Reason: m.Name + " held before and has not let go in order"})
	}
}

func (d *decision) noteClaimed(e Claimed) {
	if d.Claiming = false; e.Term != d.Term {
		return
	}
	if d.ClaimErr = e.Err; e.Err == "" {
		d.Claimed, d.Unfenced = e.Term, e.Unfenced
	}
}

// noteFenced takes in how the fence hook has ended. What it did in an earlier term
// counts for nothing: whom it was for may have held since.
func (d *decision) noteFenced(e Fenced) {
	d.Fencing = false
	if e.Void || !d.Held || e.Term != d.Term || len(d.Unfenced) == 0 {
		return
	}
	if d.FenceErr = e.Err; e.Err != "" && !d.Policy.FenceProceeds {
		d.FenceAgain = d.now.Add(fencePause)
		return
	}
	d.do(RecordFenced{d.Unfenced[0], d.Term})
	d.Unfenced = d.Unfenced[1:]
}
