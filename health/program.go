package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Program is a process that runs under a name, in any namespace of this host; a zombie does not run.
type Program struct {
	// Name is that of the process, as pgrep -x takes it, or of the file that it executes. The kernel cuts the name of a
	// process after 15 bytes (TASK_COMM_LEN), so that a longer Name can only be that of a file. To see the files of all
	// processes takes CAP_SYS_PTRACE (proc_pid_exe(5)); without it, what a process was called with stands for its file.
	Name string
}

// PIDFile is a process whose id is in a file. It may be another one than the one that wrote it: the kernel uses ids again.
type PIDFile struct {
	Path string
}

func (p Program) try(ctx context.Context) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if name, running := lookAt(pid); running && (name == p.Name || executes(pid) == p.Name) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("no process called %s runs", p.Name)
}

// executes returns the name of the file that a process executes; empty if it is gone, or part of the kernel.
func executes(pid int) string {
	file, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return calledWith(pid)
	case err != nil:
		return ""
	}
	return filepath.Base(strings.TrimSuffix(file, " (deleted)")) // as after an update
}

// calledWith returns the name of the file in a command line, which everybody may see (proc_pid_cmdline(5)).
func calledWith(pid int) string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	file, _, _ := bytes.Cut(line, []byte{0})
	if len(file) == 0 {
		return ""
	}
	return filepath.Base(string(file))
}

func (p PIDFile) try(context.Context) error {
	const most = 64 // what follows the id, as in postmaster.pid, does not matter
	f, err := os.Open(p.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return err
	}
	pid, err := parsePID(text)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Path, err)
	}
	if _, running := lookAt(pid); !running {
		return fmt.Errorf("process %d of %s does not run", pid, p.Path)
	}
	return nil
}

// parsePID reads the first word of a pid file.
func parsePID(text []byte) (int, error) {
	words := bytes.Fields(text)
	if len(words) == 0 {
		return 0, errors.New("holds no process id")
	}
	pid, err := strconv.ParseInt(string(words[0]), 10, 32)
	if err != nil || pid < 1 {
		return 0, fmt.Errorf("%q is not a process id", words[0])
	}
	return int(pid), nil
}

// lookAt returns the name of a process, and whether it runs.
func lookAt(pid int) (name string, running bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false // most likely it has just ended
	}
	return parseStat(stat)
}

// parseStat reads the beginning of a line as in "4711 (httpd) S 1 …" (proc_pid_stat(5)). A name may contain anything.
func parseStat(stat []byte) (name string, running bool) {
	_, rest, ok := bytes.Cut(stat, []byte(" ("))
	end := bytes.LastIndex(rest, []byte(") "))
	if !ok || end < 0 || end+2 >= len(rest) {
		return "", false
	}
	const zombie, dead = 'Z', 'X'
	state := rest[end+2]
	return string(rest[:end]), state != zombie && state != dead
}
