package lab

import (
	"testing"
	"time"
)

func TestQuantileIsTheNearestRank(t *testing.T) {
	tests := []struct {
		n     int
		share float64
		want  time.Duration
	}{
		{0, 0.5, 0}, {1, 0.5, 1}, {1, 0.95, 1}, {2, 0.5, 1}, {3, 0.5, 2}, {20, 0.5, 10}, {20, 0.95, 19}, {20, 1, 20}, {100, 0.95, 95},
	}
	for _, test := range tests {
		var values []time.Duration
		for i := range test.n {
			values = append(values, time.Duration(i+1))
		}
		if got := Quantile(values, test.share); got != test.want {
			t.Errorf("Quantile %v of 1 … %d: %d, want %d", test.share, test.n, got, test.want)
		}
	}
}
