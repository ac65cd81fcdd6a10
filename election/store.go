package election

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/vipd/vipd/trust"
)

// identity is who this member is. It lives in the same file as its votes, so that
// neither can be lost or copied without the other.
type identity struct {
	ID      string        `json:"id"`                // random: a wiped disk is a new member
	Machine string        `json:"machine"`           // the machine it was made on; a clone is refused
	Cluster string        `json:"cluster,omitempty"` // empty until init or join
	Detect  time.Duration `json:"detect,omitempty"`  // the cluster's, in nanoseconds
	Paused  bool          `json:"paused,omitempty"`  // see [Node.SetPaused]
	Left    bool          `json:"left,omitempty"`    // it was in a cluster, and waits for an order to join one again

	Credentials *trust.Credentials `json:"credentials,omitempty"` // with which it may talk to the cluster
	Authority   trust.Authority    `json:"authority,omitzero"`    // whose they are, for a start at which they are good no more
}

// store is a disk that keeps the term and the candidate of a vote as one value: raft
// writes them one after the other, and a crash in between would let the candidate of
// the old term have the vote of the new one.
type store struct {
	Disk

	failing  func(error) // told how each write ended; may be nil
	lost     func(error) // told that what is on the disk is not certain any more; may be nil
	watchdog *watchdog   // may be nil
	started  atomic.Bool // raft runs, on goroutines of its own

	given     atomic.Bool // up: no write is tried any more
	truncated atomic.Bool // the newest entries were removed, and none written since

	mu         sync.Mutex
	stagedTerm uint64
}

const (
	keyIdentity = "vipd/identity"
	keyVote     = "vipd/vote"

	// The names under which raft keeps the two halves of a vote.
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
)

// vote is one vote, given to the member at an address.
type vote struct {
	Term      uint64 `json:"term"`
	Candidate []byte `json:"candidate"`
}

