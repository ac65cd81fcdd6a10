package election

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// scriptedWire answers outgoing calls as the test says and brings in its calls.
type scriptedWire struct {
	*raft.InmemTransport // for the methods that a test does not script
	incoming             chan raft.RPC
	appendResponse       raft.AppendEntriesResponse
	err                  error
	during               func() // runs while a call is under way
	takeOver             *raft.TimeoutNowRequest
}

func (w *scriptedWire) Consumer() <-chan raft.RPC { return w.incoming }
func (w *scriptedWire) Close() error              { return nil }

func (w *scriptedWire) AppendEntries(_ raft.ServerID, _ raft.ServerAddress, _ *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if w.during != nil {
		w.during()
	}
	if w.err == nil {
		*resp = w.appendResponse
	}
	return w.err
}

func (w *scriptedWire) TimeoutNow(_ raft.ServerID, _ raft.ServerAddress, args *raft.TimeoutNowRequest, _ *raft.TimeoutNowResponse) error {
	w.takeOver = args
	return nil
}

func (w *scriptedWire) RequestPreVote(raft.ServerID, raft.ServerAddress, *raft.RequestPreVoteRequest, *raft.RequestPreVoteResponse) error {
	return errors.New("not scripted")
}

type scriptedRaft struct {
	configuration raft.Configuration
	term          uint64
}

func (r *scriptedRaft) Configuration() raft.Configuration { return r.configuration }
func (r *scriptedRaft) Term() uint64                      { return r.term }
func (r *scriptedRaft) Campaigning(uint64) bool           { return false }

// guarded is a transport of member b over a scripted wire. answer plays raft.
type guarded struct {
	*bench
	*transport
	wire *scriptedWire
	raft *scriptedRaft
}

func newGuarded(t *testing.T, answer func(command any) any) *guarded {
	b := newBench(t)
	_, inner := raft.NewInmemTransport("10.0.0.2:7600")
	g := &guarded{bench: b, wire: &scriptedWire{InmemTransport: inner, incoming: make(chan raft.RPC)}, raft: &scriptedRaft{term: 7}}
	for i, id := range []raft.ServerID{"a", "b", "c"} {
		address := raft.ServerAddress([]string{"10.0.0.1:7600", "10.0.0.2:7600", "10.0.0.3:7600"}[i])
		g.raft.configuration.Servers = append(g.raft.configuration.Servers, raft.Server{ID: id, Address: address})
	}
	g.transport = newTransport(g.wire, b.rules, g.raft, &turn{self: "b", detect: testDetect, now: b.now, order: func() []raft.ServerID { return nil }, unfit: func() time.Duration { return 0 }, heard: b.lastHeard})
	t.Cleanup(func() { _ = g.transport.Close() })
	go func() {
		for call := range g.Consumer() {
			call.Respond(answer(call.Command), nil)
		}
	}()
	return g
}

// ask sends a call as a peer would and returns the answer.
func (g *guarded) ask(command any) (any, error) {
	answer := make(chan raft.RPCResponse, 1)
	g.wire.incoming <- raft.RPC{Command: command, RespChan: answer}
	a := <-answer
	return a.Response, a.Error
}

func from(id, address string) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: 3, ID: []byte(id), Addr: []byte(address)}
}

func succeed(command any) any {
	switch c := command.(type) {
	case *raft.AppendEntriesRequest:
		return &raft.AppendEntriesResponse{Term: c.Term, Success: true}
	case *raft.RequestVoteRequest:
		return &raft.RequestVoteResponse{Term: c.Term, Granted: true}
	case *raft.RequestPreVoteRequest:
		return &raft.RequestPreVoteResponse{Term: c.Term, Granted: true}
	}
	return &raft.TimeoutNowResponse{}
}

func TestAnAcknowledgementIsAPromiseBeforeItLeaves(t *testing.T) {
	g := newGuarded(t, succeed)
	if _, err := g.ask(&raft.AppendEntriesRequest{RPCHeader: from("a", "10.0.0.1:7600"), Term: 7}); err != nil {
		t.Fatal(err)
	}
	if g.promised.to != "a" || g.promised.until != 10_950 {
		t.Errorf("promised to %s until %d", g.promised.to, g.promised.until)
	}
	vote, err := g.ask(&raft.RequestVoteRequest{RPCHeader: from("c", "10.0.0.3:7600"), Term: 8})
	if err != nil || vote.(*raft.RequestVoteResponse).Granted {
		t.Errorf("voted in spite of the promise: %v, %v", vote, err)
	}
	pre, err := g.ask(&raft.RequestPreVoteRequest{RPCHeader: from("c", "10.0.0.3:7600"), Term: 8})
	if err != nil || pre.(*raft.RequestPreVoteResponse).Granted {
		t.Errorf("pre-voted in spite of the promise: %v, %v", pre, err)
	}
}

func TestAnAcknowledgementIsWithdrawnIfThisMemberStoodMeanwhile(t *testing.T) {
	var g *guarded
	g = newGuarded(t, func(c any) any {
		g.want(g.stand(8, false), nil) // raft stands while its answer is on the way
		return succeed(c)
	})
	if _, err := g.ask(&raft.AppendEntriesRequest{RPCHeader: from("a", "10.0.0.1:7600"), Term: 7}); !errors.Is(err, errVoted) {
		t.Errorf("got %v", err)
	}
}

