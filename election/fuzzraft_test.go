package election

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// tape is a connection whose other end has said all that it will say.
type tape struct {
	in     io.Reader
	out    bytes.Buffer
	once   sync.Once
	closed chan struct{}
}

func newTape(in io.Reader) *tape { return &tape{in: in, closed: make(chan struct{})} }

func (c *tape) Read(b []byte) (int, error)       { return c.in.Read(b) }
func (c *tape) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *tape) Close() error                     { c.once.Do(func() { close(c.closed) }); return nil }
func (c *tape) LocalAddr() net.Addr              { return pipeAddr("10.0.0.2:7600") }
func (c *tape) RemoteAddr() net.Addr             { return pipeAddr("10.0.0.1:7600") }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

// tapes is a network for raft's transport; whoever is called there is silent or says what answer holds.
type tapes struct {
	*queue
	answer []byte
	last   atomic.Pointer[tape]
}

func newTapes() *tapes { return &tapes{queue: newQueue(pipeAddr("10.0.0.2:7600"))} }

func (l *tapes) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) {
	conn := newTape(bytes.NewReader(l.answer))
	l.last.Store(conn)
	return conn, nil
}

func overTapes(l *tapes) *raft.NetworkTransport {
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: boundedLayer{l, time.Second}, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: time.Second, Logger: newRaftLogger(zap.NewNop()),
	})
}

// callOf returns the bytes of what calls member b.
func callOf(t testing.TB, call func(raft.Transport) error) []byte {
	t.Helper()
	l := newTapes()
	trans := overTapes(l)
	defer trans.Close()
	if err := call(trans); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return l.last.Load().out.Bytes()
}

func appendCall(t testing.TB, c raft.AppendEntriesRequest) []byte {
	return callOf(t, func(trans raft.Transport) error {
		return trans.AppendEntries("b", "", &c, new(raft.AppendEntriesResponse))
	})
}

func voteCall(t testing.TB, c raft.RequestVoteRequest) []byte {
	return callOf(t, func(trans raft.Transport) error { return trans.RequestVote("b", "", &c, new(raft.RequestVoteResponse)) })
}

func preVoteCall(t testing.TB, c raft.RequestPreVoteRequest) []byte {
	return callOf(t, func(trans raft.Transport) error {
		return trans.(raft.WithPreVote).RequestPreVote("b", "", &c, new(raft.RequestPreVoteResponse))
	})
}

func takeOverCall(t testing.TB, c raft.TimeoutNowRequest) []byte {
	return callOf(t, func(trans raft.Transport) error { return trans.TimeoutNow("b", "", &c, new(raft.TimeoutNowResponse)) })
}

func snapshotCall(t testing.TB, c raft.InstallSnapshotRequest, content []byte) []byte {
	return callOf(t, func(trans raft.Transport) error {
		return trans.InstallSnapshot("b", "", &c, new(raft.InstallSnapshotResponse), bytes.NewReader(content))
	})
}

// memoryDisk is a disk that nothing can happen to.
type memoryDisk struct {
	*raft.InmemStore
	*raft.InmemSnapshotStore
}

func newMemoryDisk() memoryDisk {
	return memoryDisk{raft.NewInmemStore(), raft.NewInmemSnapshotStore()}
}

func (memoryDisk) Close() error  { return nil }
func (memoryDisk) Remove() error { return nil }

// trio is the configuration of the cluster of a, b and c.
func trio() raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{
		{ID: "a", Address: "10.0.0.1:7600"}, {ID: "b", Address: "10.0.0.2:7600"}, {ID: "c", Address: "10.0.0.3:7600"},
	}}
}

// follower is member b with a real raft behind the guard, in term 3 with five entries. It does not stand by itself.
type follower struct {
	t       *testing.T
	bench   *bench
	tapes   *tapes
	raft    *raft.Raft
	store   *store
	machine *machine
}

func newFollower(t *testing.T) *follower {
	t.Helper()
	f := &follower{t: t, bench: newBench(t), tapes: newTapes(), store: &store{Disk: newMemoryDisk()}, machine: newMachine()}
	f.store.lost = func(err error) { t.Errorf("the disk was given up: %v", err) }
	entries := []*raft.Log{{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(trio())}}
	for i := range uint64(4) {
		entries = append(entries, &raft.Log{Index: 2 + i, Term: 2 + i/2, Data: []byte(`{"member":{"id":"a","name":"vm1"}}`)})
	}
	view := &raftView{}
	trans := newTransport(overTapes(f.tapes), f.bench.rules, view, &turn{self: "b", detect: testDetect, now: f.bench.now, order: func() []raft.ServerID { return nil }, unfit: func() time.Duration { return 0 }, heard: f.bench.lastHeard})
	c := raft.DefaultConfig()
	c.LocalID, c.Logger, c.NoLegacyTelemetry = "b", newRaftLogger(zap.NewNop()), true
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = time.Hour, time.Hour, time.Hour
	err := errors.Join(f.store.StoreLogs(entries), f.store.SetUint64([]byte("CurrentTerm"), 3))
	if err == nil {
		f.raft, err = raft.NewRaft(c, f.machine, f.store, f.store, f.store, trans)
	}
	if err != nil {
		t.Fatal(err)
	}
	view.raft.Store(f.raft)
	return f
}

