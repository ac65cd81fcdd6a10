package vip

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestOnlyAnOpenFenceLetsAddressesAnswer sends every kind of probe to addresses that are bound all the time.
func TestOnlyAnOpenFenceLetsAddressesAnswer(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4, float6)
	f := a.arm(cfg)
	a.bind(cfg)
	a.sysctl("ipv4/icmp_ratelimit", "0")
	a.sysctl("ipv6/icmp/ratelimit", "0")
	wire := newTap(b, a, "eth0")

	for _, probe := range []struct {
		name         string
		frame        func(*tap, netip.Addr) []byte
		addr, always string
	}{
		{"ARP request", whoHas, float4, addrA},
		{"ARP probe", arpProbe, float4, addrA},
		{"ICMP echo", ping, float4, addrA},
		{"TCP", syn, float4, addrA},
		{"UDP", datagram, float4, addrA},
		{"neighbour solicitation", solicit, float6, addrA6},
		{"neighbour solicitation to the group", solicitGroup, float6, addrA6},
		{"ICMPv6 echo", ping, float6, addrA6},
		{"TCP over IPv6", syn, float6, addrA6},
		{"UDP over IPv6", datagram, float6, addrA6},
	} {
		for _, state := range []struct {
			name     string
			deadline int64
			want     bool
		}{
			{"closed", 0, false},
			{"before the deadline", boottime() + time.Hour.Nanoseconds(), true},
			{"after the deadline", boottime(), false},
			{"negative deadline", -1, false},
		} {
			t.Run(probe.name+"/"+state.name, func(t *testing.T) {
				f.SetDeadline(state.deadline)
				if got := wire.answers(probe.frame, probe.addr, probe.always); got != state.want {
					t.Errorf("answered: %t, want %t", got, state.want)
				}
			})
		}
	}
}

// TestClosedFenceKeepsTheAddressFromSpeaking sends from the floating address itself, so that only egress can stop it.
func TestClosedFenceKeepsTheAddressFromSpeaking(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4, float6)
	f := a.arm(cfg)
	a.bind(cfg)
	out, in := newTap(a, b, "eth0"), newTap(b, a, "eth0")
	raw := newRing(a, "eth0")
	ip4, ip6, to4, to6 := netip.MustParseAddr(float4), netip.MustParseAddr(float6), netip.MustParseAddr(addrB), netip.MustParseAddr(addrB6)
	mac := out.mac
	marker := out.ip(netip.MustParseAddr(addrA), to4, unix.IPPROTO_UDP, 6, make([]byte, 12))

	for name, frame := range map[string]struct {
		addr  string
		bytes []byte
	}{
		"IPv4":                    {float4, out.ip(ip4, to4, unix.IPPROTO_UDP, 6, make([]byte, 12))},
		"IPv6":                    {float6, out.ip(ip6, to6, unix.IPPROTO_UDP, 6, make([]byte, 12))},
		"gratuitous ARP":          {float4, out.ethernet(unix.ETH_P_ARP, gratuitousARP(arpRequest, mac, ip4))},
		"ARP reply":               {float4, out.ethernet(unix.ETH_P_ARP, gratuitousARP(arpReply, mac, ip4))},
		"advertisement":           {float6, out.ethernet(unix.ETH_P_IPV6, unsolicitedNA(mac, ip6))},
		"advertisement by others": {float6, out.ip(netip.MustParseAddr(addrA6), to6, unix.IPPROTO_ICMPV6, 2, slices.Concat([]byte{advertisement, 0, 0, 0, 0x20, 0, 0, 0}, ip6.AsSlice(), []byte{2, 1}, mac[:]))},
	} {
		for _, way := range []struct {
			name string
			send func([]byte)
		}{
			{"linear", func(frame []byte) { _, _ = out.conn.WriteTo(frame, out.farAddr()) }},
			{"header outside the linear part", func(frame []byte) { _ = raw.send(frame) }},
		} {
			for _, open := range []bool{false, true} {
				t.Run(name+"/"+way.name+"/open="+strconv.FormatBool(open), func(t *testing.T) {
					f.SetDeadline(0)
					if open {
						f.SetDeadline(boottime() + time.Hour.Nanoseconds())
					}
					got := in.hears(frame.addr, addrA, func() { way.send(frame.bytes) }, func() { out.send(marker) })
					if got != open {
						t.Errorf("passed: %t, want %t", got, open)
					}
				})
			}
		}
	}
}

