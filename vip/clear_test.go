package vip

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// fencedBy lists the names of the filters on a link.
func (h *host) fencedBy(link string) []string {
	h.t.Helper()
	var names []string
	h.in(func() {
		for _, d := range []direction{ingress, egress} {
			filters, err := netlink.FilterList(h.link(link), d.parent())
			must(h.t, err)
			for _, f := range filters {
				names = append(names, f.(*netlink.BpfFilter).Name)
			}
		}
	})
	slices.Sort(names)
	return names
}

// expectFences fails unless each link has the filters of these configurations on both sides, and no others.
func (h *host) expectFences(links []string, cfgs ...Config) {
	h.t.Helper()
	var want []string
	for _, cfg := range cfgs {
		for _, l := range labels(cfg) {
			want = append(want, l.String(), l.String())
		}
	}
	slices.Sort(want)
	for _, link := range links {
		if d := cmp.Diff(want, h.fencedBy(link)); d != "" {
			h.t.Errorf("filters on %s (-want +got):\n%s", link, d)
		}
	}
}

// unprivileged calls f without CAP_NET_ADMIN, so that it can look at everything and change nothing.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before, during [2]unix.CapUserData
	must(t, unix.Capget(header, &before[0]))
	during = before
	during[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	must(t, unix.Capset(header, &during[0]))
	defer func() {
		if err := unix.Capset(header, &before[0]); err != nil {
			panic(err)
		}
	}()
	f()
}