func TestARefusalByRaftIsNoPromise(t *testing.T) {
	g := newGuarded(t, func(any) any { return &raft.AppendEntriesResponse{Term: 7, Success: false} })
	if _, err := g.ask(&raft.AppendEntriesRequest{RPCHeader: from("a", "10.0.0.1:7600"), Term: 7}); err != nil {
		t.Fatal(err)
	}
	if g.promised.until != 0 {
		t.Errorf("promised until %d", g.promised.until)
	}
}

func TestVotesGoOnlyToWhomTheConfigurationKnows(t *testing.T) {
	for _, c := range []struct {
		name   string
		header raft.RPCHeader
		own    string // this member's id in its own configuration
		want   bool
	}{
		{"a member", from("c", "10.0.0.3:7600"), "b", true},
		{"without id", from("", "10.0.0.3:7600"), "b", false},
		{"a stranger", from("x", "10.0.0.3:7600"), "b", false},
		{"at another address", from("c", "10.0.0.9:7600"), "b", false},
		{"with another protocol version", raft.RPCHeader{ProtocolVersion: 2, ID: []byte("c"), Addr: []byte("10.0.0.3:7600")}, "b", false},
		{"asked of one that is new at a member's address", from("c", "10.0.0.3:7600"), "b-old", false},
		{"asked of one that remembers nothing", from("c", "10.0.0.3:7600"), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuarded(t, succeed)
			if g.raft.configuration.Servers[1].ID = raft.ServerID(c.own); c.own == "" {
				g.raft.configuration = raft.Configuration{}
			}
			vote, err := g.ask(&raft.RequestVoteRequest{RPCHeader: c.header, Term: 8})
			if err != nil || vote.(*raft.RequestVoteResponse).Granted != c.want {
				t.Errorf("got %+v, %v; want granted %v", vote, err, c.want)
			}
		})
	}
}

func TestOnlySuccessInTheSameTermExtendsTheLease(t *testing.T) {
	for _, c := range []struct {
		name string
		resp raft.AppendEntriesResponse
		err  error
		want int64
	}{
		{"success", raft.AppendEntriesResponse{RPCHeader: from("a", ""), Term: 7, Success: true}, nil, 10_750},
		{"by another member at that address", raft.AppendEntriesResponse{RPCHeader: from("x", ""), Term: 7, Success: true}, nil, 0},
		{"refusal", raft.AppendEntriesResponse{RPCHeader: from("a", ""), Term: 7}, nil, 0},
		{"another term", raft.AppendEntriesResponse{RPCHeader: from("a", ""), Term: 8, Success: true}, nil, 0},
		{"no answer", raft.AppendEntriesResponse{Term: 7, Success: true}, io.EOF, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuarded(t, succeed)
			g.wire.appendResponse, g.wire.err = c.resp, c.err
			g.wire.during = func() { g.clock = 10_100 }
			reused := raft.AppendEntriesResponse{Term: 7, Success: true} // what raft's last heartbeat left
			_ = g.AppendEntries("a", "10.0.0.1:7600", &raft.AppendEntriesRequest{Term: 7}, &reused)
			g.wantFence(c.want)
		})
	}
}

func TestATakeOverCallLeavesOnlyAfterAbdicationAndCarriesItsTerm(t *testing.T) {
	g := newGuarded(t, succeed)
	call := &raft.TimeoutNowRequest{RPCHeader: from("b", "10.0.0.2:7600")}
	if err := g.TimeoutNow("a", "10.0.0.1:7600", call, nil); err == nil || g.wire.takeOver != nil {
		t.Fatal("the call left before the fence was closed")
	}
	g.abdicate(7)
	if err := g.TimeoutNow("a", "10.0.0.1:7600", call, nil); err != nil {
		t.Fatal(err)
	}
	if got := g.wire.takeOver.ID; string(got) != "\x00\x00\x00\x00\x00\x00\x00\x07b" {
		t.Errorf("stamped %q", got)
	}
}

func TestATakeOverCallIsObeyedOnlyInItsTerm(t *testing.T) {
	for _, c := range []struct {
		name string
		id   []byte
		want bool
	}{
		{"of this term", stamp(7, []byte("a")), true},
		{"delayed from an earlier term", stamp(6, []byte("a")), false},
		{"of a member that does not lead", stamp(7, []byte("c")), false},
		{"without a term, as raft sends it", []byte("a"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuarded(t, succeed)
			if _, err := g.ask(&raft.AppendEntriesRequest{RPCHeader: from("a", "10.0.0.1:7600"), Term: 7}); err != nil {
				t.Fatal(err)
			}
			_, err := g.ask(&raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: c.id, Addr: []byte("10.0.0.1:7600")}})
			if (err == nil) != c.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHeartbeatsTakeTheSameWayAsVotes(t *testing.T) {
	g := newGuarded(t, succeed)
	g.SetHeartbeatHandler(func(raft.RPC) { t.Error("a heartbeat went past the main loop") })
	if _, err := g.ask(&raft.AppendEntriesRequest{RPCHeader: from("a", "10.0.0.1:7600"), Term: 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.AppendEntriesPipeline("a", "10.0.0.1:7600"); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
		t.Errorf("pipelining is on: %v", err)
	}
}

func TestAnAbdicatedLeaderFallsSilent(t *testing.T) {
	g := newGuarded(t, succeed)
	g.wire.appendResponse = raft.AppendEntriesResponse{Term: 7, Success: true}
	g.abdicate(7)
	g.clock += 2_001
	if err := g.AppendEntries("a", "10.0.0.1:7600", &raft.AppendEntriesRequest{Term: 7}, &raft.AppendEntriesResponse{}); !errors.Is(err, errAbdicated) {
		t.Errorf("still speaks: %v", err)
	}
}
