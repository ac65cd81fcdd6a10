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
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// Members ask one another over HTTP on the shared port, one request a connection.
const (
	pathCluster  = "/cluster"  // {} → clusterInfo; any host
	pathJoin     = "/join"     // Member; the leader
	pathRemove   = "/remove"   // a member's name or id; the leader
	pathLeave    = "/leave"    // the asker's id; the leader
	pathMove     = "/move"     // a member's name or empty; the leader; earlier versions ask so
	pathHandOver = "/handover" // Move; the leader
	pathPrepare  = "/prepare"  // {}: warm the service up; any member
	pathFreeze   = "/freeze"   // Freeze; the leader
	pathThaw     = "/thaw"     // {}; the leader
	pathReady    = "/ready"    // {}: whether a take-over call would be obeyed; any member
	pathReport   = "/report"   // Member; the leader
	pathContacts = "/contacts" // {} → time since each member was heard, by id; the leader
	pathRemoved  = "/removed"  // the id of the host that is told; any host
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

func (n *Node) servePeers(ctx context.Context) error {
	mux := http.NewServeMux()
	handle(mux, pathCluster, func(context.Context, struct{}) (any, error) {
		h := n.hello()
		return clusterInfo{Cluster: h.Cluster, Detect: h.Detect, Voters: n.view.voters()}, nil
	})
	handle(mux, pathJoin, onLeader(n, n.admit))
	handle(mux, pathRemove, onLeader(n, silently(n.expel)))
	handle(mux, pathLeave, onLeader(n, silently(n.release)))
	handle(mux, pathHandOver, onLeader(n, silently(n.move)))
	handle(mux, pathMove, onLeader(n, silently(func(ctx context.Context, target string) error {
		return n.move(ctx, Move{Target: target, Reason: "asked for by an operator", Cause: ByOperator})
	})))
	handle(mux, pathFreeze, onLeader(n, silently(func(ctx context.Context, f Freeze) error { return n.commit(ctx, command{Freeze: &f}) })))
	handle(mux, pathThaw, onLeader(n, silently(func(ctx context.Context, _ struct{}) error { return n.commit(ctx, command{Thaw: true}) })))
	handle(mux, pathPrepare, func(ctx context.Context, _ struct{}) (any, error) { return struct{}{}, n.prepare(ctx) })
	handle(mux, pathReady, func(context.Context, struct{}) (any, error) { return struct{}{}, n.rules.mayObey() })
	handle(mux, pathReport, onLeader(n, silently(func(ctx context.Context, m Member) error { return n.commit(ctx, command{Member: &m}) })))
	handle(mux, pathContacts, func(context.Context, struct{}) (any, error) {
		if !n.Leading() {
			return nil, ErrNoLeader
		}
		return n.contacts(), nil
	})
	handle(mux, pathRemoved, func(_ context.Context, id raft.ServerID) (any, error) { return struct{}{}, n.wasRemoved(id) })
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: helloTimeout, ReadTimeout: helloTimeout, MaxHeaderBytes: 4 << 10,
		ErrorLog: zap.NewStdLog(zap.NewNop()), BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(n.stream.members); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serve members: %w", err)
	}
	return nil
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
		if err != nil {
			w.WriteHeader(http.StatusConflict)
			out = toRefusal(err)
		}
		_ = json.NewEncoder(w).Encode(out)
	})
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
	r := refusal{Message: err.Error(), None: errors.Is(err, ErrNoLeader)}
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
	case r.Hint != "":
		return hinted(r.Message, r.Hint)
	}
	return errors.New(r.Message)
}

// callLeader asks the leader, wherever it is: from says whom to ask first, and if
// empty the leader that this member knows.
func (n *Node) callLeader(ctx context.Context, from, path string, in, out any) error {
	address := from
	if address == "" && n.hello().Cluster == "" {
		return ErrNotMember
	}
	if address == "" {
		leader, _ := n.raft.LeaderWithID()
		if leader == "" {
			return ErrNoLeader
		}
		address = string(leader)
	}
	for range maxHops {
		err := n.call(ctx, address, path, in, out)
		var silent *unreachable
		if errors.As(err, &silent) && address != from {
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

// call asks the host at address ("10.11.12.4" or "10.11.12.4:7600").
func (n *Node) call(ctx context.Context, address, path string, in, out any) error {
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
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: n.dialMember}}
	response, err := client.Do(request)
	if err != nil {
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

func (e *unreachable) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.address, e.err) }

// Hint says what to look at.
func (e *unreachable) Hint() string {
	return "is vipd running there, and is the port open between the hosts?"
}

func (n *Node) dialMember(ctx context.Context, _, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	return n.stream.connect(ctx, address, protocolMembers)
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
