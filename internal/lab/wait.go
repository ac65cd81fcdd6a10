package lab

import (
	"errors"
	"time"
)

// errTimeout is returned by waitFor.
var errTimeout = errors.New("it did not happen in time")

// waitFor asks every 2 ms whether something is so, until it is, the question fails, or the limit has passed.
func waitFor(limit time.Duration, done func() (bool, error)) error {
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return errTimeout
		}
	}
}
