package lab

import (
	"context"
	"testing"
	"time"
)

func TestKeepalivedMovesTheAddressAndApache(t *testing.T) {
	l := newTestLab(t, Config{})
	p := startProber(t, l)
	b := l.StartBalancer(BalancerConfig{Interval: 50 * time.Millisecond})
	v := l.StartVisitor(20 * time.Millisecond)
	var daemons []*Daemon
	for i, h := range l.Hosts {
		notify, err := h.InstallApache()
		if err != nil {
			t.Fatal(err)
		}
		check, err := h.InstallCheck()
		if err != nil {
			t.Fatal(err)
		}
		// Far apart, or two would take over at almost the same instant and their notify scripts cross each other.
		d, err := h.StartKeepalived(KeepalivedConfig{Priority: 250 - 100*i, AdvertInt: 100 * time.Millisecond, Notify: notify, Check: check})
		if err != nil {
			t.Fatal(err)
		}
		daemons = append(daemons, d)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("keepalived of %s:\n%s", h, d.Log())
			}
		})
		pageOf(t, p, v, l.Hosts[0])
	}
	if got := b.Well(); len(got) != 1 || got[0] != l.Hosts[0] {
		t.Errorf("the balancer sends to %v, want vm1 alone", got)
	}
	if err := daemons[0].Stop(); err != nil {
		t.Error(err)
	}
	pageOf(t, p, v, l.Hosts[1])
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
}

// pageOf waits until the host alone answers and its page is seen through the balancer.
func pageOf(t *testing.T, p *Prober, v *Visitor, want *Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	if _, err := p.Settled(ctx, 100*time.Millisecond, func(h *Host) bool { return h == want }); err != nil {
		t.Fatal(err)
	}
	err := WaitFor(5*time.Second, func() (bool, error) {
		visits := v.Visits(began)
		return len(visits) > 0 && visits[len(visits)-1].Page == want.Name, nil
	})
	if err != nil {
		t.Fatalf("the page of %s: %v; last visits %v", want, err, v.Visits(began))
	}
}
