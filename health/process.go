package health

import (
	"errors"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// outputGrace is how long the end of a script's output is waited for after its exit: something that it started may still
// hold the pipe. Then the pipe is closed.
const outputGrace = 100 * time.Millisecond

// Script is a program of the operator's.
type Script struct {
	// Command is the program and its arguments, run without a shell, in / and with PATH, LANG and HOME as its whole
	// environment. Exit status 0 means healthy. What it leaves running is not killed, but loses its output.
	Command []string
	// User is whom it runs as.
	User User
}

// start runs the script. A file without a #! line is given to /bin/sh, as execvp(3) and keepalived do.
func (s Script) start() (*process, error) {
	if err := s.User.usable(); err != nil {
		return nil, describe(s.Command, err)
	}
	p, err := startOnce(s.Command, s.User)
	if errors.Is(err, syscall.ENOEXEC) {
		p, err = startOnce(append([]string{"/bin/sh"}, s.Command...), s.User)
	}
	if err != nil {
		return nil, describe(s.Command, err)
	}
	return p, nil
}

func startOnce(argv []string, user User) (*process, error) {
	out := &tail{}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx,gosec // a context kills the process alone, not its group; the program is the operator's
	// The whole environment. PATH is systemd's default (systemd.exec(5)): a script behaves alike however vipd was started.
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + user.home()}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = outputGrace
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: user.Credential}
	p := &process{
		kill:   func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) },
		exited: make(chan struct{}),
		output: out.String,
	}
	started := make(chan error)
	go func() {
		// The signal comes when the thread that started the child ends (prctl(2)), so this one stays until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		defer close(p.exited)
		if err := cmd.Wait(); !errors.Is(err, exec.ErrWaitDelay) {
			p.err = err
		}
	}()
	return p, <-started
}
