package vip

import (
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// shown is what `ip address show` says of the floating addresses, a line each.
func (h *host) shown() []string {
	h.t.Helper()
	var out []byte
	h.in(func() {
		var err error
		out, err = exec.CommandContext(h.t.Context(), "ip", "-oneline", "address", "show").CombinedOutput()
		must(h.t, err)
	})
	var lines []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "192.0.2.1/") || strings.Contains(line, "2001:db8::1/") || strings.Contains(line, " fe80:") || strings.Contains(line, ": lo ") && !strings.Contains(line, float4) {
			continue
		}
		line = regexp.MustCompile(`\s*\\?\s+`).ReplaceAllString(strings.TrimSpace(line), " ")
		lines = append(lines, regexp.MustCompile(`^\d+: `).ReplaceAllString(line, ""))
	}
	return lines
}

func TestBindShowsAsConfigured(t *testing.T) {
	for _, c := range []struct {
		name string
		addr Address
		want string
	}{
		{
			"host prefix",
			Address{Prefix: netip.MustParsePrefix("192.0.2.100/32"), Interface: "eth0"},
			"eth0 inet 192.0.2.100/32 scope global dynamic noprefixroute eth0 valid_lft 5sec preferred_lft 5sec",
		},
		{
			"shorter prefix, as a secondary address",
			Address{Prefix: netip.MustParsePrefix("192.0.2.100/24"), Interface: "eth0"},
			"eth0 inet 192.0.2.100/24 brd 192.0.2.255 scope global secondary dynamic eth0 valid_lft 5sec preferred_lft 5sec",
		},
		{
			"label",
			Address{Prefix: netip.MustParsePrefix("192.0.2.100/32"), Interface: "eth0", Label: "eth0:web"},
			"eth0 inet 192.0.2.100/32 scope global dynamic noprefixroute eth0:web valid_lft 5sec preferred_lft 5sec",
		},
		{
			"scope link",
			Address{Prefix: netip.MustParsePrefix("192.0.2.100/32"), Interface: "eth0", Scope: "link"},
			"eth0 inet 192.0.2.100/32 scope link dynamic noprefixroute eth0 valid_lft 5sec preferred_lft 5sec",
		},
		{
			"lo",
			Address{Prefix: netip.MustParsePrefix("192.0.2.100/32"), Interface: "lo"},
			"lo inet 192.0.2.100/32 scope global dynamic noprefixroute lo valid_lft 5sec preferred_lft 5sec",
		},
		{
			"scope host on lo",
			Address{Prefix: netip.MustParsePrefix("192.0.2.100/32"), Interface: "lo", Scope: "host"},
			"lo inet 192.0.2.100/32 scope host dynamic noprefixroute lo valid_lft 5sec preferred_lft 5sec",
		},
		{
			"IPv6",
			Address{Prefix: netip.MustParsePrefix("2001:db8::100/128"), Interface: "eth0"},
			"eth0 inet6 2001:db8::100/128 scope global nodad deprecated dynamic noprefixroute valid_lft 5sec preferred_lft 0sec",
		},
		{
			"IPv6 with a shorter prefix",
			Address{Prefix: netip.MustParsePrefix("2001:db8::100/64"), Interface: "eth0"},
			"eth0 inet6 2001:db8::100/64 scope global nodad deprecated dynamic valid_lft 5sec preferred_lft 0sec",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := neighbours(t)
			b := NewBinder(Config{Addresses: []Address{c.addr}})
			for range 2 { // idempotent
				a.in(func() { must(t, b.Bind(4*time.Second+time.Nanosecond)) })
				if diff := cmp.Diff([]string{c.want}, a.shown()); diff != "" {
					t.Errorf("ip address show (-want +got):\n%s", diff)
				}
			}
			if !a.bound(b) {
				t.Error("not bound")
			}
			a.in(func() { must(t, b.Release()) })
			if got := a.shown(); len(got) > 0 || a.bound(b) {
				t.Errorf("after release: %q, bound %t", got, a.bound(b))
			}
		})
	}
}

func (h *host) bound(b *Binder) bool {
	h.t.Helper()
	var bound bool
	h.in(func() {
		var err error
		bound, err = b.Bound()
		must(h.t, err)
	})
	return bound
}

func TestAddressesThatNobodyRenewsExpire(t *testing.T) {
	a, _ := neighbours(t)
	b := NewBinder(testConfig(float4, float6))
	start := time.Now()
	a.in(func() { must(t, b.Bind(time.Second)) })
	eventually(t, "the kernel removes the addresses", func() bool { return len(a.shown()) == 0 })
	if took := time.Since(start); took < 500*time.Millisecond {
		t.Errorf("the addresses stayed for no more than %s", took)
	}
}

func TestRenewedAddressesStay(t *testing.T) {
	const lifetime = 5 * time.Second
	a, _ := neighbours(t)
	b := NewBinder(testConfig(float4, float6))
	start := time.Now()
	eventually(t, "more than a lifetime has passed", func() bool {
		a.in(func() { must(t, b.Bind(lifetime)) })
		if !a.bound(b) {
			t.Fatalf("gone after %s", time.Since(start))
		}
		return time.Since(start) > lifetime+2*time.Second
	})
}

