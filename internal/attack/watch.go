package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/internal/lab"
)

// How often is looked and asked.
const (
	lookPause = 20 * time.Millisecond
	askPause  = 200 * time.Millisecond
)

// sight is what was seen of one daemon for a while.
type sight struct {
	most    size    // at any instant
	cpu     float64 // of one core
	probe   answers
	status  answers
	holder  *control.Holder // whom it named last
	changes int             // how often it named another holder or another term
	lives   int             // how often the daemon was found to be another process, or none
}

// answers are those to one question that is asked again and again.
type answers struct {
	asked, failed int
	slowest       time.Duration
	last          error // of the last that failed
}

func (a *answers) note(took time.Duration, err error) {
	a.asked++
	a.slowest = max(a.slowest, took)
	if err != nil {
		a.failed++
		a.last = err
	}
}

// watch looks at each daemon until ctx ends.
func (s *stage) watch(ctx context.Context) map[*lab.Host]sight {
	all := map[*lab.Host]sight{}
	var mu sync.Mutex
	var watching sync.WaitGroup
	for _, h := range s.Hosts {
		watching.Go(func() {
			v := s.watchOne(ctx, h)
			mu.Lock()
			defer mu.Unlock()
			all[h] = v
		})
	}
	watching.Wait()
	return all
}

// watchOne has one goroutine for each question; they write to different fields.
func (s *stage) watchOne(ctx context.Context, h *lab.Host) sight {
	var v sight
	var all sync.WaitGroup
	all.Go(func() { s.look(ctx, h, &v) })
	all.Go(func() { s.askStatus(ctx, h, &v) })
	all.Go(func() { s.askProbe(ctx, h, &v.probe) })
	all.Wait()
	return v
}

func (s *stage) look(ctx context.Context, h *lab.Host, v *sight) {
	began, before := time.Now(), busy(s.daemons[h].PID())
	defer func() { v.cpu = (busy(s.daemons[h].PID()) - before).Seconds() / time.Since(began).Seconds() }()
	for pid := s.daemons[h].PID(); ctx.Err() == nil; lab.Pause(ctx, lookPause) {
		now, err := sizeOf(s.daemons[h].PID())
		if found := s.daemons[h].PID(); err != nil || found != pid {
			v.lives++
			pid = found
		}
		v.most = v.most.most(now)
	}
}

// askStatus asks for what `vipd status` shows, by the code with which it asks.
func (s *stage) askStatus(ctx context.Context, h *lab.Host, v *sight) {
	client := control.NewClient(socketOf(h), "vipd")
	for ; ctx.Err() == nil; lab.Pause(ctx, askPause) {
		began := time.Now()
		status, err := client.Status(context.WithoutCancel(ctx)) // it gives up by itself
		v.status.note(time.Since(began), err)
		if now := status.Holder; now != nil {
			if v.holder != nil && (v.holder.Term != now.Term || v.holder.Name != now.Name) {
				v.changes++
			}
			v.holder = now
		}
	}
}

// askProbe asks as a load balancer does.
func (s *stage) askProbe(ctx context.Context, h *lab.Host, a *answers) {
	client := s.BalancerClient(2 * answerLimit)
	for ; ctx.Err() == nil; lab.Pause(ctx, askPause) {
		began := time.Now()
		err := probe(context.WithoutCancel(ctx), client, netip.AddrPortFrom(h.Address, probePort), h == s.holder)
		a.note(time.Since(began), err)
	}
}

func probe(ctx context.Context, client *http.Client, at netip.AddrPort, holds bool) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+"/", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return errors.Unwrap(err) // without the address
	}
	defer response.Body.Close()
	want := http.StatusServiceUnavailable
	if holds {
		want = http.StatusOK
	}
	if response.StatusCode != want {
		return fmt.Errorf("the probe says %s", response.Status)
	}
	return nil
}
