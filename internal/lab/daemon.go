package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	startTimeout = 20 * time.Second // until READY=1
	stopTimeout  = 20 * time.Second // from SIGTERM to SIGKILL
)

// Service is a daemon as systemd would be told of it; the comments name systemd's words (systemd.service(5)).
type Service struct {
	Name         string        // its output goes to <Name>.log in the host's directory
	Start        []string      // ExecStart
	Notify       bool          // Type=notify: it is started when it has sent READY=1 (sd_notify(3)); otherwise Type=simple
	StopPost     []string      // ExecStopPost: runs after each end of the daemon, also of one that was killed; may be empty
	Restart      bool          // Restart=always
	RestartDelay time.Duration // RestartSec; 0 means systemd's default, 100 ms
}

// Daemon is a service of a host, started and looked after.
type Daemon struct {
	host    *Host
	service Service

	mu     sync.Mutex
	pid    int
	starts []time.Time
	life   *life // of the supervision: from its start to Stop, or to the host's next reboot
}

// life is one run of the supervision.
type life struct {
	ending chan struct{} // closed when the daemon is to end
	lost   bool          // by loss of power, so that nothing runs afterwards; set before ending is closed
	ended  chan struct{} // closed when it has, and StopPost too
}

// StartService starts the service and looks after it until Stop or the end of the lab. A reboot of the host ends it at
// once and starts it anew, as an enabled unit. It returns when the service is started; with Notify that takes until the
// program says that it is ready, and is an error after 20 s.
func (h *Host) StartService(s Service) (*Daemon, error) {
	if s.RestartDelay == 0 {
		s.RestartDelay = 100 * time.Millisecond
	}
	d := &Daemon{host: h, service: s}
	if err := d.begin(); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.daemons = append(h.daemons, d)
	return d, nil
}

// begin starts the supervision and waits until the service is started.
func (d *Daemon) begin() error {
	var ready *readiness
	if d.service.Notify {
		var err error
		if ready, err = listenReady(filepath.Join(d.host.Dir, d.service.Name+".notify")); err != nil {
			return err
		}
		defer ready.close()
	}
	l := &life{ending: make(chan struct{}), ended: make(chan struct{})}
	cmd, err := d.exec(l)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.life = l
	d.mu.Unlock()
	go d.supervise(cmd, l)
	if ready == nil {
		return nil
	}
	if err := ready.wait(l.ended); err != nil {
		return fmt.Errorf("start %s on %s: %w; its log:\n%s", d.service.Name, d.host.Name, err, d.Log())
	}
	return nil
}

// exec starts the program once. It holds the lock, so that after end either there is a process to signal, or none will
// be started.
func (d *Daemon) exec(l *life) (*exec.Cmd, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.over() {
		return nil, errors.New("it is to end")
	}
	cmd, err := d.command(d.service.Start)
	if err == nil {
		err = d.host.ns.start(cmd)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", d.service.Name, d.host.Name, err)
	}
	d.pid = cmd.Process.Pid
	d.starts = append(d.starts, time.Now())
	return cmd, nil
}

// command prepares a program of the service with the environment and the output that systemd would give it.
func (d *Daemon) command(args []string) (*exec.Cmd, error) {
	log, err := os.OpenFile(d.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.host.Dir, log, log
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	if d.service.Notify {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+filepath.Join(d.host.Dir, d.service.Name+".notify"))
	}
	return cmd, nil
}

// supervise waits for the program to end, runs StopPost and starts it again, as long as the life lasts.
func (d *Daemon) supervise(cmd *exec.Cmd, l *life) {
	defer close(l.ended)
	for {
		_ = cmd.Wait() // how it ended makes no difference to Restart=always
		d.gone()
		cmd.Stdout.(*os.File).Close()
		if l.over() && l.lost {
			return
		}
		d.stopPost()
		if !d.service.Restart || !l.lastsFor(d.service.RestartDelay) {
			return
		}
		var err error
		if cmd, err = d.exec(l); err != nil {
			return
		}
	}
}

func (d *Daemon) stopPost() {
	if len(d.service.StopPost) == 0 {
		return
	}
	cmd, err := d.command(d.service.StopPost)
	if err != nil {
		return
	}
	defer cmd.Stdout.(*os.File).Close()
	if err := d.host.ns.start(cmd); err == nil {
		_ = cmd.Wait() // like systemd, we go on whatever it returns; its output is in the log
	}
}

func (l *life) over() bool { return !l.lastsFor(0) }

// lastsFor waits that long and reports whether the life still goes on.
func (l *life) lastsFor(pause time.Duration) bool {
	select {
	case <-l.ending:
		return false
	default:
	}
	if pause == 0 {
		return true
	}
	select {
	case <-l.ending:
		return false
	case <-time.After(pause):
		return true
	}
}

// PID is the process id of the running program, 0 between two runs.
func (d *Daemon) PID() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pid
}

// Starts lists when the program was started, oldest first.
func (d *Daemon) Starts() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.starts)
}

func (d *Daemon) gone() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pid = 0
}

// Signal sends the signal to the program and its children, but not to those children that have made a process group of
// their own, as hooks have.
func (d *Daemon) Signal(sig unix.Signal) error {
	pid := d.PID()
	if pid == 0 {
		return fmt.Errorf("signal %s on %s: it is not running", d.service.Name, d.host.Name)
	}
	if err := unix.Kill(-pid, sig); err != nil {
		return fmt.Errorf("signal %s on %s: %w", d.service.Name, d.host.Name, err)
	}
	return nil
}

// Stop ends the service as `systemctl stop` does: SIGTERM, and SIGKILL if it takes longer than 20 s, which is an error.
// It returns when StopPost is over. A stopped service can be started again with Restart.
func (d *Daemon) Stop() error {
	l := d.end(false)
	select {
	case <-l.ended:
		return nil
	default:
	}
	_ = d.Signal(unix.SIGTERM) // it may just have ended
	select {
	case <-l.ended:
		return nil
	case <-time.After(stopTimeout):
	}
	_ = d.Signal(unix.SIGKILL)
	<-l.ended
	return fmt.Errorf("stop %s on %s: it was still there %v after SIGTERM", d.service.Name, d.host.Name, stopTimeout)
}

// Restart stops the service and starts it again.
func (d *Daemon) Restart() error {
	if err := d.Stop(); err != nil {
		return err
	}
	return d.begin()
}

// end says that the daemon is to end; it does not make it.
func (d *Daemon) end(lost bool) *life {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.life.ending:
	default:
		d.life.lost = lost
		close(d.life.ending)
	}
	return d.life
}

// losePower ends the daemon and leaves nobody the time to do anything about it. It reports whether it was running.
func (d *Daemon) losePower() bool {
	l := d.end(true)
	_ = d.Signal(unix.SIGKILL)
	<-l.ended
	return l.lost
}

// LogFile is where the output of the service goes.
func (d *Daemon) LogFile() string { return filepath.Join(d.host.Dir, d.service.Name+".log") }

// Log is that output, for messages about what went wrong.
func (d *Daemon) Log() string {
	text, err := os.ReadFile(d.LogFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
