package election

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// What a loss of power leaves of raft.db. bbolt writes a change in this order: it
// makes the file longer if need be, and syncs; it writes pages that nothing refers to
// yet, and syncs; it writes one of two meta pages, which refers to them, and syncs.
// Until a sync returns, any part of what was written since the last one may be on the
// disk, in units of a sector.
const (
	pageSize   = 4096
	sectorSize = 512
	metaPages  = 2 // at the beginning of the file
)

// change is one synced change of a file: what was on the disk before and after.
type change struct{ before, after []byte }

// dirty returns the pages that a change has written, but for the meta pages.
func (c change) dirty() []int {
	var pages []int
	for p := metaPages; p*pageSize < len(c.after); p++ {
		if !bytes.Equal(page(c.before, p), page(c.after, p)) {
			pages = append(pages, p)
		}
	}
	return pages
}

func page(image []byte, p int) []byte {
	if p*pageSize >= len(image) {
		return make([]byte, pageSize)
	}
	return image[p*pageSize : (p+1)*pageSize]
}

// grown is the file after it was made longer.
func (c change) grown() []byte {
	image := make([]byte, max(len(c.before), len(c.after)))
	copy(image, c.before)
	return image
}

// tear puts some sectors of a page of from into to.
func tear(to, from []byte, p int, r *rand.Rand) {
	for s := range pageSize / sectorSize {
		if r.IntN(2) == 0 {
			at := p*pageSize + s*sectorSize
			copy(to[at:at+sectorSize], from[at:])
		}
	}
}

// beforeMeta are states of the file at a crash before the meta page was written: the
// change must not show.
func (c change) beforeMeta(r *rand.Rand) [][]byte {
	states := [][]byte{c.before, c.grown()}
	dirty := c.dirty()
	for n := range dirty { // in order, the last one torn
		image := c.grown()
		for _, p := range dirty[:n] {
			copy(page(image, p), page(c.after, p))
		}
		tear(image, c.after, dirty[n], r)
		states = append(states, image)
	}
	for range 6 { // in any order
		image := c.grown()
		for _, p := range dirty {
			switch r.IntN(3) {
			case 0:
				copy(page(image, p), page(c.after, p))
			case 1:
				tear(image, c.after, p, r)
			}
		}
		states = append(states, image)
	}
	return states
}

// inMeta are states at a crash while the meta page was written: all or nothing of the
// change shows. A sector is the least that a disk writes at once; here it is torn
// nevertheless.
func (c change) inMeta(r *rand.Rand) [][]byte {
	var states [][]byte
	for range 6 {
		image := slices.Clone(c.after)
		copy(image[:metaPages*pageSize], c.before)
		for p := range metaPages {
			written := r.IntN(sectorSize)
			copy(page(image, p)[:written], page(c.after, p))
		}
		states = append(states, image)
	}
	return states
}

// memory is all that a member must not forget.
type memory struct {
	Identity    identity
	Term        uint64
	Vote        vote
	First, Last uint64
	Entries     string // their hash
}

func recall(s *store) memory {
	var m memory
	_ = s.get(keyIdentity, &m.Identity)
	_ = s.get(keyVote, &m.Vote)
	m.Term, _ = s.GetUint64([]byte("CurrentTerm"))
	m.First, _ = s.FirstIndex()
	m.Last, _ = s.LastIndex()
	hash := sha256.New()
	for i := m.First; i <= m.Last && i > 0; i++ {
		var entry raft.Log
		err := s.GetLog(i, &entry)
		fmt.Fprintf(hash, "%d %d %d %v\n", entry.Index, entry.Term, len(entry.Data), err)
		hash.Write(entry.Data)
	}
	m.Entries = fmt.Sprintf("%x", hash.Sum(nil))
	return m
}

// life is a member's disk at work, as raft uses it.
type life struct {
	t     *testing.T
	r     *rand.Rand
	dir   string
	store *store
	term  uint64
}

func (l *life) open() {
	d, err := OpenDataDir(l.dir, zap.NewNop())
	if err != nil {
		l.t.Fatal(err)
	}
	l.store = &store{Disk: d}
}