// TestHeadersOutsideTheLinearPartAreSeenOnIngress is about packets that the network card's driver did not copy into one piece.
func TestHeadersOutsideTheLinearPartAreSeenOnIngress(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4, float6)
	f := a.arm(cfg)
	a.bind(cfg)
	wire, raw := newTap(b, a, "eth0"), newRing(b, "eth0")
	for _, probe := range []struct {
		name         string
		frame        func(*tap, netip.Addr) []byte
		addr, always string
	}{
		{"ARP", whoHas, float4, addrA},
		{"IPv4", ping, float4, addrA},
		{"IPv6", ping, float6, addrA6},
		{"neighbour solicitation", solicitGroup, float6, addrA6},
	} {
		for _, open := range []bool{false, true} {
			t.Run(probe.name+"/open="+strconv.FormatBool(open), func(t *testing.T) {
				f.SetDeadline(0)
				if open {
					f.SetDeadline(boottime() + time.Hour.Nanoseconds())
				}
				through := func(p *tap, to netip.Addr) []byte {
					must(t, raw.send(probe.frame(p, to)))
					return p.ethernet(0x88b5, make([]byte, 46)) // local experiments; nobody answers
				}
				if got := wire.answers(through, probe.addr, probe.always); got != open {
					t.Errorf("answered: %t, want %t", got, open)
				}
			})
		}
	}
}

// tagged puts 802.1Q tags with these VLAN numbers into a frame, the outermost first.
func tagged(frame []byte, vlans ...byte) []byte {
	var tags []byte
	for _, vlan := range vlans {
		tags = append(tags, 0x81, 0, 0, vlan)
	}
	return slices.Concat(frame[:12], tags, frame[12:])
}

// TestPriorityTagsDoNotGetPastTheFence sends frames whose inner tags the kernel takes off after it has asked the programs.
func TestPriorityTagsDoNotGetPastTheFence(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4, float6)
	f := a.arm(cfg)
	a.bind(cfg)
	wire := newTap(b, a, "eth0")
	before := 0
	for _, vlans := range [][]byte{{0}, {0, 0}, {0, 0, 0}} {
		for _, open := range []bool{false, true} {
			f.SetDeadline(0)
			if open {
				f.SetDeadline(boottime() + time.Hour.Nanoseconds())
			}
			probe := tagged(ping(wire, netip.MustParseAddr(float4)), vlans...)
			if got := wire.hears(float4, addrA, func() { wire.send(probe) }, func() { wire.send(ping(wire, netip.MustParseAddr(addrA))) }); got != open {
				t.Errorf("tags %d: answered: %t, want %t", vlans, got, open)
			}
			want := before + 2 // the marks
			if open {
				want++
			}
			if before = a.echoesReceived(); before != want {
				t.Errorf("tags %d, open %t: the network stack has got %d requests, want %d", vlans, open, before, want)
				before = want
			}
		}
	}
}

// TestAClosedFenceLetsOtherVLANsPass stacks tags on the way to a VLAN's own link, which is none of the fence's business here.
// A filter behind the fence counts what comes through.
func TestAClosedFenceLetsOtherVLANsPass(t *testing.T) {
	a, b := neighbours(t)
	a.arm(testConfig(float4))
	passed := a.countBehindFence("eth0")
	wire := newTap(b, a, "eth0")
	for _, vlans := range [][]byte{{5}, {0, 5}, {5, 0}, {5, 6}, {0, 5, 0}, {5, 0, 0}} {
		before := passed()
		for range 3 {
			wire.send(tagged(ping(wire, netip.MustParseAddr(addrA)), vlans...))
		}
		eventually(t, fmt.Sprintf("frames with the tags %d pass", vlans), func() bool { return passed() == before+3 })
	}
}

