package main

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/election"
	"github.com/vipd/vipd/vip"
)

// kernel is what this host's kernel is told: the addresses on their links and the
// fence around them. The election moves the fence's deadline, the agent does the
// rest.
type kernel struct {
	*vip.Binder
	cfg vip.Config

	fence atomic.Pointer[vip.Fence] // nil until it could be armed

	mu  sync.Mutex // the fence's Check, Arm and Clear are one at a time
	err error      // why the fence is not in force
}

var errNeverArmed = errors.New("the fence was never armed")

func newKernel(cfg vip.Config) *kernel {
	return &kernel{Binder: vip.NewBinder(cfg), cfg: cfg, err: errNeverArmed}
}

// SetDeadline moves the deadline of the fence. Without a fence there is nothing to
// open: this host then never stands for election.
func (k *kernel) SetDeadline(boottime int64) {
	if f := k.fence.Load(); f != nil {
		f.SetDeadline(boottime)
	}
}

// Deadline returns when the fence closes, as CLOCK_BOOTTIME nanoseconds.
func (k *kernel) Deadline() election.Instant {
	if f := k.fence.Load(); f != nil {
		return election.Instant(f.Deadline())
	}
	return 0
}

// Arm puts a closed fence in force, in place of whatever was there.
func (k *kernel) Arm() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.cfg.Addresses) == 0 { // a witness has nothing to fence but what it left when it was none
		_, k.err = vip.Clear(k.cfg)
		return k.err
	}
	f, err := vip.Arm(k.cfg)
	if k.err = err; err != nil {
		return err
	}
	if old := k.fence.Swap(f); old != nil {
		old.Close()
	}
	return nil
}

// Check reads from the kernel whether the fence is in force. One that was found
// broken stays so until it is armed again.
func (k *kernel) Check() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.fence.Load(); k.err == nil && f != nil {
		k.err = f.Check()
	}
	return k.err
}

// Clear takes addresses and fence away for good, in this order; the fence stays
// where an address does.
func (k *kernel) Clear() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = errNeverArmed
	if f := k.fence.Swap(nil); f != nil {
		f.Close()
	}
	_, err := vip.Clear(k.cfg)
	return err
}

// boottime reads CLOCK_BOOTTIME, the clock that the fence goes by.
func boottime() election.Instant {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // clock_gettime(2) fails only for a clock that the kernel lacks
	}
	return election.Instant(now.Nano())
}

// validity is how long a bound address lives in the kernel unless it is renewed,
// which happens every second.
func validity(detect time.Duration) time.Duration { return detect + 2*time.Second }
