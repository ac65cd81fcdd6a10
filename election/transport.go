package election

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// wire is the transport below the guard: raft's own over TCP, or a simulated one.
type wire interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
}

// view is what the guard asks of its own raft. All methods return at once.
type view interface {
	Configuration() raft.Configuration
	Term() uint64
	Campaigning(term uint64) bool // is a candidate that pre-votes for term
}

// transport stands between raft and the wire and lets pass only what the rules
// allow. Calls from peers reach raft one after another: the next one waits until
// the one before has been answered and the answer has been judged, heartbeats
// included (rule "serial").
type transport struct {
	wire  wire
	rules *rules
	raft  view
	turn  *turn
	hedge hedge

	progress sync.Map // raft.ServerID → uint64: the last entry that a peer is known to have
	calls    chan raft.RPC
	done     chan struct{}
	once     sync.Once
	pump     sync.WaitGroup
}

var (
	_ raft.Transport   = (*transport)(nil)
	_ raft.WithPreVote = (*transport)(nil)
	_ raft.WithClose   = (*transport)(nil)
)

var errClosed = errors.New("transport closed")

func newTransport(w wire, r *rules, v view, t *turn) *transport {
	tr := &transport{wire: w, rules: r, raft: v, turn: t, hedge: hedgeFor(r.detect), calls: make(chan raft.RPC), done: make(chan struct{})}
	tr.pump.Go(tr.serve)
	return tr
}

// --- calls from peers ---

func (t *transport) serve() {
	for {
		select {
		case call := <-t.wire.Consumer():
			response, err := t.handle(call)
			call.Respond(response, err)
		case <-t.done:
			return
		}
	}
}

func (t *transport) handle(call raft.RPC) (any, error) {
	if err := soundCall(call.Command); err != nil {
		return nil, fmt.Errorf("refused: %w", err)
	}
	switch c := call.Command.(type) {
	case *raft.AppendEntriesRequest:
		return t.handleAppend(call, c, t.pass)
	case *raft.RequestVoteRequest:
		return t.handleVote(call, c)
	case *raft.RequestPreVoteRequest:
		return t.handlePreVote(call, c)
	case *raft.TimeoutNowRequest:
		return t.handleTakeOver(call, c)
	default:
		return t.pass(call, call.Command)
	}
}

// pass hands a call to raft and waits for its answer.
func (t *transport) pass(call raft.RPC, command any) (any, error) {
	answer := make(chan raft.RPCResponse, 1)
	select {
	case t.calls <- raft.RPC{Command: command, Reader: call.Reader, RespChan: answer}:
	case <-t.done:
		return nil, errClosed
	}
	select {
	case a := <-answer:
		return a.Response, a.Error
	case <-t.done:
		return nil, errClosed
	}
}

func (t *transport) handleAppend(call raft.RPC, c *raft.AppendEntriesRequest, pass func(raft.RPC, any) (any, error)) (any, error) {
	leader := raft.ServerID(c.ID)
	if leader == "" {
		return nil, errors.New("refused: a leader without an id")
	}
	if err := t.rules.mayFollow(c.Term, leader); err != nil {
		if now := t.raft.Term(); now > c.Term { // let it see that its term is over
			return &raft.AppendEntriesResponse{RPCHeader: t.header(), Term: now}, nil
		}
		return nil, fmt.Errorf("refused: %w", err)
	}
	response, err := pass(call, c)
	hesitate()
	if a, ok := response.(*raft.AppendEntriesResponse); err == nil && ok && a.Success && a.Term == c.Term {
		if err := t.rules.promise(c.Term, leader); err != nil {
			return nil, fmt.Errorf("withdrawn: %w", err)
		}
	}
	return response, err
}

func (t *transport) handleVote(call raft.RPC, c *raft.RequestVoteRequest) (any, error) {
	candidate, ok := t.eligible(c.RPCHeader, c.Term, c.LeadershipTransfer)
	if !ok {
		return &raft.RequestVoteResponse{RPCHeader: t.header(), Term: t.raft.Term()}, nil
	}
	asked := *c
	if leftOut(rulePromise) { // and with it raft's own, weaker one: it refuses candidates while it knows a leader
		asked.LeadershipTransfer = true
	}
	response, err := t.pass(call, &asked)
	hesitate()
	if v, is := response.(*raft.RequestVoteResponse); err == nil && is && v.Granted {
		if err := t.rules.vote(c.Term, candidate, c.LeadershipTransfer); err != nil {
			return nil, fmt.Errorf("withdrawn: %w", err)
		}
	}
	return response, err
}