// SetUint64 writes a number; the term of a vote waits for its candidate.
func (s *store) SetUint64(key []byte, value uint64) error {
	if string(key) != keyVoteTerm {
		err := s.write(func() error { return s.Disk.SetUint64(key, value) })
		if err != nil && s.started.Load() {
			s.giveUp(err)
			runtime.Goexit() // raft's main loop: it would panic, and nobody would say why
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stagedTerm = value
	return nil
}

// Set writes a value; the candidate of a vote together with its term.
func (s *store) Set(key, value []byte) error {
	if string(key) != keyVoteCandidate {
		return s.write(func() error { return s.Disk.Set(key, value) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(keyVote, vote{Term: s.stagedTerm, Candidate: value})
}

// GetUint64 reads a number.
func (s *store) GetUint64(key []byte) (uint64, error) {
	if string(key) != keyVoteTerm {
		return s.Disk.GetUint64(key)
	}
	var v vote
	err := s.get(keyVote, &v)
	return v.Term, err
}

// Get reads a value.
func (s *store) Get(key []byte) ([]byte, error) {
	if string(key) != keyVoteCandidate {
		return s.Disk.Get(key)
	}
	var v vote
	err := s.get(keyVote, &v)
	return v.Candidate, err
}

func (s *store) put(key string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return s.write(func() error { return s.Disk.Set([]byte(key), b) })
}

// GetLog reads an entry of the log. Raft panics on one that is not what it expects.
func (s *store) GetLog(index uint64, entry *raft.Log) error {
	if err := s.Disk.GetLog(index, entry); err != nil {
		return err
	}
	return soundEntry(entry, index)
}

// StoreLogs writes entries of the log. Where it has removed others before, raft can't
// go on without these: it believes that they are there.
func (s *store) StoreLogs(logs []*raft.Log) error {
	err := s.write(func() error { return s.Disk.StoreLogs(logs) })
	switch {
	case err == nil:
		s.truncated.Store(false)
	case s.truncated.Load():
		s.giveUp(err)
	}
	return err
}

// StoreLog writes one entry.
func (s *store) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

// DeleteRange removes entries of the log.
func (s *store) DeleteRange(first, last uint64) error {
	if end, err := s.LastIndex(); err == nil && last >= end {
		s.truncated.Store(true)
	}
	return s.write(func() error { return s.Disk.DeleteRange(first, last) })
}

// Create begins a snapshot. It is its end that waits for the disk.
func (s *store) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, configured uint64, t raft.Transport) (sink raft.SnapshotSink, err error) {
	err = s.write(func() error {
		sink, err = s.Disk.Create(version, index, term, c, configured, t)
		return err
	})
	return &watchedSink{SnapshotSink: sink, store: s}, err
}

type watchedSink struct {
	raft.SnapshotSink
	store   *store
	content bytes.Buffer
}

// Write adds to the snapshot.
func (w *watchedSink) Write(b []byte) (int, error) {
	w.content.Write(b)
	return w.SnapshotSink.Write(b)
}

// Close ends the snapshot and makes it durable. It may be called again. What a member has
// sent that is none is not kept: it would be the newest at the next start.
func (w *watchedSink) Close() error {
	if err := newMachine().Restore(io.NopCloser(bytes.NewReader(w.content.Bytes()))); err != nil {
		return errors.Join(err, w.Cancel())
	}
	return w.store.write(w.SnapshotSink.Close)
}

// write performs one write, watched, and tells how it ended.
func (s *store) write(f func() error) error {
	if s.given.Load() {
		return errGivenUp
	}
	if s.watchdog != nil {
		defer s.watchdog.watch()()
	}
	err := contained(f)
	if s.failing != nil {
		s.failing(err)
	}
	if err != nil && !isFull(err) {
		s.giveUp(err) // bbolt goes on from what it believes to have written
	}
	return err
}

var errGivenUp = errors.New("a write before has failed")

// giveUp ends all writing: what is on the disk is not certain any more.
func (s *store) giveUp(err error) {
	if s.lost != nil && !s.given.Swap(true) {
		s.lost(err)
	}
}

// get fails with raft's own "not found" where there is nothing.
func (s *store) get(key string, value any) error {
	b, err := s.Disk.Get([]byte(key))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, value)
}

// identify returns this member's identity, made anew on a fresh disk. One that was
// made on another machine is refused: two hosts with one identity could each vote
// in the same election. A machine that can't be told from its clones is "".
func (s *store) identify(machine string) (identity, error) {
	var id identity
	err := s.get(keyIdentity, &id)
	switch {
	case err != nil && err.Error() == boltdb.ErrKeyNotFound.Error():
		id = identity{ID: randomID(), Machine: machine}
		return id, s.put(keyIdentity, id)
	case err != nil:
		return id, hinted(fmt.Sprintf("data directory: read the identity: %v", err), beginAnew)
	case id.Machine == "" && machine != "": // it has got one since
		id.Machine = machine
		return id, s.put(keyIdentity, id)
	case id.Cluster != "" && id.Credentials == nil:
		return id, hinted("the data directory was made by a version of vipd whose hosts did not know each other by certificates",
			"stop vipd on all hosts, empty their data directories, start vipd, and form the cluster anew with `vipd init` and `vipd join`")
	case id.Machine != machine:
		return id, hinted("the data directory was made on another machine",
			"this host is a clone or its disk was moved; stop vipd, empty the data directory, start vipd, and type what `vipd token create` on a member prints")
	}
	return id, nil
}

// idSize is the size of ids of hosts and clusters, in bytes.
const idSize = 8

func randomID() string {
	b := make([]byte, idSize)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}

// MachineID returns a string that tells this machine from its clones: the
// machine-id of systemd and the UUID that the hypervisor gives (machine-id(5),
// SMBIOS). What cannot be read counts as empty; if both are, it returns "", and a
// clone is not recognised.
func MachineID() string {
	return machineID("/etc/machine-id", "/sys/class/dmi/id/product_uuid")
}

func machineID(idFile, uuidFile string) string {
	id, _ := os.ReadFile(idFile)
	uuid, _ := os.ReadFile(uuidFile)
	if len(bytes.TrimSpace(id)) == 0 && len(bytes.TrimSpace(uuid)) == 0 {
		return ""
	}
	return fmt.Sprintf("%.32s/%.36s", id, uuid)
}

var _ interface {
	raft.LogStore
	raft.StableStore
} = (*store)(nil)
