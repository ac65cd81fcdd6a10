package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSocketPath is how long the path of a socket may be, in bytes: sun_path of
// unix(7) holds 108, one of them the final zero.
const maxSocketPath = 107

const lockSuffix = ".lock"

// askers is the group whose members may ask, where it exists.
const askers = "vipd"

// Socket is the right to speak for one socket path. At most one process has it;
// the kernel takes it back when that process ends, however it ends.
type Socket struct {
	path string
	lock *os.File
}

// Claim takes the right to speak for the socket at path, making its directory
// (mode 0755) where it is missing. While another process has that right it
// fails at once with an [Error]. It does not touch the socket itself.
//
// The right is a lock (flock(2)) on path + ".lock". That file stays where it
// is: removing it would let two processes lock two files of the same name.
func Claim(path string) (*Socket, error) {
	if path == "" || len(path) > maxSocketPath {
		return nil, usagef("the socket's path %q must have 1 to %d bytes", path, maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // the socket's mode says who may use it
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	lock, err := os.OpenFile(path+lockSuffix, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the socket's lock: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, claimError(path, err)
	}
	return &Socket{path: path, lock: lock}, nil
}

func claimError(path string, err error) error {
	if errors.Is(err, unix.EWOULDBLOCK) {
		return &Error{
			Message: "a daemon is already running: it has " + path,
			Advice:  "stop it first; a second group on this host needs a configuration file of its own",
			Code:    CodeFailed,
		}
	}
	return fmt.Errorf("lock %s: %w", path+lockSuffix, err)
}

// Listen makes the socket in place of what a dead daemon left, and listens on it.
// Where this host has a group "vipd" it is for that group too (mode 0660), else for
// its owner alone (0600). What is not a socket is not replaced. Closing the
// listener removes the socket.
func (s *Socket) Listen() (net.Listener, error) {
	if info, err := os.Lstat(s.path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, usagef("listen on %s: there is something else by that name", s.path)
	}
	fresh := aside(s.path)
	_ = os.Remove(fresh)
	// Bound aside and renamed, the socket never exists with a looser mode, and
	// whoever asks meanwhile finds the old one or the new one.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", s.path, err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(letIn(fresh), os.Rename(fresh, s.path)); err != nil {
		_ = l.Close()
		_ = os.Remove(fresh)
		return nil, fmt.Errorf("listen on %s: %w", s.path, err)
	}
	return &listener{UnixListener: l, path: s.path}, nil
}

// letIn sets who may connect to the socket at path. A daemon that may not give it to
// the group keeps it for itself.
func letIn(path string) error {
	group, err := user.LookupGroup(askers)
	if _, unknown := errors.AsType[user.UnknownGroupError](err); unknown || errors.Is(err, fs.ErrNotExist) {
		return os.Chmod(path, 0o600)
	}
	if err != nil {
		return fmt.Errorf("look up the group %s: %w", askers, err)
	}
	gid, err := strconv.Atoi(group.Gid)
	if err != nil {
		return fmt.Errorf("look up the group %s: %w", askers, err)
	}
	switch err := os.Chown(path, -1, gid); {
	case errors.Is(err, fs.ErrPermission):
		return os.Chmod(path, 0o600)
	case err != nil:
		return err
	}
	return os.Chmod(path, 0o660) //nolint:gosec // the group may ask
}

// aside returns a name beside path that is no longer than it: the kernel would
// not take a longer one.
func aside(path string) string {
	if name, ok := strings.CutSuffix(path, "~"); ok {
		return name + "+"
	}
	return path[:len(path)-1] + "~"
}

// Release gives the right back. It does not close listeners.
func (s *Socket) Release() error {
	if err := s.lock.Close(); err != nil {
		return fmt.Errorf("unlock %s: %w", s.lock.Name(), err)
	}
	return nil
}

// listener removes its socket when it is closed.
type listener struct {
	*net.UnixListener
	path string
}

func (l *listener) Close() error {
	err := l.UnixListener.Close()
	if err == nil {
		_ = os.Remove(l.path)
	}
	return err
}
