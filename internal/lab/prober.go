package lab

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// probeInterval is the time between two rounds of probes.
const probeInterval = time.Millisecond

// Prober asks each host, every millisecond and straight (in a frame with that host's MAC address), for an echo from the
// floating address, and notes who answers. So it sees all holders, not just the one that a switch or a router prefers.
type Prober struct {
	hosts    []*Host
	floating netip.Addr
	number   uint64
	socket   int
	start    time.Time
	ticks    ticks
	frame    [2048]byte // the last one received
	stopping chan struct{}
	stopOnce sync.Once
	stopped  chan struct{}
	err      error // why it stopped by itself; to be read when stopped is closed
}

// StartProber starts probing all hosts from the client. It takes about 5 % of a core and ends with Stop or the lab.
//
// Its thread has realtime priority and meets no lock, so that a busy machine does not distort what it sees. It also
// raises GOMAXPROCS: the runtime lets a thread that comes out of a system call go on at once only if a processor of
// its own is idle; otherwise the thread would wait for one without realtime priority.
func (l *Lab) StartProber() (*Prober, error) {
	var number [8]byte
	rand.Read(number[:]) // never fails, see its documentation
	p := &Prober{
		hosts:    l.Hosts,
		floating: l.Floating,
		number:   binary.BigEndian.Uint64(number[:]),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	ns := l.Client.ns
	if err := ns.within(func() (err error) { p.socket, err = packetSocket(); return err }); err != nil {
		return nil, fmt.Errorf("start the prober: %w", err)
	}
	var probes []*probe
	for i, h := range l.Hosts {
		probes = append(probes, newProbe(l.Client.MAC(), h.MAC(), l.Client.Address, l.Floating, i, p.number))
	}
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 8))
	p.start = time.Now()
	thread(func() {
		defer close(p.stopped)
		defer unix.Close(p.socket)
		p.err = p.run(probes)
	})
	l.onClose(func() { _ = p.Stop() }) // who wants to know stops it before
	return p, nil
}

// run sends the rounds at absolute instants and takes in answers between them. A round whose time is over before it
// could leave is left out.
func (p *Prober) run(probes []*probe) error {
	if err := realtime(); err != nil {
		return err
	}
	for tick := 0; ; tick = max(tick+1, int(p.Now()/probeInterval)) {
		select {
		case <-p.stopping:
			return nil
		default:
		}
		if err := p.receiveUntil(time.Duration(tick) * probeInterval); err != nil {
			return err
		}
		p.ticks.begin(tick, p.Now())
		for i, probe := range probes {
			if _, err := unix.Write(p.socket, probe.at(uint64(tick))); err != nil {
				return fmt.Errorf("probe %s: %w", p.hosts[i].Name, err)
			}
		}
		p.ticks.note(tick, p.Now(), 0)
	}
}

// realtime lets the calling thread run before all that is not realtime.
func realtime() error {
	err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 20}, 0)
	if err != nil {
		return fmt.Errorf("give the prober realtime priority: %w", err)
	}
	return nil
}

// packetSocket opens a raw socket on eth0 of the namespace that the calling thread is in.
func packetSocket() (int, error) {
	link, err := net.InterfaceByName("eth0")
	if err != nil {
		return 0, err
	}
	network := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, etherTypeIPv4)) // htons
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(network))
	if err != nil {
		return 0, fmt.Errorf("open a packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: link.Index}); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("bind a packet socket to eth0: %w", err)
	}
	return fd, nil
}

// receiveUntil notes the answers that arrive until that instant.
func (p *Prober) receiveUntil(end time.Duration) error {
	for {
		n, err := unix.Read(p.socket, p.frame[:])
		switch {
		case err == nil:
			p.heard(p.frame[:n])
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EAGAIN):
			return fmt.Errorf("receive answers: %w", err)
		}
		left := end - p.Now()
		if left <= 0 {
			return nil
		}
		timeout := unix.NsecToTimespec(int64(left))
		_, err = unix.Ppoll([]unix.PollFd{{Fd: int32(p.socket), Events: unix.POLLIN}}, &timeout, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for answers: %w", err)
		}
	}
}

