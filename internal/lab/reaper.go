package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// namePrefix begins the name of each namespace of each lab: vipdlab<pid of its process>-<random>-<host>.
const namePrefix = "vipdlab"

// reapScript waits until its stdin ends, kills what runs in the lab's namespaces, and removes them, the mounts below the
// directory, and the directory.
// Its arguments are the lab's name and the directory of temporary files.
// A namespace is asked again until nothing runs in it, since what is being killed may just have started something.
const reapScript = `
cat >/dev/null
for path in ` + netnsDir + `/"$1"-*; do
  [ -e "$path" ] || continue
  ns=${path##*/}
  for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    pids=$(ip netns pids "$ns")
    [ -n "$pids" ] || break
    kill -KILL $pids 2>/dev/null
    sleep 0.02
  done
  ip netns del "$ns"
done
while read -r device path rest; do
  case $path in "$2/$1"/*) umount -l "$path" ;; esac
done </proc/mounts
rm -rf -- "$2/$1"
`

// reaper is a process that removes a lab as soon as the pipe to it closes: because the lab is closed, or because its
// process has died of whatever it may be.
type reaper struct {
	prefix string
	pipe   io.Closer
	cmd    *exec.Cmd
	stderr strings.Builder
	once   sync.Once
	err    error
}

// startReaper starts the reaper in a session of its own, so that Ctrl-C reaches the lab's process but not it.
func startReaper(prefix string) (*reaper, error) {
	r := &reaper{prefix: prefix, cmd: exec.Command("/bin/sh", "-c", reapScript, "reaper", prefix, os.TempDir())}
	r.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	r.cmd.Stderr = &r.stderr
	pipe, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the lab's reaper: %w", err)
	}
	r.pipe = pipe
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the lab's reaper: %w", err)
	}
	return r, nil
}

// reap has the lab removed, waits for it and looks whether it is true.
func (r *reaper) reap() error {
	r.once.Do(func() { r.err = r.removeAll() })
	return r.err
}

func (r *reaper) removeAll() error {
	err := errors.Join(r.pipe.Close(), r.cmd.Wait())
	if err != nil {
		return fmt.Errorf("remove the lab: %w: %s", err, strings.TrimSpace(r.stderr.String()))
	}
	if left := traces(r.prefix); len(left) > 0 {
		return fmt.Errorf("remove the lab: left are %s", strings.Join(left, " "))
	}
	return nil
}

// traces lists the namespaces and directories whose names begin so.
func traces(prefix string) []string {
	var found []string
	for _, dir := range []string{netnsDir, os.TempDir()} {
		paths, _ := filepath.Glob(filepath.Join(dir, prefix+"*")) // fails for malformed patterns only
		found = append(found, paths...)
	}
	return found
}

// sweep removes what is left of labs whose process and reaper are both dead.
func sweep() error {
	stale := map[string]bool{}
	for _, path := range traces(namePrefix) {
		if prefix, pid, ok := labOf(filepath.Base(path)); ok && !alive(pid) {
			stale[prefix] = true
		}
	}
	for prefix := range stale {
		if err := run("/bin/sh", "-c", reapScript, "sweep", prefix, os.TempDir()); err != nil {
			return fmt.Errorf("sweep up the lab %s: %w", prefix, err)
		}
	}
	return nil
}

// labOf takes the lab's name and its process out of the name of one of its namespaces or of its directory.
func labOf(name string) (prefix string, pid int, ok bool) {
	parts := strings.Split(name, "-")
	if len(parts) < 2 {
		return "", 0, false
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(parts[0], namePrefix))
	return parts[0] + "-" + parts[1], pid, err == nil
}

func alive(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
