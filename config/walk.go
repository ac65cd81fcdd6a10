package config

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// step is one thing on the way to a file: a folder, a symbolic link or the file itself.
type step struct {
	path string
	mode fs.FileMode
	bits uint32 // of the mode, as chmod(1) takes them
	uid  uint32
}

func lstat(path string) (step, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return step{}, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	return step{path: path, mode: info.Mode(), bits: stat.Mode & 0o7777, uid: stat.Uid}, nil
}

// shared says that others than its owner may write there. The bits of a symbolic link mean nothing (symlink(7)).
func (s step) shared() bool {
	const groupAndOthers = 0o022
	return s.mode.Type() != fs.ModeSymlink && s.bits&groupAndOthers != 0
}

// sticky says that users may write there, and not remove or rename what is not theirs (chmod(2), S_ISVTX).
func (s step) sticky() bool { return s.mode.IsDir() && s.mode&fs.ModeSticky != 0 && s.uid == 0 }

// way returns what the kernel passes on the way to an absolute path (path_resolution(7)), from the root to the file itself.
func way(path string) ([]step, error) {
	const maxLinks = 40 // as in the kernel (MAXSYMLINKS in include/linux/namei.h)
	at, links, rest := "/", 0, strings.Split(path, "/")
	root, err := lstat(at)
	steps := []step{root}
	for err == nil && len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		next := filepath.Join(at, name) // at has no links in it, so that .. is what it seems
		var s step
		if s, err = lstat(next); err != nil {
			break
		}
		if name != ".." {
			steps = append(steps, s)
		}
		if s.mode.Type() != fs.ModeSymlink {
			at = next
			continue
		}
		var target string
		if target, err = os.Readlink(next); err == nil && links == maxLinks {
			err = &fs.PathError{Op: "follow", Path: path, Err: syscall.ELOOP}
		}
		links++
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return steps, err
}

// custody finds files that others than those who are trusted could change.
type custody struct {
	*reader
	uid  uint32          // of vipd
	told map[string]bool // the paths that were refused: one is mended once, however many scripts are below
}

// file refuses a file if somebody else than root, vipd's user and one more user, if there is one, can change it or put
// another in its place. In a folder as /tmp, where all may write and nobody may remove what is not his own, what belongs to
// a trusted user is safe; but each thing on the way must be closed to others or lie in one that is.
func (c custody) file(v value, path string, more ...uint32) {
	steps, err := way(path)
	if err != nil {
		c.refuse(v, "every folder on the path must be readable", "%q cannot be looked at: %v", path, err)
		return
	}
	trusted := append([]uint32{0, c.uid}, more...)
	inSticky := false
	for _, s := range steps {
		foreign, open := !slices.Contains(trusted, s.uid), s.shared() && (inSticky || !s.sticky())
		inSticky = s.sticky() && s.shared()
		if !foreign && !open || c.told[s.path] {
			continue
		}
		c.told[s.path] = true
		what := fmt.Sprintf("%q could be changed by others than %s", path, names(trusted))
		if s.path == path {
			what += ": it"
		} else {
			what += fmt.Sprintf(": %q", s.path)
		}
		c.refuse(v, s.remedy(foreign, open), "%s belongs to %s and has mode %04o", what, userName(s.uid), s.bits)
	}
}

// remedy is what to type.
func (s step) remedy(foreign, open bool) string {
	var commands []string
	if foreign && s.mode.Type() == fs.ModeSymlink {
		commands = append(commands, "chown -h root "+s.path)
	} else if foreign {
		commands = append(commands, "chown root "+s.path)
	}
	if open {
		commands = append(commands, "chmod go-w "+s.path)
	}
	return strings.Join(commands, " && ")
}

// names lists users, each once.
func names(uids []uint32) string {
	uids = slices.Clone(uids)
	slices.Sort(uids)
	var all []string
	for _, uid := range slices.Compact(uids) {
		all = append(all, userName(uid))
	}
	return strings.Join(all, " and ")
}

func userName(uid uint32) string {
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", uid)
}