// countBehindFence counts the tagged frames that are left to the filters after ours.
func (h *host) countBehindFence(link string) func() uint64 {
	h.t.Helper()
	table, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	must(h.t, err)
	h.t.Cleanup(func() { table.Close() })
	counter, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "MIT", Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 20, asm.Word), // __sk_buff.vlan_present
		asm.JEq.Imm(asm.R2, 0, "out"),
		asm.LoadMapValue(asm.R1, table.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	}})
	must(h.t, err)
	h.t.Cleanup(func() { counter.Close() })
	h.in(func() {
		must(h.t, netlink.FilterAdd(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: h.link(link).Attrs().Index, Parent: ingress.parent(), Handle: 1, Priority: 2, Protocol: unix.ETH_P_ALL},
			Fd:          counter.FD(), Name: "counter", DirectAction: true,
		}))
	})
	return func() uint64 {
		var n uint64
		must(h.t, table.Lookup(uint32(0), &n))
		return n
	}
}

// TestFenceClosesAtTheDeadline lets the deadline pass under a stream of requests. Those sent at or after it must not be
// answered; those whose answer could be heard before it must be.
func TestFenceClosesAtTheDeadline(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4)
	f := a.arm(cfg)
	a.bind(cfg)
	wire := newTap(b, a, "eth0")
	wire.answers(ping, float4, addrA) // so that the neighbours know each other

	deadline := boottime() + (100 * time.Millisecond).Nanoseconds()
	f.SetDeadline(deadline)
	count := map[bool]int{}
	for sent := int64(0); sent < deadline+(100*time.Millisecond).Nanoseconds(); {
		sent = boottime()
		answered := wire.answers(ping, float4, addrA)
		heard := boottime()
		count[answered]++
		if answered && sent >= deadline {
			t.Fatalf("a request sent %d ns after the deadline was answered", sent-deadline)
		}
		if !answered && heard < deadline {
			t.Fatalf("a request was not answered %d ns before the deadline", deadline-heard)
		}
	}
	if count[true] == 0 || count[false] == 0 {
		t.Errorf("%d requests answered, %d not: want some of both", count[true], count[false])
	}
}

// TestReplacingAFenceLetsNothingThrough arms again and again, as restarts do, under a flood of packets to and from
// an address that is bound. The network stack counts what reaches it.
func TestReplacingAFenceLetsNothingThrough(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4)
	f := a.arm(cfg)
	a.bind(cfg)
	from, to := newTap(b, a, "eth0"), newTap(a, b, "eth0")
	request := ping(from, netip.MustParseAddr(float4))
	answer := to.ip(netip.MustParseAddr(float4), netip.MustParseAddr(addrB), unix.IPPROTO_ICMP, 2, []byte{8, 0, 0, 0, 0, 1, 0, 1})

	done := make(chan struct{})
	var floods sync.WaitGroup
	for wire, frame := range map[*tap][]byte{from: request, to: answer} {
		floods.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_, _ = wire.conn.WriteTo(frame, wire.farAddr())
				}
			}
		})
	}
	received := func() uint64 {
		var n uint64
		a.in(func() { n = a.link("eth0").Attrs().Statistics.RxPackets })
		return n
	}
	before := received()
	for range 100 {
		next := a.arm(cfg)
		f.Close()
		f = next
	}
	after := received()
	close(done)
	floods.Wait()
	if after-before < 1000 {
		t.Errorf("only %d packets arrived: no flood", after-before)
	}
	for h, name := range map[*host]string{a: "host with the fence", b: "its neighbour"} {
		if n := h.echoesReceived(); n != 0 {
			t.Errorf("%s got %d packets through the fence", name, n)
		}
	}
}

