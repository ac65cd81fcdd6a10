package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// Config says how large a lab is.
type Config struct {
	Hosts    int        // how many hosts vm1, vm2, … stand on the switch, 1 … 9; 0 means 3
	Floating netip.Addr // the floating IPv4 address; the zero value means 42.159.241.126
}

// Lab is a running lab. Its fields are not to be changed.
type Lab struct {
	Hosts    []*Host    // vm1, vm2, … with the fixed addresses 10.11.12.4, 10.11.12.5, …
	Client   *Host      // 10.11.12.100; its route to the floating address goes through the balancer
	Balancer *Host      // 10.11.12.2; probes come from 168.63.129.16, as they do on Azure
	Floating netip.Addr // the address that the hosts pass to one another
	Dir      string     // holds a directory for each host; removed on Close

	prefix string
	reaper *reaper
	wires  *wires

	mu      sync.Mutex
	closers []func() // what runs in the lab and has to end before it does; newest last
}

// New builds a lab and removes what labs of dead processes left behind. It takes about a tenth of a second. The
// errors that a person can mend carry a Hint.
func New(cfg Config) (*Lab, error) {
	if err := prerequisites(cfg); err != nil {
		return nil, err
	}
	if err := sweep(); err != nil {
		return nil, err
	}
	l, err := newLab(cfg)
	if err != nil {
		return nil, err
	}
	if err := l.build(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("build the lab: %w", err), l.Close())
	}
	return l, nil
}

func prerequisites(cfg Config) error {
	if os.Geteuid() != 0 {
		return rootError{}
	}
	if cfg.Hosts < 0 || cfg.Hosts > 9 {
		return fmt.Errorf("a lab of %d hosts: 1 to 9 are possible", cfg.Hosts)
	}
	if err := need("ip", "iproute2"); err != nil {
		return err
	}
	return need("nft", "nftables")
}

type rootError struct{}

func (rootError) Error() string { return "the lab makes network namespaces, which only root may" }

// Hint says how to become it.
func (rootError) Hint() string { return "run it with sudo" }

// newLab makes the lab's name, directory and reaper; from here on Close, or death, cleans up.
func newLab(cfg Config) (*Lab, error) {
	var random [3]byte
	rand.Read(random[:]) // never fails, see its documentation
	l := &Lab{
		Floating: cfg.Floating,
		prefix:   fmt.Sprintf("%s%d-%s", namePrefix, os.Getpid(), hex.EncodeToString(random[:])),
	}
	if !l.Floating.IsValid() {
		l.Floating = netip.MustParseAddr("42.159.241.126")
	}
	l.Dir = filepath.Join(os.TempDir(), l.prefix)
	// Apache drops root and must still be able to read its pages, hence not os.MkdirTemp and its 0700.
	if err := os.Mkdir(l.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the lab's directory: %w", err)
	}
	var err error
	l.reaper, err = startReaper(l.prefix)
	return l, err
}

// build makes the switch and everything that is plugged into it.
func (l *Lab) build(cfg Config) error {
	var err error
	if l.wires, err = newWires(l.prefix + "-switch"); err != nil {
		return err
	}
	if cfg.Hosts == 0 {
		cfg.Hosts = 3
	}
	for i := range cfg.Hosts {
		name, last := fmt.Sprintf("vm%d", i+1), byte(4+i)
		l.Hosts = append(l.Hosts, &Host{Name: name, Address: netip.AddrFrom4([4]byte{10, 11, 12, last})})
		l.wires.among(name)
	}
	l.Client = &Host{Name: "client", Address: clientAddress}
	l.Balancer = &Host{Name: "balancer", Address: balancerAddress}
	for _, h := range append([]*Host{l.Client, l.Balancer}, l.Hosts...) {
		h.lab = l
		if err := h.prepare(); err != nil {
			return err
		}
		if err := h.powerOn(); err != nil {
			return err
		}
	}
	return nil
}

// Host returns the host of that name, or nil.
func (l *Lab) Host(name string) *Host {
	for _, h := range l.Hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// Others returns the hosts that are not h.
func (l *Lab) Others(h *Host) []*Host {
	var others []*Host
	for _, other := range l.Hosts {
		if other != h {
			others = append(others, other)
		}
	}
	return others
}

// Close stops all that runs in the lab, removes it and says if anything was left. It may be called more than once.
func (l *Lab) Close() error {
	l.mu.Lock()
	closers := l.closers
	l.closers = nil
	l.mu.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		closers[i]()
	}
	for _, h := range l.Hosts {
		h.losePower()
	}
	return l.reaper.reap()
}

// onClose has f called when the lab closes, before the namespaces go.
func (l *Lab) onClose(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closers = append(l.closers, f)
}
