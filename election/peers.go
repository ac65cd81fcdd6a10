package election

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"github.com/vipd/vipd/trust"
)

// Hosts ask one another over HTTP on the shared port, one request a connection. The
// first two are for those with a token or the secret, the others for members.
const (
	pathCluster  = "/cluster"  // {} → clusterInfo; any member
	pathEnrol    = "/enrol"    // enrolment → enrolled; the leader
	pathForming  = "/forming"  // {} → forming; any host, of those with the secret
	pathJoin     = "/join"     // Member; the leader
	pathRemove   = "/remove"   // a member's name or id; the leader
	pathLeave    = "/leave"    // the asker's id; the leader
	pathHandOver = "/handover" // Move; the leader
	pathPrepare  = "/prepare"  // {}: warm the service up; any member
	pathFreeze   = "/freeze"   // Freeze; the leader
	pathThaw     = "/thaw"     // {}; the leader
	pathReady    = "/ready"    // {}: whether a take-over call would be obeyed; any member
	pathReport   = "/report"   // Member; the leader
	pathContacts = "/contacts" // {} → time since each member was heard, by id; the leader
	pathRemoved  = "/removed"  // the id of the host that is told; any host
	pathToken    = "/token"    // tokenWish → newToken; the leader
	pathRevoke   = "/revoke"   // a token's id; the leader
	pathRotate   = "/rotate"   // {}; the leader
)

// DefaultPort is the port of an address that names none.
const DefaultPort = 7600

const (
	maxBody = 64 << 10
	maxHops = 3
)

// clusterInfo is what a host says of its cluster to one that wants to join.
type clusterInfo struct {
	Cluster string          `json:"cluster"`
	Detect  time.Duration   `json:"detect"`
	Voters  []raft.ServerID `json:"voters"`
}

// refusal is an error on the wire. Leader names where to ask instead.
type refusal struct {
	Message string `json:"error"`
	Hint    string `json:"hint,omitempty"`
	Leader  string `json:"leader,omitempty"`
	None    bool   `json:"no_leader,omitempty"`
	Unknown bool   `json:"unknown,omitempty"` // somebody was named who there is not
	Removed bool   `json:"removed,omitempty"` // the asker was a member
}

// joined is the answer to one that wants to join.
type joined struct {
	Waiting bool `json:"waiting"` // its vote waits for a third host
}

// HandleMoves says what performs a hand-over that was asked for on another member.
// It must be called before [Node.Run].
func (n *Node) HandleMoves(move func(context.Context, Move) error) { n.move = move }

// HandlePrepare says what warms the service up on this host when another one is about to
// hand over to it. It must be called before [Node.Run].
func (n *Node) HandlePrepare(prepare func(context.Context) error) { n.prepare = prepare }

var errNotHere = errors.New("this host does not do that")

func (n *Node) handleCluster(context.Context, struct{}) (any, error) {
	return clusterInfo{Cluster: n.who().Cluster, Detect: n.cfg.Detect, Voters: n.view.voters()}, nil
}

// forStrangers is what hosts may ask that are yet to become members.
func (n *Node) forStrangers() http.Handler {
	mux := http.NewServeMux()
	handle(mux, pathCluster, n.handleCluster)
	handle(mux, pathEnrol, onLeader(n, n.enrol))
	handle(mux, pathForming, n.sayForming)
	return mux
}

// forMembers is what members may ask. Who has a certificate and is none yet may join.
func (n *Node) forMembers() http.Handler {
	mux := http.NewServeMux()
	handle(mux, pathCluster, n.handleCluster)
	handle(mux, pathJoin, onLeader(n, n.admit))
	mux.Handle("/", n.ifMember(n.onlyForMembers()))
	return mux
}

// ifMember refuses those that are no members. Who is one the leader knows, see
// [Node.admits].
func (n *Node) ifMember(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Leading() && !n.isIn(callerOf(r.Context()).ID) {
			answer(w, nil, errNoMember)
			return
		}
		next.ServeHTTP(w, r)
	})
}

var errNoMember = errors.New("that host is no member of this cluster yet")

