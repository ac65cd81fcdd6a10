package health

import "time"

// Check is one thing to try and the rules by which its results become a judgement.
type Check struct {
	// Name tells the check apart in logs and in status; unique among the checks of a Monitor.
	Name string
	// Probe is what is tried.
	Probe Probe
	// Interval lies between the starts of two runs, more than 0. A run that takes longer delays the next one.
	Interval time.Duration
	// Timeout is how long one run may take, more than 0; then it is ended, a script with its process group, and counts as failed.
	Timeout time.Duration
	// Fall is how many failures in a row make a healthy check unhealthy; less than 1 means 1.
	Fall int
	// Rise is how many successes in a row make an unhealthy check healthy; less than 1 means 1.
	Rise int
	// Weight, from -253 to 253, says what the judgement is for. With 0 it decides over Verdict.Healthy; with any other weight
	// only over Verdict.Shift: a negative one is added while the check is unhealthy, a positive one while it is healthy (as
	// in keepalived.conf(5)).
	Weight int
}

// Result is what is known of one check.
type Result struct {
	// Name is the check's name.
	Name string
	// Weight is the check's weight.
	Weight int
	// Healthy is the judgement, after rise and fall. It is false while Known is.
	Healthy bool
	// Known says that the check has run at least once.
	Known bool
	// Since is when the judgement became what it is.
	Since time.Time
	// Last is when the last run ended.
	Last time.Time
	// Took is how long the last run took.
	Took time.Duration
	// Output is the end of what the last run wrote, at most 1 KiB of valid UTF-8.
	Output string
	// Reason says why the last run failed; empty if it did not.
	Reason string
	// Failures is how many runs have failed in a row up to now.
	Failures int
}

// Verdict is what all checks together say of this host.
type Verdict struct {
	// Known says that every check of weight 0 has run at least once. Without any it is true.
	Known bool
	// Healthy says that every check of weight 0 is known and healthy. Without any it is true.
	Healthy bool
	// Reason names the checks that speak against Healthy, and why; empty if none does.
	Reason string
	// Shift is what the other checks add to the priority of this host. One that has not run yet counts as unhealthy.
	Shift int
	// Checks holds the checks in the order in which they were given.
	Checks []Result
}
