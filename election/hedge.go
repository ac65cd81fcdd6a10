package election

import (
	"sync"
	"time"
)

// hedge makes calls that may be made twice. TCP waits 200 ms and more before it sends a
// lost segment again, and until then all behind it on its connection waits too. Raft
// waits for the answer of each heartbeat before it sends the next: two such losses in
// a row, and a lease is over. So a call that is not answered soon is made again, over
// another connection (raft's transport uses one for each call under way).
//
// An attempt that nobody waits for any more goes on until it is answered or its
// connection ends.
type hedge struct {
	after    time.Duration // an attempt that is not answered by then is joined by a second
	attempts sync.WaitGroup
}

func hedgeFor(detect time.Duration) hedge {
	return hedge{after: max(detect/20, 10*time.Millisecond)}
}

// attempt is how one ended.
type attempt[R any] struct {
	response R
	err      error
}

// hedged returns what call returns, and calls it twice if that takes long. The first
// answer counts; where there is none, the first error. What holds for a call must hold
// for each attempt by itself, so that is part of call.
func hedged[R any](h *hedge, call func() (R, error)) (R, error) {
	ended := make(chan attempt[R], 2) // an attempt never waits to be heard
	try := func() {
		response, err := call()
		ended <- attempt[R]{response, err}
	}
	h.attempts.Go(try)
	timer := time.NewTimer(h.after)
	defer timer.Stop()
	select {
	case only := <-ended:
		return only.response, only.err
	case <-timer.C:
	}
	h.attempts.Go(try)
	first := <-ended
	if first.err == nil {
		return first.response, nil
	}
	if second := <-ended; second.err == nil {
		return second.response, nil
	}
	return first.response, first.err
}