// act makes one write, of the kind that raft makes.
func (l *life) act() error {
	first, _ := l.store.FirstIndex()
	last, _ := l.store.LastIndex()
	switch l.r.IntN(8) {
	case 0:
		l.term++
		return l.store.SetUint64([]byte("CurrentTerm"), l.term)
	case 1:
		l.term++
		return errors.Join(l.store.SetUint64([]byte(keyVoteTerm), l.term), l.store.Set([]byte(keyVoteCandidate), fmt.Appendf(nil, "10.11.12.%d:7600", l.r.IntN(9))))
	case 2:
		return l.store.put(keyIdentity, identity{ID: "x", Cluster: fmt.Sprint(l.r.IntN(9))})
	case 3:
		if last-first < 80 {
			return nil
		}
		return l.store.DeleteRange(first, last-64) // as after a snapshot
	case 4:
		if last == 0 || l.r.IntN(3) > 0 {
			return nil
		}
		return l.store.DeleteRange(max(first, last-uint64(l.r.IntN(3))), last) // entries of a lost leader
	case 5:
		err := l.store.Close()
		l.open()
		return err
	}
	var logs []*raft.Log
	for i := range 1 + l.r.IntN(40)*l.r.IntN(2) {
		data := make([]byte, l.r.IntN(300)*(1+9*l.r.IntN(2)*l.r.IntN(2)))
		for j := range data {
			data[j] = byte(l.r.IntN(256))
		}
		logs = append(logs, &raft.Log{Index: last + 1 + uint64(i), Term: l.term, Data: data})
	}
	return l.store.StoreLogs(logs)
}

// crashed opens a directory whose raft.db is an image.
func crashed(t *testing.T, dir string, image []byte) (memory, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, fileName), image, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDataDir(dir, zap.NewNop())
	if err != nil {
		return memory{}, err
	}
	s := &store{Disk: d}
	m := recall(s)
	return m, s.Close()
}

func TestALossOfPowerAtAnyWriteForgetsNothingThatWasAcknowledged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	l := &life{t: t, r: r, dir: t.TempDir(), term: 1}
	l.open()
	path := filepath.Join(l.dir, fileName)
	scratch := quickDir(t)
	changes, states := 0, 0
	for range 150 {
		before, known := mustRead(t, path), recall(l.store)
		if err := l.act(); err != nil {
			t.Fatal(err)
		}
		c, now := change{before, mustRead(t, path)}, recall(l.store)
		if bytes.Equal(c.before, c.after) {
			continue
		}
		changes++
		for _, group := range []struct {
			images  [][]byte
			allowed []memory
		}{
			{c.beforeMeta(r), []memory{known}},
			{c.inMeta(r), []memory{known, now}},
			{[][]byte{c.after}, []memory{now}},
		} {
			for _, image := range group.images {
				states++
				got, err := crashed(t, scratch, image)
				if err != nil {
					t.Fatalf("change %d: %v", changes, err)
				}
				if !slices.ContainsFunc(group.allowed, func(m memory) bool { return cmp.Equal(m, got) }) {
					t.Fatalf("change %d (-want +got):\n%s", changes, cmp.Diff(group.allowed, []memory{got}))
				}
			}
		}
	}
	t.Logf("%d changes, %d states of the file after a loss of power", changes, states)
	if err := l.store.Close(); err != nil {
		t.Error(err)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestALossOfPowerWhileTheDirectoryIsMadeOrEmptiedLeavesAFreshOne(t *testing.T) {
	whole := t.TempDir()
	mustOpen(t, whole)
	image := mustRead(t, filepath.Join(whole, fileName))
	for name, leave := range map[string]func(dir string) error{
		"nothing":            func(string) error { return nil },
		"an empty new file":  func(dir string) error { return os.WriteFile(filepath.Join(dir, newFileName), nil, 0o600) },
		"half of a new file": func(dir string) error { return os.WriteFile(filepath.Join(dir, newFileName), image[:5000], 0o600) },
		"a new file of nothing": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, newFileName), make([]byte, 16384), 0o600)
		},
		"both names": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, newFileName), image, 0o600), os.Link(filepath.Join(dir, newFileName), filepath.Join(dir, fileName)))
		},
		"snapshots of a member that has left": func(dir string) error {
			name := filepath.Join(dir, snapshotsDir, "2-9-1111")
			return errors.Join(os.MkdirAll(name, 0o700), os.WriteFile(filepath.Join(name, "meta.json"), []byte("{"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := leave(dir); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, dir)
			if snapshots, err := s.List(); recall(s).Identity.ID != "" || len(snapshots) > 0 || err != nil {
				t.Errorf("it is not fresh: %+v, %d snapshots, %v", recall(s), len(snapshots), err)
			}
			if _, err := s.identify("m"); err != nil {
				t.Error(err)
			}
		})
	}
}

// member makes the files of a member that has a snapshot, and more snapshots before
// it, and a log that begins after the older ones.
func member(t *testing.T) (cfg Config, dir string, st state) {
	t.Helper()
	w := newNetwork()
	h := newHost(t, w, 1, half)
	h.start()
	if _, err := h.node.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for range 100 {
			write(h)
		}
		if err := h.node.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
	}
	st = h.node.machine.get()
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	cfg = h.cfg
	cfg.Log = zap.NewNop()
	return cfg, h.dir, st
}

