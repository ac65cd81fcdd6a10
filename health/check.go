package health

import "time"

// Check is one script and the rules by which its results become a judgement.
type Check struct {
	// Name tells the check apart in logs and in status; unique among the checks of a Monitor.
	Name string
	// Command is the program and its arguments, run without a shell. Exit status 0 means healthy.
	Command []string
	// Interval lies between the starts of two runs. A run that takes longer delays the next one, never overlaps it.
	Interval time.Duration
	// Timeout is how long one run may take; then its process group is killed and the run counts as failed.
	Timeout time.Duration
	// Fall is how many failures in a row make a healthy check unhealthy; at least 1.
	Fall int
	// Rise is how many successes in a row make an unhealthy check healthy; at least 1.
	Rise int
}