// hears lets the follower read all of in from a member, and returns its answers.
func (f *follower) hears(in io.Reader) []byte {
	f.t.Helper()
	conn := newTape(in)
	f.tapes.put(conn)
	select {
	case <-conn.closed:
	case <-time.After(10 * time.Second):
		f.t.Fatal("it hangs")
	}
	return conn.out.Bytes()
}

// isWell looks whether the follower is what it was: it answers, its log has no holes, and its fence is closed.
func (f *follower) isWell() {
	f.t.Helper()
	if f.hears(bytes.NewReader(preVoteCall(f.t, raft.RequestPreVoteRequest{RPCHeader: from("c", "10.0.0.3:7600"), Term: 9}))) == nil {
		f.t.Error("it does not answer")
	}
	first, err := f.store.FirstIndex()
	last, err2 := f.store.LastIndex()
	for i := first; i <= last && first > 0; i++ {
		err = errors.Join(err, f.store.GetLog(i, new(raft.Log)))
	}
	if err != nil || err2 != nil {
		f.t.Errorf("entries %d to %d: %v, %v", first, last, err, err2)
	}
	if term := f.raft.CurrentTerm(); term > maxTerm {
		f.t.Errorf("in term %d nobody can be elected any more", term)
	}
	f.bench.wantFence(0)
	wellFormedState(f.t, f.machine.get())
	if err := f.raft.Shutdown().Error(); err != nil {
		f.t.Error(err)
	}
}

// allocated is how many bytes of memory have been taken until now, also those that were given back.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// limit is how much memory so many bytes of a call or an answer may take: what raft and its connections have ready for each, what
// the runtime counts late, and then some times their number.
func limit(n int) uint64 { return 8<<20 + 32*uint64(n) }

func FuzzRaftConnection(f *testing.F) {
	heartbeat := appendCall(f, raft.AppendEntriesRequest{RPCHeader: from("a", "10.0.0.1:7600"), Term: 3})
	entries := appendCall(f, raft.AppendEntriesRequest{
		RPCHeader: from("a", "10.0.0.1:7600"), Term: 4, PrevLogEntry: 5, PrevLogTerm: 3, LeaderCommitIndex: 7, Entries: []*raft.Log{
			{Index: 6, Term: 4, Type: raft.LogNoop},
			{Index: 7, Term: 4, Data: []byte(`{"intent":{"term":4,"reason":"asked"}}`)},
			{Index: 8, Term: 4, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(trio())},
		},
	})
	vote := voteCall(f, raft.RequestVoteRequest{RPCHeader: from("c", "10.0.0.3:7600"), Term: 4, LastLogIndex: 5, LastLogTerm: 3})
	preVote := preVoteCall(f, raft.RequestPreVoteRequest{RPCHeader: from("c", "10.0.0.3:7600"), Term: 4, LastLogIndex: 5, LastLogTerm: 3})
	takeOver := takeOverCall(f, raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: stamp(3, []byte("a")), Addr: []byte("10.0.0.1:7600")}})
	content := []byte(`{"cluster":"c","members":[{"id":"a"}]}`)
	snapshot := snapshotCall(f, raft.InstallSnapshotRequest{
		RPCHeader: from("a", "10.0.0.1:7600"), SnapshotVersion: 1, Term: 3, LastLogIndex: 9, LastLogTerm: 3,
		Configuration: raft.EncodeConfiguration(trio()), ConfigurationIndex: 1, Size: int64(len(content)),
	}, content)
	for _, seed := range [][]byte{
		heartbeat, entries, vote, preVote, takeOver, snapshot,
		bytes.Join([][]byte{heartbeat, entries, preVote, vote}, nil), append(snapshot, entries...), append(heartbeat, takeOver...),
		{0, 0x81, 0xa7, 'E', 'n', 't', 'r', 'i', 'e', 's', 0xdd, 0xff, 0xff, 0xff, 0xff}, // 4 Gi entries
		append([]byte{0, 0x81, 0xa7, 'E', 'n', 't', 'r', 'i', 'e', 's', 0xdc, 0xff, 0xff}, bytes.Repeat([]byte{0x80}, 0xffff)...),
		{0, 0x81, 0xa2, 'I', 'D', 0xc6, 0xff, 0xff, 0xff, 0xff, 1}, // an id of 4 GiB
		{1, 0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0, 0xc0},
		append([]byte{4}, bytes.Repeat([]byte{0x91}, 2000)...),
		{9},
		{},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newFollower(t)
		before := allocated()
		b.hears(bytes.NewReader(data))
		if took := allocated() - before; took > limit(len(data)) {
			t.Errorf("%d bytes took %d of memory, want %d at most", len(data), took, limit(len(data)))
		}
		b.isWell()
	})
}

