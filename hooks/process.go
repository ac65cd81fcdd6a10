package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// killGrace is how long a killed script is waited for. Only a process that hangs inside the kernel (a dead NFS server, say)
// takes longer, and such a process will not run another instruction of its own.
const killGrace = time.Second

// process is a running script, the leader of its own process group.
type process struct {
	kill   func()        // kills the whole group
	exited chan struct{} // closed when the script is gone; only then err may be read
	err    error         // what it exited with
}

// start runs argv as user with exactly env and both outputs going to out. A file without a #! line is given to /bin/sh, as execvp(3)
// and keepalived do.
func start(argv, env []string, user User, out *os.File) (*process, error) {
	if err := user.usable(); err != nil {
		return nil, err
	}
	p, err := startOnce(argv, env, user, out)
	if errors.Is(err, syscall.ENOEXEC) {
		return startOnce(append([]string{"/bin/sh"}, argv...), env, user, out)
	}
	return p, err
}

func startOnce(argv, env []string, user User, out *os.File) (*process, error) {
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx,gosec // a context kills the process alone, not its group; the program is the operator's
	cmd.Env = env
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: user.Credential}
	p := &process{
		kill:   func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) },
		exited: make(chan struct{}),
	}
	started := make(chan error)
	go func() {
		// The signal comes when the thread that started the child ends (prctl(2)), so this one stays until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	ordinaryOOM(cmd.Process.Pid)
	return p, nil
}

// await blocks until the script has exited. If ctx ends before that, it kills the group and fails with the cause.
func (p *process) await(ctx context.Context) error {
	select {
	case <-p.exited:
		return p.err
	case <-ctx.Done():
	}
	p.kill()
	select {
	case <-p.exited:
		return context.Cause(ctx)
	case <-time.After(killGrace):
		return fmt.Errorf("%w, but it hangs in the kernel", context.Cause(ctx))
	}
}

// ordinaryOOM gives the script the ordinary standing with the out-of-memory killer (proc(5), oom_score_adj). A service that
// the script starts would else inherit vipd's own, which its unit sets so that the kernel kills nearly everything else first.
// It is an improvement only: where the kernel refuses it, the script is none the worse.
func ordinaryOOM(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("0"), 0)
}