func TestClearRemovesWhatACrashedRunLeft(t *testing.T) {
	a, b := neighbours(t)
	cable(a, b, "eth1")
	cfg, other := testConfig(float4, float6), testConfig("192.0.2.101")
	other.Instance = otherInstance
	a.spawn(time.Hour, 0) // with float4 alone
	a.arm(other)
	a.bind(cfg)
	a.bind(other)
	a.address("eth1", float4+"/24")
	for range 2 { // idempotent
		a.clear(cfg)
		a.expectFences([]string{"lo", "eth0", "eth1"}, other)
		if left := a.present(cfg); len(left) > 0 {
			t.Errorf("addresses left: %v", left)
		}
		a.in(func() {
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
	if removed := a.clear(cfg); len(removed) > 0 {
		t.Errorf("removed: %v", removed)
	}
}

func TestFiltersStayWhileAnAddressCannotBeRemoved(t *testing.T) {
	a, _ := neighbours(t)
	old, edited := testConfig(float4), testConfig("192.0.2.101")
	f := a.arm(old)
	a.bind(old)
	for _, cfg := range []Config{old, edited} {
		var err error
		a.in(func() { unprivileged(t, func() { _, err = Clear(cfg) }) })
		if got := fmt.Sprint(err); !strings.Contains(got, float4+"/32 on eth0 is still there") || strings.Contains(got, "filter") {
			t.Errorf("clear: %v, want that the address is there, and no word of filters", err)
		}
	}
	var err error
	a.in(func() { unprivileged(t, func() { err = releaseOthers(edited) }) })
	if !strings.Contains(fmt.Sprint(err), float4+"/32 on eth0 is still there") {
		t.Errorf("release others: %v", err)
	}
	must(t, a.check(f))
}

// TestAnEditedConfigurationLeavesNoAddressUnfenced gives the address another name in the file after the daemon was killed.
// The network stack counts the requests that reach the old address, under a flood of them.
func TestAnEditedConfigurationLeavesNoAddressUnfenced(t *testing.T) {
	old, edited := testConfig(float4), testConfig("192.0.2.101", float6)
	for name, start := range map[string]func(*host){
		"the next daemon": func(h *host) { h.arm(edited) },
		"vipd release": func(h *host) {
			if removed := h.clear(edited); !slices.Equal(removed, []netip.Addr{netip.MustParseAddr(float4)}) {
				h.t.Errorf("removed: %v", removed)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := neighbours(t)
			daemon, _ := a.spawn(-1, 0) // closed, and the address bound
			must(t, daemon.Process.Kill())
			_ = daemon.Wait()
			if len(a.present(old)) != 1 {
				t.Fatal("the dead daemon has left no address")
			}
			wire := newTap(b, a, "eth0")
			a.sysctl("ipv4/ip_forward", "0")
			wire.flood(ping(wire, netip.MustParseAddr(float4)), func() {
				start(a)
				if left := a.present(old); len(left) > 0 {
					t.Errorf("the old address is still there: %v", left)
				}
			})
			if n := a.echoesReceived(); n != 0 {
				t.Errorf("%d requests reached the old address", n)
			}
			if name == "vipd release" {
				a.expectFences([]string{"lo", "eth0"})
			} else {
				a.expectFences([]string{"lo", "eth0"}, edited)
			}
		})
	}
}

// TestAFenceAroundManyAddresses needs more filters than one, which must neither be forgotten nor stay.
func TestAFenceAroundManyAddresses(t *testing.T) {
	a, _ := neighbours(t)
	var addrs []string
	for i := range 50 {
		addrs = append(addrs, fmt.Sprintf("192.0.2.%d", 100+i), fmt.Sprintf("2001:db8:1111:2222:3333:4444:5555:%x", 0x6600+i))
	}
	many, few := testConfig(addrs...), testConfig(addrs[0])
	f := a.arm(many)
	if n := len(labels(many)); n < 5 {
		t.Fatalf("%d labels are no test", n)
	}
	a.expectFences([]string{"lo", "eth0"}, many)
	var fenced []netip.Addr
	a.in(func() {
		var err error
		fenced, err = fencedFor(testInstance)
		must(t, err)
	})
	want := slices.SortedFunc(slices.Values(addresses(many)), netip.Addr.Compare)
	if !slices.Equal(fenced, want) {
		t.Errorf("the kernel remembers %v, want %v", fenced, want)
	}
	must(t, a.check(f))
	a.in(func() {
		must(t, netlink.FilterDel(bpfFilter(t, a.link("eth0"), ingress, 1, handle(testInstance, 3), "")))
	})
	if err := a.check(f); err == nil {
		t.Error("one of the filters was removed, and check says nothing")
	}

	a.bind(many)
	must(t, a.check(a.arm(few)))
	a.expectFences([]string{"lo", "eth0"}, few)
	if left := a.present(many); len(left) != 1 {
		t.Errorf("addresses left: %v, want %s", left, addrs[0])
	}
}

// TestTheFenceOfAnotherInstanceAroundTheSameAddressIsRefused, or this host would hold an address that does not answer.
func TestTheFenceOfAnotherInstanceAroundTheSameAddressIsRefused(t *testing.T) {
	a, _ := neighbours(t)
	other := testConfig("192.0.2.101", float4)
	other.Instance = otherInstance
	a.arm(other)
	a.in(func() {
		_, err := Arm(testConfig(float6, float4))
		if !strings.Contains(fmt.Sprint(err), otherInstance+" fences "+float4+" as well") || !strings.Contains(hintOf(err), "vipd release --socket '"+otherInstance+"'") {
			t.Errorf("arm: %v, hint %q", err, hintOf(err))
		}
	})
	a.expectFences([]string{"lo", "eth0"}, other)
}

func TestLabelsAreReadAsTheyAreWritten(t *testing.T) {
	cfg := testConfig(float4, float6)
	cfg.Instance = "/" + strings.Repeat("a b,c", 21) // as long as can be
	for range 5 {
		cfg.Addresses = slices.Concat(cfg.Addresses, cfg.Addresses)
	}
	var addrs []netip.Addr
	for _, l := range labels(cfg) {
		if n := len(l.String()); n >= filterNameSize {
			t.Errorf("%d bytes: %s", n, l)
		}
		got, ok := readLabel(l.String())
		if !ok || got.instance != cfg.Instance {
			t.Errorf("%q was read as %+v, %t", l, got, ok)
		}
		addrs = append(addrs, got.addrs...)
	}
	if !slices.Equal(addrs, addresses(cfg)) {
		t.Errorf("addresses: %v", addrs)
	}
	for _, foreign := range []string{"", "vipd_fence", "vipd_fence /run/vipd.sock", "vipd_fence 192.0.2.1, /run/vipd.sock", "vipd_fence x /y", "other 192.0.2.1 /y"} {
		if l, ok := readLabel(foreign); ok {
			t.Errorf("%q was read as %+v", foreign, l)
		}
	}
}

// TestAnArmThatFailsLeavesNothingInMemory is about a daemon that tries each second.
func TestAnArmThatFailsLeavesNothingInMemory(t *testing.T) {
	a, _ := neighbours(t)
	a.in(func() {
		must(t, netlink.QdiscAdd(clsact(a.link("eth0"))))
		must(t, netlink.FilterAdd(bpfFilter(t, a.link("eth0"), ingress, 1, 1, "other")))
		before := mappings(t)
		for range 5 {
			if _, err := Arm(testConfig(float4)); err == nil {
				t.Fatal("no error")
			}
		}
		if after := mappings(t); after != before {
			t.Errorf("%d pages are mapped, there were %d before", after, before)
		}
	})
}

// mappings counts the BPF maps in this process's memory.
func mappings(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	must(t, err)
	return strings.Count(string(maps), "bpf-map")
}
