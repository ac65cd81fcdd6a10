package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Binder puts the floating addresses on their links and takes them off. It keeps nothing in mind:
// what is bound is what the kernel says.
type Binder struct{ cfg Config }

// NewBinder returns a Binder for cfg.Addresses. It does not touch the kernel.
func NewBinder(cfg Config) *Binder { return &Binder{cfg} }

// Bind makes every address present on its link for validFor from now, rounded up to whole seconds; then the kernel
// removes it unless Bind was called again. It is idempotent and costs two netlink requests an address, so it may be
// called every second. It stops at the first error, which says on which link and, where possible, what to do.
//
// An IPv4 address gets valid_lft and preferred_lft alike. An IPv6 address gets preferred_lft 0 (RFC 4862 §5.5.4):
// it answers as usual, but this host does not choose it as the source of connections of its own (RFC 6724 §5, rule 3),
// which would break when the address moves. It does not go through duplicate address detection (IFA_F_NODAD), since the lease
// says already that nobody else has it. A host prefix (/32, /128) gets no route of its own (IFA_F_NOPREFIXROUTE).
func (b *Binder) Bind(validFor time.Duration) error {
	if validFor <= 0 {
		return fmt.Errorf("bind for %s: the lifetime must be positive", validFor)
	}
	seconds := int((validFor + time.Second - 1) / time.Second)
	for _, a := range b.cfg.Addresses {
		if err := bind(a, seconds); err != nil {
			return fmt.Errorf("bind %s on %s: %w", a.Prefix, a.Interface, explainNetlink(err))
		}
	}
	return nil
}

func bind(a Address, seconds int) error {
	link, err := upLink(a.Interface)
	if err != nil {
		return err
	}
	addr, err := desired(a, seconds)
	if err != nil {
		return err
	}
	err = netlink.AddrReplace(link, addr)
	if a.Prefix.Addr().Is6() && errors.Is(err, unix.EACCES) {
		return &hinted{err, "IPv6 is off on this link: sysctl net.ipv6.conf." + a.Interface + ".disable_ipv6=0"}
	}
	return err
}

// desired is the address as the kernel shall have it, what `ip address show` calls a line.
func desired(a Address, seconds int) (*netlink.Addr, error) {
	scope, err := scopeOf(a.Scope)
	if err != nil {
		return nil, err
	}
	ip := a.Prefix.Addr()
	addr := &netlink.Addr{
		IPNet:       &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(a.Prefix.Bits(), ip.BitLen())},
		Label:       a.Label,
		Scope:       int(scope),
		ValidLft:    seconds,
		PreferedLft: seconds,
	}
	if ip.Is6() {
		addr.Flags |= unix.IFA_F_NODAD
		addr.PreferedLft = 0
	}
	if a.Prefix.IsSingleIP() {
		addr.Flags |= unix.IFA_F_NOPREFIXROUTE
	}
	return addr, nil
}

func scopeOf(name string) (netlink.Scope, error) {
	switch name {
	case "", "global":
		return netlink.SCOPE_UNIVERSE, nil
	case "link":
		return netlink.SCOPE_LINK, nil
	case "host":
		return netlink.SCOPE_HOST, nil
	}
	return 0, fmt.Errorf("scope %q is not one of global, link, host", name)
}

// upLink finds a link on which an address is of use.
func upLink(name string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return nil, &hinted{errors.New("this host has no such link"), "`ip link` lists the links; the interface is set in the configuration, under vip"}
	}
	if err != nil {
		return nil, fmt.Errorf("find the link: %w", err)
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		return nil, &hinted{errors.New("the link is down"), "ip link set " + name + " up"}
	}
	return link, nil
}

// Release makes sure that none of the addresses is on any link, whatever link and prefix length they have, and whoever
// put them there. It is idempotent, and reads back what the kernel did: after nil, none is left.
func (b *Binder) Release() error {
	_, err := release(addresses(b.cfg))
	return err
}

// release is Release for any addresses. It returns what it found and took away.
func release(addrs []netip.Addr) (removed []netip.Addr, err error) {
	found, err := present(addrs)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var problems []error
	for _, addr := range found {
		if err := netlink.AddrDel(nil, &addr); err != nil {
			problems = append(problems, fmt.Errorf("release %s: %w", describe(addr), explainNetlink(err)))
		}
		removed = append(removed, prefixOf(addr).Addr())
	}
	left, err := present(addrs)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 {
		return nil, errors.Join(append(problems, fmt.Errorf("release: %s is still there", describe(left[0])))...)
	}
	return removed, nil // what could not be deleted had gone by itself
}

// Bound says whether every address is on its link with its prefix length, as the kernel has it now.
func (b *Binder) Bound() (bool, error) {
	found, err := present(addresses(b.cfg))
	if err != nil {
		return false, err
	}
	for _, a := range b.cfg.Addresses {
		link, err := netlink.LinkByName(a.Interface)
		if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("find link %s: %w", a.Interface, explainNetlink(err))
		}
		if !slices.ContainsFunc(found, func(addr netlink.Addr) bool {
			return addr.LinkIndex == link.Attrs().Index && prefixOf(addr) == a.Prefix
		}) {
			return false, nil
		}
	}
	return true, nil
}

// present lists where the kernel has the addresses: on any link, with any prefix length.
func present(addrs []netip.Addr) ([]netlink.Addr, error) {
	all, err := consistent(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", explainNetlink(err))
	}
	return slices.DeleteFunc(all, func(addr netlink.Addr) bool { return !slices.Contains(addrs, prefixOf(addr).Addr()) }), nil
}

// prefixOf is an address as the kernel shows it, the zero Prefix if it is not an IP address.
func prefixOf(addr netlink.Addr) netip.Prefix {
	if addr.IPNet == nil {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(addr.IP)
	bits, _ := addr.Mask.Size()
	return netip.PrefixFrom(ip, bits)
}

func describe(addr netlink.Addr) string {
	link, err := netlink.LinkByIndex(addr.LinkIndex)
	if err != nil {
		return fmt.Sprintf("%s on link %d", prefixOf(addr), addr.LinkIndex)
	}
	return fmt.Sprintf("%s on %s", prefixOf(addr), link.Attrs().Name)
}
