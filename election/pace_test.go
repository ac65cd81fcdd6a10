package election

import (
	"slices"
	"testing"
	"time"
)

// changes returns when the configuration of a host last changed, looking for as long
// as f runs.
func changes(h *host, f func()) []time.Time {
	var at []time.Time
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	for was := h.node.view.Configuration().Servers; ; time.Sleep(time.Millisecond) {
		if now := h.node.view.Configuration().Servers; !slices.Equal(now, was) {
			was, at = now, append(at, time.Now())
		}
		select {
		case <-done:
			return at
		default:
		}
	}
}

func TestChangesOfMembershipAreTApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 1, half)
		for i := range 3 {
			late := newHost(t, w, i+2, half)
			late.start()
			hosts = append(hosts, late)
		}
		// All join at once, and so all ask for their changes at once.
		at := changes(hosts[0], func() {
			done := make(chan error, 3)
			for _, h := range hosts[1:] {
				go func() { _, err := h.join(hosts[0]); done <- err }()
			}
			for range 3 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
		if len(at) != 6 {
			t.Errorf("%d changes, want two for each of three members", len(at))
		}
		for i := range len(at) - 1 {
			if gap := at[i+1].Sub(at[i]); gap < half {
				t.Errorf("change %d came %s after the one before", i+2, gap)
			}
		}
		haltAll(t, hosts)
	})
}
