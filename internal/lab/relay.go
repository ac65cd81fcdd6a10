package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	etherTypeIPv6 = 0x86dd
	vnetHeader    = 10 // struct virtio_net_hdr before each frame: what is left to the network card, as checksums
	maxQueued     = time.Second
)

// relay carries frames between hosts by hand, late. It sees each frame as it comes in at a port of the switch, whose rules
// drop it, and sends it out at the port of its destination some time later.
type relay struct {
	w     *wires
	ports map[[6]byte]string
	next  map[path]time.Time // when a path with a limited rate is free again

	stopping chan struct{}
	stopped  chan struct{}

	mu     sync.Mutex
	socket int // -1 when it is closed
}

// startRelay starts a relay between the ports behind which those MAC addresses are.
func startRelay(w *wires, ports map[[6]byte]string) (*relay, error) {
	r := &relay{w: w, ports: ports, next: map[path]time.Time{}, stopping: make(chan struct{}), stopped: make(chan struct{})}
	if err := w.ns.within(func() (err error) { r.socket, err = tap(); return err }); err != nil {
		return nil, fmt.Errorf("start the relay: %w", err)
	}
	go r.run()
	return r, nil
}

// tap opens a socket that sees what comes in at every link of the namespace that the calling thread is in.
func tap() (int, error) {
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)) // htons
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(all))
	if err != nil {
		return 0, fmt.Errorf("open a packet socket: %w", err)
	}
	for _, option := range []int{unix.PACKET_IGNORE_OUTGOING, unix.PACKET_VNET_HDR} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1); err != nil {
			unix.Close(fd)
			return 0, fmt.Errorf("set option %d of a packet socket: %w", option, err)
		}
	}
	return fd, nil
}

func (r *relay) run() {
	defer close(r.stopped)
	var frame [vnetHeader + 1<<17]byte
	for {
		select {
		case <-r.stopping:
			return
		default:
		}
		n, err := unix.Read(r.socket, frame[:])
		switch {
		case err == nil:
			r.carry(frame[:n])
		case errors.Is(err, unix.EAGAIN):
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(r.socket), Events: unix.POLLIN}}, 20) // read says what is wrong
		}
	}
}

// carry decides what becomes of a frame.
func (r *relay) carry(frame []byte) {
	if len(frame) < vnetHeader+atIP {
		return
	}
	ether := frame[vnetHeader:]
	kind := binary.BigEndian.Uint16(ether[12:])
	on := path{from: r.ports[[6]byte(ether[6:12])], to: r.ports[[6]byte(ether[0:6])]}
	if on.from == "" || on.to == "" || kind != etherTypeIPv4 && kind != etherTypeIPv6 {
		return
	}
	how, passes, relayed := r.w.total(on)
	if !relayed || rand.Float64() >= passes {
		return
	}
	wait := how.Delay
	if how.Jitter > 0 {
		wait += rand.N(how.Jitter)
	}
	if how.Rate > 0 {
		queued := r.queue(on, time.Duration(len(ether))*time.Second/time.Duration(how.Rate))
		if queued > maxQueued {
			return
		}
		wait += queued
	}
	late := append([]byte(nil), frame...)
	index := r.w.indexOf(on.to)
	time.AfterFunc(wait, func() { r.send(index, late) })
}

// queue says how long a frame that takes that long to send has to wait for those before it, and lets those after it wait.
func (r *relay) queue(on path, takes time.Duration) time.Duration {
	now := time.Now()
	free := r.next[on]
	if free.Before(now) {
		free = now
	}
	if free.Sub(now) <= maxQueued {
		r.next[on] = free.Add(takes)
	}
	return free.Sub(now)
}

// send sends the frame unless the relay has ended. What can't be sent is lost, as on any network.
func (r *relay) send(index int, frame []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.socket < 0 {
		return
	}
	var protocol [2]byte
	copy(protocol[:], frame[vnetHeader+12:])
	_ = unix.Sendto(r.socket, frame, 0, &unix.SockaddrLinklayer{Ifindex: index, Protocol: binary.NativeEndian.Uint16(protocol[:])})
}

// stop ends the relay; what it still holds is lost.
func (r *relay) stop() {
	close(r.stopping)
	<-r.stopped
	r.mu.Lock()
	defer r.mu.Unlock()
	unix.Close(r.socket)
	r.socket = -1
}