func (t *transport) handlePreVote(call raft.RPC, c *raft.RequestPreVoteRequest) (any, error) {
	refused := &raft.RequestPreVoteResponse{RPCHeader: t.header(), Term: t.raft.Term()}
	candidate, ok := t.eligible(c.RPCHeader, c.Term, false)
	if !ok {
		return refused, nil
	}
	response, err := t.pass(call, c)
	if v, is := response.(*raft.RequestPreVoteResponse); err == nil && is && v.Granted {
		if !t.turn.give(candidate) {
			return refused, nil
		}
	}
	return response, err
}

// eligible returns who asks for a vote, and whether the rules let it have one. Both
// it, at its address, and this member must stand in this member's own
// configuration: one that does not is new or was removed. (A non-voter may vote: if
// it is asked, the entry that gives it the vote exists and merely has not arrived,
// and without its voice a cluster of one that was adding its second could never
// elect again.)
func (t *transport) eligible(h raft.RPCHeader, term uint64, transfer bool) (candidate raft.ServerID, ok bool) {
	candidate = raft.ServerID(h.ID)
	members := t.raft.Configuration().Servers
	known := h.ProtocolVersion == raft.ProtocolVersionMax && candidate != "" &&
		slices.ContainsFunc(members, func(s raft.Server) bool {
			return s.ID == candidate && s.Address == t.wire.DecodePeer(h.Addr)
		}) &&
		slices.ContainsFunc(members, func(s raft.Server) bool { return s.ID == t.rules.self })
	return candidate, known && t.rules.mayVote(term, candidate, transfer) == nil
}

func (t *transport) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(t.rules.self), Addr: []byte(t.wire.LocalAddr())}
}

// A take-over call carries, in front of its sender's id, the term in which the
// sender abdicated: raft's own call carries none and would be obeyed at any time.
const stampSize = 8

func stamp(term uint64, id []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, term), id...)
}

func (t *transport) handleTakeOver(call raft.RPC, c *raft.TimeoutNowRequest) (any, error) {
	if len(c.ID) <= stampSize {
		return nil, errors.New("refused: take-over call without a term")
	}
	term, leader := binary.BigEndian.Uint64(c.ID), c.ID[stampSize:]
	if leftOut(ruleTakeOver) {
		term = t.raft.Term()
	}
	if term != t.raft.Term() {
		return nil, fmt.Errorf("refused: take-over call of term %d", term)
	}
	if err := t.rules.obey(term, raft.ServerID(leader)); err != nil {
		return nil, fmt.Errorf("refused: %w", err)
	}
	plain := *c
	plain.ID = leader
	return t.pass(call, &plain)
}

// --- calls to peers ---

// answered makes sure that an answer comes from the member that was asked. At its
// address there may by now live another, with a new disk and no memory of what the
// old one promised and voted.
func answered(asked raft.ServerID, by raft.RPCHeader, term uint64, err error) error {
	if err == nil && raft.ServerID(by.ID) != asked {
		return fmt.Errorf("member %s was asked, %q has answered", asked, by.ID)
	}
	return cmp.Or(err, soundTerm(term))
}

// AppendEntries makes a call without entries again if it is not answered soon. Raft
// uses one request and one response for many calls, and an attempt that nobody waits
// for any more may still read the one and write the other: each has its own.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (err error) {
	own := *args
	call := func() (raft.AppendEntriesResponse, error) { return t.append(id, target, &own) }
	if len(own.Entries) == 0 {
		*resp, err = hedged(&t.hedge, call)
	} else {
		*resp, err = call()
	}
	if has := own.PrevLogEntry + uint64(len(own.Entries)); err == nil && resp.Success && resp.Term == own.Term && has > 0 { // a heartbeat says nothing of entries
		t.progress.Store(id, has)
	}
	return err
}

// append notes the send time before the call leaves and counts a Success of the same
// term towards the lease.
func (t *transport) append(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest) (resp raft.AppendEntriesResponse, err error) {
	if t.rules.silent(args.Term) {
		return resp, errAbdicated
	}
	sent := t.rules.now()
	err = t.wire.AppendEntries(id, target, args, &resp)
	err = answered(id, resp.RPCHeader, resp.Term, err)
	if leftOut(ruleSendTime) {
		sent = t.rules.now()
	}
	if err == nil && resp.Success && resp.Term == args.Term {
		t.rules.acknowledged(args.Term, id, sent)
	}
	return resp, err
}

// matched returns the last entry that a peer is known to have; 0 if unknown.
func (t *transport) matched(id raft.ServerID) uint64 {
	has, _ := t.progress.Load(id)
	index, _ := has.(uint64)
	return index
}

// RequestVote asks for a vote, again if it is not answered soon.
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) (err error) {
	*resp, err = hedged(&t.hedge, func() (raft.RequestVoteResponse, error) { return t.vote(id, target, args) })
	return err
}

