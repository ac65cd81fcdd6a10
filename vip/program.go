package vip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The deadline must be stored and loaded in one piece, so this does not compile where a word has 32 bits.
type _ [unsafe.Sizeof(uintptr(0)) - 8]byte

type direction int

const (
	ingress direction = iota
	egress
)

func (d direction) String() string { return [...]string{"ingress", "egress"}[d] }

const (
	pass = netlink.TC_ACT_UNSPEC // go on with the next filter, if there is one
	drop = netlink.TC_ACT_SHOT
)

// load puts the deadline, closed, and the two programs into the kernel. Nothing is attached yet.
func load(cfg Config) (*Fence, error) {
	table, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "vipd_deadline", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
	})
	if err != nil {
		return nil, fmt.Errorf("create the deadline's map: %w", err)
	}
	defer table.Close() // the mapping and the programs hold it
	page, err := unix.Mmap(table.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the deadline into memory: %w", err)
	}
	f := &Fence{cfg: cfg, page: page, deadline: (*atomic.Int64)(unsafe.Pointer(&page[0])), fenced: make(map[int]bool)} //nolint:gosec // the page begins with the deadline, aligned
	for _, d := range []direction{ingress, egress} {
		f.programs[d], err = ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: "vipd_" + d.String(), Type: ebpf.SchedCLS, License: "Apache-2.0",
			Instructions: assemble(d, addresses(cfg), table.FD()),
		})
		if err != nil {
			f.discard()
			return nil, fmt.Errorf("load the %s program: %w", d, err)
		}
		info, err := f.programs[d].Info()
		if err != nil {
			f.discard()
			return nil, fmt.Errorf("read the %s program's id: %w", d, err)
		}
		f.ids[d], _ = info.ID()
	}
	return f, nil
}

// Registers and stack of the programs. R0 is the answer, R1 to R5 are scratch.
const (
	skb    = asm.R6 // the packet, as a struct __sk_buff
	first  = asm.R7 // an IPv4 address, or the first half of an IPv6 address
	second = asm.R8 // the second half, or another IPv4 address
	buffer = -64    // 64 bytes of header, from the frame pointer
)

// What the programs say in numbers, from linux/bpf.h, linux/if_arp.h, RFC 791, RFC 8200 and RFC 4861 §4.3, §4.4.
const (
	offsetLen      = 0  // __sk_buff.len
	offsetProtocol = 16 // __sk_buff.protocol
	offsetTCI      = 24 // __sk_buff.vlan_tci, of the tag that the kernel has taken off; 0 if there was none
	headerStartNet = 1  // BPF_HDR_START_NET
	pulled         = 128
	vlanNumber     = 0xfff // the bits of a tag that are not priority

	arpSender, arpTarget = 14, 24
	ipv4Src, ipv4Dst     = 12, 16
	ipv6Src, ipv6Dst     = 8, 24
	ipv6Next, ipv6Size   = 6, 40
	icmpv6               = 58
	solicitation         = 135
	advertisement        = 136
	ndTarget, ndSize     = 8, 24
)

// assemble writes the program for one direction. It is read from top to bottom: each section ends in a jump to
// "fenced", where the deadline decides, or to "pass". The addresses are constants in the code; the clock is read
// only for a packet that matches.
func assemble(d direction, addrs []netip.Addr, deadline int) asm.Instructions {
	return slices.Concat(
		asm.Instructions{
			asm.Mov.Reg(skb, asm.R1),
			asm.LoadMem(asm.R0, skb, offsetProtocol, asm.Word),
			asm.JEq.Imm(asm.R0, ethertype(unix.ETH_P_IP), "ipv4"),
			asm.JEq.Imm(asm.R0, ethertype(unix.ETH_P_IPV6), "ipv6"),
			asm.JEq.Imm(asm.R0, ethertype(unix.ETH_P_8021Q), "tagged"),
			asm.JEq.Imm(asm.R0, ethertype(unix.ETH_P_8021AD), "tagged"),
			asm.JNE.Imm(asm.R0, ethertype(unix.ETH_P_ARP), "pass"),
		},
		assembleARP(d, addrs),
		section("tagged", assembleTagged(d)),
		section("ipv4", assembleIPv4(d, addrs)),
		section("ipv6", assembleIPv6(d, addrs)),
		section("fenced", guard(deadline)),
		section("pass", asm.Instructions{
			asm.Mov.Imm(asm.R0, int32(pass)),
			asm.Return(),
		}),
	)
}

