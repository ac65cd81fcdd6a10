package lab

import "time"

// Quantile is the smallest of the sorted values that at least that share of them, 0 … 1, does not exceed (nearest rank); 0
// if there are none.
func Quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(share*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}