// echoesReceived counts the ICMP echo requests that reached the host's network stack (RFC 1213, icmpInEchos).
func (h *host) echoesReceived() int {
	h.t.Helper()
	var table []byte
	h.in(func() {
		var err error
		table, err = os.ReadFile("/proc/thread-self/net/snmp")
		must(h.t, err)
	})
	var rows [][]string
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); fields[0] == "Icmp:" {
			rows = append(rows, fields)
		}
	}
	n, err := strconv.Atoi(rows[1][slices.Index(rows[0], "InEchos")])
	must(h.t, err)
	return n
}

// TestHostWithoutLeaseIsAClient talks through a closed fence to the address on another host.
func TestHostWithoutLeaseIsAClient(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4, float6)
	a.arm(cfg)
	b.bind(cfg)
	b.echo(float4, float6)
	for _, addr := range []string{float4, float6} {
		t.Run(addr, func(t *testing.T) {
			a.t = t
			conn := a.listenUDP(map[string]string{float4: addrA, float6: addrA6}[addr], 0)
			_, err := conn.WriteToUDPAddrPort([]byte("hello"), netip.AddrPortFrom(netip.MustParseAddr(addr), 7))
			must(t, err)
			must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
			buf := make([]byte, 16)
			n, _, err := conn.ReadFromUDPAddrPort(buf)
			must(t, err)
			if !bytes.Equal(buf[:n], []byte("hello")) {
				t.Errorf("echo: %q", buf[:n])
			}
		})
	}
	// What the holder announces must come in as well, or this host would talk to the one before.
	wire := newTap(a, b, "eth0")
	a.in(func() { must(t, stale(a.link("eth0"), float4)) })
	b.in(func() { must(t, NewBinder(cfg).Announce()) })
	a.in(func() {
		eventually(t, "the announcement is believed", func() bool {
			return bytes.Equal(neighbour(t, a.link("eth0"), float4), wire.far[:])
		})
	})
}