func (n *Node) onlyForMembers() http.Handler {
	mux := http.NewServeMux()
	handle(mux, pathToken, onLeader(n, n.makeToken))
	handle(mux, pathRevoke, onLeader(n, silently(n.revoke)))
	handle(mux, pathRotate, onLeader(n, silently(n.beginRotation)))
	handle(mux, pathRemove, onLeader(n, silently(n.expel)))
	handle(mux, pathLeave, onLeader(n, silently(n.release)))
	handle(mux, pathHandOver, onLeader(n, silently(n.move)))
	handle(mux, pathFreeze, onLeader(n, silently(func(ctx context.Context, f Freeze) error { return n.commit(ctx, command{Freeze: &f}) })))
	handle(mux, pathThaw, onLeader(n, silently(func(ctx context.Context, _ struct{}) error { return n.commit(ctx, command{Thaw: true}) })))
	handle(mux, pathPrepare, func(ctx context.Context, _ struct{}) (any, error) { return struct{}{}, n.prepare(ctx) })
	handle(mux, pathReady, func(context.Context, struct{}) (any, error) { return struct{}{}, n.rules.mayObey() })
	handle(mux, pathReport, onLeader(n, silently(n.note)))
	handle(mux, pathContacts, func(context.Context, struct{}) (any, error) {
		if !n.Leading() {
			return nil, ErrNoLeader
		}
		return n.contacts(), nil
	})
	handle(mux, pathRemoved, func(_ context.Context, id raft.ServerID) (any, error) { return struct{}{}, n.wasRemoved(id) })
	return mux
}

// serve answers what comes out of a queue until ctx ends.
func serve(ctx context.Context, from net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: helloTimeout, ReadTimeout: helloTimeout, MaxHeaderBytes: 4 << 10,
		ErrorLog: zap.NewStdLog(zap.NewNop()), BaseContext: func(net.Listener) context.Context { return ctx }, ConnContext: withPeer,
	}
	server.SetKeepAlivesEnabled(false)
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(from); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("answer other hosts: %w", err)
	}
	return nil
}

type peerKey struct{}

// caller is who asks, and from where.
type caller struct {
	trust.Peer
	host string
}

func withPeer(ctx context.Context, conn net.Conn) context.Context {
	c := caller{host: hostOf(conn.RemoteAddr())}
	if known, ok := conn.(*identified); ok {
		c.Peer = known.peer
	}
	return context.WithValue(ctx, peerKey{}, c)
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(peerKey{}).(caller)
	return c
}

// wasRemoved ends this host's membership if the leader's word is for its present
// identity.
func (n *Node) wasRemoved(id raft.ServerID) error {
	if id != n.rules.self {
		return errors.New("that member does not live here")
	}
	n.log.Warn("this host was removed from the cluster")
	n.forgetCluster()
	return nil
}

// handle serves one path: JSON in, JSON or a refusal out.
func handle[In any](mux *http.ServeMux, path string, f func(context.Context, In) (any, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		out, err := f(r.Context(), in)
		answer(w, out, err)
	})
}

func answer(w http.ResponseWriter, out any, err error) {
	if err != nil {
		w.WriteHeader(http.StatusConflict)
		out = toRefusal(err)
	}
	_ = json.NewEncoder(w).Encode(out)
}

// onLeader wraps what only the leader does; others say who leads.
func onLeader[In any](n *Node, f func(context.Context, In) (any, error)) func(context.Context, In) (any, error) {
	return func(ctx context.Context, in In) (any, error) {
		if n.Leading() {
			return f(ctx, in)
		}
		if leader, id := n.raft.LeaderWithID(); leader != "" && id != n.rules.self {
			return nil, elsewhere(leader)
		}
		return nil, ErrNoLeader
	}
}

// silently makes what has nothing to say answer nothing.
func silently[In any](f func(context.Context, In) error) func(context.Context, In) (any, error) {
	return func(ctx context.Context, in In) (any, error) { return struct{}{}, f(ctx, in) }
}

// elsewhere is the address of the leader, returned by a member that is not it.
type elsewhere raft.ServerAddress

func (e elsewhere) Error() string { return "the leader is " + string(e) }

func toRefusal(err error) refusal {
	r := refusal{Message: err.Error(), None: errors.Is(err, ErrNoLeader), Removed: errors.Is(err, ErrRemoved)}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		r.Hint = h.Hint()
	}
	_, r.Unknown = errors.AsType[*UnknownError](err)
	var leader elsewhere
	if errors.As(err, &leader) {
		r.Leader = string(leader)
	}
	return r
}

