package election

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// reply is what becomes of one attempt.
type reply struct {
	after time.Duration
	err   error
}

// stallingWire answers the attempts that reach it one by one as the test says; those that
// it knows nothing of wait until it is closed.
type stallingWire struct {
	*raft.InmemTransport // for the methods that are not tried here
	replies              chan reply
	closed               chan struct{}

	mu       sync.Mutex
	attempts int
}

func (w *stallingWire) answer() error {
	w.mu.Lock()
	w.attempts++
	w.mu.Unlock()
	select {
	case r := <-w.replies:
		time.Sleep(r.after)
		return r.err
	default:
		<-w.closed
		return errClosed
	}
}

func (w *stallingWire) AppendEntries(id raft.ServerID, _ raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := w.answer()
	if err == nil {
		*resp = raft.AppendEntriesResponse{RPCHeader: from(string(id), ""), Term: args.Term, Success: true}
	}
	return err
}

func (w *stallingWire) RequestVote(id raft.ServerID, _ raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	err := w.answer()
	if err == nil {
		*resp = raft.RequestVoteResponse{RPCHeader: from(string(id), ""), Term: args.Term, Granted: true}
	}
	return err
}

func (w *stallingWire) Close() error {
	close(w.closed)
	return nil
}

// hedging is a transport of member b over a stalling wire. Its detect is 500 ms, so a
// lease is 375 ms, and an attempt waits 25 ms for a second.
type hedging struct {
	*transport
	wire  *stallingWire
	fence *memoryFence
	began time.Time
}

// testHedged runs a test on virtual time. Nothing of it may go on after the transport is
// closed and drained.
func testHedged(t *testing.T, test func(t *testing.T, h hedging), replies ...reply) {
	synctest.Test(t, func(t *testing.T) {
		_, inner := raft.NewInmemTransport("10.0.0.2:7600")
		h := hedging{wire: &stallingWire{InmemTransport: inner, replies: make(chan reply, len(replies)), closed: make(chan struct{})}, fence: &memoryFence{}}
		for _, r := range replies {
			h.wire.replies <- r
		}
		began := time.Now()
		now := func() Instant { return Instant(time.Since(began)) }
		r := newRules("b", 500*time.Millisecond, now, func(uint64) []raft.ServerID { return []raft.ServerID{"a", "b", "c"} }, h.fence)
		r.setFitness(Ready)
		h.transport = newTransport(h.wire, r, &scriptedRaft{term: 7}, nil)
		time.Sleep(time.Second) // the quarantine
		h.began = time.Now()
		test(t, h)
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		h.drain()
	})
}

func (h hedging) heartbeat() error {
	var resp raft.AppendEntriesResponse
	err := h.AppendEntries("a", "10.0.0.1:7600", &raft.AppendEntriesRequest{Term: 7}, &resp)
	if err == nil && !resp.Success {
		return errors.New("no answer and no error")
	}
	return err
}

// lease is what the lease would be if it had begun with the call.
func (h hedging) lease() time.Duration {
	_, until := h.rules.current()
	return until.Sub(h.rules.now()) + time.Since(h.began)
}

func (h hedging) wantAttempts(t *testing.T, want int) {
	t.Helper()
	h.wire.mu.Lock()
	defer h.wire.mu.Unlock()
	if h.wire.attempts != want {
		t.Errorf("%d attempts, want %d", h.wire.attempts, want)
	}
}

func TestAHeartbeatThatIsNotAnsweredSoonIsMadeAgain(t *testing.T) {
	const ms = time.Millisecond
	errFirst, errSecond := errors.New("first"), errors.New("second")
	for _, c := range []struct {
		name     string
		replies  []reply
		attempts int
		took     time.Duration
		err      error
		lease    time.Duration // from the call on; 0: none
	}{
		{"answered soon", []reply{{5 * ms, nil}}, 1, 5 * ms, nil, 375 * ms},
		{"the first hangs: the lease counts from the second", []reply{{200 * ms, nil}, {1 * ms, nil}}, 2, 26 * ms, nil, 400 * ms},
		{"the first is slow: the lease counts from the first", []reply{{40 * ms, nil}, {200 * ms, nil}}, 2, 40 * ms, nil, 375 * ms},
		{"it fails by itself", []reply{{5 * ms, errFirst}}, 1, 5 * ms, errFirst, 0},
		{"the first fails, the second is under way", []reply{{30 * ms, errFirst}, {20 * ms, nil}}, 2, 45 * ms, nil, 400 * ms},
		{"the second fails, the first is answered", []reply{{40 * ms, nil}, {5 * ms, errSecond}}, 2, 40 * ms, nil, 375 * ms},
		{"both fail", []reply{{30 * ms, errFirst}, {20 * ms, errSecond}}, 2, 45 * ms, errFirst, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			testHedged(t, func(t *testing.T, h hedging) {
				if err := h.heartbeat(); !errors.Is(err, c.err) {
					t.Errorf("got %v, want %v", err, c.err)
				}
				if took := time.Since(h.began); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
				if _, until := h.rules.current(); until != 0 && h.lease() != c.lease || until == 0 && c.lease != 0 {
					t.Errorf("the lease is %s long, want %s", h.lease(), c.lease)
				}
				h.wantAttempts(t, c.attempts)
			}, c.replies...)
		})
	}
}

