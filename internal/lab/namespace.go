package lab

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// netnsDir is where ip(8) keeps the names of network namespaces.
const netnsDir = "/run/netns"

// namespace is a network namespace and one thread that lives in it. Programs are started by that thread, because the
// kernel kills them (PR_SET_PDEATHSIG) when the thread that started them ends, not when its process does.
type namespace struct {
	name string
	work chan func()
}

// newNamespace makes the namespace and starts its thread.
func newNamespace(name string) (*namespace, error) {
	if err := run("ip", "netns", "add", name); err != nil {
		return nil, err
	}
	n := &namespace{name: name, work: make(chan func())}
	entered := make(chan error)
	thread(func() { n.live(entered) })
	if err := <-entered; err != nil {
		return nil, err
	}
	return n, nil
}

// thread runs f on a thread that ends with f and may therefore be moved to another namespace. The main thread never
// ends, and /proc takes its namespace for that of the whole process, so it is held until f has got another one.
func thread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return // locked: the runtime ends the thread
		}
		defer runtime.UnlockOSThread()
		other := make(chan struct{})
		thread(func() { close(other); f() })
		<-other
	}()
}

// live is the life of the namespace's thread.
func (n *namespace) live(entered chan<- error) {
	err := n.enter()
	entered <- err
	if err != nil {
		return
	}
	for f := range n.work {
		f()
	}
}

// enter moves the calling thread into the namespace.
func (n *namespace) enter() error {
	fd, err := unix.Open(filepath.Join(netnsDir, n.name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", n.name, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", n.name, err)
	}
	return nil
}

// start starts the program in the namespace; it is killed when the lab's process dies.
func (n *namespace) start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &unix.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	done := make(chan error)
	n.work <- func() { done <- cmd.Start() }
	return <-done
}

// within runs f on a thread of its own in the namespace, for sockets that f opens. It returns when f does; f may block.
func (n *namespace) within(f func() error) error {
	done := make(chan error)
	thread(func() {
		if err := n.enter(); err != nil {
			done <- err
			return
		}
		done <- f()
	})
	return <-done
}

// leave ends the namespace's thread; programs that it started die with it.
func (n *namespace) leave() { close(n.work) }
