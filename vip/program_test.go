package vip

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// matches is the rule of the fence, in Go: does it drop this frame once the deadline is past?
func matches(d direction, addrs []netip.Addr, frame []byte) bool {
	ours := func(from, size int) bool {
		addr, _ := netip.AddrFromSlice(frame[from : from+size])
		return slices.Contains(addrs, addr)
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		return d == egress && ours(14+12, 4) || d == ingress && ours(14+16, 4)
	case unix.ETH_P_8021Q, unix.ETH_P_8021AD: // the first tag has been taken off, or rather has never been there
		return d == ingress && (len(frame) < 16 || frame[14]&0x0f == 0 && frame[15] == 0)
	case unix.ETH_P_ARP:
		if len(frame) < 14+28 {
			return len(frame) >= 14+18 && d == egress && ours(14+14, 4)
		}
		gratuitous := string(frame[14+14:14+18]) == string(frame[14+24:14+28])
		return d == egress && ours(14+14, 4) || d == ingress && ours(14+24, 4) && !gratuitous
	case unix.ETH_P_IPV6:
		kind := map[direction]byte{ingress: 135, egress: 136}[d]
		nd := len(frame) >= 14+64 && frame[14+6] == 58 && frame[14+40] == kind && ours(14+48, 16)
		return nd || d == egress && ours(14+8, 16) || d == ingress && ours(14+24, 16)
	}
	return false
}

// loaded loads a fence's programs without attaching them.
func loaded(t *testing.T, addrs ...string) *Fence {
	t.Helper()
	f, err := load(testConfig(addrs...))
	if err != nil {
		t.Fatalf("needs root, for BPF: %v", err)
	}
	t.Cleanup(f.Close)
	return f
}

// TestProgramsObeyTheRule compares the programs in the kernel with the model on random frames that are
// made of the bytes that matter.
func TestProgramsObeyTheRule(t *testing.T) {
	sets := map[string][]string{
		"both families": {"192.0.2.100", "198.51.100.7", "2001:db8::100", "fe80::7", "255.255.255.254"},
		"IPv4 only":     {"192.0.2.100"},
		"IPv6 only":     {"2001:db8::100"},
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			f := loaded(t, set...)
			addrs := addresses(f.cfg)
			rapid.Check(t, func(t *rapid.T) {
				frame := randomFrame(t)
				d := rapid.SampledFrom([]direction{ingress, egress}).Draw(t, "direction")
				lease := rapid.SampledFrom([]time.Duration{-1 << 62, -time.Hour, -1, 0, time.Hour, 1 << 61}).Draw(t, "lease")
				deadline := int64(lease)
				if lease > -time.Hour<<1 && lease != 0 {
					deadline += boottime()
				}
				f.SetDeadline(deadline)
				want := pass
				if lease <= 0 && matches(d, addrs, frame) {
					want = drop
				}
				got, err := f.run(d, frame)
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Fatalf("%s, deadline %d: verdict %d, want %d, for % x", d, deadline, got, want, frame)
				}
			})
		})
	}
}

// randomFrame is an ARP, IPv4, IPv6 or other Ethernet frame, sometimes cut short.
func randomFrame(t *rapid.T) []byte {
	four := func(label string) []byte {
		return randomAddr(t, label, "192.0.2.100", "198.51.100.7", "192.0.2.1", "192.0.2.228")
	}
	sixteen := func(label string) []byte {
		return randomAddr(t, label, "2001:db8::100", "fe80::7", "2001:db8::101", "::", "2001:db9::100")
	}
	octets := func(n int) []byte { return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "octets") }
	one := func(label string, of ...byte) []byte { return []byte{rapid.SampledFrom(of).Draw(t, label)} }

	mac := octets(12)
	var frame []byte
	switch kind := rapid.SampledFrom([]uint16{unix.ETH_P_IP, unix.ETH_P_IPV6, unix.ETH_P_ARP, unix.ETH_P_8021Q, unix.ETH_P_8021AD, 0x88cc}).Draw(t, "ethertype"); kind {
	case unix.ETH_P_IP:
		frame = slices.Concat(mac, []byte{8, 0}, []byte{0x45}, octets(11), four("src"), four("dst"), octets(8))
	case unix.ETH_P_ARP:
		frame = slices.Concat(mac, []byte{8, 6}, []byte{0, 1, 8, 0, 6, 4, 0}, one("operation", 1, 2), octets(6), four("sender"), octets(6), four("target"))
	case unix.ETH_P_IPV6:
		frame = slices.Concat(mac, []byte{0x86, 0xdd}, []byte{0x60}, octets(5), one("next header", 58, 6, 17, 0), octets(1), sixteen("src"), sixteen("dst"),
			one("type", 133, 134, 135, 136, 137, 128), octets(7), sixteen("target"), octets(8))
	case unix.ETH_P_8021Q, unix.ETH_P_8021AD:
		frame = slices.Concat(mac, binary.BigEndian.AppendUint16(nil, kind), one("priority", 0, 0xe0, 0x01), one("VLAN", 0, 5), octets(40))
	default:
		frame = slices.Concat(mac, []byte{0x88, 0xcc}, octets(40))
	}
	if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
		shortest := map[byte]int{0x00: 14 + 20, 0xdd: 14 + 40}[frame[13]] // the kernel tests nothing shorter
		frame = frame[:rapid.IntRange(max(shortest, 15), len(frame)).Draw(t, "length")]
	}
	return frame
}

func randomAddr(t *rapid.T, label string, of ...string) []byte {
	return netip.MustParseAddr(rapid.SampledFrom(of).Draw(t, label)).AsSlice()
}
