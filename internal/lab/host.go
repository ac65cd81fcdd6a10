package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

var (
	clientAddress   = netip.AddrFrom4([4]byte{10, 11, 12, 100})
	balancerAddress = netip.AddrFrom4([4]byte{10, 11, 12, 2})
	// probeAddress is where Azure's health probes come from; a host reaches it through its default gateway.
	probeAddress = netip.AddrFrom4([4]byte{168, 63, 129, 16})
)

// Host is a machine on the switch with one link, eth0, and one fixed address.
type Host struct {
	Name    string     // vm1 …, client, balancer
	Address netip.Addr // its fixed address, /24
	Dir     string     // its disk: survives a reboot, goes with the lab

	lab *Lab
	ns  *namespace

	vipd []string // how its commands begin

	mu      sync.Mutex
	daemons []*Daemon
}

// MAC returns the address of eth0. It is the same after a reboot.
func (h *Host) MAC() [6]byte {
	a := h.Address.As4()
	return [6]byte{0x02, 0x00, a[0], a[1], a[2], a[3]}
}

func (h *Host) String() string { return h.Name }

// prepare makes the host's disk.
func (h *Host) prepare() error {
	h.Dir = filepath.Join(h.lab.Dir, h.Name)
	if err := os.Mkdir(h.Dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of %s: %w", h.Name, err)
	}
	return nil
}

// powerOn makes the host's namespace as a machine has it after boot: links up, fixed address, nothing else.
func (h *Host) powerOn() error {
	ns, err := newNamespace(h.lab.prefix + "-" + h.Name)
	if err != nil {
		return err
	}
	h.ns = ns
	mac := h.MAC()
	if err := h.lab.wires.plug(h.Name, ns.name, hexMAC(mac)); err != nil {
		return fmt.Errorf("plug in %s: %w", h.Name, err)
	}
	if err := h.sysctl(); err != nil {
		return err
	}
	lines := []string{"link set lo up", "link set eth0 up", "addr add " + h.Address.String() + "/24 dev eth0"}
	lines = append(lines, h.lab.routes(h)...)
	if err := h.IP(lines...); err != nil {
		return fmt.Errorf("configure %s: %w", h.Name, err)
	}
	return nil
}

// sysctl sets what differs from the kernel's defaults. Red Hat's strict source check is the hardest that a fresh
// machine has; the balancer forwards, and tells nobody of shorter ways, as a cloud's does.
func (h *Host) sysctl() error {
	settings := map[string]string{"conf/all/rp_filter": "1", "conf/default/rp_filter": "1", "conf/eth0/rp_filter": "1"}
	if h == h.lab.Balancer {
		settings = map[string]string{
			"ip_forward": "1", "conf/all/send_redirects": "0", "conf/eth0/send_redirects": "0",
			"conf/all/rp_filter": "0", "conf/eth0/rp_filter": "0", "fib_multipath_hash_policy": "1",
		}
	}
	return h.ns.within(func() error {
		for name, value := range settings {
			if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
				return fmt.Errorf("set net.ipv4 %s on %s: %w", name, h.Name, err)
			}
		}
		return nil
	})
}

// routes lists what a host of that role needs beside its own subnet, as ip(8) takes it.
func (l *Lab) routes(h *Host) []string {
	switch h {
	case l.Client:
		return []string{"route add " + l.Floating.String() + "/32 via " + balancerAddress.String()}
	case l.Balancer:
		return []string{
			"addr add " + probeAddress.String() + "/32 dev eth0",
			"route add blackhole " + l.Floating.String() + "/32 metric 9",
		}
	default:
		client := l.Client
		return []string{
			"route add " + probeAddress.String() + "/32 dev eth0",
			// A prober's answers must not wait for ARP.
			"neigh replace " + client.Address.String() + " lladdr " + hexMAC(client.MAC()) + " dev eth0 nud permanent",
		}
	}
}

// IP runs ip(8) on the host with one command per line.
func (h *Host) IP(lines ...string) error {
	return runWith(strings.Join(lines, "\n")+"\n", "ip", "-n", h.ns.name, "-batch", "-")
}

// Reboot ends every process on the host at once, as a reset does, gives it a kernel that has forgotten all addresses,
// filters and neighbours, and starts the services that were running. Its directory stays, and so do faults of the
// network.
func (h *Host) Reboot() error {
	running := h.losePower()
	if err := h.killAll(); err != nil {
		return fmt.Errorf("reboot %s: %w", h.Name, err)
	}
	h.ns.leave()
	// Pulling the plug first: a namespace and its links live on for a moment after it has lost its name.
	err := errors.Join(h.lab.wires.unplug(h.Name), run("ip", "netns", "del", h.ns.name))
	if err != nil {
		return fmt.Errorf("reboot %s: %w", h.Name, err)
	}
	if err := h.powerOn(); err != nil {
		return fmt.Errorf("reboot %s: %w", h.Name, err)
	}
	for _, d := range running {
		if err := d.begin(); err != nil {
			return err
		}
	}
	return nil
}

// losePower ends all services at once and returns those that were running.
func (h *Host) losePower() []*Daemon {
	h.mu.Lock()
	defer h.mu.Unlock()
	var running []*Daemon
	for _, d := range h.daemons {
		if d.losePower() {
			running = append(running, d)
		}
	}
	return running
}

// killAll kills until nothing runs in the namespace, at most for a second.
func (h *Host) killAll() error {
	return WaitFor(time.Second, func() (bool, error) {
		pids, err := h.pids()
		if err != nil || len(pids) == 0 {
			return err == nil, err
		}
		return false, h.SignalAll(unix.SIGKILL)
	})
}

// Result is what a program that has ended left.
type Result struct {
	Stdout, Stderr string
	Code           int // exit status
}

// Exec runs a program on the host to its end, with the host's directory as its working directory. The error says that
// it could not be run, was killed, or that ctx ended; an exit status is a Result.
func (h *Host) Exec(ctx context.Context, args ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = h.Dir, &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := h.ns.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	r := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: -1}
	if cmd.ProcessState != nil {
		r.Code = cmd.ProcessState.ExitCode()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		err = nil
	}
	if err != nil {
		return r, fmt.Errorf("%s# %s: %w", h.Name, strings.Join(args, " "), err)
	}
	return r, nil
}

// Run is Exec for programs that have to succeed. It returns their standard output.
func (h *Host) Run(ctx context.Context, args ...string) (string, error) {
	r, err := h.Exec(ctx, args...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("%s# %s: exit status %d: %s", h.Name, strings.Join(args, " "), r.Code, strings.TrimSpace(r.Stderr))
	}
	return r.Stdout, err
}

func hexMAC(mac [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
}