// assembleARP goes by the addresses alone, whatever the operation. Outgoing ARP must not say that we have the address.
// Incoming ARP must not ask for it, unless the sender has it too: then it is the holder's gratuitous ARP (RFC 5227 §3).
func assembleARP(d direction, addrs []netip.Addr) asm.Instructions {
	if !slices.ContainsFunc(addrs, netip.Addr.Is4) {
		return otherwise()
	}
	sender := append(load4("arp_sender", arpSender, "pass"), asm.LoadMem(second, asm.RFP, buffer, asm.Word))
	if d == egress {
		return slices.Concat(sender, asm.Instructions{asm.Mov.Reg(first, second)}, match4(addrs, "fenced"), otherwise())
	}
	return slices.Concat(sender,
		load4("arp_target", arpTarget, "pass"),
		asm.Instructions{asm.LoadMem(first, asm.RFP, buffer, asm.Word)},
		match4(addrs, "arp_asked"), otherwise(),
		section("arp_asked", asm.Instructions{asm.JNE.Reg(first, second, "fenced")}), otherwise(),
	)
}

// assembleTagged is about frames that come in with a tag behind the one that the kernel has taken off. If both are priority
// tags (VLAN 0, IEEE 802.1Q §9.6), it takes off the second as well after the program was asked, and the packet is for this link
// (__netif_receive_skb_core, check_vlan_id). What has the number of a VLAN goes to the link of that VLAN, and is seen there.
func assembleTagged(d direction) asm.Instructions {
	if d == egress {
		return otherwise()
	}
	return slices.Concat(
		asm.Instructions{
			asm.LoadMem(asm.R0, skb, offsetTCI, asm.Word),
			asm.And.Imm(asm.R0, vlanNumber),
			asm.JNE.Imm(asm.R0, 0, "pass"),
		},
		loadHeader("inner_tag", 0, 2, "fenced"),
		asm.Instructions{
			asm.LoadMem(asm.R0, asm.RFP, buffer, asm.Half),
			asm.HostTo(asm.BE, asm.R0, asm.Half),
			asm.And.Imm(asm.R0, vlanNumber),
			asm.JEq.Imm(asm.R0, 0, "fenced"),
		}, otherwise(),
	)
}

func assembleIPv4(d direction, addrs []netip.Addr) asm.Instructions {
	if !slices.ContainsFunc(addrs, netip.Addr.Is4) {
		return otherwise()
	}
	return slices.Concat(
		load4("ipv4_address", [...]int32{ingress: ipv4Dst, egress: ipv4Src}[d], "fenced"),
		asm.Instructions{asm.LoadMem(first, asm.RFP, buffer, asm.Word)},
		match4(addrs, "fenced"), otherwise(),
	)
}

// assembleIPv6 looks at the packet's address, and then, in neighbour discovery, at the target. It need not look behind
// extension headers: what the kernel sends has none there, and an answer to what it gets goes out from the address itself.
func assembleIPv6(d direction, addrs []netip.Addr) asm.Instructions {
	if !slices.ContainsFunc(addrs, netip.Addr.Is6) {
		return otherwise()
	}
	return slices.Concat(
		loadHeader("ipv6_header", 0, ipv6Size, "fenced"),
		match6([...]int16{ingress: ipv6Dst, egress: ipv6Src}[d], addrs, "fenced"),
		asm.Instructions{
			asm.LoadMem(asm.R0, asm.RFP, buffer+ipv6Next, asm.Byte),
			asm.JNE.Imm(asm.R0, icmpv6, "pass"),
		},
		loadHeader("nd_message", ipv6Size, ndSize, "pass"),
		asm.Instructions{
			asm.LoadMem(asm.R0, asm.RFP, buffer, asm.Byte),
			asm.JNE.Imm(asm.R0, [...]int32{ingress: solicitation, egress: advertisement}[d], "pass"),
		},
		match6(ndTarget, addrs, "fenced"), otherwise(),
	)
}

