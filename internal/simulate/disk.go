package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vipd/vipd/election"
)

// disk is what a host keeps while it has no power. Writes may be slow, hang for a
// while, or fail.
type disk struct {
	chance *chance

	mu     sync.Mutex
	data   *data
	faults diskFaults
}

// diskFaults says how the disk of a host behaves now.
type diskFaults struct {
	delay time.Duration // of a write, at most
	fails int           // one in so many writes; 0: none
	hang  chan struct{} // nothing is written before it is closed; may be nil
}

// data are the contents of a disk.
type data struct {
	values    map[string][]byte
	numbers   map[string]uint64
	logs      map[uint64]raft.Log
	low, high uint64
	snapshots []savedSnapshot // the newest last
}

type savedSnapshot struct {
	meta raft.SnapshotMeta
	body []byte
}

func newData() *data {
	return &data{values: make(map[string][]byte), numbers: make(map[string]uint64), logs: make(map[uint64]raft.Log)}
}

func (d *data) clone() *data {
	return &data{
		values: maps.Clone(d.values), numbers: maps.Clone(d.numbers), logs: maps.Clone(d.logs),
		low: d.low, high: d.high, snapshots: slices.Clone(d.snapshots),
	}
}

func (d *disk) set(f diskFaults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.faults.hang != nil {
		close(d.faults.hang)
	}
	d.faults = f
}

func (d *disk) wipe() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.data = newData()
}

// contents tells one disk from the one that is there after a wipe.
func (d *disk) contents() *data {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.data
}

// handle is the disk as one life of a daemon has it open.
type handle struct {
	disk    *disk
	process *process

	mu      sync.Mutex
	data    *data
	pending map[*write]struct{} // begun and not yet done
}

// write is one write: a transaction of bbolt, so all of it or nothing is done.
type write struct{ do func(*data) }

var _ election.Disk = (*handle)(nil)

func (d *disk) open(p *process) *handle {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &handle{disk: d, process: p, data: d.data, pending: make(map[*write]struct{})}
}

// crash takes the disk away from a process that has died. Each write that had not
// returned has been done or not. The process, which does not know that
// it is dead, goes on with a copy.
func (h *handle) crash() {
	h.mu.Lock()
	defer h.mu.Unlock()
	durable := h.data
	h.data = durable.clone()
	for w := range h.pending {
		if h.disk.chance.in(2) {
			w.do(durable)
		}
	}
}

var errIO = errors.New("input/output error")

// keyIdentity is written at once and without fail, since the daemon writes it under a
// lock, see mutex in package election.
const keyIdentity = "vipd/identity"

func (h *handle) write(do func(*data)) error {
	h.process.pass()
	h.disk.mu.Lock()
	faults := h.disk.faults
	h.disk.mu.Unlock()
	w := &write{do}
	h.mu.Lock()
	h.pending[w] = struct{}{}
	h.mu.Unlock()
	if faults.hang != nil && !h.process.dead.Load() {
		<-faults.hang
	}
	if faults.delay > 0 && !h.process.dead.Load() {
		time.Sleep(h.disk.chance.upTo(faults.delay))
	}
	h.mu.Lock()
	delete(h.pending, w)
	failed := faults.fails > 0 && !h.process.dead.Load() && h.disk.chance.in(faults.fails)
	if !failed || h.disk.chance.in(2) { // one that fails may have been done all the same
		do(h.data)
	}
	h.mu.Unlock()
	h.process.pass()
	if failed {
		return errIO
	}
	return nil
}

// Set writes a value.
func (h *handle) Set(key, value []byte) error {
	value = bytes.Clone(value)
	do := func(d *data) { d.values[string(key)] = value }
	if string(key) == keyIdentity {
		h.mu.Lock()
		defer h.mu.Unlock()
		do(h.data)
		return nil
	}
	return h.write(do)
}

// SetUint64 writes a number.
func (h *handle) SetUint64(key []byte, value uint64) error {
	return h.write(func(d *data) { d.numbers[string(key)] = value })
}