func TestBindBringsBackWhatWasRemoved(t *testing.T) {
	a, _ := neighbours(t)
	cfg := testConfig(float4, float6)
	b := NewBinder(cfg)
	a.bind(cfg)
	a.in(func() {
		for _, addr := range cfg.Addresses {
			del, err := netlink.ParseAddr(addr.Prefix.String())
			must(t, err)
			must(t, netlink.AddrDel(a.link("eth0"), del))
		}
	})
	if a.bound(b) {
		t.Error("bound, though it was removed")
	}
	a.bind(cfg)
	if !a.bound(b) {
		t.Error("not bound again")
	}
}

// TestReleaseFindsTheAddressesWhereverTheyAre has them on other links, with other prefix lengths, scopes and peers.
func TestReleaseFindsTheAddressesWhereverTheyAre(t *testing.T) {
	a, b := neighbours(t)
	cable(a, b, "eth1")
	binder := NewBinder(testConfig(float4, float6))
	a.in(func() {
		for _, args := range []string{
			"192.0.2.100/32 dev eth0", "192.0.2.100/24 dev eth1 label eth1:x", "192.0.2.100/8 dev lo scope host", "192.0.2.100 peer 198.51.100.9/24 dev eth1",
			"2001:db8::100/128 dev eth0 nodad", "2001:db8::100/64 dev eth1", "2001:db8::100/48 dev lo",
		} {
			out, err := exec.CommandContext(t.Context(), "ip", append([]string{"address", "add"}, strings.Fields(args)...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("ip address add %s: %v: %s", args, err, out)
			}
		}
		must(t, binder.Release())
		must(t, binder.Release())
	})
	if got := a.shown(); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
	a.in(func() { // and nothing else went
		for _, addr := range []string{addrA, addrA6} {
			b := NewBinder(Config{Addresses: []Address{{Prefix: netip.PrefixFrom(netip.MustParseAddr(addr), map[bool]int{true: 24, false: 64}[addr == addrA]), Interface: "eth0"}}})
			if bound, err := b.Bound(); err != nil || !bound {
				t.Errorf("%s: bound %t, %v", addr, bound, err)
			}
		}
	})
}

func TestBoundIsAllOnTheRightLinkWithTheRightPrefix(t *testing.T) {
	a, _ := neighbours(t)
	b := NewBinder(testConfig(float4, float6))
	a.address("lo", float4+"/32")
	a.address("eth0", float6+"/128")
	if a.bound(b) {
		t.Error("bound with an address on another link")
	}
	a.address("eth0", float4+"/24")
	if a.bound(b) {
		t.Error("bound with another prefix")
	}
	a.address("eth0", float4+"/32")
	if !a.bound(b) {
		t.Error("not bound")
	}
}

func TestBindSaysWhyItCannot(t *testing.T) {
	address := func(prefix, link string) Address {
		return Address{Prefix: netip.MustParsePrefix(prefix), Interface: link}
	}
	for _, c := range []struct {
		name       string
		addr       Address
		validFor   time.Duration
		prepare    func(*host)
		want, hint string
	}{
		{
			"no such link", address("192.0.2.100/32", "eth7"), time.Second, func(*host) {},
			"bind 192.0.2.100/32 on eth7: this host has no such link", "`ip link`",
		},
		{
			"link down", address("192.0.2.100/32", "eth0"), time.Second, func(h *host) { h.in(func() { must(h.t, netlink.LinkSetDown(h.link("eth0"))) }) },
			"bind 192.0.2.100/32 on eth0: the link is down", "ip link set eth0 up",
		},
		{
			"IPv6 off", address("2001:db8::100/128", "eth0"), time.Second, func(h *host) { h.sysctl("ipv6/conf/eth0/disable_ipv6", "1") },
			"bind 2001:db8::100/128 on eth0: permission denied", "net.ipv6.conf.eth0.disable_ipv6=0",
		},
		{
			"scope of that name",
			Address{Prefix: netip.MustParsePrefix("192.0.2.100/32"), Interface: "eth0", Scope: "site"},
			time.Second, func(*host) {},
			`bind 192.0.2.100/32 on eth0: scope "site" is not one of global, link, host`, "",
		},
		{
			"no time", address("192.0.2.100/32", "eth0"), 0, func(*host) {},
			"bind for 0s: the lifetime must be positive", "",
		},
		{
			"negative time", address("192.0.2.100/32", "eth0"), -time.Second, func(*host) {},
			"bind for -1s: the lifetime must be positive", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := neighbours(t)
			c.prepare(a)
			a.in(func() {
				err := NewBinder(Config{Addresses: []Address{c.addr}}).Bind(c.validFor)
				if fmt.Sprint(err) != c.want || !strings.Contains(hintOf(err), c.hint) {
					t.Errorf("bind: %v, hint %q; want %q, hint %q", err, hintOf(err), c.want, c.hint)
				}
			})
		})
	}
}

// TestIPv6AddressIsNotChosenAsSource is why it is bound as deprecated.
func TestIPv6AddressIsNotChosenAsSource(t *testing.T) {
	a, _ := neighbours(t)
	a.bind(testConfig(float6))
	a.in(func() {
		routes, err := netlink.RouteGet(netip.MustParseAddr("2001:db8::101").AsSlice()) // nearer to it than to the host's own
		must(t, err)
		if got := routes[0].Src.String(); got != addrA6 {
			t.Errorf("source %s, want %s", got, addrA6)
		}
	})
}
