// Package trusttest has a [trust.Wire] without cryptography, for tests and simulations
// that make very many connections. It trusts whom TLS would trust, and its errors are
// the same; but it believes all that it is told.
package trusttest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/vipd/vipd/trust"
)

// Plain is the wire: each side says once what it would show and whom it would trust, and
// both come to the same judgement.
type Plain struct {
	Now func() time.Time // the wall clock
}

var _ trust.Wire = Plain{}

// Alerts of RFC 8446, section 6.2.
const (
	badCertificate        tls.AlertError = 42
	expiredCertificate    tls.AlertError = 45
	unknownCA             tls.AlertError = 48
	noApplicationProtocol tls.AlertError = 120
)

// Client says who it is first. As with TLS, a refusal by the server arrives when the
// connection is read from, and [trust.Explain] has the words for it.
func (w Plain) Client(ctx context.Context, conn net.Conn, protocol string, keys trust.Keys) (net.Conn, trust.Peer, error) {
	ours, err := w.calling(protocol, keys)
	if err != nil {
		return nil, trust.Peer{}, err
	}
	var theirs papers
	err = within(ctx, conn, func() error {
		if err := write(conn, ours); err != nil {
			return err
		}
		return read(conn, &theirs)
	})
	if err == nil {
		err = clientSays(ours, theirs)
	}
	if err != nil {
		return nil, trust.Peer{}, trust.Explain(protocol, err)
	}
	if err := serverSays(ours, theirs); err != nil {
		conn = refused{conn, remote(alertOf(err))}
	}
	return conn, ours.peer(theirs), nil
}

// Server answers a client.
func (w Plain) Server(ctx context.Context, conn net.Conn, keys trust.Keys) (net.Conn, trust.Peer, error) {
	var ours, theirs papers
	err := within(ctx, conn, func() error {
		if err := read(conn, &theirs); err != nil {
			return err
		}
		ours = w.called(theirs.Protocol, keys)
		return write(conn, ours)
	})
	switch {
	case err != nil:
	case ours.Protocol == "":
		err = trust.Unspoken([]string{theirs.Protocol})
	case clientSays(theirs, ours) != nil:
		err = remote(badCertificate)
	default:
		err = serverSays(theirs, ours)
	}
	if err != nil {
		return nil, trust.Peer{}, trust.ExplainCaller(err)
	}
	return conn, ours.peer(theirs), nil
}

// within lets ctx end what is done with a connection.
func within(ctx context.Context, conn net.Conn, do func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := do()
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("the handshake failed: %w", err)
	}
	return nil
}

// papers are what one side would show, and whom it would trust.
type papers struct {
	Protocol string   `json:"protocol"` // "" if it is not spoken
	Cluster  string   `json:"cluster,omitempty"`
	ID       string   `json:"id,omitempty"`
	Vouchers []string `json:"vouchers,omitempty"`
	Trusts   []string `json:"trusts,omitempty"`

	Begins time.Time `json:"begins,omitzero"` // with Ends: of the certificate
	Ends   time.Time `json:"ends,omitzero"`
	Now    time.Time `json:"now,omitzero"`
}

func (w Plain) calling(protocol string, keys trust.Keys) (papers, error) {
	if protocol == trust.Join {
		return papers{Protocol: protocol, Trusts: []string{keys.Root}, Now: w.Now()}, nil
	}
	p := w.called(protocol, keys)
	if p.Protocol == "" {
		return p, errors.New("this host has no certificate for " + protocol)
	}
	return p, nil
}

func (w Plain) called(protocol string, keys trust.Keys) papers {
	own := keys.Shown(protocol)
	if own == nil {
		return papers{}
	}
	p := papers{Protocol: protocol, Cluster: own.Cluster(), ID: own.ID(), Vouchers: own.Vouchers(), Trusts: own.Roots()}
	if protocol != trust.Form {
		p.Begins, p.Ends, p.Now = own.Begins(), own.Ends(), w.Now()
	}
	return p
}

// clientSays is what the client thinks of the server.
func clientSays(client, server papers) error {
	if server.Protocol != client.Protocol {
		return remote(noApplicationProtocol)
	}
	return client.judge(server)
}

// serverSays is what the server thinks of the client.
func serverSays(client, server papers) error {
	if server.Protocol == trust.Join {
		return nil
	}
	return server.judge(client)
}

func (p papers) judge(other papers) error {
	switch {
	case len(p.vouch(other)) == 0:
		return x509.UnknownAuthorityError{}
	case p.Now.Before(other.Begins):
		return untimely("current time %s is before %s", p.Now, other.Begins)
	case p.Now.After(other.Ends):
		return untimely("current time %s is after %s", p.Now, other.Ends)
	}
	return nil
}

// vouch are the roots that p trusts of those that vouch for another.
func (p papers) vouch(other papers) []string {
	var roots []string
	for _, root := range other.Vouchers {
		if slices.Contains(p.Trusts, root) {
			roots = append(roots, root)
		}
	}
	return roots
}

func (p papers) peer(other papers) trust.Peer {
	peer := trust.Peer{Protocol: p.Protocol}
	if p.Protocol != trust.Form && len(other.Vouchers) > 0 {
		peer.Cluster, peer.ID, peer.Roots = other.Cluster, other.ID, p.vouch(other)
	}
	return peer
}

// untimely is the error of crypto/x509.
func untimely(format string, now, limit time.Time) error {
	return x509.CertificateInvalidError{Reason: x509.Expired, Detail: fmt.Sprintf(format, now.UTC().Format(time.RFC3339), limit.Format(time.RFC3339))}
}

// alertOf is what a server would send.
func alertOf(err error) tls.AlertError {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return unknownCA
	}
	return expiredCertificate
}

// remote is the error of crypto/tls for an alert of the other side.
func remote(alert tls.AlertError) error { return &net.OpError{Op: "remote error", Err: alert} }

// refused is a connection whose server has sent an alert.
type refused struct {
	net.Conn
	err error
}

// Read finds the alert.
func (c refused) Read([]byte) (int, error) { return 0, c.err }