// FuzzRaftCalls calls a follower, in the form that raft uses, with what no honest member says.
func FuzzRaftCalls(f *testing.F) {
	configuration, hostile := raft.EncodeConfiguration(trio()), []byte("\xff\x00")
	for kind := range uint8(5) {
		f.Add(kind, uint64(4), uint64(5), uint64(3), uint64(9), uint64(6), uint8(raft.LogCommand), []byte(`{"forget":"a"}`), int64(0))
		f.Add(kind, uint64(4), uint64(5), uint64(3), uint64(9), uint64(6), uint8(raft.LogConfiguration), configuration, int64(2))
		f.Add(kind, uint64(4), uint64(5), uint64(3), uint64(9), uint64(7), uint8(raft.LogConfiguration), hostile, int64(-1))
		f.Add(kind, ^uint64(0), ^uint64(0), uint64(0), ^uint64(0), uint64(0), uint8(raft.LogAddPeerDeprecated), hostile, int64(1)<<62)
		f.Add(kind, uint64(3), uint64(0), uint64(0), uint64(5), uint64(1), uint8(9), []byte(nil), int64(8))
	}
	f.Fuzz(func(t *testing.T, kind uint8, term, index, logTerm, commit, entry uint64, entryType uint8, data []byte, size int64) {
		leader := from("a", "10.0.0.1:7600")
		var call []byte
		switch kind % 5 {
		case 0:
			entries := []*raft.Log{{Index: entry, Term: term, Type: raft.LogType(entryType), Data: data}}
			if size%2 != 0 {
				entries = append(entries, nil, &raft.Log{Index: entry + 1, Term: logTerm, Type: raft.LogCommand, Data: data})
			}
			call = appendCall(t, raft.AppendEntriesRequest{RPCHeader: leader, Term: term, PrevLogEntry: index, PrevLogTerm: logTerm, LeaderCommitIndex: commit, Entries: entries})
		case 1:
			call = voteCall(t, raft.RequestVoteRequest{RPCHeader: leader, Term: term, LastLogIndex: index, LastLogTerm: logTerm, LeadershipTransfer: size%2 != 0})
		case 2:
			call = preVoteCall(t, raft.RequestPreVoteRequest{RPCHeader: leader, Term: term, LastLogIndex: index, LastLogTerm: logTerm})
		case 3:
			call = takeOverCall(t, raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: data, Addr: leader.Addr}})
		default:
			call = snapshotCall(t, raft.InstallSnapshotRequest{
				RPCHeader: leader, SnapshotVersion: raft.SnapshotVersion(entryType % 3), Term: term, LastLogIndex: index, LastLogTerm: logTerm,
				Peers: data, Configuration: data, ConfigurationIndex: commit, Size: size,
			}, []byte(`{"cluster":"c"}`))
		}
		b := newFollower(t)
		b.hears(bytes.NewReader(append(call, call...)))
		b.isWell()
	})
}

// FuzzRaftAnswers lets a member that is called answer with any bytes.
func FuzzRaftAnswers(f *testing.F) {
	for _, seed := range []string{"\xa0\xc0", "\xa0\x81\xa7Success\xc3", "\xa3%!d\x80", "\xdb\xff\xff\xff\xff", "\xa0\x81\xa1x\xc9\xff\xff\xff\xff\x05", "\xa0\xdf\xff\xff\xff\xff\xa2ID\xc6\xff\xff\xff\xff", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		l := newTapes()
		l.answer = answer
		trans := overTapes(l)
		defer trans.Close()
		before := allocated()
		var appended raft.AppendEntriesResponse
		err := trans.AppendEntries("a", "10.0.0.1:7600", &raft.AppendEntriesRequest{RPCHeader: from("b", "10.0.0.2:7600"), Term: 3}, &appended)
		if answered("a", appended.RPCHeader, appended.Term, err) == nil && !bytes.Contains(answer, []byte("a")) {
			t.Errorf("%q was taken for an answer of a: %+v", answer, appended)
		}
		_ = trans.RequestVote("a", "10.0.0.1:7600", &raft.RequestVoteRequest{Term: 3}, new(raft.RequestVoteResponse))
		_ = trans.RequestPreVote("a", "10.0.0.1:7600", &raft.RequestPreVoteRequest{Term: 3}, new(raft.RequestPreVoteResponse))
		_ = trans.InstallSnapshot("a", "10.0.0.1:7600", &raft.InstallSnapshotRequest{Term: 3}, new(raft.InstallSnapshotResponse), strings.NewReader("{}"))
		_ = trans.TimeoutNow("a", "10.0.0.1:7600", new(raft.TimeoutNowRequest), new(raft.TimeoutNowResponse))
		if took := allocated() - before; took > limit(len(answer)) {
			t.Errorf("%d bytes took %d of memory, want %d at most", len(answer), took, limit(len(answer)))
		}
	})
}