func (p *Prober) heard(frame []byte) {
	a, ok := parseAnswer(frame, p.floating, p.number)
	// What one host passes on to another is no answer of either.
	if ok && a.host < len(p.hosts) && p.hosts[a.host].MAC() == a.mac {
		p.ticks.note(int(a.tick), p.Now(), 1<<a.host)
	}
}

// Now is the instant on the prober's clock, which its timeline uses.
func (p *Prober) Now() time.Duration { return time.Since(p.start) }

// At converts an instant to the prober's clock.
func (p *Prober) At(t time.Time) time.Duration { return t.Sub(p.start.Round(0)) }

// Timeline returns what has been seen so far, from that instant on. The last few ticks may still get answers.
func (p *Prober) Timeline(from time.Duration) Timeline {
	first := max(0, int((from+probeInterval-1)/probeInterval))
	t := Timeline{Interval: probeInterval, Start: time.Duration(first) * probeInterval, Ticks: p.ticks.from(first)}
	for _, h := range p.hosts {
		t.Hosts = append(t.Hosts, h.Name)
	}
	return t
}

// Settled waits until a host that is wanted (nil: any) has alone answered every round for that long, counted from the
// call, and returns it. At ctx's end the error says who answered instead.
func (p *Prober) Settled(ctx context.Context, steady time.Duration, wanted func(*Host) bool) (*Host, error) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	began := p.Now()
	for {
		now := p.Now() - 2*probeInterval // answers to the newest rounds are still under way
		t := p.Timeline(now - steady)
		t = t.Between(t.Start, now)
		if host := p.only(t); host != nil && t.Start >= began && (wanted == nil || wanted(host)) {
			return host, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for one host to answer for %v: %w; %s", steady, context.Cause(ctx), p.Timeline(began).Summary())
		case <-p.stopped:
			return nil, errors.Join(errors.New("the prober has stopped"), p.err)
		case <-ticker.C:
		}
	}
}

// Whole waits until the host that who names has alone answered every round for that long, and returns it. The holder may
// change meanwhile: each time it has not come to that within 3 × steady, but at least 3 s, who is asked anew, until ctx
// ends or who fails.
func (p *Prober) Whole(ctx context.Context, steady time.Duration, who func(context.Context) (*Host, error)) (*Host, error) {
	for {
		holder, err := who(ctx)
		if err != nil {
			return nil, err
		}
		settling, cancel := context.WithTimeout(ctx, max(3*time.Second, 3*steady))
		_, err = p.Settled(settling, steady, func(h *Host) bool { return h == holder })
		late := settling.Err() != nil
		cancel()
		switch {
		case err == nil:
			return holder, nil
		case !late || ctx.Err() != nil:
			return nil, err
		}
	}
}

// Answering is the host that answered last, if it did within the last 20 ms, or nil.
func (p *Prober) Answering() *Host {
	for _, tick := range slices.Backward(p.Timeline(p.Now() - 20*time.Millisecond).Ticks) {
		for i, h := range p.hosts {
			if tick.Answered.Has(i) {
				return h
			}
		}
	}
	return nil
}

// only returns the host that alone answered all rounds, or nil. Rounds that were left out prove nothing against it.
func (p *Prober) only(t Timeline) *Host {
	var who Answers
	for _, tick := range t.Ticks {
		if tick.Sent < 0 {
			continue
		}
		if who |= tick.Answered; tick.Answered.Len() != 1 || who != tick.Answered {
			return nil
		}
	}
	for i, h := range p.hosts {
		if who == 1<<i {
			return h
		}
	}
	return nil
}

// Stop ends the probing and says why it ended earlier, if it did. It may be called more than once.
func (p *Prober) Stop() error {
	p.stopOnce.Do(func() { close(p.stopping) })
	<-p.stopped
	return p.err
}