func TestAnAttemptThatIsAnsweredLateCountsFromWhenItLeft(t *testing.T) {
	testHedged(t, func(t *testing.T, h hedging) {
		if err := h.heartbeat(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if h.lease() != 400*time.Millisecond {
			t.Errorf("the lease is %s long", h.lease())
		}
	}, reply{after: 40 * time.Millisecond}, reply{after: 50 * time.Millisecond})
}

func TestEntriesAreSentOnce(t *testing.T) {
	testHedged(t, func(t *testing.T, h hedging) {
		call := &raft.AppendEntriesRequest{Term: 7, Entries: []*raft.Log{{Index: 1}}}
		if err := h.AppendEntries("a", "10.0.0.1:7600", call, &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
		h.wantAttempts(t, 1)
	}, reply{after: time.Second})
}

// Raft fills one request anew for its next call, and an attempt may still be about to send
// the one before.
func TestAnAttemptThatIsLeftBehindReadsNothingOfRafts(t *testing.T) {
	testHedged(t, func(t *testing.T, h hedging) {
		var call raft.AppendEntriesRequest
		var resp raft.AppendEntriesResponse
		for term := range uint64(3) {
			call.Term = 7 + term
			if err := h.AppendEntries("a", "10.0.0.1:7600", &call, &resp); err != nil || resp.Term != call.Term {
				t.Errorf("got %+v, %v", resp, err)
			}
		}
	}, reply{after: 200 * time.Millisecond}, reply{}, reply{after: 200 * time.Millisecond}, reply{}, reply{after: time.Millisecond})
}

func TestALeaderThatFallsSilentMakesNoSecondAttempt(t *testing.T) {
	testHedged(t, func(t *testing.T, h hedging) {
		h.rules.abdicate(7)
		time.Sleep(2*500*time.Millisecond - 10*time.Millisecond)
		if err := h.heartbeat(); !errors.Is(err, errAbdicated) {
			t.Errorf("got %v", err)
		}
		h.wantAttempts(t, 1)
	}, reply{time.Second, errors.New("timeout")})
}

func TestACallForAVoteThatIsNotAnsweredSoonIsMadeAgain(t *testing.T) {
	testHedged(t, func(t *testing.T, h hedging) {
		var resp raft.RequestVoteResponse
		if err := h.RequestVote("a", "10.0.0.1:7600", &raft.RequestVoteRequest{Term: 8}, &resp); err != nil || !resp.Granted {
			t.Errorf("got %+v, %v", resp, err)
		}
		h.wantAttempts(t, 2)
	}, reply{after: time.Hour}, reply{})
}

func TestACallForAVoteIsNotMadeAgainAfterAPromiseToAnother(t *testing.T) {
	testHedged(t, func(t *testing.T, h hedging) {
		time.AfterFunc(10*time.Millisecond, func() { _ = h.rules.promise(8, "c") })
		err := h.RequestVote("a", "10.0.0.1:7600", &raft.RequestVoteRequest{Term: 8}, &raft.RequestVoteResponse{})
		if !errors.Is(err, errPromised) {
			t.Errorf("got %v", err)
		}
		h.wantAttempts(t, 1)
	}, reply{time.Second, errors.New("timeout")})
}

func TestAttemptsEndWithTheWire(t *testing.T) {
	testHedged(t, func(t *testing.T, h hedging) {
		go func() {
			if err := h.heartbeat(); !errors.Is(err, errClosed) {
				t.Errorf("got %v", err)
			}
		}()
		time.Sleep(time.Second)
		h.wantAttempts(t, 2)
	})
}