// opened opens a member on a directory, and returns what it remembers.
func opened(t *testing.T, cfg Config, dir string) (state, error) {
	t.Helper()
	d, err := OpenDataDir(dir, zap.NewNop())
	if err != nil {
		return state{}, err
	}
	cfg.Disk, cfg.Listener = d, newNetwork().listen(cfg.Address.String())
	n, err := Open(cfg)
	if err != nil {
		return state{}, err
	}
	if err := n.raft.Barrier(0).Error(); err != nil && !errors.Is(err, raft.ErrNotLeader) {
		t.Error(err)
	}
	st := n.machine.get()
	return st, n.Close()
}

// wellPut fails the test unless an error names the damage and the way out.
func wellPut(t *testing.T, err error) {
	t.Helper()
	h, ok := errors.AsType[*hintedError](err)
	if !ok || !strings.Contains(h.hint, "vipd token create") {
		t.Errorf("got %v, want an error with a way out", err)
	}
}

func TestWhatALossOfPowerLeavesOfASnapshotDoesNoHarm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg, from, want := member(t)
		newest, oldest := snapshotsOf(t, from)
		meta := mustRead(t, filepath.Join(from, snapshotsDir, newest, "meta.json"))
		content := mustRead(t, filepath.Join(from, snapshotsDir, newest, "state.bin"))
		for _, m := range [][]byte{nil, {}, meta[:20], meta} {
			for _, c := range [][]byte{nil, {}, content[:20], content} {
				dir := copyDir(t, from)
				unfinished := filepath.Join(dir, snapshotsDir, "9-999-1"+snapshotSuffix)
				put(t, filepath.Join(unfinished, "meta.json"), m)
				put(t, filepath.Join(unfinished, "state.bin"), c)
				if got, err := opened(t, cfg, dir); err != nil || cmp.Diff(want, got) != "" {
					t.Errorf("unfinished, %d of meta.json and %d of state.bin: %v\n%s", len(m), len(c), err, cmp.Diff(want, got))
				}
				if _, err := os.Stat(unfinished); err == nil {
					t.Error("it is left there for ever")
				}
			}
		}
		for _, gone := range []string{"meta.json", "state.bin", ""} { // the oldest is removed file by file
			dir := copyDir(t, from)
			path := filepath.Join(dir, snapshotsDir, oldest)
			for _, name := range []string{"meta.json", "state.bin"} {
				if gone == name || gone == "" {
					if err := os.Remove(filepath.Join(path, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got, err := opened(t, cfg, dir); err != nil || cmp.Diff(want, got) != "" {
				t.Errorf("the oldest without %q: %v\n%s", gone, err, cmp.Diff(want, got))
			}
		}
	})
}

// raft itself would take the older snapshot, and miss what was acknowledged since.
func TestADamagedSnapshotIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg, from, _ := member(t)
		newest, _ := snapshotsOf(t, from)
		for name, damage := range map[string]func(path string) error{
			"no meta.json":    func(path string) error { return os.Remove(filepath.Join(path, "meta.json")) },
			"no state.bin":    func(path string) error { return os.Remove(filepath.Join(path, "state.bin")) },
			"empty meta.json": func(path string) error { return os.Truncate(filepath.Join(path, "meta.json"), 0) },
			"short state.bin": func(path string) error { return os.Truncate(filepath.Join(path, "state.bin"), 20) },
			"one bit": func(path string) error {
				b := mustRead(t, filepath.Join(path, "state.bin"))
				b[len(b)/2] ^= 4
				return os.WriteFile(filepath.Join(path, "state.bin"), b, 0o600)
			},
		} {
			dir := copyDir(t, from)
			if err := damage(filepath.Join(dir, snapshotsDir, newest)); err != nil {
				t.Fatal(err)
			}
			_, err := opened(t, cfg, dir)
			wellPut(t, err)
			if err != nil && !strings.Contains(err.Error(), newest+" is damaged") {
				t.Errorf("%s: %v", name, err)
			}
		}
		dir := copyDir(t, from) // all gone, but for the log after them
		if err := os.RemoveAll(filepath.Join(dir, snapshotsDir)); err != nil {
			t.Fatal(err)
		}
		_, err := opened(t, cfg, dir)
		wellPut(t, err)
	})
}