var errNotFound = errors.New("not found")

// Get reads a value.
func (h *handle) Get(key []byte) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.data.values[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return bytes.Clone(v), nil
}

// GetUint64 reads a number.
func (h *handle) GetUint64(key []byte) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.data.numbers[string(key)]
	if !ok {
		return 0, errNotFound
	}
	return v, nil
}

// FirstIndex returns the first entry's index; 0 if there is none.
func (h *handle) FirstIndex() (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.data.low, nil
}

// LastIndex returns the last entry's index; 0 if there is none.
func (h *handle) LastIndex() (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.data.high, nil
}

// GetLog reads an entry.
func (h *handle) GetLog(index uint64, entry *raft.Log) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.data.logs[index]
	if !ok {
		return raft.ErrLogNotFound
	}
	*entry = e
	return nil
}

// StoreLog writes an entry.
func (h *handle) StoreLog(entry *raft.Log) error { return h.StoreLogs([]*raft.Log{entry}) }

// StoreLogs writes entries in one transaction, as bbolt does: all or none.
func (h *handle) StoreLogs(entries []*raft.Log) error {
	copies := make([]raft.Log, len(entries))
	for i, e := range entries {
		copies[i] = *e
	}
	return h.write(func(d *data) {
		for _, e := range copies {
			d.logs[e.Index] = e
			if d.high = max(d.high, e.Index); d.low == 0 || e.Index < d.low {
				d.low = e.Index
			}
		}
	})
}

// DeleteRange removes entries, both ends included.
func (h *handle) DeleteRange(first, last uint64) error {
	return h.write(func(d *data) {
		maps.DeleteFunc(d.logs, func(index uint64, _ raft.Log) bool { return index >= first && index <= last })
		d.bounds()
	})
}

func (d *data) bounds() {
	d.low, d.high = 0, 0
	for index := range d.logs {
		if d.low == 0 || index < d.low {
			d.low = index
		}
		d.high = max(d.high, index)
	}
}

// Close does nothing: what was written is written.
func (h *handle) Close() error { return nil }

// Remove empties the disk, unless the process is dead.
func (h *handle) Remove() error {
	if h.process.dead.Load() {
		return nil
	}
	h.disk.wipe()
	return nil
}

// --- snapshots ---

type sink struct {
	handle *handle
	saved  savedSnapshot
	body   bytes.Buffer
}

// Create begins a snapshot, which is there once its sink is closed.
func (h *handle) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &sink{handle: h, saved: savedSnapshot{meta: raft.SnapshotMeta{
		Version: version, ID: fmt.Sprintf("%d-%d-%d", term, index, time.Now().UnixNano()), Index: index, Term: term,
		Configuration: c, ConfigurationIndex: configurationIndex,
	}}}, nil
}

// ID names the snapshot.
func (s *sink) ID() string { return s.saved.meta.ID }

// Write adds to the snapshot.
func (s *sink) Write(b []byte) (int, error) { return s.body.Write(b) }

// Cancel drops the snapshot.
func (s *sink) Cancel() error { return nil }

// Close keeps the snapshot and the one before.
func (s *sink) Close() error {
	s.saved.body = s.body.Bytes()
	s.saved.meta.Size = int64(len(s.saved.body))
	return s.handle.write(func(d *data) {
		d.snapshots = append(slices.Clone(d.snapshots[max(0, len(d.snapshots)-1):]), s.saved)
	})
}

// List returns the snapshots, the newest first.
func (h *handle) List() ([]*raft.SnapshotMeta, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var metas []*raft.SnapshotMeta
	for _, s := range slices.Backward(h.data.snapshots) {
		meta := s.meta
		metas = append(metas, &meta)
	}
	return metas, nil
}

// Open reads a snapshot.
func (h *handle) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.data.snapshots {
		if s.meta.ID == id {
			return &s.meta, io.NopCloser(bytes.NewReader(s.body)), nil
		}
	}
	return nil, nil, errNotFound
}
