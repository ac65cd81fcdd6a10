package vip

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// Clear removes what this or an earlier run of cfg.Instance has in the kernel, and returns the addresses that it took away: first
// the addresses, those of cfg and those that its filters fence, from whatever link they are on, and only when these have gone,
// the filters. If an address can't be removed, the filters stay.
//
// It is idempotent and needs no Fence. Filters of other instances and other programs are left alone, and so are clsact queueing
// disciplines: they cost nothing while they are empty, and another program may have begun to use them.
func Clear(cfg Config) ([]netip.Addr, error) {
	fenced, err := fencedFor(cfg.Instance)
	if err != nil {
		return nil, fmt.Errorf("clear: %w", err)
	}
	removed, err := release(slices.Concat(addresses(cfg), fenced))
	if err != nil {
		return nil, fmt.Errorf("clear: %w", err)
	}
	if err := eachFilter(cfg.Instance, func(f *netlink.BpfFilter, _ label) error { return netlink.FilterDel(f) }); err != nil {
		return removed, fmt.Errorf("clear: remove %w", err)
	}
	return removed, nil
}

// releaseOthers takes away the addresses that filters of cfg.Instance fence and cfg does not have. Only then may a fence
// around cfg's addresses take the place of those filters.
func releaseOthers(cfg Config) error {
	fenced, err := fencedFor(cfg.Instance)
	if err != nil {
		return err
	}
	ours := addresses(cfg)
	if _, err := release(slices.DeleteFunc(fenced, func(a netip.Addr) bool { return slices.Contains(ours, a) })); err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	return nil
}
