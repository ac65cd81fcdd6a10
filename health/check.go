package health

import "time"

// Check is one script and the rules by which its results become a judgement.
type Check struct {
	// Name tells the check apart in logs and in status; unique among the checks of a Monitor.
	Name string
	// Command is the program and its arguments, run without a shell, in / and with PATH, LANG and HOME as its whole
	// environment. Exit status 0 means healthy. What it leaves running is not killed, but loses its output.
	Command []string
	// Interval lies between the starts of two runs, more than 0. A run that takes longer delays the next one.
	Interval time.Duration
	// Timeout is how long one run may take, more than 0; then its process group is killed and the run counts as failed.
	Timeout time.Duration
	// Fall is how many failures in a row make a healthy check unhealthy; less than 1 means 1.
	Fall int
	// Rise is how many successes in a row make an unhealthy check healthy; less than 1 means 1.
	Rise int
}

// Result is what is known of one check.
type Result struct {
	// Name is the check's name.
	Name string
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
	// Known says that every check has run at least once. Without checks it is true.
	Known bool
	// Healthy says that every check is known and healthy. Without checks it is true.
	Healthy bool
	// Reason names the checks that speak against Healthy, and why; empty if none does.
	Reason string
	// Checks holds the checks in the order in which they were given.
	Checks []Result
}
