package vip

import (
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// Our filters: the first that tc asks. Their names begin with this word.
const (
	filterWord     = "vipd_fence"
	filterPriority = 1
	filterNameSize = 256 // CLS_BPF_NAME_LEN
)

// label is what the name of a filter says: which addresses it fences, and for which instance. In the kernel it reads
//
//	vipd_fence 192.0.2.100,2001:db8::100 /run/vipd/vipd.sock
//
// So the kernel itself remembers which addresses may still be bound behind a filter that a dead daemon left, for exactly as long
// as the filter stands; the configuration may name others by then. They are taken away before the filter is replaced or removed.
type label struct {
	instance string
	addrs    []netip.Addr
}

func (l label) String() string {
	words := make([]string, 0, len(l.addrs))
	for _, addr := range l.addrs {
		words = append(words, addr.String())
	}
	return filterWord + " " + strings.Join(words, ",") + " " + l.instance
}

// readLabel reads the name of a filter. The path of an instance may have blanks in it.
func readLabel(name string) (label, bool) {
	words := strings.SplitN(name, " ", 3)
	if len(words) != 3 || words[0] != filterWord {
		return label{}, false
	}
	l := label{instance: words[2]}
	for word := range strings.SplitSeq(words[1], ",") {
		addr, err := netip.ParseAddr(word)
		if err != nil {
			return label{}, false
		}
		l.addrs = append(l.addrs, addr)
	}
	return l, true
}

// labelOf reads the label of a filter; false if it is not a vipd's.
func labelOf(filter netlink.Filter) (label, bool) {
	bpf, ok := filter.(*netlink.BpfFilter)
	if !ok || !bpf.DirectAction || bpf.Priority != filterPriority {
		return label{}, false
	}
	return readLabel(bpf.Name)
}

// labels is what the filters of cfg are called. A name has room for eight IPv4 or three IPv6 addresses at least;
// if there are more, the same program is attached again, once for each name.
func labels(cfg Config) []label {
	all := []label{{instance: cfg.Instance}}
	for _, addr := range addresses(cfg) {
		last := &all[len(all)-1]
		longer := label{cfg.Instance, append(slices.Clone(last.addrs), addr)}
		if len(last.addrs) == 0 || len(longer.String()) < filterNameSize {
			*last = longer
		} else {
			all = append(all, label{cfg.Instance, []netip.Addr{addr}})
		}
	}
	return all
}

// handle is the number by which tc knows the filter with the part-th label of an instance. Two instances whose paths
// come to the same number, one pair in a billion, would find their filters replaced and not hold.
func handle(instance string, part int) uint32 {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(instance)) // never fails

	return 1<<30 | sum.Sum32()>>2 + uint32(part) //nolint:gosec // there are not that many
}