// TestLocalClientsGetNothingFromAClosedFence is about lo: a process on the host with the stale address.
func TestLocalClientsGetNothingFromAClosedFence(t *testing.T) {
	a := newHost(t)
	for _, addr := range []string{float4, float6} {
		cfg := testConfig(addr)
		cfg.Addresses[0].Interface = "lo"
		f := a.arm(cfg)
		a.bind(cfg)
		server, client := a.listenUDP(addr, 0), a.listenUDP(addr, 0)
		if addr == float4 { // from another address of the host, so that only ingress can stop it
			client = a.listenUDP("127.0.0.1", 0)
		}
		for _, open := range []bool{false, true} {
			f.SetDeadline(0)
			if open {
				f.SetDeadline(boottime() + time.Hour.Nanoseconds())
			}
			_, _ = client.WriteToUDPAddrPort([]byte("hello"), server.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort())
			// Loopback delivers before sendto returns, on the same CPU; the deadline is for other kernels.
			must(t, server.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
			_, _, err := server.ReadFromUDPAddrPort(make([]byte, 16))
			if got := err == nil; got != open {
				t.Errorf("%s: received: %t, want %t", addr, got, open)
			}
		}
	}
}

// TestFenceOnALinkWithoutEthernet reads and writes bare IP packets on a tun device.
func TestFenceOnALinkWithoutEthernet(t *testing.T) {
	a := newHost(t)
	tun := a.tun("tun0")
	a.address("tun0", addrA+"/24")
	cfg := testConfig(float4)
	cfg.Addresses[0].Interface = "tun0"
	f := a.arm(cfg)
	a.bind(cfg)
	for _, open := range []bool{false, true} {
		f.SetDeadline(0)
		if open {
			f.SetDeadline(boottime() + time.Hour.Nanoseconds())
		}
		for _, to := range []string{float4, addrA} {
			_, err := tun.Write(ping(&tap{t: t}, netip.MustParseAddr(to))[14:])
			must(t, err)
		}
		answer := make([]byte, 1500)
		var from []netip.Addr
		for !slices.Contains(from, netip.MustParseAddr(addrA)) {
			_, err := tun.Read(answer)
			must(t, err)
			if answer[0]>>4 == 4 {
				from = append(from, netip.AddrFrom4([4]byte(answer[12:16])))
			}
		}
		if got := slices.Contains(from, netip.MustParseAddr(float4)); got != open {
			t.Errorf("answered: %t, want %t", got, open)
		}
	}
}

// TestFenceCoversABridge has the address on a bridge, and the neighbour behind one of its ports.
func TestFenceCoversABridge(t *testing.T) {
	a, b := newHost(t), newHost(t)
	cable(a, b, "eth0")
	b.address("eth0", addrB+"/24")
	a.in(func() {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		must(t, netlink.LinkAdd(bridge))
		must(t, netlink.LinkSetMaster(a.link("eth0"), bridge))
		must(t, netlink.LinkSetUp(bridge))
	})
	a.address("br0", addrA+"/24")
	cfg := testConfig(float4)
	cfg.Addresses[0].Interface = "br0"
	f := a.arm(cfg)
	a.bind(cfg)
	wire := newTap(b, a, "eth0")
	a.in(func() { wire.far = [6]byte(a.link("br0").Attrs().HardwareAddr) })
	eventually(t, "the bridge forwards", func() bool { // it learns first
		wire.send(whoHas(wire, netip.MustParseAddr(addrA)))
		return wire.heard()
	})
	for _, open := range []bool{false, true} {
		f.SetDeadline(0)
		if open {
			f.SetDeadline(boottime() + time.Hour.Nanoseconds())
		}
		for name, probe := range map[string]func(*tap, netip.Addr) []byte{"ARP": whoHas, "ICMP": ping} {
			if got := wire.answers(probe, float4, addrA); got != open {
				t.Errorf("%s answered: %t, want %t", name, got, open)
			}
		}
	}
}

// TestWhatStandsBehindAHostWithoutLeaseDoesNotAnswer forwards the address to a third host.
func TestWhatStandsBehindAHostWithoutLeaseDoesNotAnswer(t *testing.T) {
	a, b := neighbours(t)
	c := newHost(t)
	cable(a, c, "eth1")
	a.address("eth1", "198.51.100.1/24")
	c.address("eth1", "198.51.100.2/24")
	c.address("lo", float4+"/32")
	a.sysctl("ipv4/ip_forward", "1")
	a.in(func() {
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: a.link("eth1").Attrs().Index, Dst: netlink.NewIPNet([]byte{192, 0, 2, 100}), Gw: []byte{198, 51, 100, 2}}))
	})
	c.in(func() {
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: c.link("eth1").Attrs().Index, Gw: []byte{198, 51, 100, 1}}))
	})
	f := a.arm(testConfig(float4))
	wire := newTap(b, a, "eth0")
	for _, open := range []bool{false, true, false} {
		f.SetDeadline(0)
		if open {
			f.SetDeadline(boottime() + time.Hour.Nanoseconds())
		}
		if got := wire.answers(ping, float4, addrA); got != open {
			t.Errorf("answered: %t, want %t", got, open)
		}
	}
}

func TestAnArmWithoutFileDescriptorsSaysSo(t *testing.T) {
	a, _ := neighbours(t)
	a.in(func() {
		var before unix.Rlimit
		must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
		must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: before.Max}))
		_, err := Arm(testConfig(float4))
		must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
		if err == nil || !strings.Contains(err.Error(), "too many open files") {
			t.Errorf("arm: %v", err)
		}
	})
}
