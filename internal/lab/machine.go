package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SignalAll sends the signal to every process on the host.
func (h *Host) SignalAll(sig unix.Signal) error {
	pids, err := h.pids()
	if err != nil {
		return fmt.Errorf("signal all processes of %s: %w", h.Name, err)
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, sig) // it may be gone already
	}
	return nil
}

// pids lists the processes of the host, without the lab's own.
func (h *Host) pids() ([]int, error) {
	out, err := exec.Command("ip", "netns", "pids", h.ns.name).Output()
	var pids []int
	for _, field := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(field); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// LinkDown takes eth0 down, as `ip link set eth0 down`; the host notices.
func (h *Host) LinkDown() error { return h.IP("link set eth0 down") }

// LinkUp takes eth0 up again and restores the routes that went with it.
func (h *Host) LinkUp() error {
	lines := []string{"link set eth0 up"}
	for _, line := range h.lab.routes(h) {
		lines = append(lines, strings.Replace(line, "route add", "route replace", 1))
	}
	return h.IP(lines...)
}

// AddAddress binds the floating address by hand.
func (h *Host) AddAddress(link string) error {
	return h.IP("addr replace " + h.lab.Floating.String() + "/32 dev " + link)
}

// DeleteAddress removes the floating address by hand. It reports whether it was there.
func (h *Host) DeleteAddress(link string) bool {
	return h.IP("addr del "+h.lab.Floating.String()+"/32 dev "+link) == nil
}

// RemoveFilters removes all tc filters on one side of eth0, "ingress" or "egress", by hand.
func (h *Host) RemoveFilters(side string) error {
	return run("tc", "-n", h.ns.name, "filter", "del", "dev", "eth0", side)
}

// ReplaceFilters puts a program that passes everything into the place of each BPF filter on one side of eth0, and reports
// whether there were any.
func (h *Host) ReplaceFilters(side string) (found bool, err error) {
	out, err := exec.Command("tc", "-n", h.ns.name, "filter", "show", "dev", "eth0", side).Output()
	if err != nil {
		return false, fmt.Errorf("list the %s filters of %s: %w", side, h.Name, err)
	}
	filters := regexp.MustCompile(`pref (\d+) bpf .*handle (0x[0-9a-f]+) `).FindAllStringSubmatch(string(out), -1)
	for _, f := range filters {
		err = errors.Join(err, run("tc", "-n", h.ns.name, "filter", "replace", "dev", "eth0", side, "pref", f[1],
			"protocol", "all", "handle", f[2], "bpf", "da", "bytecode", "1,6 0 0 4294967295"))
	}
	return len(filters) > 0, err
}

// ExhaustFiles lets the daemon open no file or connection more than it has, until mend is called or it starts anew.
func (d *Daemon) ExhaustFiles() (mend func() error, err error) {
	return d.limit(unix.RLIMIT_NOFILE, func(pid int) (uint64, error) {
		free := uint64(0)
		for isOpen(pid, free) {
			free++
		}
		return free, nil
	})
}

func isOpen(pid int, fd uint64) bool {
	_, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
	return err == nil
}

// ExhaustMemory lets the kernel give the daemon no memory more than it has, until mend is called or it starts anew.
func (d *Daemon) ExhaustMemory() (mend func() error, err error) {
	return d.limit(unix.RLIMIT_DATA, func(pid int) (uint64, error) {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
		if err != nil {
			return 0, err
		}
		found := regexp.MustCompile(`VmData:\s*(\d+) kB`).FindSubmatch(text)
		if found == nil {
			return 0, errors.New("/proc says nothing about its memory")
		}
		kibibytes, err := strconv.ParseUint(string(found[1]), 10, 64)
		return kibibytes << 10, err
	})
}

// limit lowers a limit of the running process to what it uses now.
func (d *Daemon) limit(resource int, used func(pid int) (uint64, error)) (mend func() error, err error) {
	pid := d.PID()
	if pid == 0 {
		return func() error { return nil }, nil
	}
	var before unix.Rlimit
	now, err := used(pid)
	if err == nil {
		err = unix.Prlimit(pid, resource, nil, &before)
	}
	if err == nil {
		err = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: now, Max: before.Max}, nil)
	}
	if err != nil && !d.died(pid) {
		return nil, fmt.Errorf("limit %s on %s: %w", d.service.Name, d.host.Name, err)
	}
	return func() error {
		if err := unix.Prlimit(pid, resource, &before, nil); err != nil && !d.died(pid) {
			return fmt.Errorf("give %s on %s its limits back: %w", d.service.Name, d.host.Name, err)
		}
		return nil
	}, nil
}

// died reports whether the daemon that was pid has ended, also when nobody has taken note of it yet.
func (d *Daemon) died(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return d.PID() != pid || err != nil || strings.Contains(string(stat), ") Z ")
}

// Starve runs that many busy loops at normal priority until mend is called. All hosts share the machine's processors.
func (l *Lab) Starve(loops int) (mend func() error, err error) {
	var running []*exec.Cmd
	mend = func() error {
		for _, cmd := range running {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // says that it was killed
		}
		return nil
	}
	for range loops {
		cmd := exec.Command("/bin/sh", "-c", "while :; do :; done")
		if err := l.wires.ns.start(cmd); err != nil {
			return nil, errors.Join(fmt.Errorf("start a busy loop: %w", err), mend())
		}
		running = append(running, cmd)
	}
	return mend, nil
}