// vote asks for a vote, once more if a pooled connection has broken.
func (t *transport) vote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest) (resp raft.RequestVoteResponse, err error) {
	if err := t.rules.stand(args.Term, args.LeadershipTransfer); err != nil {
		return resp, fmt.Errorf("not standing: %w", err)
	}
	err = t.wire.RequestVote(id, target, args, &resp)
	if isBroken(err) {
		resp = raft.RequestVoteResponse{}
		err = t.wire.RequestVote(id, target, args, &resp)
	}
	return resp, answered(id, resp.RPCHeader, resp.Term, err)
}

// RequestPreVote waits for this member's turn and asks again while it is refused
// and still campaigns: pre-votes change no state, and the peer may merely not have
// noticed yet that the leader is gone.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	start := t.rules.now()
	wait := t.turn.delay()
	for {
		if err := t.turn.sleep(wait, t.done); err != nil {
			return err
		}
		if !t.raft.Campaigning(args.Term) || t.rules.now().Sub(start) > 3*t.rules.detect {
			return errors.New("no longer a candidate")
		}
		wait = preVoteInterval(t.rules.detect)
		if t.turn.holds() || t.rules.mayStand(args.Term) != nil {
			continue
		}
		*resp = raft.RequestPreVoteResponse{}
		err := t.wire.RequestPreVote(id, target, args, resp)
		err = answered(id, resp.RPCHeader, resp.Term, err)
		if err == nil && resp.Granted && !t.turn.take() {
			continue // in the meantime this member has let a better one go first
		}
		if err == nil && (resp.Granted || resp.Term > args.Term) {
			return nil
		}
		if err != nil && !isBroken(err) {
			return err
		}
	}
}

// TimeoutNow tells a peer to take over. It leaves only after this member has
// abdicated in its current term, and carries that term.
func (t *transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	term := t.raft.Term()
	if !t.rules.hasAbdicated(term) {
		return fmt.Errorf("take-over call in term %d without abdication", term)
	}
	stamped := *args
	stamped.ID = stamp(term, args.ID)
	return t.wire.TimeoutNow(id, target, &stamped, resp)
}

// InstallSnapshot forwards. It neither counts as an acknowledgement nor as a
// promise.
func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if t.rules.silent(args.Term) {
		return errAbdicated
	}
	return t.wire.InstallSnapshot(id, target, args, resp, data)
}

// Consumer returns the channel on which raft receives the calls that passed.
func (t *transport) Consumer() <-chan raft.RPC { return t.calls }

// SetHeartbeatHandler does nothing: raft's shortcut for heartbeats would
// acknowledge beside its main loop, out of order with votes.
func (t *transport) SetHeartbeatHandler(shortcut func(raft.RPC)) {
	if !leftOut(ruleSerial) {
		return
	}
	t.wire.SetHeartbeatHandler(func(call raft.RPC) {
		c, _ := call.Command.(*raft.AppendEntriesRequest)
		call.Respond(t.handleAppend(call, c, func(call raft.RPC, _ any) (any, error) {
			answer := make(chan raft.RPCResponse, 1)
			shortcut(raft.RPC{Command: c, Reader: call.Reader, RespChan: answer})
			a := <-answer
			return a.Response, a.Error
		}))
	})
}

// AppendEntriesPipeline declines, so that every acknowledgement passes through
// AppendEntries.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// LocalAddr returns this member's address.
func (t *transport) LocalAddr() raft.ServerAddress { return t.wire.LocalAddr() }

// EncodePeer returns the form in which an address stands in calls.
func (t *transport) EncodePeer(id raft.ServerID, addr raft.ServerAddress) []byte {
	return t.wire.EncodePeer(id, addr)
}

// DecodePeer is the inverse of EncodePeer.
func (t *transport) DecodePeer(b []byte) raft.ServerAddress {
	hesitate() // raft asks for it between its look at a call's term and its answer
	return t.wire.DecodePeer(b)
}

// Close ends the pump and closes the wire; waiting calls fail. It may be called
// more than once.
func (t *transport) Close() error {
	var err error
	t.once.Do(func() {
		close(t.done)
		t.pump.Wait()
		err = t.wire.Close()
	})
	return err
}

// drain waits for the attempts that nobody else waits for any more. It is called when
// raft has ended and the connections are closed.
func (t *transport) drain() { t.hedge.attempts.Wait() }

// isBroken reports whether err says that a connection ended, as one that was
// pooled while the peer restarted does, rather than that nobody answered in time.
func isBroken(err error) bool {
	var timeout interface{ Timeout() bool }
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err)
}
