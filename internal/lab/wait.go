package lab

import (
	"context"
	"fmt"
	"time"
)

// WaitFor asks every 2 ms whether something is so, until it is, the question fails, or the limit has passed.
func WaitFor(limit time.Duration, done func() (bool, error)) error {
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("it did not happen within %v", limit)
		}
	}
}

// Pause waits for that long, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
