package vip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Watch sends on changed when links, addresses or tc objects of the network namespace have changed, until ctx ends;
// then it returns nil. It also sends once as soon as it watches. Several changes may come as one: changed should have a
// capacity of one, and a send that would block is left out. Renewing the lifetime of an address, as Bind does, is no change.
//
// If the kernel could not keep up (ENOBUFS) or the subscription broke, that counts as a change, since one may
// have been missed, and Watch goes on. It returns an error only if it can't subscribe. The kernel does not tell when
// a tcx program is attached, so Fence.Check should be called now and then without a change too.
func Watch(ctx context.Context, changed chan<- struct{}) error {
	for ctx.Err() == nil {
		if err := watch(ctx, changed); err != nil {
			return fmt.Errorf("watch links and addresses: %w", explainNetlink(err))
		}
	}
	return nil
}

// watch reports changes for the lifetime of one subscription. Its error is that of subscribing.
func watch(ctx context.Context, changed chan<- struct{}) error {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_TC, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return err
	}
	defer socket.Close()
	defer context.AfterFunc(ctx, socket.Close)() // ends Receive
	notify(changed)
	relay(socket.Receive, changed)
	return nil
}

// relay reports changes until receive fails for another reason than that messages were lost.
func relay(receive func() ([]syscall.NetlinkMessage, *unix.SockaddrNetlink, error), changed chan<- struct{}) {
	known := make(map[string]bool)
	for {
		messages, _, err := receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			notify(changed)
		case err != nil:
			return
		}
		for _, m := range messages {
			if isChange(m, known) {
				notify(changed)
			}
		}
	}
}

func notify(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

// isChange says whether a message tells anything new. The kernel sends RTM_NEWADDR for a new address and for
// a renewed one alike; known are the addresses that were seen, as link, prefix length and address.
func isChange(m syscall.NetlinkMessage, known map[string]bool) bool {
	switch m.Header.Type {
	case unix.RTM_NEWADDR:
		key := addressKey(m.Data)
		renewed := known[key]
		known[key] = true
		return !renewed
	case unix.RTM_DELADDR:
		delete(known, addressKey(m.Data))
	}
	return true
}

// addressKey is what tells addresses apart in the message about one: prefix length, link, and the values of IFA_ADDRESS
// and IFA_LOCAL (struct ifaddrmsg, then attributes: rtnetlink(7)). It stops where the message makes no sense.
func addressKey(message []byte) string {
	if len(message) < unix.SizeofIfAddrmsg {
		return ""
	}
	key := append([]byte{message[1]}, message[4:8]...)
	for rest := message[unix.SizeofIfAddrmsg:]; len(rest) >= unix.SizeofRtAttr; {
		size, kind := int(binary.NativeEndian.Uint16(rest)), binary.NativeEndian.Uint16(rest[2:])
		if size < unix.SizeofRtAttr || size > len(rest) {
			break
		}
		if kind == unix.IFA_ADDRESS || kind == unix.IFA_LOCAL {
			key = append(key, rest[unix.SizeofRtAttr:size]...)
		}
		rest = rest[min((size+3)&^3, len(rest)):] // padded to a multiple of 4
	}
	return string(key)
}
