package control

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	tests := map[time.Duration]string{
		-time.Second:                    "0 ms",
		999 * time.Millisecond:          "999 ms",
		time.Second:                     "1.0 s",
		9990 * time.Millisecond:         "9.9 s",
		59*time.Second + 999999999:      "59 s",
		59*time.Minute + 59*time.Second: "59 min",
		time.Hour:                       "1 h 0 min",
		47*time.Hour + 59*time.Minute:   "47 h 59 min",
		48 * time.Hour:                  "2 days",
	}
	for d, want := range tests {
		if got := Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
