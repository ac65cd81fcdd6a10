package lab

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Visit is one request of a Visitor.
type Visit struct {
	At   time.Time     // when it began
	Took time.Duration // until the page was there or the request had failed
	Page string        // the first line of the page: the name of the host that gave it
	Err  error
}

// Visitor is somebody who reads the page at the floating address again and again from the client, through the balancer,
// with a new connection each time.
type Visitor struct {
	address string
	client  *http.Client
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	visits []Visit
}

// StartVisitor starts one who begins a request at each interval, whether the one before is over or not, and gives up on
// each after a second. It ends with Stop or with the lab.
func (l *Lab) StartVisitor(interval time.Duration) *Visitor {
	ctx, cancel := context.WithCancel(context.Background())
	v := &Visitor{address: l.Floating.String(), client: l.Client.httpClient(time.Second, nil), cancel: cancel}
	v.running.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				v.running.Go(func() { v.visit(ctx) })
			}
		}
	})
	l.onClose(v.Stop)
	return v
}

func (v *Visitor) visit(ctx context.Context) {
	visit := Visit{At: time.Now()}
	visit.Page, visit.Err = get(ctx, v.client, v.address)
	visit.Took = time.Since(visit.At)
	if ctx.Err() != nil {
		return // it was we who ended it
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.visits = append(v.visits, visit)
}

// Visits lists the requests that are over and began at or after that instant, in the order in which they began.
func (v *Visitor) Visits(since time.Time) []Visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	visits := slices.DeleteFunc(slices.Clone(v.visits), func(v Visit) bool { return v.At.Before(since) })
	slices.SortFunc(visits, func(a, b Visit) int { return a.At.Compare(b.At) })
	return visits
}

// Stop ends the visits.
func (v *Visitor) Stop() {
	v.cancel()
	v.running.Wait()
	v.client.CloseIdleConnections()
}
