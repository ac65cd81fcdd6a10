package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

const (
	detect    = 500 * time.Millisecond
	peersPort = 7600
	probePort = 7610
	patience  = 30 * time.Second // for the cluster to come together
)

// The attacker's addresses: its own, and those that it puts on beside it.
var (
	attackerAddress = netip.AddrFrom4([4]byte{10, 11, 12, 66})
	firstAlias      = netip.AddrFrom4([4]byte{10, 11, 12, 128})
)

const aliases = 64

// stage is a lab with three daemons and their attacker.
type stage struct {
	*lab.Lab
	attacker *lab.Host
	daemons  map[*lab.Host]*lab.Daemon
	prober   *lab.Prober
	began    time.Duration // on the prober's clock
	holder   *lab.Host
	term     uint64
	idle     map[*lab.Host]size // before the first attack
}

func newStage(ctx context.Context, binary string) (*stage, error) {
	l, err := lab.New(lab.Config{})
	if err != nil {
		return nil, err
	}
	s := &stage{Lab: l, daemons: map[*lab.Host]*lab.Daemon{}, idle: map[*lab.Host]size{}}
	if err := s.open(ctx, binary); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return s, nil
}

func (s *stage) open(ctx context.Context, binary string) error {
	var err error
	if s.attacker, err = s.Guest("attacker", attackerAddress); err != nil {
		return err
	}
	if err := s.attacker.IP(aliasLines()...); err != nil {
		return err
	}
	if s.prober, err = s.StartProber(); err != nil {
		return err
	}
	for _, h := range s.Hosts {
		if err := s.start(h, binary); err != nil {
			return err
		}
	}
	if err := s.FormCluster(ctx); err != nil {
		return err
	}
	return s.settle(ctx)
}

// aliasLines put the other addresses on the attacker's link, as ip(8) takes it.
func aliasLines() []string {
	var lines []string
	for address, n := firstAlias, 0; n < aliases; address, n = address.Next(), n+1 {
		lines = append(lines, "addr add "+address.String()+"/24 dev eth0")
	}
	return lines
}

// start starts the daemon of a host and lets the attacker's user in at its socket, as the group vipd is, which not every
// machine has.
func (s *stage) start(h *lab.Host, binary string) error {
	notify, err := h.InstallNotify()
	if err != nil {
		return err
	}
	probe := fmt.Sprintf("probe: {listen: %q}", netip.AddrPortFrom(h.Address, probePort))
	cfg := lab.VipdConfig{Binary: binary, Detect: detect, Notify: notify, More: probe}
	if s.daemons[h], err = h.StartVipd(cfg); err != nil {
		return err
	}
	return errors.Join(os.Chown(socketOf(h), 0, member), os.Chmod(socketOf(h), 0o660))
}

func socketOf(h *lab.Host) string { return filepath.Join(h.Dir, "vipd.sock") }

// settle waits until one host holds, and notes who, in which term, and how large the daemons are then.
func (s *stage) settle(ctx context.Context) error {
	settling, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := s.prober.Whole(settling, 2*detect, s.Agreed); err != nil {
		return err
	}
	s.began = s.prober.Now()
	calm, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for h, v := range s.watch(calm) {
		if v.holder == nil {
			return fmt.Errorf("%s names no holder: %w", h, v.status.last)
		}
		s.idle[h], s.term, s.holder = v.most, v.holder.Term, s.Host(v.holder.Name)
	}
	return ctx.Err()
}

// introduce says what there is to be attacked, and heads the table.
func (s *stage) introduce(out io.Writer) {
	fmt.Fprintf(out, "three hosts, detect %v; %s holds in term %d; the attacker is at %s and %d more addresses\n",
		detect, s.holder, s.term, attackerAddress, aliases)
	for _, h := range s.Hosts {
		fmt.Fprintf(out, "%s before: %v\n", h, s.idle[h])
	}
	writeHead(out)
}

// targets are whom the attacker gets to know: the holder and a follower.
func (s *stage) targets() []target {
	var all []target
	for _, h := range []*lab.Host{s.holder, s.Others(s.holder)[0]} {
		all = append(all, target{
			Peers: netip.AddrPortFrom(h.Address, peersPort).String(),
			Probe: netip.AddrPortFrom(h.Address, probePort).String(), Socket: socketOf(h),
		})
	}
	return all
}

// suffer lets one attack happen and says what came of it.
func (s *stage) suffer(ctx context.Context, a attack, length time.Duration) (row, error) {
	r := row{attack: a, from: s.prober.Now()}
	before := s.logged()
	watching, over := context.WithCancel(ctx)
	defer over()
	seen := make(chan map[*lab.Host]sight, 1)
	go func() { seen <- s.watch(watching) }()
	var err error
	r.done, err = s.strike(ctx, a, length)
	over()
	r.seen = <-seen
	if err != nil {
		return r, err
	}
	r.shrunk = s.shrink(ctx)
	r.silence = s.silence(r.from)
	for h, size := range s.logged() {
		r.logged += size - before[h]
	}
	r.lines = s.linesSince(before)
	s.judge(&r)
	return r, ctx.Err()
}

// shrink waits until each daemon has about as few descriptors as before all attacks, and returns how long it took,
// negative if it did not come to that.
func (s *stage) shrink(ctx context.Context) time.Duration {
	began := time.Now()
	for time.Since(began) < shrinkLimit && ctx.Err() == nil {
		if s.isSmall() {
			return time.Since(began)
		}
		lab.Pause(ctx, 50*time.Millisecond)
	}
	return -1
}

func (s *stage) isSmall() bool {
	for h, d := range s.daemons {
		now, err := sizeOf(d.PID())
		if err != nil || now.files > s.idle[h].files+filesLeft {
			return false
		}
	}
	return true
}

// silence is the longest time without an answer from the floating address since then.
func (s *stage) silence(from time.Duration) time.Duration {
	line := s.prober.Timeline(from)
	return line.Between(from, s.prober.Now()-5*time.Millisecond).Longest()
}

// logged is how much each daemon has logged so far, in bytes.
func (s *stage) logged() map[*lab.Host]int64 {
	sizes := map[*lab.Host]int64{}
	for h, d := range s.daemons {
		if info, err := os.Stat(d.LogFile()); err == nil {
			sizes[h] = info.Size()
		}
	}
	return sizes
}

// linesSince are the last lines that each daemon has logged since its log was that long.
func (s *stage) linesSince(sizes map[*lab.Host]int64) []string {
	const few = 4
	var all []string
	for _, h := range s.Hosts {
		text, err := os.ReadFile(s.daemons[h].LogFile())
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(text[sizes[h]:])), "\n")
		for _, line := range lines[max(0, len(lines)-few):] {
			if line != "" {
				all = append(all, fmt.Sprintf("%s: %.240s", h, line))
			}
		}
	}
	return all
}

// afterwards waits until the cluster is whole, and judges all the time that was.
func (s *stage) afterwards(ctx context.Context) (row, error) {
	r := row{attack: attack{name: "afterwards"}, from: s.began}
	settling, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := s.prober.Whole(settling, 2*detect, s.Agreed); err != nil {
		r.breaks("not whole again: %v", err)
	}
	calm, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r.seen = s.watch(calm)
	s.judgeAll(&r)
	for _, h := range s.Hosts {
		wrong, err := h.HooksOutOfOrder()
		if err != nil {
			return r, err
		}
		for _, text := range wrong {
			r.breaks("hooks: %s", text)
		}
	}
	return r, ctx.Err()
}
