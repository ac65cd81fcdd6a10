package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// host is a network namespace of its own. It lives as long as the test.
type host struct {
	t  *testing.T
	ns *os.File
}

func newHost(t *testing.T) *host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("needs root, for network namespaces and BPF: sudo go test ./vip")
	}
	h := &host{t: t}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home := openNamespace(t)
	defer home.Close()
	defer enter(home)
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	h.ns = openNamespace(t)
	t.Cleanup(func() { h.ns.Close() })
	h.in(func() { must(t, netlink.LinkSetUp(h.link("lo"))) })
	h.sysctl("ipv6/conf/default/accept_dad", "0") // or link-local addresses change a second later
	return h
}

// in runs f on the calling goroutine in the host's namespace.
func (h *host) in(f func()) {
	h.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home := openNamespace(h.t)
	defer home.Close()
	defer enter(home)
	enter(h.ns)
	f()
}

func openNamespace(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	must(t, err)
	return f
}

// enter panics where it can't: the thread would go on in the wrong namespace.
func enter(ns *os.File) {
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(fmt.Sprintf("setns: %v", err))
	}
}

func (h *host) link(name string) netlink.Link {
	h.t.Helper()
	link, err := netlink.LinkByName(name)
	must(h.t, err)
	return link
}

// address puts an address on a link by hand, without duplicate address detection.
func (h *host) address(link, prefix string) {
	h.t.Helper()
	h.in(func() {
		p := netip.MustParsePrefix(prefix)
		must(h.t, netlink.AddrAdd(h.link(link), &netlink.Addr{
			IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
			Flags: unix.IFA_F_NODAD,
		}))
	})
	h.settle()
}

// sysctl sets a kernel parameter of the host, given as its path below net.
func (h *host) sysctl(path, value string) {
	h.t.Helper()
	h.in(func() { must(h.t, os.WriteFile("/proc/sys/net/"+path, []byte(value), 0o644)) })
}

// settle waits until the kernel takes packets for every IPv6 address: even without duplicate address detection
// it makes an address's local route a moment after the address.
func (h *host) settle() {
	h.t.Helper()
	h.in(func() {
		eventually(h.t, "all IPv6 addresses are local", func() bool {
			addrs, err := netlink.AddrList(nil, netlink.FAMILY_V6)
			must(h.t, err)
			routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_LOCAL}, netlink.RT_FILTER_TABLE)
			must(h.t, err)
			return !slices.ContainsFunc(addrs, func(addr netlink.Addr) bool {
				return !addr.IP.IsLinkLocalUnicast() && !slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Dst.IP.Equal(addr.IP) })
			})
		})
	})
}

// cable connects two hosts by a veth pair, named alike on both ends, and waits for the carrier.
func cable(a, b *host, name string) {
	a.t.Helper()
	a.in(func() {
		must(a.t, netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name, PeerNamespace: netlink.NsFd(b.ns.Fd()),
		}))
	})
	for _, h := range []*host{a, b} {
		h.in(func() { must(h.t, netlink.LinkSetUp(h.link(name))) })
	}
	a.in(func() {
		eventually(a.t, "carrier on "+name, func() bool { return a.link(name).Attrs().OperState == netlink.OperUp })
	})
}

// The addresses of the tests: host a has or had the floating ones, host b is its neighbour.
const (
	addrA, addrB   = "192.0.2.1", "192.0.2.2"
	addrA6, addrB6 = "2001:db8::1", "2001:db8::2"
	float4, float6 = "192.0.2.100", "2001:db8::100"
)

// neighbours are two hosts on a cable named eth0.
func neighbours(t *testing.T) (a, b *host) {
	t.Helper()
	a, b = newHost(t), newHost(t)
	cable(a, b, "eth0")
	for h, addrs := range map[*host][]string{a: {addrA + "/24", addrA6 + "/64"}, b: {addrB + "/24", addrB6 + "/64"}} {
		for _, addr := range addrs {
			h.address("eth0", addr)
		}
	}
	return a, b
}

// Two daemons on one host. The blank is for who takes the name of a filter apart at blanks.
const testInstance, otherInstance = "/run/vipd/vipd.sock", "/run/vipd/the other.sock"

func testConfig(addrs ...string) Config {
	cfg := Config{Instance: testInstance, Announce: true}
	for _, addr := range addrs {
		ip := netip.MustParseAddr(addr)
		cfg.Addresses = append(cfg.Addresses, Address{Prefix: netip.PrefixFrom(ip, ip.BitLen()), Interface: "eth0"})
	}
	return cfg
}

// arm arms a fence on the host and takes it down at the end of the test.
func (h *host) arm(cfg Config) *Fence {
	h.t.Helper()
	var f *Fence
	h.in(func() {
		var err error
		f, err = Arm(cfg)
		must(h.t, err)
	})
	h.t.Cleanup(f.Close)
	return f
}

// clear is Clear on the host.
func (h *host) clear(cfg Config) (removed []netip.Addr) {
	h.t.Helper()
	h.in(func() {
		var err error
		removed, err = Clear(cfg)
		must(h.t, err)
	})
	return removed
}

// present lists the addresses of cfg that the host has.
func (h *host) present(cfg Config) (found []netlink.Addr) {
	h.t.Helper()
	h.in(func() {
		var err error
		found, err = present(addresses(cfg))
		must(h.t, err)
	})
	return found
}

func (h *host) bind(cfg Config) {
	h.t.Helper()
	h.in(func() { must(h.t, NewBinder(cfg).Bind(time.Minute)) })
	h.settle()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what the kernel does by itself and tells nobody.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !happened() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("did not happen within 30 s: %s", what)
		}
	}
}

func hintOf(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}

// check is f.Check on the host.
func (h *host) check(f *Fence) error {
	h.t.Helper()
	var err error
	h.in(func() { err = f.Check() })
	return err
}

// tun makes a link whose other end is a file: what is written to it comes in on the link.
func (h *host) tun(name string) *os.File {
	h.t.Helper()
	var tun *netlink.Tuntap
	h.in(func() {
		tun = &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TUN, Queues: 1, Flags: netlink.TUNTAP_NO_PI}
		must(h.t, netlink.LinkAdd(tun))
		must(h.t, netlink.LinkSetUp(tun))
	})
	h.t.Cleanup(func() { tun.Fds[0].Close() })
	return tun.Fds[0]
}

// stale makes the kernel believe that addr is at a hardware address that nobody has.
func stale(link netlink.Link, addr string) error {
	return netlink.NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, State: netlink.NUD_STALE,
		IP: netip.MustParseAddr(addr).AsSlice(), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1},
	})
}

// neighbour is the hardware address at which the kernel believes addr to be.
func neighbour(t *testing.T, link netlink.Link, addr string) net.HardwareAddr {
	t.Helper()
	entries, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_ALL)
	must(t, err)
	for _, entry := range entries {
		if entry.IP.Equal(netip.MustParseAddr(addr).AsSlice()) {
			return entry.HardwareAddr
		}
	}
	return nil
}
