package election

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	bbolterrors "go.etcd.io/bbolt/errors"
)

// beginAnew is the way out for a member whose files can't be trusted any more: what
// it had, the others have.
const beginAnew = "if the disk is well, let this host begin anew: stop vipd, empty the data directory, start vipd, and type what `vipd token create` on a member prints; it takes its old place"

// damaged says that a file of the data directory does not hold what was written.
func damaged(path string, err error) error {
	return hinted(fmt.Sprintf("%s is damaged: %v", path, err), beginAnew)
}

// unusable says why the data directory can't be opened, with the way out.
func unusable(path string, err error) error {
	if _, told := errors.AsType[*hintedError](err); told {
		return err
	}
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return hinted(path+" is in use by another process", "is vipd running already? see `systemctl status vipd`")
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("data directory: open %s: %w", path, err)
	}
	return hinted(fmt.Sprintf("data directory: open %s: %v", path, err),
		wayOut(err, "data_dir must be a directory of its own on a local disk; see `dmesg` for errors of the disk"))
}

// wayOut returns the hint for an error of the file system, or another one. The
// stores do not always wrap what the kernel said.
func wayOut(err error, otherwise string) string {
	switch {
	case says(err, syscall.EROFS):
		return "the file system has become read-only: see `dmesg`; mend it, or let data_dir be elsewhere"
	case says(err, syscall.ENOSPC), says(err, syscall.EDQUOT):
		return "make room on that file system; vipd needs a few MiB"
	}
	return otherwise
}

// isFull reports that the kernel took a write back for want of room, which may pass. If
// a sync says so, part of what was written before may be there.
func isFull(err error) bool {
	path, ok := errors.AsType[*fs.PathError](err)
	return ok && path.Op == "write" && (says(err, syscall.ENOSPC) || says(err, syscall.EDQUOT))
}

func says(err error, number syscall.Errno) bool {
	return errors.Is(err, number) || strings.Contains(err.Error(), number.Error())
}

// contained runs f, which reads files that may be damaged, and returns an error where
// it panics.
func contained(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return f()
}
