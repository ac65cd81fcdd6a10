package vip

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// passAll is somebody else's program: it lets every packet through, and nothing after it is asked.
func passAll(t *testing.T) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "MIT", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	must(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// bpfFilter is a tc filter as somebody else might add it.
func bpfFilter(t *testing.T, link netlink.Link, d direction, priority uint16, handle uint32, name string) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: link.Attrs().Index, Parent: d.parent(), Handle: handle, Priority: priority, Protocol: unix.ETH_P_ALL},
		Fd:          passAll(t).FD(), Name: name, DirectAction: true,
	}
}

func clsact(link netlink.Link) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
}

func attachTCX(t *testing.T, link netlink.Link, attach ebpf.AttachType) error {
	l, err := bpflink.AttachTCX(bpflink.TCXOptions{Interface: link.Attrs().Index, Program: passAll(t), Attach: attach})
	if err == nil {
		t.Cleanup(func() { l.Close() })
	}
	return err
}

// TestCheckFindsWhatBreaksTheFence damages a healthy fence in each way that a tool or a person might.
func TestCheckFindsWhatBreaksTheFence(t *testing.T) {
	ours := testConfig(float4, float6)
	ourHandle, ourName := handle(ours.Instance, 0), labels(ours)[0].String()
	for _, damage := range []struct {
		name string
		do   func(*testing.T, netlink.Link) error
		want string // what the error says; empty if the fence still stands
	}{
		{"nothing", func(*testing.T, netlink.Link) error { return nil }, ""},
		{"ingress filter removed", func(t *testing.T, l netlink.Link) error {
			return netlink.FilterDel(bpfFilter(t, l, ingress, 1, ourHandle, ourName))
		}, "fence on eth0: the ingress filter was removed"},
		{"egress filter removed", func(t *testing.T, l netlink.Link) error {
			return netlink.FilterDel(bpfFilter(t, l, egress, 1, ourHandle, ourName))
		}, "fence on eth0: the egress filter was removed"},
		{"clsact removed", func(t *testing.T, l netlink.Link) error {
			return netlink.QdiscDel(clsact(l))
		}, "fence on eth0: the ingress filter was removed"},
		{"filter replaced", func(t *testing.T, l netlink.Link) error {
			return netlink.FilterReplace(bpfFilter(t, l, ingress, 1, ourHandle, ourName))
		}, "fence on eth0: the ingress filter was replaced: program"},
		{"filter replaced under another name", func(t *testing.T, l netlink.Link) error {
			return netlink.FilterReplace(bpfFilter(t, l, egress, 1, ourHandle, "other"))
		}, "fence on eth0: the egress filter (bpf) of priority 1 is not vipd's"},
		{"foreign filter of the same priority", func(t *testing.T, l netlink.Link) error {
			return netlink.FilterAdd(bpfFilter(t, l, ingress, 1, 1, "other"))
		}, "fence on eth0: the ingress filter (bpf) of priority 1 is not vipd's"},
		{"foreign filter after ours", func(t *testing.T, l netlink.Link) error {
			return netlink.FilterAdd(bpfFilter(t, l, ingress, 2, 1, "other"))
		}, ""},
		{"tcx program on ingress", func(t *testing.T, l netlink.Link) error {
			return attachTCX(t, l, ebpf.AttachTCXIngress)
		}, "runs before the fence"},
		{"tcx program on egress", func(t *testing.T, l netlink.Link) error {
			return attachTCX(t, l, ebpf.AttachTCXEgress)
		}, "runs before the fence"},
		{"link down and up", func(_ *testing.T, l netlink.Link) error {
			if err := netlink.LinkSetDown(l); err != nil {
				return err
			}
			return netlink.LinkSetUp(l)
		}, ""},
		{"link renamed", func(_ *testing.T, l netlink.Link) error { return netlink.LinkSetName(l, "wan") }, ""},
		{"link gone", func(_ *testing.T, l netlink.Link) error { return netlink.LinkDel(l) }, ""},
	} {
		t.Run(damage.name, func(t *testing.T) {
			a, _ := neighbours(t)
			f := a.arm(ours)
			must(t, a.check(f))
			a.in(func() { must(t, damage.do(t, a.link("eth0"))) })
			for range 2 { // it doesn't forget, and doesn't mend what it has complained about
				err := a.check(f)
				if got := fmt.Sprint(err); damage.want == "" && err != nil || damage.want != "" && !strings.Contains(got, damage.want) {
					t.Errorf("check: %v, want %q", err, damage.want)
				}
			}
		})
	}
}

