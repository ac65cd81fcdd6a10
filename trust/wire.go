package trust

import (
	"context"
	"net"
)

// Protocols on the port that hosts share, as ALPN names them.
const (
	Raft    = "vipd-raft/1"    // consensus; between members
	Members = "vipd-members/1" // what members ask one another
	Join    = "vipd-join/1"    // a host with a token asks a member to be let in
	Form    = "vipd-form/1"    // hosts with the same secret find one another
)

// Keys are what a host may show and trust at a handshake. Each may be missing.
type Keys struct {
	Member *Credentials // of a member of a cluster
	Secret *Credentials // of one who knows the secret
	Root   string       // the fingerprint of the only root that a host which joins trusts
}

// Shown is what a host that is called for a protocol shows; nil if it cannot speak it.
func (k Keys) Shown(protocol string) *Credentials {
	switch protocol {
	case Raft, Members, Join:
		return k.Member
	case Form:
		return k.Secret
	}
	return nil
}

// Peer is who is at the other end.
type Peer struct {
	Protocol string
	Cluster  string   // "" with Join, seen from the member, and with Form
	ID       string   // of the member; "" where Cluster is
	Roots    []string // fingerprints of the roots that vouch for it
}

// Wire makes connections between hosts secure. Both methods block until the handshake is
// over or ctx ends. If they fail, the caller closes the connection; the errors are for
// people, and errors.Is finds the one of ctx in them.
//
// A client that the server refuses may learn that only at its first read, see [Explain].
type Wire interface {
	// Client begins a connection that was dialled.
	Client(ctx context.Context, conn net.Conn, protocol string, keys Keys) (net.Conn, Peer, error)
	// Server begins a connection that was accepted.
	Server(ctx context.Context, conn net.Conn, keys Keys) (net.Conn, Peer, error)
}