// match4 jumps to hit if the register first holds one of the IPv4 addresses.
func match4(addrs []netip.Addr, hit string) asm.Instructions {
	var code asm.Instructions
	for _, addr := range addrs {
		if addr.Is4() {
			b := addr.As4()
			code = append(code, asm.JEq.Imm32(first, int32(binary.NativeEndian.Uint32(b[:])), hit)) //nolint:gosec // the same bits
		}
	}
	return code
}

// match6 jumps to hit if the 16 bytes at offset of the buffer are one of the IPv6 addresses.
func match6(offset int16, addrs []netip.Addr, hit string) asm.Instructions {
	code := asm.Instructions{
		asm.LoadMem(first, asm.RFP, buffer+offset, asm.DWord),
		asm.LoadMem(second, asm.RFP, buffer+offset+8, asm.DWord),
	}
	for _, addr := range addrs {
		if addr.Is6() {
			b := addr.As16()
			code = append(code,
				asm.LoadImm(asm.R1, int64(binary.NativeEndian.Uint64(b[:8])), asm.DWord), //nolint:gosec // the same bits
				asm.Xor.Reg(asm.R1, first),
				asm.LoadImm(asm.R2, int64(binary.NativeEndian.Uint64(b[8:])), asm.DWord), //nolint:gosec // the same bits
				asm.Xor.Reg(asm.R2, second),
				asm.Or.Reg(asm.R1, asm.R2),
				asm.JEq.Imm(asm.R1, 0, hit),
			)
		}
	}
	return code
}

func load4(name string, offset int32, short string) asm.Instructions {
	return loadHeader(name, offset, 4, short)
}

// loadHeader copies size bytes from offset of the network header to the buffer, or jumps to short if the packet ends before.
// The helper reads only the linear part of a packet; where a sender left the headers outside (packet sockets with a
// ring do), they are pulled into it first. Its offset counts from the network header, so it is right on any kind of link.
func loadHeader(name string, offset, size int32, short string) asm.Instructions {
	copied := asm.Instructions{
		asm.Mov.Reg(asm.R1, skb),
		asm.Mov.Imm(asm.R2, offset),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, buffer),
		asm.Mov.Imm(asm.R4, size),
		asm.Mov.Imm(asm.R5, headerStartNet),
		asm.FnSkbLoadBytesRelative.Call(),
	}
	return slices.Concat(copied,
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, name),
			asm.Mov.Reg(asm.R1, skb),
			asm.LoadMem(asm.R2, skb, offsetLen, asm.Word),
			asm.JLE.Imm(asm.R2, pulled, name+"_pull"),
			asm.Mov.Imm(asm.R2, pulled),
			asm.FnSkbPullData.Call().WithSymbol(name + "_pull"),
		},
		copied,
		section(name, asm.Instructions{asm.JNE.Imm(asm.R0, 0, short)}),
	)
}

func section(name string, code asm.Instructions) asm.Instructions {
	code[0] = code[0].WithSymbol(name)
	return code
}

func otherwise() asm.Instructions {
	return asm.Instructions{asm.Ja.Label("pass")}
}

// ethertype is how __sk_buff.protocol shows a protocol: in network byte order.
func ethertype(protocol uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol)))
}

func addresses(cfg Config) []netip.Addr {
	var addrs []netip.Addr
	for _, a := range cfg.Addresses {
		addrs = append(addrs, a.Prefix.Addr())
	}
	return addrs
}
