package vip

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestAnnouncementsMoveTheAddress has a neighbour that believes the address to be elsewhere.
func TestAnnouncementsMoveTheAddress(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4, float6)
	f := a.arm(cfg)
	a.bind(cfg)
	f.SetDeadline(boottime() + time.Hour.Nanoseconds())
	var mac net.HardwareAddr
	a.in(func() { mac = a.link("eth0").Attrs().HardwareAddr })
	b.in(func() {
		for _, addr := range []string{float4, float6} {
			must(t, stale(b.link("eth0"), addr))
		}
	})
	a.in(func() { must(t, NewBinder(cfg).Announce()) })
	b.in(func() {
		for _, addr := range []string{float4, float6} {
			eventually(t, "the neighbour believes that "+addr+" is here", func() bool { return bytes.Equal(neighbour(t, b.link("eth0"), addr), mac) })
		}
	})
}

// TestAnnouncementsOnTheWire shows every byte.
func TestAnnouncementsOnTheWire(t *testing.T) {
	mac := [6]byte{2, 0, 0, 0, 0, 9}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{
			"ARP request", gratuitousARP(arpRequest, mac, netip.MustParseAddr("192.0.2.100")),
			"0001 0800 06 04 0001 020000000009 c0000264 000000000000 c0000264",
		},
		{
			"ARP reply", gratuitousARP(arpReply, mac, netip.MustParseAddr("192.0.2.100")),
			"0001 0800 06 04 0002 020000000009 c0000264 020000000009 c0000264",
		},
		{
			"neighbour advertisement", unsolicitedNA(mac, netip.MustParseAddr("2001:db8::100")),
			"60000000 0020 3a ff 20010db8000000000000000000000100 ff020000000000000000000000000001" +
				" 88 00 f724 20000000 20010db8000000000000000000000100 02 01 020000000009",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []byte
			if _, err := fmt.Sscanf(stripSpaces(c.want), "%x", &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, c.got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func stripSpaces(s string) string { return string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)) }

func TestNothingIsAnnouncedUnlessAskedFor(t *testing.T) {
	quiet := testConfig(float4, float6)
	quiet.Announce = false
	lo := testConfig(float4, float6)
	for i := range lo.Addresses {
		lo.Addresses[i].Interface = "lo"
	}
	arpOff := testConfig(float4, float6)
	tun := testConfig(float4, float6)
	for i := range tun.Addresses {
		tun.Addresses[i].Interface = "tun0"
	}
	for name, cfg := range map[string]Config{"not asked for": quiet, "on lo": lo, "on a link without neighbours": tun, "on a link without ARP": arpOff} {
		t.Run(name, func(t *testing.T) {
			a, b := neighbours(t)
			a.tun("tun0")
			if name == "on a link without ARP" {
				a.in(func() { must(t, netlink.LinkSetARPOff(a.link("eth0"))) })
			}
			near, far := newTap(b, a, "eth0"), newTap(a, b, "eth0")
			announced := func() { a.in(func() { must(t, NewBinder(cfg).Announce()) }) }
			marker := far.ip(netip.MustParseAddr(addrA), netip.MustParseAddr(addrB), unix.IPPROTO_UDP, 6, make([]byte, 12))
			for _, addr := range []string{float4, float6} {
				if near.hears(addr, addrA, announced, func() { far.send(marker) }) {
					t.Errorf("%s was announced", addr)
				}
			}
			a.in(func() {
				if n := a.link("lo").Attrs().Statistics.TxPackets; n != 0 {
					t.Errorf("%d packets on lo", n)
				}
			})
		})
	}
}

func TestAnnouncingThroughAClosedFenceIsAnError(t *testing.T) {
	a, _ := neighbours(t)
	cfg := testConfig(float4, float6)
	a.arm(cfg)
	a.in(func() {
		if err := NewBinder(cfg).Announce(); !errors.Is(err, unix.ENOBUFS) {
			t.Errorf("announce: %v, want ENOBUFS", err)
		}
	})
}
