package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// stage is the lab with everything running in it.
type stage struct {
	*lab.Lab
	out     *screen
	binary  string
	daemons map[*lab.Host]*lab.Daemon
	prober  *lab.Prober
	visitor *lab.Visitor
}

// build starts everything and forms the cluster as an operator would.
func (s *stage) build(ctx context.Context) error {
	s.out.heading("Three hosts, a load balancer, a client")
	s.out.line("vm1 10.11.12.4, vm2 10.11.12.5, vm3 10.11.12.6 and a client 10.11.12.100, each with a kernel network of its own.")
	s.out.line("The load balancer asks each host's port 80 every 100 ms (a cloud's every 5 s) and routes %s", s.Floating)
	s.out.line("to the hosts that answer, with the destination address untouched; hosts answer the client straight.")
	s.StartBalancer(lab.BalancerConfig{Interval: 100 * time.Millisecond})
	for _, h := range s.Hosts {
		if err := s.install(h); err != nil {
			return err
		}
	}
	var err error
	if s.prober, err = s.StartProber(); err != nil {
		return err
	}
	s.visitor = s.StartVisitor(20 * time.Millisecond)
	s.out.heading("The cluster")
	if err := s.form(ctx); err != nil {
		return err
	}
	holder, err := s.whole(ctx)
	if err != nil {
		return err
	}
	s.out.line("The page at http://%s/ comes from %s.", s.Floating, holder)
	return nil
}

func (s *stage) install(h *lab.Host) error {
	notify, err := h.InstallApache()
	if err != nil {
		return err
	}
	check, err := h.InstallCheck()
	if err != nil {
		return err
	}
	s.daemons[h], err = h.StartVipd(lab.VipdConfig{Binary: s.binary, Notify: notify, Check: check})
	return err
}

func (s *stage) form(ctx context.Context) error {
	vm1, vm2, vm3 := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	printed, err := s.types(ctx, vm1, "init")
	if err != nil {
		return err
	}
	join := strings.Fields(printed)[1:5] // join PEER --token TOKEN; the program and its configuration are each host's own
	for _, typed := range []struct {
		host    *lab.Host
		command []string
	}{
		{vm2, join},
		{vm3, join},
		{vm3, []string{"leader"}},
		{vm1, []string{"status"}},
	} {
		if _, err := s.types(ctx, typed.host, typed.command...); err != nil {
			return err
		}
	}
	return nil
}

// types runs a vipd command on a host, before the eyes of the audience, and returns what
// it has printed on its standard output.
func (s *stage) types(ctx context.Context, h *lab.Host, args ...string) (string, error) {
	s.out.typed("%s# vipd %s", h, strings.Join(args, " "))
	r, err := h.Vipd(ctx, args...)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(r.Stderr + r.Stdout) {
		s.out.line("%s", strings.TrimRight(line, "\n"))
	}
	if r.Code != 0 {
		return "", fmt.Errorf("%s# vipd %s: exit code %d", h, strings.Join(args, " "), r.Code)
	}
	return r.Stdout, nil
}

// whole waits until all hosts name one leader, it alone answers for longer than detect, so that a daemon that was started
// anew may vote again, and its page is there; it returns the leader.
func (s *stage) whole(ctx context.Context) (*lab.Host, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	began := time.Now()
	leader, err := s.prober.Whole(ctx, time.Second, s.Agreed)
	if err != nil {
		return nil, err
	}
	for {
		visits := s.visitor.Visits(began)
		if n := len(visits); n > 0 && visits[n-1].Page == leader.Name {
			return leader, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the page of %s: %w", leader, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
