package health

// judgement turns the results of one check into healthy or not. The first result judges at once, since a host that starts
// has no history to be loyal to; afterwards it takes fall failures or rise successes in a row to change it.
type judgement struct {
	fall, rise int
	known      bool
	healthy    bool
	failures   int // in a row, up to now
	successes  int // in a row, up to now
}

// add takes the next result and says whether the judgement has changed.
func (j *judgement) add(ok bool) (changed bool) {
	if ok {
		j.successes, j.failures = j.successes+1, 0
	} else {
		j.successes, j.failures = 0, j.failures+1
	}
	healthy := j.healthy
	switch {
	case !j.known:
		healthy = ok
	case j.healthy && j.failures >= j.fall, !j.healthy && j.successes >= j.rise:
		healthy = !j.healthy
	}
	changed = !j.known || healthy != j.healthy
	j.known, j.healthy = true, healthy
	return changed
}
