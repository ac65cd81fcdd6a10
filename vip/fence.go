package vip

import (
	"errors"
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Fence keeps the floating addresses silent unless now < deadline, in CLOCK_BOOTTIME nanoseconds of this host.
//
// It is a BPF program on the tc ingress and the tc egress hook of every link in the network namespace, lo included.
// The kernel asks it about every packet, and it answers from three things only: the packet, the clock, and the deadline,
// which lies in a page of memory that this process shares with the kernel. While the deadline lies ahead it passes all.
// From the deadline on it drops
//
//   - what comes in for a floating address: IPv4 and IPv6 packets to it, and ARP requests and IPv6 neighbour
//     solicitations that ask for it (other hosts' gratuitous ARP comes in);
//   - what goes out as a floating address: IPv4 and IPv6 packets from it, ARP with it as the sender,
//     and IPv6 neighbour advertisements for it.
//
// Nobody has to run for that: the deadline is an absolute instant, and the kernel keeps program and deadline with the
// filter, whether this process is stopped, hangs or is killed. Nothing moves the deadline but SetDeadline.
// The other directions always pass, so this host can be a client of the address while another one holds it.
//
// Whatever the network stack gets, it gets from a link, with the packet's wrapping taken off as far as that link goes. So
// what came through a VLAN, bridge, bond or tunnel is seen as a plain packet on the link of that name at the latest.
// The exception, a frame with a priority tag (VLAN 0) inside another one, does not come in at all: the kernel takes the inner
// tag off only after it has asked the programs. Every fragment carries the addresses. Packets that this host would forward or translate are dropped as well: what stands
// behind a host without lease must not answer for the address either, and can't reach it through this host.
//
// Not covered:
//   - what does without the network stack: XDP, AF_XDP, hardware that forwards by itself, packet sockets that pass the
//     hook by (PACKET_QDISC_BYPASS) or lie about the protocol;
//   - a request that gets to the address by source routing (IPv4 LSRR, IPv6 segment routing) through another address
//     of this host, where sysctl allows that; no answer to it leaves;
//   - an answer inside an IPsec policy tunnel; no request for it comes in;
//   - a link that appears while nobody calls Check; the short lifetime that Binder gives the addresses ends that;
//   - ARP with other than 6-byte hardware addresses, as on InfiniBand; IP itself is covered there;
//   - a packet that passed in time and then waited, in a socket or in the queue of a device.
type Fence struct {
	cfg      Config
	page     []byte            // shared with the programs; once Arm has returned it stays mapped until the process ends
	deadline *atomic.Int64     // in that page
	programs [2]*ebpf.Program  // by direction
	ids      [2]ebpf.ProgramID // by direction: how the kernel names them
	fenced   map[int]bool      // indexes of the links that got our filters
}

// Arm closes the fence around cfg.Addresses on every link of the network namespace and proves that it works.
//
// It first runs the programs on made-up packets in the kernel, then attaches them. Filters that an earlier run
// of the same cfg.Instance left, open or closed, are replaced each in one step: there is no instant without a filter.
// Addresses that they fence and cfg does not have are taken off all links before that; while one can't be, they stay.
// It needs Linux 5.8, CAP_BPF and CAP_NET_ADMIN; an error says what is missing. After an error the links that
// were reached stay fenced and closed; Clear takes that away.
func Arm(cfg Config) (*Fence, error) {
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("arm fence: there are no addresses")
	}
	f, err := load(cfg)
	if err != nil {
		return nil, fmt.Errorf("arm fence: %w", explainBPF(err))
	}
	if err := f.arm(); err != nil {
		f.discard()
		return nil, fmt.Errorf("arm fence: %w", err)
	}
	return f, nil
}

func (f *Fence) arm() error {
	if err := f.selfTest(); err != nil {
		return err
	}
	if err := releaseOthers(f.cfg); err != nil {
		return err
	}
	return f.Check()
}

// SetDeadline opens the fence until the instant boottime, in CLOCK_BOOTTIME nanoseconds, or closes it if that is past;
// 0 closes it. The kernel obeys from the next packet on. It is one atomic store: it neither blocks nor fails,
// and may be called from any goroutine, also after Close.
func (f *Fence) SetDeadline(boottime int64) { f.deadline.Store(boottime) }

// Deadline is the instant that was last set, read from the page that the kernel reads. It neither blocks nor fails.
func (f *Fence) Deadline() int64 { return f.deadline.Load() }

// Check asks the kernel whether the fence stands on both sides of every link.
//
// Links that have appeared since get their filters; links that have gone are forgotten. An error means that
// the fence can no longer be relied on: a filter of ours was removed or replaced, something that runs before it may let
// packets past it, or a link could not be fenced. Only Arm mends that, so until then the addresses must come off.
// Check takes a handful of system calls for each link.
func (f *Fence) Check() error {
	links, err := consistent(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("check fence: list links: %w", explainNetlink(err))
	}
	present := make(map[int]bool)
	var problems []error
	for _, link := range links {
		present[link.Attrs().Index] = true
		if err := f.checkLink(link); err != nil && exists(link) {
			problems = append(problems, fmt.Errorf("fence on %s: %w", link.Attrs().Name, err))
		}
	}
	maps.DeleteFunc(f.fenced, func(index int, _ bool) bool { return !present[index] })
	return errors.Join(problems...)
}

func (f *Fence) checkLink(link netlink.Link) error {
	index := link.Attrs().Index
	if f.fenced[index] {
		return f.verify(link)
	}
	if err := f.attach(link); err != nil {
		return err
	}
	f.fenced[index] = true
	return f.verify(link)
}

// Close closes the fence and gives back this process's part of the programs. In the kernel the filters stay until Arm replaces
// them or Clear removes them. Only SetDeadline and Deadline may be called afterwards.
func (f *Fence) Close() {
	f.SetDeadline(0)
	for _, p := range f.programs {
		_ = p.Close() // a close(2) of a bpf descriptor has nothing to report
	}
}

// discard is Close for a fence that nobody else has got.
func (f *Fence) discard() {
	f.Close()
	_ = unix.Munmap(f.page) // of a page that we mapped
}

// guard is where both programs take a packet that concerns a floating address: pass it if now < deadline, else drop it.
// The deadline is read before the clock, so a pause between the two can only close the fence. Both are signed: a deadline
// below zero is past.
func guard(deadline int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapValue(asm.R1, deadline, 0),
		asm.LoadMem(asm.R7, asm.R1, 0, asm.DWord),
		asm.FnKtimeGetBootNs.Call(),
		asm.JSLT.Reg(asm.R0, asm.R7, "pass"),
		asm.Mov.Imm(asm.R0, int32(drop)),
		asm.Return(),
	}
}
