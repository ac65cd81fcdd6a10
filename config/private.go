package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const anyOfOthers = 0o077 // bits of a mode

// checkDataDir refuses a directory that is not vipd's alone, and one that is none. One that is missing is made at the start.
func (c custody) checkDataDir(v value, path string) {
	info, err := os.Stat(path)
	if errors.Is(err, syscall.ENOTDIR) || err == nil && !info.IsDir() {
		c.refuse(v, "name a directory that vipd may have for itself, or leave data_dir out", "%s is not a directory", quote(path))
		return
	}
	if err != nil {
		return
	}
	stat := info.Sys().(*syscall.Stat_t)
	dir := step{path: path, bits: stat.Mode & 0o7777, uid: stat.Uid}
	if !c.checkPrivate(v, dir, "if nothing else is in it, chmod 700 ") {
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return // whoever opens it says more
	}
	for _, entry := range entries {
		if s, err := lstat(filepath.Join(path, entry.Name())); err == nil && s.mode.IsRegular() {
			c.checkPrivate(v, s, "chmod 600 ")
		}
	}
}

// checkPrivate refuses what others than vipd's user may look into.
func (c custody) checkPrivate(v value, s step, chmod string) bool {
	if s.uid == c.uid && s.bits&anyOfOthers == 0 {
		return true
	}
	hint := chmod + s.path
	switch {
	case s.uid != c.uid && c.uid != 0:
		hint = "check as the user who runs vipd: sudo vipd check"
	case s.uid != c.uid:
		hint += " && chown root " + s.path
	}
	c.refuse(v, hint, "%q must be for %s alone: it belongs to %s and has mode %04o", s.path, userName(c.uid), userName(s.uid), s.bits)
	return false
}

// checkSocketDir refuses a folder in which others could put a socket of their own in the place of vipd's. One that is
// missing is made at the start.
func (c custody) checkSocketDir(v value, socket string) {
	info, err := os.Stat(filepath.Dir(socket))
	if err != nil {
		return
	}
	stat := info.Sys().(*syscall.Stat_t)
	s := step{path: filepath.Dir(socket), mode: info.Mode(), bits: stat.Mode & 0o7777, uid: stat.Uid}
	if foreign := !slices.Contains([]uint32{0, c.uid}, s.uid); foreign || s.shared() {
		c.refuse(v, "name a folder that vipd has for itself, as /run/vipd, or leave socket out",
			"others could put a socket of their own into %q: it belongs to %s and has mode %04o", s.path, userName(s.uid), s.bits)
	}
}
