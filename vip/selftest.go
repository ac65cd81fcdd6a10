package vip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// selfTest runs the programs in the kernel (BPF_PROG_TEST_RUN) on a packet for each address, before they are attached.
// It leaves the fence closed.
func (f *Fence) selfTest() error {
	defer f.SetDeadline(0)
	addrs := addresses(f.cfg)
	for _, addr := range addrs {
		for _, d := range []direction{ingress, egress} {
			if err := f.selfTestAddress(d, addr, foreign(addrs, addr)); err != nil {
				return fmt.Errorf("self-test of the %s program with %s: %w", d, addr, err)
			}
		}
	}
	return nil
}

func (f *Fence) selfTestAddress(d direction, addr, other netip.Addr) error {
	if err := f.expect(d, addr, 0, drop); err != nil {
		return err
	}
	if err := f.expect(d, other, 0, pass); err != nil {
		return err
	}
	now := boottime()
	for _, c := range []struct {
		deadline int64
		want     netlink.TcAct
	}{{now + time.Second.Nanoseconds(), pass}, {now, drop}} {
		if err := f.expect(d, addr, c.deadline, c.want); err != nil {
			return &hinted{err, "the kernel's boot clock is not this process's: do not run vipd in a time namespace" +
				" with an offset (/proc/self/timens_offsets)"}
		}
	}
	return nil
}

func (f *Fence) expect(d direction, addr netip.Addr, deadline int64, want netlink.TcAct) error {
	f.SetDeadline(deadline)
	src, dst := foreign(nil, addr), addr
	if d == egress {
		src, dst = dst, src
	}
	got, err := f.run(d, ipFrame(src, dst))
	if err != nil {
		return explainBPF(err)
	}
	if got != want {
		return fmt.Errorf("a packet from %s to %s got verdict %d, should get %d, deadline %d, now %d", src, dst, got, want, deadline, boottime())
	}
	return nil
}

// run asks one of the programs about an Ethernet frame. Kernels before 5.12 may answer 0 for a run that a signal
// interrupted; the programs never do, so it is asked again.
func (f *Fence) run(d direction, frame []byte) (netlink.TcAct, error) {
	for range 10 {
		verdict, _, err := f.programs[d].Test(frame)
		if err != nil {
			return 0, err
		}
		if verdict != 0 {
			return netlink.TcAct(int32(verdict)), nil //nolint:gosec // the same bits
		}
	}
	return 0, fmt.Errorf("run the %s program: no verdict", d)
}

// foreign returns an address of addr's family that is neither addr nor one of addrs.
func foreign(addrs []netip.Addr, addr netip.Addr) netip.Addr {
	other := addr.Next()
	for slices.Contains(addrs, other) {
		other = other.Next()
	}
	return other
}

// ipFrame is an Ethernet frame with a bare IP header (RFC 791 §3.1, RFC 8200 §3) and no payload.
func ipFrame(src, dst netip.Addr) []byte {
	frame := make([]byte, 12, 64)
	if src.Is4() {
		frame = binary.BigEndian.AppendUint16(frame, unix.ETH_P_IP)
		frame = append(frame, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0)
	} else {
		frame = binary.BigEndian.AppendUint16(frame, unix.ETH_P_IPV6)
		frame = append(frame, 0x60, 0, 0, 0, 0, 0, unix.IPPROTO_NONE, 64)
	}
	return slices.Concat(frame, src.AsSlice(), dst.AsSlice())
}

// boottime is CLOCK_BOOTTIME in nanoseconds (clock_gettime(2)).
func boottime() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0 // can't happen on Linux; the self-test fails then
	}
	return now.Nano()
}
