package vip

import (
	"errors"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// hinted is an error that also says what to do about it.
type hinted struct {
	error
	hint string
}

// Hint is the remedy, for people, without a final full stop.
func (e *hinted) Hint() string { return e.hint }

func (e *hinted) Unwrap() error { return e.error }

// explainBPF adds the remedy to what bpf(2) answered, where there is one that always helps.
func explainBPF(err error) error {
	switch {
	case errors.Is(err, ebpf.ErrNotSupported) && errors.Is(oneMoreFile(), unix.EMFILE): // its probes take any error for a no
		return unix.EMFILE
	case errors.Is(err, unix.EPERM):
		return &hinted{err, "run vipd as root of the host, or with CAP_BPF and CAP_NET_ADMIN;" +
			" before Linux 5.11 it also needs a larger RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=infinity)"}
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, ebpf.ErrNotSupported):
		return &hinted{err, "the fence needs Linux 5.8 or later, built with CONFIG_BPF_SYSCALL; this is " + kernelRelease()}
	}
	return err
}

// oneMoreFile says why no file can be opened.
func oneMoreFile() error {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

// explainNetlink does the same for rtnetlink(7) and packet(7).
func explainNetlink(err error) error {
	if errors.Is(err, unix.EPERM) {
		return &hinted{err, "run vipd as root, or with CAP_NET_ADMIN and CAP_NET_RAW"}
	}
	return err
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}
