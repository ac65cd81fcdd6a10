package election

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/vipd/vipd/trust"
)

// wellFormedState looks whether a replicated state is one that others can rely on, whatever commands have made it.
func wellFormedState(t *testing.T, s state) {
	t.Helper()
	ids := make(map[string]bool)
	for _, m := range s.Members {
		if ids[m.ID] {
			t.Errorf("two members have the id %q", m.ID)
		}
		ids[m.ID] = true
	}
	if !slices.IsSortedFunc(s.Members, func(a, b Member) int { return compareNames(a.Name, b.Name) }) {
		t.Errorf("members out of order: %+v", s.Members)
	}
	if len(s.History) > historySize || len(s.Intents) > 2 {
		t.Errorf("%d changes and %d intents are kept", len(s.History), len(s.Intents))
	}
	for i := range max(0, len(s.History)-1) {
		if s.History[i].Term >= s.History[i+1].Term || s.History[i].To != s.History[i+1].From {
			t.Errorf("history: %+v is followed by %+v", s.History[i], s.History[i+1])
		}
	}
	for i, p := range s.Unfenced {
		if slices.Contains(s.Unfenced[i+1:], p) {
			t.Errorf("%+v is to be fenced twice", p)
		}
	}
}

// through returns what is left of a state that goes to another member in a snapshot.
func through(t *testing.T, m *machine) state {
	t.Helper()
	snap, err := m.Snapshot()
	sink := &memorySink{}
	if err == nil {
		err = snap.Persist(sink)
	}
	other := newMachine()
	if err == nil {
		err = other.Restore(io.NopCloser(&sink.Buffer))
	}
	if err != nil {
		t.Fatalf("no snapshot of %+v: %v", m.get(), err)
	}
	return other.get()
}

