package election

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"
)

// Disk keeps what a member must not forget: its identity and votes, the log, and
// snapshots of the replicated state. What a method has written is on the disk when
// it returns. A key that is not there is an error with the text "not found".
type Disk interface {
	raft.LogStore
	raft.StableStore
	raft.SnapshotStore
	Close() error
	Remove() error // all of it, after Close
}

// dataDir is a Disk of files in one directory: raft.db, a bbolt database that is
// synced at each write, and snapshots/.
type dataDir struct {
	*boltdb.BoltStore
	*raft.FileSnapshotStore
	path string
}

const (
	fileName       = "raft.db"
	newFileName    = "raft.db.new" // until it is whole
	snapshotsDir   = "snapshots"
	snapshotSuffix = ".tmp" // of a snapshot until it is whole
)

// OpenDataDir opens or makes the data of a member in a directory, and locks it. It
// fails after a second if another process has it open, and where the files are
// damaged. A loss of power at any instant does not damage them.
func OpenDataDir(dir string, log *zap.Logger) (Disk, error) {
	if err := makeDir(dir); err != nil {
		return nil, unusable(dir, err)
	}
	path := filepath.Join(dir, fileName)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(dir)
	case err == nil && !info.Mode().IsRegular():
		return nil, damaged(path, errors.New("it is no file"))
	case err == nil:
		err = readable(path)
	}
	if err != nil {
		return nil, unusable(path, err)
	}
	return open(dir, log)
}

// open opens a directory whose raft.db is there and whole.
func open(dir string, log *zap.Logger) (Disk, error) {
	path := filepath.Join(dir, fileName)
	db, err := openDB(path)
	if err != nil {
		return nil, unusable(path, err)
	}
	snapshots, err := openSnapshots(dir, log)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &dataDir{db, snapshots, dir}, nil
}

func openDB(path string) (db *boltdb.BoltStore, err error) {
	err = contained(func() error {
		db, err = boltdb.New(boltdb.Options{Path: path, BoltOptions: &bbolt.Options{Timeout: time.Second}})
		return err
	})
	return db, err
}

// create makes an empty raft.db, which appears under its name when it is whole.
// Snapshots without one are what was left of a member that has forgotten itself.
func create(dir string) error {
	path, unfinished := filepath.Join(dir, fileName), filepath.Join(dir, newFileName)
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, snapshotsDir)), os.RemoveAll(unfinished)); err != nil {
		return err
	}
	db, err := openDB(unfinished)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := os.Link(unfinished, path); err != nil && !errors.Is(err, fs.ErrExist) { // never over another's
		return err
	}
	return errors.Join(os.Remove(unfinished), syncDir(dir))
}

// readable reads all of a database, so that what is damaged shows now and not in the
// middle of an election.
func readable(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := lock(file); err != nil {
		return err
	}
	err = contained(func() error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := checkPages(data); err != nil {
			return err
		}
		return checkLog(path)
	})
	if err != nil {
		return damaged(path, err)
	}
	return nil
}

// checkLog looks at the entries of the log: raft's decoder takes as much memory as a
// length says.
func checkLog(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		entries := tx.Bucket([]byte("logs")) // as raft-boltdb names it
		if entries == nil {
			return nil
		}
		return entries.ForEach(func(index, entry []byte) error {
			if err := skim(entry); err != nil {
				return fmt.Errorf("entry %d: %w", binary.BigEndian.Uint64(index), err)
			}
			return nil
		})
	})
}

// lock waits for up to a second until nobody writes to a file, as bbolt does it. The
// lock ends when the file is closed.
func lock(file *os.File) error {
	for range 20 {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return bbolterrors.ErrTimeout
}

// openSnapshots opens the snapshots and refuses them if the newest can't be read:
// raft would silently take an older one, and miss what was acknowledged since.
func openSnapshots(dir string, log *zap.Logger) (*raft.FileSnapshotStore, error) {
	path := filepath.Join(dir, snapshotsDir)
	if err := makeDir(path); err != nil {
		return nil, unusable(path, err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, newRaftLogger(log))
	if err != nil {
		return nil, unusable(path, err)
	}
	names, err := snapshotNames(path)
	if err != nil {
		return nil, unusable(path, err)
	}
	if len(names) == 0 {
		return snapshots, nil
	}
	newest := names[len(names)-1]
	_, content, err := snapshots.Open(newest)
	if err != nil {
		return nil, damaged(filepath.Join(path, newest), err)
	}
	return snapshots, content.Close()
}

// snapshotNames returns the names of the whole snapshots, the oldest first, and
// removes what was left of those that were never finished.
func snapshotNames(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		switch {
		case !e.IsDir():
		case strings.HasSuffix(e.Name(), snapshotSuffix):
			err = errors.Join(err, os.RemoveAll(filepath.Join(path, e.Name())))
		default:
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return slices.Compare(snapshotAge(a), snapshotAge(b)) })
	return names, err
}

// snapshotAge reads the name of a snapshot: term, index, milliseconds.
func snapshotAge(name string) []uint64 {
	age := make([]uint64, 3)
	_, _ = fmt.Sscanf(name, "%d-%d-%d", &age[0], &age[1], &age[2])
	return age
}

// Create begins a snapshot. raft syncs its two files and then its name; that the two
// are in its directory is synced here.
func (d *dataDir) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, configured uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := d.FileSnapshotStore.Create(version, index, term, c, configured, t)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(d.path, snapshotsDir, sink.ID()+snapshotSuffix)
	if err := errors.Join(makePrivate(dir), syncDir(dir)); err != nil {
		return nil, errors.Join(err, sink.Cancel())
	}
	return sink, nil
}

// makePrivate closes a directory and its files to others; raft makes them with 0755 and 0644.
func makePrivate(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Chmod(filepath.Join(dir, e.Name()), 0o600); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a directory
}

// Remove empties the directory of all that makes this host a member. Without its
// raft.db it is none, see [create].
func (d *dataDir) Remove() error {
	return errors.Join(os.Remove(filepath.Join(d.path, fileName)), syncDir(d.path), os.RemoveAll(filepath.Join(d.path, snapshotsDir)))
}

// makeDir makes a directory that is still there after a loss of power.
func makeDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes durable which names a directory has.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
