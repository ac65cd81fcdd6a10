package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// BalancerConfig is what one sets at a cloud's load balancer.
type BalancerConfig struct {
	Interval  time.Duration // between health probes, and how long one may take; 0 means 1 s. Azure allows 5 s at least.
	Threshold int           // successes in a row that put a host in, failures that take it out; 0 means 1
}

// Balancer is a load balancer with direct server return. It asks http://<fixed address>/ of every host, takes status
// 200 and nothing else for health, and passes packets for the floating address to the hosts that are well with the
// destination address untouched: only the frame is addressed anew. The host answers the client straight.
//
// That is how Azure's works with floating IP. New flows are spread over the hosts that are well by a hash of addresses
// and ports. Where Azure leaves an established TCP flow on its host when that host gets unwell, this one moves it.
type Balancer struct {
	lab    *Lab
	cfg    BalancerConfig
	client *http.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	well []*Host
	err  error
}

// StartBalancer starts the load balancer. It ends with Stop or with the lab.
func (l *Lab) StartBalancer(cfg BalancerConfig) *Balancer {
	if cfg.Interval == 0 {
		cfg.Interval = time.Second
	}
	cfg.Threshold = max(cfg.Threshold, 1)
	ctx, cancel := context.WithCancel(context.Background())
	b := &Balancer{
		lab: l, cfg: cfg, cancel: cancel, done: make(chan struct{}),
		client: l.Balancer.httpClient(cfg.Interval, probeAddress.AsSlice()),
	}
	go b.run(ctx)
	l.onClose(func() { _ = b.Stop() }) // who wants to know stops it before
	return b
}

func (b *Balancer) run(ctx context.Context) {
	defer close(b.done)
	ticker := time.NewTicker(b.cfg.Interval)
	defer ticker.Stop()
	series := make([]int, len(b.lab.Hosts)) // equal results in a row: > 0 successes, < 0 failures
	for ctx.Err() == nil {
		for i, ok := range b.probeAll(ctx) {
			series[i] = count(series[i], ok)
		}
		if err := b.apply(series); err != nil {
			b.mu.Lock()
			b.err = err
			b.mu.Unlock()
			return
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func count(series int, ok bool) int {
	switch {
	case ok:
		return max(series, 0) + 1
	default:
		return min(series, 0) - 1
	}
}

// probeAll probes all hosts at the same time.
func (b *Balancer) probeAll(ctx context.Context) []bool {
	ok := make([]bool, len(b.lab.Hosts))
	var all sync.WaitGroup
	for i, h := range b.lab.Hosts {
		all.Go(func() {
			_, err := get(ctx, b.client, h.Address.String())
			ok[i] = err == nil
		})
	}
	all.Wait()
	return ok
}

// apply takes hosts in and out as the results in a row demand, and changes the route if that changes anything.
func (b *Balancer) apply(series []int) error {
	b.mu.Lock()
	before := b.well
	b.mu.Unlock()
	var well []*Host
	for i, h := range b.lab.Hosts {
		in := slices.Contains(before, h)
		if series[i] >= b.cfg.Threshold || in && series[i] > -b.cfg.Threshold {
			well = append(well, h)
		}
	}
	if slices.Equal(well, before) {
		return nil
	}
	if err := b.lab.Balancer.IP(route(b.lab.Floating.String(), well)); err != nil {
		return fmt.Errorf("change the balancer's route: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.well = well
	return nil
}

// route is the command that sends the floating address to these hosts; without any, what is left is the blackhole
// that the machine was made with: packets vanish, as they do at a load balancer without healthy hosts.
func route(floating string, hosts []*Host) string {
	if len(hosts) == 0 {
		return "route del " + floating + "/32 metric 0"
	}
	command := "route replace " + floating + "/32"
	for _, h := range hosts {
		command += " nexthop via " + h.Address.String() + " dev eth0"
	}
	return command
}

// Well lists the hosts that get new flows now.
func (b *Balancer) Well() []*Host {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.well)
}

// Stop ends the probing, leaves the route as it is, and says why the balancer ended earlier, if it did.
func (b *Balancer) Stop() error {
	b.cancel()
	<-b.done
	b.client.CloseIdleConnections()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// BalancerClient makes a client that asks as the balancer does: from its address, with a new connection for each request,
// each of which may take as long as timeout says.
func (l *Lab) BalancerClient(timeout time.Duration) *http.Client {
	return l.Balancer.httpClient(timeout, probeAddress.AsSlice())
}

// httpClient makes a client whose connections, a new one for each request, come from this host.
func (h *Host) httpClient(timeout time.Duration, local net.IP) *http.Client {
	dialer := &net.Dialer{Timeout: timeout}
	if local != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: local}
	}
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = h.ns.within(func() error {
			conn, err = dialer.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// get fetches the page of an address and returns its first line.
func get(ctx context.Context, client *http.Client, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var page [64]byte
	n, _ := resp.Body.Read(page[:])
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", resp.Status)
	}
	line, _, _ := strings.Cut(string(page[:n]), "\n")
	return line, nil
}
