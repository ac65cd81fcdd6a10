package simulate

import (
	"errors"
	"time"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/election"
)

// kernel is what a host's kernel knows: the fence and the address. It outlives the
// daemon, not the host's power. All of it is guarded by world.mu.
type kernel struct {
	deadline   election.Instant // of the fence
	armed      bool
	disarmed   election.Instant // when it was last seen to be, if it is not armed
	bound      bool
	validUntil election.Instant // then the kernel takes the address off
	lasting    bool             // it does not: whoever does not take it off by himself is found out
	lastOpen   election.Instant // the fence was open until then, or later
	opened     time.Time        // when it was opened last
	leased     election.Instant // it was put in force anew, which closes it, under a lease until then
	faults     kernelFaults

	drift chan struct{} // of the daemon that lives; holds a token after a change
}

// kernelFaults says what the kernel refuses now.
type kernelFaults struct{ arm, bind, release bool }

func (k *kernel) isOpen(now election.Instant) bool { return now < k.deadline }
func (k *kernel) has(now election.Instant) bool    { return k.bound && (k.lasting || now < k.validUntil) }

// closedFor is how long the fence has been closed; 0 if it is open.
func (k *kernel) closedFor(now election.Instant) time.Duration {
	if k.isOpen(now) {
		return 0
	}
	return now.Sub(max(k.lastOpen, k.deadline))
}

func (k *kernel) set(now, deadline election.Instant) {
	if k.isOpen(now) {
		k.lastOpen = now
	} else {
		k.lastOpen = max(k.lastOpen, k.deadline)
	}
	k.deadline = deadline
}

// unarmedFor is how long there has been no fence; 0 if there is one.
func (k *kernel) unarmedFor(now election.Instant) time.Duration {
	if k.armed {
		return 0
	}
	return now.Sub(k.disarmed)
}

func (k *kernel) disarm(now election.Instant) {
	if k.armed {
		k.armed, k.disarmed = false, now
	}
}

// changed tells the daemon, as a netlink message does.
func (k *kernel) changed() {
	select {
	case k.drift <- struct{}{}:
	default:
	}
}

// calls are the system calls of one life of a daemon.
type calls struct {
	host    *host
	process *process
}

var (
	_ election.Fence = calls{}
	_ agent.Kernel   = calls{}

	errDead   = errors.New("the process is dead")
	errKernel = errors.New("operation not permitted")
)

// do performs a system call, unless the process has died.
func (c calls) do(f func(k *kernel, now election.Instant) error) error {
	c.process.pass()
	w := c.host.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.process.dead.Load() {
		return errDead
	}
	return f(&c.host.kernel, c.host.clock.now())
}

// SetDeadline moves the deadline of the fence.
func (c calls) SetDeadline(boottime int64) {
	_ = c.do(func(k *kernel, now election.Instant) error {
		was := k.isOpen(now)
		c.host.world.steadiness.stored(c.host, k.deadline.Sub(now), election.Instant(boottime).Sub(now))
		k.set(now, election.Instant(boottime))
		switch {
		case k.isOpen(now):
			c.host.world.fenceMoved(c.host, !was)
		case was:
			c.host.world.closesFor(c.host)
		}
		return nil
	})
}

// Arm puts a closed fence in force.
func (c calls) Arm() error {
	return c.do(func(k *kernel, now election.Instant) error {
		if k.faults.arm {
			k.disarm(now)
			return errKernel
		}
		k.leased = max(k.leased, k.deadline)
		k.set(now, 0)
		k.armed = true
		return nil
	})
}

// Check says whether the fence is in force.
func (c calls) Check() error {
	return c.do(func(k *kernel, _ election.Instant) error {
		if !k.armed {
			return errors.New("the filter is gone")
		}
		return nil
	})
}

// Bind puts the address on.
func (c calls) Bind(validFor time.Duration) error {
	return c.do(func(k *kernel, now election.Instant) error {
		if k.faults.bind {
			return errKernel
		}
		c.host.world.binds(c.host, now)
		c.host.world.bindsFor(c.host, now)
		k.bound, k.validUntil = true, now.Add((validFor + time.Second - 1).Truncate(time.Second))
		return nil
	})
}

// ResetConnections finds none.
func (c calls) ResetConnections() error {
	return c.do(func(*kernel, election.Instant) error { return nil })
}

// Release takes the address off.
func (c calls) Release() error {
	return c.do(func(k *kernel, _ election.Instant) error {
		if k.faults.release {
			return errKernel
		}
		k.bound = false
		return nil
	})
}

// Bound says whether the address is there.
func (c calls) Bound() (bool, error) {
	var bound bool
	err := c.do(func(k *kernel, now election.Instant) error {
		bound = k.has(now)
		return nil
	})
	return bound, err
}

// Announce does nothing.
func (c calls) Announce() error { return c.do(func(*kernel, election.Instant) error { return nil }) }
