package vip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func (d direction) parent() uint32 {
	return [...]uint32{ingress: netlink.HANDLE_MIN_INGRESS, egress: netlink.HANDLE_MIN_EGRESS}[d]
}

func (d direction) tcx() ebpf.AttachType {
	return [...]ebpf.AttachType{ingress: ebpf.AttachTCXIngress, egress: ebpf.AttachTCXEgress}[d]
}

// attach puts both programs on the link, each in one step in the place of the one that an earlier run left:
// for the same priority and handle the kernel swaps the program in the filter list (cls_bpf_change, list_replace_rcu).
// The addresses that only the earlier one fenced must have gone.
func (f *Fence) attach(link netlink.Link) error {
	if err := addClsact(link); err != nil {
		return explainTC(fmt.Errorf("add the clsact queueing discipline: %w", err))
	}
	for d, program := range f.programs {
		before, err := f.attached(link, direction(d))
		if err != nil {
			return err
		}
		for part, l := range labels(f.cfg) {
			if err := netlink.FilterReplace(&netlink.BpfFilter{
				FilterAttrs: netlink.FilterAttrs{
					LinkIndex: link.Attrs().Index, Parent: direction(d).parent(), Handle: handle(f.cfg.Instance, part),
					Priority: filterPriority, Protocol: unix.ETH_P_ALL,
				},
				Fd: program.FD(), Name: l.String(), DirectAction: true,
			}); err != nil {
				return explainTC(fmt.Errorf("attach the %s filter: %w", direction(d), err))
			}
			delete(before, handle(f.cfg.Instance, part))
		}
		for _, left := range before { // there were more addresses
			if err := netlink.FilterDel(left); err != nil {
				return explainTC(fmt.Errorf("remove an earlier %s filter: %w", direction(d), err))
			}
		}
	}
	return nil
}

// verify says what is wrong with the filters on a link that should have ours.
func (f *Fence) verify(link netlink.Link) error {
	for d, ours := range f.ids {
		found, err := f.attached(link, direction(d))
		if err != nil {
			return err
		}
		for part := range labels(f.cfg) {
			filter, there := found[handle(f.cfg.Instance, part)]
			if !there {
				return fmt.Errorf("the %s filter was removed", direction(d))
			}
			if filter.Id != int(ours) {
				return fmt.Errorf("the %s filter was replaced: program %d, ours is %d", direction(d), filter.Id, ours)
			}
		}
	}
	return nil
}

// attached returns the filters of our instance on one side of the link, by handle. Anything that the kernel would ask before
// them is an error, as it could let packets past the fence, and so is the fence of another vipd around one of our addresses.
func (f *Fence) attached(link netlink.Link, d direction) (map[uint32]*netlink.BpfFilter, error) {
	if err := noTCX(link, d); err != nil {
		return nil, err
	}
	filters, err := filtersOn(link, d)
	if err != nil {
		return nil, explainNetlink(fmt.Errorf("list %s filters: %w", d, err))
	}
	found := make(map[uint32]*netlink.BpfFilter)
	for _, filter := range filters {
		attrs := filter.Attrs()
		if attrs.Chain != nil && *attrs.Chain != 0 || attrs.Priority > filterPriority {
			continue // asked after ours
		}
		l, vipds := labelOf(filter)
		switch {
		case !vipds:
			return nil, &hinted{
				fmt.Errorf("the %s filter (%s) of priority %d is not vipd's", d, filter.Type(), attrs.Priority),
				fmt.Sprintf("give it a greater number, or remove it: tc filter show dev %s %s", link.Attrs().Name, d),
			}
		case l.instance == f.cfg.Instance:
			found[attrs.Handle] = filter.(*netlink.BpfFilter)
		default:
			if err := f.shared(d, l); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// shared refuses a filter of another instance with an address of ours: it would be silent though we hold it.
func (f *Fence) shared(d direction, other label) error {
	for _, addr := range addresses(f.cfg) {
		if slices.Contains(other.addrs, addr) {
			return &hinted{
				fmt.Errorf("the %s filter of the vipd with the socket %s fences %s as well", d, other.instance, addr),
				"an address belongs to one of them; if that one is gone for good: vipd release --socket '" + other.instance + "'",
			}
		}
	}
	return nil
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

// eachFilter calls do for the filters of an instance on every link, and joins its errors. A link that has gone meanwhile
// is no error.
func eachFilter(instance string, do func(*netlink.BpfFilter, label) error) error {
	links, err := consistent(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("list links: %w", explainNetlink(err))
	}
	var problems []error
	for _, link := range links {
		for _, d := range []direction{ingress, egress} {
			if err := eachFilterOn(link, d, instance, do); err != nil && exists(link) {
				problems = append(problems, fmt.Errorf("%s filters of %s: %w", d, link.Attrs().Name, explainNetlink(err)))
			}
		}
	}
	return errors.Join(problems...)
}

func eachFilterOn(link netlink.Link, d direction, instance string, do func(*netlink.BpfFilter, label) error) error {
	filters, err := filtersOn(link, d)
	if err != nil {
		return err
	}
	var problems []error
	for _, filter := range filters {
		if l, vipds := labelOf(filter); vipds && l.instance == instance {
			problems = append(problems, do(filter.(*netlink.BpfFilter), l))
		}
	}
	return errors.Join(problems...)
}

// fencedFor lists the addresses behind the filters of an instance, those of an earlier run included.
func fencedFor(instance string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	err := eachFilter(instance, func(_ *netlink.BpfFilter, l label) error {
		addrs = append(addrs, l.addrs...)
		return nil
	})
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), err
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
