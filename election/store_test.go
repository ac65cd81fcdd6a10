package election

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

func mustOpen(t *testing.T, dir string) *store {
	t.Helper()
	d, err := OpenDataDir(dir, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return &store{Disk: d}
}

func TestAVoteIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for _, err := range []error{
		s.SetUint64([]byte(keyVoteTerm), 7), s.Set([]byte(keyVoteCandidate), []byte("10.0.0.1:7600")),
		s.SetUint64([]byte(keyVoteTerm), 8), // and here the power fails
		s.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s = mustOpen(t, dir)
	term, err := s.GetUint64([]byte(keyVoteTerm))
	candidate, err2 := s.Get([]byte(keyVoteCandidate))
	if term != 7 || string(candidate) != "10.0.0.1:7600" || err != nil || err2 != nil {
		t.Errorf("after the crash the vote is for %s in term %d (%v, %v)", candidate, term, err, err2)
	}
}

func TestAFreshStoreSaysNotFoundInTheWordsThatRaftExpects(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	for _, err := range []error{second(s.GetUint64([]byte(keyVoteTerm))), second(s.Get([]byte(keyVoteCandidate))), second(s.GetUint64([]byte("CurrentTerm")))} {
		if err == nil || err.Error() != "not found" {
			t.Errorf("got %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestADataDirectoryInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir)
	if _, err := OpenDataDir(dir, zap.NewNop()); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, fileName)+" is in use") {
		t.Errorf("got %v", err)
	}
}

func TestAnIdentityIsKeptAndBelongsToOneMachine(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	first, err := s.identify("one")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.identify("one"); err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("got %+v, %v; want %+v", again, err, first)
	}
	if _, err := s.identify("two"); err == nil || !strings.Contains(err.Error(), "another machine") {
		t.Errorf("got %v", err)
	}
}

// TestAMachineThatCouldNotBeToldFromItsClonesGetsAnIdentityLater follows the hint that vipd gives at its start.
func TestAMachineThatCouldNotBeToldFromItsClonesGetsAnIdentityLater(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	first, err := s.identify("")
	if err != nil {
		t.Fatal(err)
	}
	for _, machine := range []string{"", "one", "one"} {
		id, err := s.identify(machine)
		if want := (identity{ID: first.ID, Machine: machine}); err != nil || !reflect.DeepEqual(id, want) {
			t.Errorf("got %+v, %v; want %+v", id, err, want)
		}
	}
	for _, machine := range []string{"", "two"} {
		if _, err := s.identify(machine); err == nil || !strings.Contains(err.Error(), "another machine") {
			t.Errorf("on machine %q: got %v", machine, err)
		}
	}
}

func TestTheMachineIDIsEmptyOnlyIfNothingTellsTheMachineApart(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	id, uuid, empty := file("id", strings.Repeat("0a", 16)+"\n"), file("uuid", "4c4c4544-0000-2010-8020-80c04f202020\n"), file("empty", "\n")
	missing := filepath.Join(dir, "missing")
	for _, c := range []struct{ id, uuid, want string }{
		{id, uuid, strings.Repeat("0a", 16) + "/4c4c4544-0000-2010-8020-80c04f202020"},
		{id, missing, strings.Repeat("0a", 16) + "/"},
		{missing, uuid, "/4c4c4544-0000-2010-8020-80c04f202020"},
		{missing, missing, ""},
		{empty, missing, ""},
	} {
		if got := machineID(c.id, c.uuid); got != c.want {
			t.Errorf("machineID(%s, %s) = %q, want %q", c.id, c.uuid, got, c.want)
		}
	}
}

func TestTheStateRemembersWhoHeldAndWhy(t *testing.T) {
	s := state{}
	for _, c := range []command{
		{Holder: &Change{To: "vm1", Term: 2, Reason: "the first holder"}},
		{Holder: &Change{To: "vm1", Term: 2, Reason: "told twice"}},
		{Intent: &intent{Term: 2, Reason: "asked for by an operator"}},
		{Holder: &Change{To: "vm2", Term: 3, Reason: "vm1 was silent for 500ms"}},
		{Holder: &Change{To: "vm3", Term: 5, Reason: "vm2 was silent for 500ms"}}, // the intent was for term 3
	} {
		s = s.apply(c)
	}
	want := []Change{
		{To: "vm1", Term: 2, Reason: "the first holder"},
		{From: "vm1", To: "vm2", Term: 3, Reason: "asked for by an operator", Planned: true},
		{From: "vm2", To: "vm3", Term: 5, Reason: "vm2 was silent for 500ms"},
	}
	if diff := cmp.Diff(want, s.History); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	for term := uint64(10); term < 200; term++ {
		s = s.apply(command{Holder: &Change{To: "vm1", Term: term}})
	}
	if len(s.History) != historySize || s.History[historySize-1].Term != 199 {
		t.Errorf("%d changes are kept, the last of term %d", len(s.History), s.History[len(s.History)-1].Term)
	}
}

func TestASnapshotRestoresTheState(t *testing.T) {
	m := newMachine()
	m.set(state{Cluster: "c", Detect: time.Second, Members: []Member{{ID: "1", Name: "vm1", Healthy: true}}})
	snap, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	sink := &memorySink{}
	if err := snap.Persist(sink); err != nil {
		t.Fatal(err)
	}
	restored := newMachine()
	if err := restored.Restore(io.NopCloser(&sink.Buffer)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.get(), restored.get()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASnapshotThatCannotBeRestoredIsNotKept(t *testing.T) {
	_, wire := raft.NewInmemTransport("10.11.12.4:7600")
	for content, want := range map[string]int{`{"cluster":`: 0, "": 0, `{"cluster":"c"}`: 1} {
		s := mustOpen(t, t.TempDir())
		sink, err := s.Create(raft.SnapshotVersionMax, 9, 2, trio(), 1, wire)
		if err == nil {
			_, err = io.WriteString(sink, content)
		}
		if err != nil {
			t.Fatal(err)
		}
		err = sink.Close()
		if kept, _ := s.List(); len(kept) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d are kept, %v", content, len(kept), err)
		}
	}
}

type memorySink struct{ bytes.Buffer }

func (*memorySink) ID() string    { return "1" }
func (*memorySink) Cancel() error { return nil }
func (*memorySink) Close() error  { return nil }

func FuzzWelcome(f *testing.F) {
	var b bytes.Buffer
	if err := writeFrame(&b, welcome{Refused: "because", Removed: true}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var w welcome
		if readFrame(bytes.NewReader(data), &w) != nil {
			return
		}
		var out bytes.Buffer
		if err := writeFrame(&out, w); err != nil {
			t.Fatal(err)
		}
		var again welcome
		if err := readFrame(&out, &again); err == nil && again != w {
			t.Errorf("%+v was read back as %+v", w, again)
		}
	})
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"cluster":"c","members":[{"id":"1"}],"history":[{"term":1}]}`))
	f.Add([]byte(`{"members":[{"id":"1"},{"id":"1"}],"history":[{"term":9},{"term":9},{"term":2}],"intents":[{},{},{}],"unfenced":[{"id":"1"},{"id":"1"}],"holder":{}}`))
	f.Add([]byte(`{"frozen":{"time":"9999-12-31T23:59:59.999999999+23:59"},"released":18446744073709551615}`))
	f.Add([]byte(strings.Repeat(`{"members":[`, 5000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMachine()
		before := allocated()
		err := m.Restore(io.NopCloser(bytes.NewReader(data)))
		if took, most := allocated()-before, limit(len(data))+1<<10*uint64(len(data)); took > most { // an empty member is 300 times as large as in JSON
			t.Errorf("%d bytes took %d of memory, want %d at most", len(data), took, most)
		}
		if err != nil {
			if diff := cmp.Diff(state{}, m.get()); diff != "" {
				t.Errorf("what was refused is kept (-want +got):\n%s", diff)
			}
			return
		}
		if want, got := mustJSON(t, m.get()), mustJSON(t, through(t, m)); want != got {
			t.Errorf("to another member goes (-want +got):\n%s", cmp.Diff(want, got))
		}
		s := m.get().apply(command{Holder: &Change{To: "vm1", Term: ^uint64(0)}, By: &party{ID: "1"}})
		s = s.apply(command{Member: &Member{ID: "2", Name: "b"}}).apply(command{Intent: &intent{}})
		if len(s.History) > max(historySize, len(m.get().History)) || len(s.Intents) > max(2, len(m.get().Intents)) {
			t.Errorf("it grows to %d changes and %d intents", len(s.History), len(s.Intents))
		}
	})
}
