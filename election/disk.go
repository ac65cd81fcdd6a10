package election

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	fileName     = "raft.db"
	snapshotsDir = "snapshots"
)

// OpenDataDir opens or makes the data of a member in a directory, and locks it. It
// fails after a second if another process has it open.
func OpenDataDir(dir string, log *zap.Logger) (Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(dir, fileName)
	db, err := boltdb.New(boltdb.Options{Path: path, BoltOptions: &bbolt.Options{Timeout: time.Second}})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, hinted(fmt.Sprintf("%s is in use by another process", path), "is vipd running already? see `systemctl status vipd`")
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, newRaftLogger(log))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snapshots in %s: %w", filepath.Join(dir, snapshotsDir), err), db.Close())
	}
	return &dataDir{db, snapshots, dir}, nil
}

// Remove empties the directory of all that makes this host a member.
func (d *dataDir) Remove() error {
	return errors.Join(os.Remove(filepath.Join(d.path, fileName)), os.RemoveAll(filepath.Join(d.path, snapshotsDir)))
}