// TestArmRefusesWhereSomethingComesBeforeIt has the damage there first.
func TestArmRefusesWhereSomethingComesBeforeIt(t *testing.T) {
	for _, obstacle := range []struct {
		name       string
		put        func(*testing.T, netlink.Link) error
		want, hint string
	}{
		{"ingress queueing discipline", func(_ *testing.T, l netlink.Link) error {
			return netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}})
		}, "arm fence: fence on eth0: add the clsact queueing discipline: the link has an ingress queueing discipline", "tc qdisc replace dev eth0 clsact"},
		{"foreign filter", func(t *testing.T, l netlink.Link) error {
			must(t, netlink.QdiscAdd(clsact(l)))
			return netlink.FilterAdd(bpfFilter(t, l, egress, 1, 1, "other"))
		}, "arm fence: fence on eth0: the egress filter (bpf) of priority 1 is not vipd's", "tc filter show dev eth0 egress"},
		{"foreign filter of another kind", func(t *testing.T, l netlink.Link) error {
			must(t, netlink.QdiscAdd(clsact(l)))
			return netlink.FilterAdd(&netlink.U32{FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: ingress.parent(), Priority: 1, Protocol: unix.ETH_P_IP}})
		}, "arm fence: fence on eth0: the ingress filter (u32) of priority 1 is not vipd's", "tc filter show dev eth0 ingress"},
		{"tcx program", func(t *testing.T, l netlink.Link) error {
			return attachTCX(t, l, ebpf.AttachTCXIngress)
		}, "runs before the fence", "bpftool net show dev eth0"},
	} {
		t.Run(obstacle.name, func(t *testing.T) {
			a, _ := neighbours(t)
			a.in(func() {
				must(t, obstacle.put(t, a.link("eth0")))
				f, err := Arm(testConfig(float4))
				if err == nil {
					f.Close()
				}
				if !strings.Contains(fmt.Sprint(err), obstacle.want) || !strings.Contains(hintOf(err), obstacle.hint) {
					t.Errorf("arm: %v, hint %q; want %q, hint %q", err, hintOf(err), obstacle.want, obstacle.hint)
				}
			})
		})
	}
}

func TestArmRefusesWithoutAddresses(t *testing.T) {
	if _, err := Arm(Config{Instance: testInstance}); err == nil {
		t.Error("armed")
	}
}

func TestCheckFencesNewLinks(t *testing.T) {
	a, b := neighbours(t)
	cfg := testConfig(float4)
	f := a.arm(cfg)
	a.bind(cfg)
	cable(a, b, "eth1")
	must(t, a.check(f))
	b.address("eth1", "198.51.100.2/24")
	a.address("eth1", "198.51.100.1/24")
	wire := newTap(b, a, "eth1")
	for _, open := range []bool{false, true} {
		f.SetDeadline(0)
		if open {
			f.SetDeadline(boottime() + time.Hour.Nanoseconds())
		}
		if got := wire.answers(whoHas, float4, "198.51.100.1"); got != open {
			t.Errorf("answered on the new link: %t, want %t", got, open)
		}
	}
}

// TestCheckBearsLinksThatComeAndGo is about hosts that start and stop containers all the time.
func TestCheckBearsLinksThatComeAndGo(t *testing.T) {
	a, _ := neighbours(t)
	f := a.arm(testConfig(float4))
	done := make(chan struct{})
	var churn sync.WaitGroup
	churn.Go(func() {
		a.in(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("c%d", i%10)}, PeerName: fmt.Sprintf("p%d", i%10)}
				if err := errors.Join(netlink.LinkAdd(link), netlink.LinkDel(link)); err != nil {
					t.Errorf("churn: %v", err)
				}
			}
		})
	})
	for range 300 {
		if err := a.check(f); err != nil {
			t.Errorf("check: %v", err)
		}
	}
	close(done)
	churn.Wait()
}

func TestCheckFencesALinkThatTookTheIndexOfAnother(t *testing.T) {
	a, _ := neighbours(t)
	f := a.arm(testConfig(float4))
	for _, name := range []string{"one", "two"} {
		a.in(func() {
			bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, Index: 99}}
			must(t, netlink.LinkAdd(bridge))
			must(t, f.Check())
			if got := a.fencedBy(name); len(got) != 2 {
				t.Errorf("filters on %s: %v, want two", name, got)
			}
			must(t, netlink.LinkDel(bridge))
			must(t, f.Check())
		})
	}
}

func TestInstancesOnOneHostAreIndependent(t *testing.T) {
	a, b := neighbours(t)
	one, two := testConfig(float4), testConfig("192.0.2.101")
	two.Instance = otherInstance
	f1, f2 := a.arm(one), a.arm(two)
	a.bind(one)
	a.bind(two)
	wire := newTap(b, a, "eth0")
	expect := func(when string, want1, want2 bool) {
		t.Helper()
		got1, got2 := wire.answers(ping, float4, addrA), wire.answers(ping, "192.0.2.101", addrA)
		if got1 != want1 || got2 != want2 {
			t.Errorf("%s: answered %t and %t, want %t and %t", when, got1, got2, want1, want2)
		}
	}
	expect("both closed", false, false)
	f1.SetDeadline(boottime() + time.Hour.Nanoseconds())
	expect("one open", true, false)
	must(t, a.check(f1))
	must(t, a.check(f2))

	a.clear(one)
	must(t, a.check(f2))
	expect("one gone", false, false)
	f2.SetDeadline(boottime() + time.Hour.Nanoseconds())
	expect("the other open", false, true)
}
