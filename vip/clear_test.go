package vip

import (
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// fenced lists the vipd filters on a link, by handle.
func (h *host) fencedBy(link string) []uint32 {
	h.t.Helper()
	var handles []uint32
	h.in(func() {
		for _, d := range []direction{ingress, egress} {
			filters, err := netlink.FilterList(h.link(link), d.parent())
			must(h.t, err)
			for _, f := range filters {
				handles = append(handles, f.Attrs().Handle)
			}
		}
	})
	slices.Sort(handles)
	return handles
}

func TestClearRemovesWhatACrashedRunLeft(t *testing.T) {
	a, b := neighbours(t)
	cable(a, b, "eth1")
	cfg, other := testConfig(float4, float6), testConfig("192.0.2.101")
	other.Instance = 7601
	a.spawn(time.Hour, 0) // instance 7600
	a.arm(other)
	a.bind(cfg)
	a.bind(other)
	a.address("eth1", float4+"/24")
	for range 2 { // idempotent
		a.in(func() { must(t, Clear(cfg)) })
		for _, link := range []string{"lo", "eth0", "eth1"} {
			if got := a.fencedBy(link); !slices.Equal(got, []uint32{7601, 7601}) {
				t.Errorf("filters on %s: %v, want only the other instance's two", link, got)
			}
		}
		a.in(func() {
			left, err := NewBinder(cfg).present()
			must(t, err)
			if len(left) > 0 {
				t.Errorf("addresses left: %v", left)
			}
			if bound, err := NewBinder(other).Bound(); err != nil || !bound {
				t.Errorf("the other instance's address: bound %t, %v", bound, err)
			}
		})
	}
}

func TestClearOnAHostThatNeverRan(t *testing.T) {
	a, _ := neighbours(t)
	cfg := testConfig(float4)
	cfg.Addresses[0].Interface = "eth7"
	a.in(func() { must(t, Clear(cfg)) })
}

// TestClearKeepsTheFenceWhileAnAddressStays takes the right to remove it away.
func TestFiltersStayWhileAnAddressIsBound(t *testing.T) {
	a, _ := neighbours(t)
	cfg := testConfig(float4)
	a.arm(cfg)
	a.bind(cfg)
	a.in(func() {
		if err := removeUnlessBound(cfg); err == nil {
			t.Error("no error")
		}
	})
	if got := a.fencedBy("eth0"); !slices.Equal(got, []uint32{7600, 7600}) {
		t.Errorf("filters on eth0: %v, want two", got)
	}
}