// A damaged raft.db is refused with a way out, or what was damaged was of no use; it
// never ends in a panic or hangs.
func TestADamagedDatabaseIsRefused(t *testing.T) {
	cfg, from, _ := member(t)
	image := mustRead(t, filepath.Join(from, fileName))
	r := rand.New(rand.NewPCG(3, 4))
	refused, tries := 0, 0
	try := func(image []byte) error {
		t.Helper()
		dir := copyDir(t, from)
		put(t, filepath.Join(dir, fileName), image)
		_, err := opened(t, cfg, dir)
		if tries++; err != nil {
			refused++
			wellPut(t, err)
		}
		return err
	}
	for _, size := range []int{0, 1, 100, pageSize, pageSize + 100, 2 * pageSize, 3 * pageSize, len(image) / 2, len(image) - pageSize} {
		if err := try(image[:size]); err == nil && size < len(image)/2 {
			t.Errorf("one of %d of %d bytes is not refused", size, len(image))
		}
	}
	if err := try(make([]byte, len(image))); err == nil {
		t.Error("one of zeros is not refused")
	}
	for range 100 { // pages of zeros, of noise, of elsewhere, and single bits
		b := slices.Clone(image)
		p, q := r.IntN(len(b)/pageSize), r.IntN(len(b)/pageSize)
		switch r.IntN(5) {
		case 0:
			clear(page(b, p))
		case 1:
			copy(page(b, p), page(b, q))
		case 2:
			for i := range page(b, p) {
				page(b, p)[i] = byte(r.IntN(256))
			}
		case 3:
			page(b, p)[r.IntN(16)] ^= 1 << r.IntN(8) // its head
		default:
			page(b, p)[r.IntN(200)] ^= 1 << r.IntN(8)
		}
		_ = try(b)
	}
	t.Logf("%d of %d damaged files were refused", refused, tries)
}

func TestADataDirectoryThatCannotBeUsedSaysWhy(t *testing.T) {
	for name, test := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"raft.db is a directory": {func(dir string) error { return os.Mkdir(filepath.Join(dir, fileName), 0o700) }, "raft.db is damaged: it is no file"},
		"raft.db is empty":       {func(dir string) error { return os.WriteFile(filepath.Join(dir, fileName), nil, 0o600) }, "raft.db is damaged: it is empty"},
		"raft.db is a text": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, fileName), bytes.Repeat([]byte("no"), 9000), 0o600)
		}, "raft.db is damaged: "},
		"snapshots is a file": {func(dir string) error {
			d, err := OpenDataDir(dir, zap.NewNop())
			path := filepath.Join(dir, snapshotsDir)
			return errors.Join(err, d.Close(), os.Remove(path), os.WriteFile(path, nil, 0o600))
		}, "snapshots: not a directory"},
		"the file system is full":      {func(dir string) error { return tmpfs(dir, 0, "size=4k") }, "no space left on device"},
		"the file system is read-only": {func(dir string) error { return tmpfs(dir, unix.MS_RDONLY, "") }, "read-only file system"},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread() // with its mounts it ends with the test
			dir := t.TempDir()
			defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }() // if there is one
			if err := test.make(dir); err != nil {
				t.Fatal(err)
			}
			_, err := OpenDataDir(dir, zap.NewNop())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if _, ok := errors.AsType[*hintedError](err); !ok {
				t.Errorf("%v has no hint", err)
			}
		})
	}
}

// tmpfs mounts a file system on dir that only this thread sees.
func tmpfs(dir string, flags uintptr, options string) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a mount namespace: %w (run the tests as root: sudo make test)", err)
	}
	return errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("tmpfs", dir, "tmpfs", flags, options))
}

func FuzzCheckPages(f *testing.F) {
	dir := f.TempDir()
	d, err := OpenDataDir(dir, zap.NewNop())
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(d.Set([]byte("a"), []byte("b")), d.Close()); err != nil {
		f.Fatal(err)
	}
	image, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(image)
	f.Add(image[:len(image)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		data = slices.Clone(data)
		for p := range min(metaPages, len(data)/pageSize) {
			seal(page(data, p)) // or nothing behind them is ever looked at
		}
		before := allocated()
		err := contained(func() error { return checkPages(data) })
		if took := allocated() - before; took > limit(len(data)) {
			t.Errorf("%d bytes took %d of memory, want %d at most", len(data), took, limit(len(data)))
		}
		if err == nil && len(data) < metaPages*os.Getpagesize() {
			t.Errorf("%d bytes were taken for a whole file", len(data))
		}
	})
}

// quickDir is a directory in memory if there is one: what a crash left is written by
// the test, and need not be synced.
func quickDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "vipd-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func snapshotsOf(t *testing.T, dir string) (newest, oldest string) {
	t.Helper()
	names, err := snapshotNames(filepath.Join(dir, snapshotsDir))
	if err != nil || len(names) < 2 {
		t.Fatalf("%v, %v", names, err)
	}
	return names[len(names)-1], names[0]
}

// put writes a file, or none if content is nil.
func put(t *testing.T, path string, content []byte) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if content != nil {
		err = errors.Join(err, os.WriteFile(path, content, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := quickDir(t)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}
