package vip

import (
	"context"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// watching runs Watch on the host until the test ends, and waits until it watches.
func (h *host) watching() <-chan struct{} {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	changed := make(chan struct{}, 1)
	var done sync.WaitGroup
	done.Go(func() {
		h.in(func() {
			if err := Watch(ctx, changed); err != nil {
				h.t.Errorf("watch: %v", err)
			}
		})
	})
	h.t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	<-changed
	return changed
}

// calm waits until the kernel has told everything about a link that was just set up.
func calm(changed <-chan struct{}) {
	for {
		select {
		case <-changed:
		case <-time.After(200 * time.Millisecond):
			return
		}
	}
}

func TestWatchTellsWhatOthersChange(t *testing.T) {
	cfg := testConfig(float4, float6)
	for _, c := range []struct {
		name   string
		change func(*testing.T, netlink.Link) error
	}{
		{"address removed", func(t *testing.T, l netlink.Link) error { return NewBinder(cfg).Release() }},
		{"foreign address added", func(t *testing.T, l netlink.Link) error {
			return netlink.AddrAdd(l, &netlink.Addr{IPNet: netlink.NewIPNet([]byte{192, 0, 2, 77})})
		}},
		{"link down", func(t *testing.T, l netlink.Link) error { return netlink.LinkSetDown(l) }},
		{"link removed", func(t *testing.T, l netlink.Link) error { return netlink.LinkDel(l) }},
		{"link added", func(t *testing.T, l netlink.Link) error {
			return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
		}},
		{"filter removed", func(t *testing.T, l netlink.Link) error {
			return netlink.FilterDel(bpfFilter(t, l, ingress, 1, handle(cfg.Instance, 0), ""))
		}},
		{"clsact removed", func(t *testing.T, l netlink.Link) error { return netlink.QdiscDel(clsact(l)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := neighbours(t)
			a.arm(cfg)
			a.bind(cfg)
			changed := a.watching()
			calm(changed)
			a.in(func() { must(t, c.change(t, a.link("eth0"))) })
			told(t, changed)
		})
	}
}

func told(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Error("nothing was told")
	}
}

func TestWatchTellsOfAnAddressThatComesAgain(t *testing.T) {
	a, _ := neighbours(t)
	cfg := testConfig(float4, float6)
	changed := a.watching()
	for range 3 {
		calm(changed)
		a.bind(cfg)
		told(t, changed)
		calm(changed)
		a.in(func() { must(t, NewBinder(cfg).Release()) })
		told(t, changed)
	}
}

// TestWatchIsSilentAboutRenewals is so that the daemon does not answer itself for ever.
func TestWatchIsSilentAboutRenewals(t *testing.T) {
	a, _ := neighbours(t)
	cfg := testConfig(float4, float6)
	f := a.arm(cfg)
	a.bind(cfg)
	changed := a.watching()
	a.bind(cfg) // Watch has not seen these addresses before
	calm(changed)
	for range 10 {
		a.bind(cfg)
		must(t, a.check(f))
	}
	// What the kernel tells comes in order, so the next change is the first that may be heard of.
	select {
	case <-changed:
		t.Error("a renewal was told")
	case <-time.After(200 * time.Millisecond):
	}
}

// TestLostMessagesCountAsAChange plays a kernel that tells more than it keeps for a slow reader.
func TestLostMessagesCountAsAChange(t *testing.T) {
	renewal := syscall.NetlinkMessage{
		Header: syscall.NlMsghdr{Type: unix.RTM_NEWADDR},
		Data:   []byte{2, 32, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 192, 0, 2, 100},
	}
	changed := make(chan struct{}, 1)
	var told []bool
	answers := []error{nil, nil, unix.ENOBUFS, nil, io.EOF}
	relay(func() ([]syscall.NetlinkMessage, *unix.SockaddrNetlink, error) {
		told = append(told, len(changed) > 0)
		for len(changed) > 0 {
			<-changed
		}
		err := answers[len(told)-1]
		if err != nil {
			return nil, nil, err
		}
		return []syscall.NetlinkMessage{renewal}, nil, nil
	}, changed)
	want := []bool{false, true, false, true, false} // told before each call
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func FuzzIsChange(f *testing.F) {
	f.Add(uint16(unix.RTM_NEWADDR), []byte{})
	f.Add(uint16(unix.RTM_NEWADDR), []byte{2, 32, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 192, 0, 2, 100})
	f.Add(uint16(unix.RTM_DELADDR), []byte{2, 32, 0, 0, 1, 0, 0, 0, 5, 0, 2, 0, 192})
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		known := make(map[string]bool)
		message := syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind}, Data: data}
		if !isChange(message, known) {
			t.Error("what is seen for the first time is a change")
		}
		if got, want := isChange(message, known), kind != unix.RTM_NEWADDR; got != want {
			t.Errorf("change when seen again: %t, want %t", got, want)
		}
	})
}