func (r refusal) err() error {
	switch {
	case r.Leader != "":
		return elsewhere(r.Leader)
	case r.None:
		return ErrNoLeader
	case r.Unknown:
		return unknown(r.Message, r.Hint)
	case r.Removed:
		return refused(r.Message, r.Hint, true)
	case r.Hint != "":
		return hinted(r.Message, r.Hint)
	}
	return errors.New(r.Message)
}

// callLeader asks the leader, wherever it is: from says whom to ask first, and if
// empty the leader that this member knows.
func (n *Node) callLeader(ctx context.Context, from, path string, in, out any) error {
	address := from
	if address == "" && n.who().Cluster == "" {
		return ErrNotMember
	}
	if address == "" {
		leader, _ := n.raft.LeaderWithID()
		if leader == "" {
			return ErrNoLeader
		}
		address = string(leader)
	}
	err := n.asMember().callLeader(ctx, address, path, in, out)
	if _, silent := errors.AsType[*unreachable](err); silent && from == "" {
		return ErrNoLeader // it was the leader, and is not any more
	}
	return err
}

// call asks the member at address ("10.11.12.4" or "10.11.12.4:7600").
func (n *Node) call(ctx context.Context, address, path string, in, out any) error {
	return n.asMember().call(ctx, address, path, in, out)
}

// line is a way to ask other hosts: as whom.
type line struct {
	stream   *stream
	protocol string
	keys     trust.Keys
}

func (n *Node) asMember() line { return line{n.stream, trust.Members, n.stream.keys()} }

// callLeader asks from, and whom that says to ask instead.
func (l line) callLeader(ctx context.Context, from, path string, in, out any) error {
	address := from
	for range maxHops {
		err := l.call(ctx, address, path, in, out)
		if _, silent := errors.AsType[*unreachable](err); silent && address != from {
			return ErrNoLeader // it was the leader, and is not any more
		}
		var next elsewhere
		if !errors.As(err, &next) {
			return err
		}
		address = string(next)
	}
	return ErrNoLeader
}

func (l line) call(ctx context.Context, address, path string, in, out any) error {
	address, err := withPort(address)
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: l.dial}}
	response, err := client.Do(request)
	if err != nil {
		if refused, ok := errors.AsType[*refusedError](err); ok {
			return refused
		}
		return &unreachable{address, errors.Unwrap(err)}
	}
	defer response.Body.Close()
	return decode(response, out)
}

// unreachable says that no answer came from an address.
type unreachable struct {
	address string
	err     error
}

func (e *unreachable) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.address, e.cause()) }

// cause is why, without the addresses that the error of a dial repeats.
func (e *unreachable) cause() error {
	dial, ok := errors.AsType[*net.OpError](e.err)
	if !ok || dial.Op != "dial" {
		return e.err
	}
	if call, ok := errors.AsType[*os.SyscallError](dial); ok {
		return call.Err
	}
	return dial.Err
}

// Hint says what to look at.
func (e *unreachable) Hint() string {
	return "is vipd running there, and is the port open between the hosts?"
}

func (l line) dial(ctx context.Context, _, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	return l.stream.connect(ctx, address, l.protocol, l.keys)
}

// errUnknownCall is how a member of an earlier version answers.
var errUnknownCall = hinted("the host that was asked runs an earlier version of vipd, which can't do that", "upgrade it; `vipd status` shows the versions")

func decode(response *http.Response, out any) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusNotFound {
		return errUnknownCall
	}
	if response.StatusCode != http.StatusOK {
		var r refusal
		if json.Unmarshal(body, &r) != nil {
			return fmt.Errorf("unexpected answer %s", response.Status)
		}
		return r.err()
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// withPort adds the default port to a bare address.
func withPort(address string) (string, error) {
	if a, err := netip.ParseAddrPort(address); err == nil {
		return a.String(), nil
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "", hinted(fmt.Sprintf("%q is not an address", address), "give a member's own address, for example 10.11.12.4 or 10.11.12.4:7600")
	}
	return netip.AddrPortFrom(a, DefaultPort).String(), nil
}
