package vip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// resetLimit is how long ResetConnections may take: the hand-over waits for it.
const resetLimit = 200 * time.Millisecond

// ackLimit is how long the kernel may take to acknowledge one reset. It does so before the request's system call returns.
const ackLimit = 100 * time.Millisecond

// ResetConnections ends every TCP connection of a floating address. The kernel sends a RST to the peer (RFC 9293 §3.10.5), which
// therefore connects again at once instead of waiting for an answer; the process on this host gets ECONNABORTED. So it is of use
// only while the address is bound and the fence is open.
//
// Listeners stay, and so do connections that are being opened while it works. It gives up after 200 ms: the error then says how
// many are left. Without CONFIG_INET_DIAG_DESTROY in the kernel the error has a hint. Kernels of 2024 and before leave a connection
// alone that its process has closed already, though it is counted.
func (b *Binder) ResetConnections() error {
	_, err := b.resetWithin(resetLimit)
	return err
}

// resetWithin returns how many connections it ended.
func (b *Binder) resetWithin(limit time.Duration) (int, error) {
	d, err := openDiag(time.Now().Add(limit))
	if err != nil {
		return 0, fmt.Errorf("reset connections: %w", explainDiag(err))
	}
	defer d.socket.Close()
	connections, err := d.connections(addresses(b.cfg))
	if err != nil {
		return 0, fmt.Errorf("reset connections: list them: %w", explainDiag(err))
	}
	reset, err := d.resetAll(connections)
	if err != nil {
		return reset, fmt.Errorf("reset connections: %w", err)
	}
	return reset, nil
}

// explainDiag adds the remedy to what sock_diag(7) answered.
func explainDiag(err error) error {
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.ENOENT):
		return &hinted{err, "clients notice the move later without this; it needs a kernel with CONFIG_INET_DIAG and CONFIG_INET_DIAG_DESTROY," +
			" and the module tcp_diag; this is " + kernelRelease()}
	case errors.Is(err, unix.EAGAIN): // what netlink makes of a deadline
		return errTooLong
	}
	return explainNetlink(err)
}

var errTooLong = errors.New("it took too long")

// diag asks the kernel about sockets (sock_diag(7)) until a deadline.
type diag struct {
	socket   *nl.NetlinkSocket
	shared   map[int]*nl.SocketHandle
	deadline time.Time
}

func openDiag(deadline time.Time) (*diag, error) {
	socket, err := nl.Subscribe(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	shared := map[int]*nl.SocketHandle{unix.NETLINK_SOCK_DIAG: {Socket: socket}}
	return &diag{socket, shared, deadline}, nil
}

// The states of TCP that a connection to be reset may be in (tcp_states.h): all but TIME_WAIT, CLOSE and LISTEN.
const openStates = 1<<unix.BPF_TCP_ESTABLISHED | 1<<unix.BPF_TCP_SYN_SENT | 1<<unix.BPF_TCP_SYN_RECV | 1<<unix.BPF_TCP_NEW_SYN_RECV |
	1<<unix.BPF_TCP_FIN_WAIT1 | 1<<unix.BPF_TCP_FIN_WAIT2 | 1<<unix.BPF_TCP_CLOSE_WAIT | 1<<unix.BPF_TCP_LAST_ACK | 1<<unix.BPF_TCP_CLOSING

// connections lists those whose local address is one of addrs.
func (d *diag) connections(addrs []netip.Addr) ([]connection, error) {
	var found []connection
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		list, err := consistent(func() ([]connection, error) { return d.dump(family, addrs) })
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	return found, nil
}

func (d *diag) dump(family uint8, addrs []netip.Addr) ([]connection, error) {
	var found []connection
	take := func(message []byte) bool {
		if c, ok := readConnection(message); ok && slices.Contains(addrs, c.local()) {
			found = append(found, c)
		}
		d.wait(time.Until(d.deadline))
		return true
	}
	d.wait(time.Until(d.deadline))
	err := d.ask(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, connection{family: family}, take)
	return found, err
}

// resetAll resets connections until one can't be, and returns how many it did.
func (d *diag) resetAll(connections []connection) (int, error) {
	reset := 0
	d.wait(ackLimit)
	for i, c := range connections {
		if !time.Now().Before(d.deadline) {
			return reset, fmt.Errorf("%d of %d are left: %w", len(connections)-i, len(connections), errTooLong)
		}
		gone, err := d.destroy(c)
		if err != nil {
			return reset, fmt.Errorf("%d of %d are left: %w", len(connections)-i, len(connections), explainDiag(err))
		}
		if !gone {
			reset++
		}
	}
	return reset, nil
}

// destroy resets a connection, unless it is gone already. The cookie in its id keeps a listener from being taken for it.
func (d *diag) destroy(c connection) (gone bool, err error) {
	err = d.ask(nl.SOCK_DESTROY, unix.NLM_F_ACK, c, func([]byte) bool { return true })
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESTALE) {
		return true, nil
	}
	return false, err
}

// ask sends struct inet_diag_req_v2 (sock_diag(7)) and passes each message of the answer to take.
func (d *diag) ask(kind, flags int, c connection, take func([]byte) bool) error {
	r := nl.NewNetlinkRequest(kind, flags)
	r.Sockets = d.shared
	r.AddRawData([]byte{c.family, unix.IPPROTO_TCP, 0, 0})
	r.AddRawData(nl.Uint32Attr(openStates))
	r.AddRawData(c.id[:])
	return r.ExecuteIter(unix.NETLINK_SOCK_DIAG, 0, take)
}

// wait makes the socket wait no longer than this for the next answers.
func (d *diag) wait(limit time.Duration) {
	timeout := unix.NsecToTimeval(limit.Nanoseconds())
	if limit < time.Microsecond {
		timeout = unix.Timeval{Usec: -1} // 0 would mean for ever
	}
	_ = d.socket.SetReceiveTimeout(&timeout) // keeps it in mind, can't fail
}

// connection is what the kernel knows a TCP socket by.
type connection struct {
	family uint8
	id     [48]byte // struct inet_diag_sockid: two ports, two addresses of 16 bytes, a link, a cookie
}

// readConnection takes it from struct inet_diag_msg (sock_diag(7)).
func readConnection(message []byte) (connection, bool) {
	const ahead = 4 // family, state, timer, retransmissions
	var c connection
	if len(message) < ahead+len(c.id) {
		return c, false
	}
	c.family = message[0]
	copy(c.id[:], message[ahead:])
	return c, true
}

// local is the address on this host's side. A socket of AF_INET6 may have one of IPv4 (RFC 4291 §2.5.5.2).
func (c connection) local() netip.Addr {
	if c.family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(c.id[4:8]))
	}
	return netip.AddrFrom16([16]byte(c.id[4:20])).Unmap()
}