// FuzzApply applies any lines as entries of the log. Whatever they say, all members come to the same well-formed state, also one
// that begins with a snapshot of it.
func FuzzApply(f *testing.F) {
	for _, seed := range []string{
		`{"found":{"cluster":"c","detect":500000000,"history":[{"term":1}]}}`,
		`{"member":{"id":"1","name":"vm1"}}` + "\n" + `{"member":{"id":"2","name":"vm1"}}` + "\n" + `{"forget":"1"}`,
		`{"holder":{"to":"vm1","term":2,"time":"2026-11-23T02:12:05Z"},"by":{"id":"1"}}` + "\n" + `{"intent":{"term":2}}` + "\n" + `{"holder":{"to":"vm2","term":3},"by":{"id":"2","address":"x"}}` + "\n" + `{"released":true,"term":3}`,
		`{"holder":{"to":"vm1","term":1}}` + "\n" + `{"holder":{"to":"vm2","term":2},"by":{"id":"2"}}` + "\n" + `{"fenced":{"id":"vm1","name":"vm1"},"term":2}`,
		`{"freeze":{"by":"vm1","time":"9999-12-31T23:59:59.999999999+23:59"}}` + "\n" + `{"freeze":{"by":"vm2"}}` + "\n" + `{"thaw":true}`,
		`{"holder":{"to":"vm1","term":18446744073709551615}}` + "\n" + `{"holder":{"term":0}}`,
		`null`, `[]`, "{\"forget\":\"\xff\"}", `{"member":null,"forget":"1"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		one, other := newMachine(), newMachine()
		for i, line := range bytes.Split(log, []byte("\n")) {
			entry := &raft.Log{Index: uint64(i), Data: line}
			err, err2 := one.Apply(entry), other.Apply(entry)
			if err == nil && !json.Valid(line) || (err == nil) != (err2 == nil) {
				t.Errorf("%q: %v, %v", line, err, err2)
			}
			wellFormedState(t, one.get())
		}
		if diff := cmp.Diff(one.get(), other.get()); diff != "" {
			t.Errorf("two members differ (-one +other):\n%s", diff)
		}
		if want, got := mustJSON(t, one.get()), mustJSON(t, through(t, one)); want != got {
			t.Errorf("after a snapshot (-want +got):\n%s", cmp.Diff(want, got))
		}
	})
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// founder starts a host and makes it the only member of a cluster.
func founder(t *testing.T) *host {
	t.Helper()
	h := newHost(t, newNetwork(), 1, half)
	h.dir = quickDir(t)
	h.start()
	if _, err := h.node.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "it holds the lease", func() bool { return h.node.Lease().Held })
	return h
}

// FuzzMembersAPI sends any body to any path, or any bytes at all, to a member that leads. It answers each request in order, goes
// on holding, and lets nothing into the replicated state that the state does not survive.
func FuzzMembersAPI(f *testing.F) {
	paths := []string{pathCluster, pathJoin, pathRemove, pathLeave, pathToken, pathRevoke, pathRotate, pathHandOver, pathPrepare, pathFreeze, pathThaw, pathReady, pathReport, pathContacts, pathRemoved}
	joiner := `{"id":"2","name":"vm2","address":"10.11.12.5:7600","version":"1"}`
	for i := range paths {
		for _, body := range []string{`{}`, `null`, `"vm1"`, `"vm2"`, `[]`, ``, `{"id":1}`, joiner, `{"target":"vm2","reason":"\u001b[2J"}`, `{"by":"vm1","time":"0000-01-01T00:00:00Z"}`, "{\"name\":\"\xff\"}", strings.Repeat("[", 10_001)} {
			f.Add(uint8(i), []byte(body))
		}
	}
	for _, request := range []string{"GET / HTTP/1.1\r\n\r\n", "POST /join HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n{", "POST /report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{", "POST /../join HTTP/1.0\r\n\r\n"} {
		f.Add(uint8(255), []byte(request))
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		request := body
		if int(which) < len(paths) {
			request = append(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", paths[which], len(body)), body...)
		}
		bubble(t, func(t *testing.T) {
			h := founder(t)
			before, began := mustJSON(t, h.node.machine.get()), time.Now()
			h.answersTo(t, request)
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it hung up after %s", took)
			}
			if st := h.node.machine.get(); len(mustJSON(t, st)) > len(before)+12*len(body)+1000 {
				t.Errorf("%d bytes became a state of %d", len(body), len(mustJSON(t, st)))
			} else {
				wellFormedState(t, st)
				wellFormedState(t, through(t, h.node.machine))
				worthReading(t, st)
			}
			if !h.node.Lease().Held {
				t.Error("it does not hold any more")
			}
			haltAll(t, []*host{h})
		})
	})
}

// answersTo sends a request and looks at the answers.
func (h *host) answersTo(t *testing.T, request []byte) {
	t.Helper()
	conn, err := h.node.asMember().dial(t.Context(), "tcp", h.cfg.Address.String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = conn.Write(request)
		time.Sleep(2 * helloTimeout)
		_ = conn.SetReadDeadline(time.Now().Add(commitTimeout)) // it asked for more than it was answered
	}()
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			return
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || len(body) > maxBody {
			t.Errorf("an answer of %d bytes: %v", len(body), err)
		}
		if s := response.StatusCode; (s == http.StatusOK || s == http.StatusConflict) && !json.Valid(body) {
			t.Errorf("status %d, and no JSON: %q", s, body)
		} else if s >= http.StatusInternalServerError && s != http.StatusNotImplemented && s != http.StatusHTTPVersionNotSupported {
			t.Errorf("status %d: %q", s, body)
		}
	}
}

// worthReading looks whether what is said of the members can be told apart and shown.
func worthReading(t *testing.T, s state) {
	t.Helper()
	for _, m := range s.Members {
		if m.ID == "" || m.Name == "" || !utf8.ValidString(m.Name) || strings.ContainsFunc(m.Name+m.Address+m.ID+m.Version, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("a member %q called %q at %q", m.ID, m.Name, m.Address)
		}
		if _, err := withPort(m.Address); err != nil {
			t.Errorf("a member at %q", m.Address)
		}
	}
}

// FuzzAnswer lets a host that was asked answer anything: it is an error, or what was asked for.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"cluster":"c","detect":500000000,"voters":["1"]}`, `{"error":"no","hint":"do"}`, `{"error":"no","leader":"10.11.12.4:7600"}`,
		`{"no_leader":true}`, `{"unknown":true,"error":"who"}`, `{}`, `null`, ``, `[`, `{"detect":1e99}`, "\xff", strings.Repeat("[", 10_001), `{"leader":"http://x/"}`,
	} {
		for _, status := range []int{http.StatusOK, http.StatusConflict, http.StatusNotFound, http.StatusBadRequest} {
			f.Add(status, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		answer := &http.Response{StatusCode: status, Status: fmt.Sprint(status), Body: io.NopCloser(bytes.NewReader(body))}
		var info clusterInfo
		err := decode(answer, &info)
		switch {
		case err == nil && (status != http.StatusOK || !json.Valid(body)):
			t.Errorf("%d %q was taken for %+v", status, body, info)
		case err == nil:
			return
		case len(err.Error()) > 3*len(body)+1000: // what is no UTF-8 becomes three bytes
			t.Errorf("an error of %d bytes from an answer of %d", len(err.Error()), len(body))
		}
		var next elsewhere
		if errors.As(err, &next) {
			if _, err := withPort(string(next)); err == nil && strings.ContainsAny(string(next), "/@# \n") {
				t.Errorf("the leader is said to be at %q", next)
			}
			return
		}
		if again := toRefusal(err).err(); again.Error() != err.Error() {
			t.Errorf("%v is passed on as %v", err, again)
		}
	})
}

// FuzzStored opens a member's disk on which something else is written under one of its names.
func FuzzStored(f *testing.F) {
	keys := []string{keyIdentity, keyVote, "CurrentTerm", "the last entry"}
	entry := []byte("\x86\xa5Index\x3e\xa4Term\x02\xa4Type\x00\xa4Data\xc4\x02{}\xaaExtensions\xc0\xaaAppendedAt\xc0")
	for i := range keys {
		for _, value := range [][]byte{[]byte(`{"id":"x","machine":"m"}`), []byte(`{"id":"x","machine":"m","cluster":"c","detect":500000000}`), []byte(`{"term":3,"candidate":"YQ=="}`), {0, 0, 0, 0, 0, 0, 0, 3}, bytes.Repeat([]byte{0xff}, 8), {0}, {}, []byte("null"), []byte("{}"), entry} {
			f.Add(uint8(i), value)
		}
	}
	dir := quickDir(f)
	path := filepath.Join(dir, fileName)
	image := imageOfMember(f, dir)
	f.Fuzz(func(t *testing.T, which uint8, value []byte) {
		key := keys[int(which)%len(keys)]
		lay(t, dir, image)
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			if key == "the last entry" {
				return tx.Bucket([]byte("logs")).Put([]byte{0, 0, 0, 0, 0, 0, 0, 62}, value)
			}
			return tx.Bucket([]byte("conf")).Put([]byte(key), value)
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		startedOn(t, dir)
	})
}

// lay makes a directory hold raft.db and nothing else.
func lay(t *testing.T, dir string, image []byte) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, snapshotsDir)), os.WriteFile(filepath.Join(dir, fileName), image, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// imageOfMember returns the file of the only member of a cluster.
func imageOfMember(f *testing.F, dir string) []byte {
	f.Helper()
	d, err := OpenDataDir(dir, zap.NewNop())
	if err != nil {
		f.Fatal(err)
	}
	authority, err := trust.NewAuthority("c", time.Now())
	if err != nil {
		f.Fatal(err)
	}
	credentials, err := trust.Issue(authority, "c", "x", time.Now())
	if err != nil {
		f.Fatal(err)
	}
	s := &store{Disk: d}
	entries := []*raft.Log{
		{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "x", Address: "10.11.12.4:7600"}}})},
		{Index: 2, Term: 2, Data: []byte(`{"found":{"cluster":"c","detect":500000000}}`)},
	}
	for i := range uint64(60) { // more than one page
		entries = append(entries, &raft.Log{Index: 3 + i, Term: 2, Data: []byte(`{"intent":{"term":2,"reason":"asked for by an operator"}}`)})
	}
	path := filepath.Join(dir, fileName)
	image, err := []byte(nil), errors.Join(
		s.put(keyIdentity, identity{ID: "x", Machine: "m", Cluster: "c", Detect: half, Credentials: credentials}),
		s.put(keyVote, vote{Term: 2, Candidate: []byte("10.11.12.4:7600")}),
		s.SetUint64([]byte("CurrentTerm"), 2),
		s.StoreLogs(entries),
		s.Close(),
	)
	if err == nil {
		image, err = os.ReadFile(path)
	}
	if err != nil {
		f.Fatal(err)
	}
	return image
}

