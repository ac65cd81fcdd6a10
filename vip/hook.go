package vip

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Our filters: the first that tc asks. The name tells them from other programs', the handle from another vipd's.
const (
	filterName     = "vipd_fence"
	filterPriority = 1
)

func (d direction) parent() uint32 {
	return [...]uint32{ingress: netlink.HANDLE_MIN_INGRESS, egress: netlink.HANDLE_MIN_EGRESS}[d]
}

func (d direction) tcx() ebpf.AttachType {
	return [...]ebpf.AttachType{ingress: ebpf.AttachTCXIngress, egress: ebpf.AttachTCXEgress}[d]
}

// attach puts both programs on the link, each in one step in the place of the one that an earlier run left:
// for the same priority and handle the kernel swaps the program in the filter list (cls_bpf_change, list_replace_rcu).
func (f *Fence) attach(link netlink.Link) error {
	if err := addClsact(link); err != nil {
		return explainTC(fmt.Errorf("add the clsact queueing discipline: %w", err))
	}
	for d, program := range f.programs {
		if _, err := f.attached(link, direction(d)); err != nil {
			return err
		}
		if err := netlink.FilterReplace(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: link.Attrs().Index, Parent: direction(d).parent(), Handle: uint32(f.cfg.Instance),
				Priority: filterPriority, Protocol: unix.ETH_P_ALL,
			},
			Fd: program.FD(), Name: filterName, DirectAction: true,
		}); err != nil {
			return explainTC(fmt.Errorf("attach the %s filter: %w", direction(d), err))
		}
	}
	return nil
}

// verify says what is wrong with the filters on a link that should have ours.
func (f *Fence) verify(link netlink.Link) error {
	for d, ours := range f.ids {
		found, err := f.attached(link, direction(d))
		switch {
		case err != nil:
			return err
		case found == 0:
			return fmt.Errorf("the %s filter was removed", direction(d))
		case found != ours:
			return fmt.Errorf("the %s filter was replaced: program %d, ours is %d", direction(d), found, ours)
		}
	}
	return nil
}

// attached returns the program in our filter on one side of the link, 0 if there is none.
// Anything that the kernel would ask before that filter is an error, as it could let packets past the fence.
func (f *Fence) attached(link netlink.Link, d direction) (ebpf.ProgramID, error) {
	if err := noTCX(link, d); err != nil {
		return 0, err
	}
	filters, err := filtersOn(link, d)
	if err != nil {
		return 0, explainNetlink(fmt.Errorf("list %s filters: %w", d, err))
	}
	var found ebpf.ProgramID
	for _, filter := range filters {
		bpf, ours := filter.(*netlink.BpfFilter)
		switch {
		case filter.Attrs().Chain != nil && *filter.Attrs().Chain != 0, filter.Attrs().Priority > filterPriority:
			// asked after ours
		case !ours || bpf.Name != filterName || !bpf.DirectAction:
			return 0, &hinted{
				fmt.Errorf("the %s filter (%s) of priority %d is not vipd's", d, filter.Type(), filter.Attrs().Priority),
				fmt.Sprintf("give it a greater number, or remove it: tc filter show dev %s %s", link.Attrs().Name, d),
			}
		case bpf.Handle == uint32(f.cfg.Instance):
			found = ebpf.ProgramID(bpf.Id)
		}
	}
	return found, nil
}

// noTCX makes sure that no program is attached by bpf_link or tcx (Linux 6.6): those run before all tc filters.
func noTCX(link netlink.Link, d direction) error {
	result, err := bpflink.QueryPrograms(bpflink.QueryOptions{Target: link.Attrs().Index, Attach: d.tcx()})
	switch {
	case errors.Is(err, unix.EINVAL):
		return nil // this kernel does not know tcx
	case err != nil:
		return fmt.Errorf("list %s tcx programs: %w", d, err)
	case len(result.Programs) > 0:
		return &hinted{
			fmt.Errorf("%s tcx program %d runs before the fence", d, result.Programs[0].ID),
			"attach it as a tc filter of priority 2 or more; it is shown by: bpftool net show dev " + link.Attrs().Name,
		}
	}
	return nil
}

// addClsact gives the link the queueing discipline that has the two hooks, unless it has it already.
func addClsact(link netlink.Link) error {
	err := netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	qdiscs, err := consistent(func() ([]netlink.Qdisc, error) { return netlink.QdiscList(link) })
	if err != nil {
		return err
	}
	for _, q := range qdiscs {
		if q.Type() == "ingress" {
			return &hinted{
				errors.New("the link has an ingress queueing discipline, which knows no egress"),
				"replace it by clsact, which takes the same ingress filters: tc qdisc replace dev " + link.Attrs().Name + " clsact",
			}
		}
	}
	return nil
}

// removeFilters takes our filters, and only ours, off every link.
func removeFilters(instance uint16) error {
	links, err := consistent(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("list links: %w", explainNetlink(err))
	}
	var problems []error
	for _, link := range links {
		for _, d := range []direction{ingress, egress} {
			if err := removeFilter(link, d, instance); err != nil && exists(link) {
				problems = append(problems, fmt.Errorf("remove %s filter from %s: %w", d, link.Attrs().Name, explainNetlink(err)))
			}
		}
	}
	return errors.Join(problems...)
}

func removeFilter(link netlink.Link, d direction, instance uint16) error {
	filters, err := filtersOn(link, d)
	if err != nil {
		return err
	}
	for _, filter := range filters {
		bpf, ok := filter.(*netlink.BpfFilter)
		if ok && bpf.Name == filterName && bpf.Priority == filterPriority && bpf.Handle == uint32(instance) {
			return netlink.FilterDel(bpf)
		}
	}
	return nil
}

func filtersOn(link netlink.Link, d direction) ([]netlink.Filter, error) {
	return consistent(func() ([]netlink.Filter, error) { return netlink.FilterList(link, d.parent()) })
}

// explainTC adds the remedy where the kernel has no such thing.
func explainTC(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return &hinted{err, "the fence needs the kernel modules sch_ingress and cls_bpf (CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF)"}
	}
	return explainNetlink(err)
}

// exists tells a real failure from a link that has gone in the meantime.
func exists(link netlink.Link) bool {
	_, err := netlink.LinkByIndex(link.Attrs().Index)
	_, gone := errors.AsType[netlink.LinkNotFoundError](err)
	return !gone
}

// consistent repeats a dump that the kernel says was overtaken by a change (NLM_F_DUMP_INTR), a few times.
func consistent[T any](dump func() ([]T, error)) ([]T, error) {
	for range 10 {
		list, err := dump()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
	}
	return dump()
}
