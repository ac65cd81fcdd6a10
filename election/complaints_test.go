package election

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestARefusalIsLoggedOnceForEachReason(t *testing.T) {
	var c complaints
	now := time.Now()
	for i, step := range []struct {
		host, reason string
		after        time.Duration
		want         string
	}{
		{"10.11.12.5", "no TLS", 0, "no TLS"},
		{"10.11.12.5", "no TLS", 0, ""},
		{"10.11.12.5", "removed", 0, "removed"},
		{"10.11.12.5", "no TLS", 0, ""}, // by turns
		{"10.11.12.6", "no TLS", 0, "no TLS"},
		{"10.11.12.5", "no TLS", complaining, "no TLS"},
	} {
		now = now.Add(step.after)
		if got := c.news(step.host, errors.New(step.reason), now); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
}

func TestWhoSaysSomethingElseEachTimeDoesNotFillTheLog(t *testing.T) {
	tests := map[string]struct{ hosts, want int }{
		"one host":   {1, maxAboutAHost},
		"many hosts": {1000, maxComplaints},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var c complaints
			told := 0
			for i := range 10_000 {
				long := fmt.Errorf("%d%s", i, strings.Repeat("ü", 1000))
				text := c.news(fmt.Sprint(i%test.hosts), long, time.Unix(0, 0))
				if utf8.RuneCountInString(text) > maxComplaint {
					t.Fatalf("%d characters", utf8.RuneCountInString(text))
				}
				if text != "" {
					told++
				}
			}
			if told != test.want {
				t.Errorf("told %d times, want %d", told, test.want)
			}
		})
	}
}