// startedOn starts a member on a directory: either that is refused, with what to do, or the member runs, elects itself if it is the
// only one, and ends in good order. It reports whether the member came to lead. Then it looks whether the member could be recovered.
func startedOn(t *testing.T, dir string) (led bool) {
	t.Helper()
	before := allocated()
	bubble(t, func(t *testing.T) {
		h := newHost(t, newNetwork(), 1, half)
		h.cfg.Listener = h.net.listen(h.cfg.Address.String())
		if h.usesDisk(dir, func() (err error) { h.node, err = Open(h.cfg); return err }) {
			if h.node.identity.ID == "" {
				t.Error("a member without an id")
			}
			time.Sleep(4 * half)
			led = h.node.Status().Leading
			if err := h.node.Close(); err != nil {
				t.Error(err)
			}
		}
		var r *Recovery
		if h.usesDisk(dir, func() (err error) { r, err = OpenRecovery(h.cfg); return err }) {
			if r.Cluster == "" || r.Self.ID == "" {
				t.Errorf("%+v could be recovered", r)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	if took := allocated() - before; took > 64<<20 {
		t.Errorf("it took %d bytes of memory", took)
	}
	return led
}

// usesDisk opens a directory and what uses it. A refusal must say what to do.
func (h *host) usesDisk(dir string, use func() error) bool {
	h.t.Helper()
	d, err := OpenDataDir(dir, zap.NewNop())
	if err == nil {
		h.cfg.Disk = d
		err = use()
	}
	if err == nil {
		return true
	}
	if _, hint := errors.AsType[*hintedError](err); !hint {
		h.t.Errorf("no hint: %v", err)
	}
	if !utf8.ValidString(err.Error()) || len(err.Error()) > 2000 {
		h.t.Errorf("an error of %d bytes: %q", len(err.Error()), err)
	}
	return false
}

// FuzzDataDir changes some bytes of raft.db, and makes its checksums fit, as whoever can write there would.
func FuzzDataDir(f *testing.F) {
	dir := quickDir(f)
	image := imageOfMember(f, dir)
	f.Add([]byte{})
	for p := range byte(len(image) / 4096) {
		f.Add([]byte{p, 0, 8, 1, p, 0, 10, 255})
		f.Add([]byte{p, 0, 16, 255, p, 0, 20, 255, p, 0, 24, 255})
		f.Add([]byte{p, 15, 250, 1, p, 0, 12, 1})
	}
	f.Fuzz(func(t *testing.T, changes []byte) {
		b := slices.Clone(image)
		for c := range slices.Chunk(changes, 4) { // page, offset in it, value
			if len(c) == 4 {
				b[(int(c[0])*4096+int(c[1])%16*256+int(c[2]))%len(b)] = c[3]
			}
		}
		for p := range metaPages {
			seal(page(b, p))
		}
		lay(t, dir, b)
		if !startedOn(t, dir) && len(changes) == 0 {
			t.Error("it does not lead, though nothing was changed")
		}
	})
}

// seal makes the checksum of a meta page fit.
func seal(meta []byte) {
	h := fnv.New64a()
	_, _ = h.Write(meta[pageHead:][:metaSize-8])
	binary.NativeEndian.PutUint64(meta[pageHead+metaSize-8:], h.Sum64())
}

// FuzzSnapshot opens a directory whose only snapshot says anything of itself and holds anything.
func FuzzSnapshot(f *testing.F) {
	dir := quickDir(f)
	meta := `{"Version":1,"ID":"2-9-1","Index":9,"Term":2,"Peers":"","Configuration":{"Servers":[{"Suffrage":0,"ID":"x","Address":"10.11.12.4:7600"}]},"ConfigurationIndex":1,"Size":15,"CRC":"CRC"}`
	for _, m := range []string{meta, strings.Replace(meta, `"Index":9`, `"Index":18446744073709551615`, 1), strings.Replace(meta, `"Version":1`, `"Version":7`, 1), strings.Replace(meta, `"ID":"x"`, `"ID":""`, 1), strings.Replace(meta, `"CRC":"CRC"`, `"CRC":""`, 1), `{}`, `null`, ``} {
		f.Add([]byte(m), []byte(`{"cluster":"c"}`))
		f.Add([]byte(m), []byte(`{"cluster":`))
	}
	image := imageOfMember(f, dir)
	f.Fuzz(func(t *testing.T, meta, content []byte) {
		crc := crc64.New(crc64.MakeTable(crc64.ECMA))
		_, _ = crc.Write(content)
		sum, err := json.Marshal(crc.Sum(nil))
		snapshot := filepath.Join(dir, snapshotsDir, "2-9-1")
		lay(t, dir, image)
		err = errors.Join(err,
			os.MkdirAll(snapshot, 0o700),
			os.WriteFile(filepath.Join(snapshot, "meta.json"), bytes.Replace(meta, []byte(`"CRC"`+`:"CRC"`), append([]byte(`"CRC":`), sum...), 1), 0o600),
			os.WriteFile(filepath.Join(snapshot, "state.bin"), content, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		startedOn(t, dir)
	})
}
