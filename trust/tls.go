package trust

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// TLS is the wire of production.
type TLS struct {
	Now func() time.Time // the wall clock
}

var _ Wire = TLS{}

// Client shows the certificate that goes with the protocol.
func (w TLS) Client(ctx context.Context, conn net.Conn, protocol string, keys Keys) (net.Conn, Peer, error) {
	c, err := w.calling(protocol, keys)
	if err != nil {
		return nil, Peer{}, err
	}
	secure := tls.Client(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, Peer{}, Explain(protocol, failed(err))
	}
	if secure.ConnectionState().NegotiatedProtocol != protocol {
		return nil, Peer{}, &Error{"what answers there speaks TLS, and is not vipd", "look who has that address"}
	}
	return begun(secure, keys.Root)
}

// Server shows the certificate that goes with the protocol which the other side wants.
func (w TLS) Server(ctx context.Context, conn net.Conn, keys Keys) (net.Conn, Peer, error) {
	var unspoken error
	c := w.config()
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		own := keys.Shown(only(hello.SupportedProtos))
		if own == nil {
			unspoken = Unspoken(hello.SupportedProtos)
			return w.refusing(), nil
		}
		return w.serving(hello.SupportedProtos[0], own), nil
	}
	secure := tls.Server(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, Peer{}, cmp.Or(unspoken, ExplainCaller(failed(err)))
	}
	return begun(secure, "")
}

func failed(err error) error { return fmt.Errorf("the handshake failed: %w", err) }

// calling is the configuration of a client.
func (w TLS) calling(protocol string, keys Keys) (*tls.Config, error) {
	c, own := w.config(), keys.Shown(protocol)
	c.NextProtos = []string{protocol}
	if protocol == Join {
		c.InsecureSkipVerify = true // the root is not known yet; its fingerprint is, and is compared here
		c.VerifyConnection = func(state tls.ConnectionState) error { return pinned(state, keys.Root, c.Time()) }
		return c, nil
	}
	if own == nil {
		return nil, errors.New("this host has no certificate for " + protocol)
	}
	if protocol == Form {
		c.Time = anyTime
	}
	c.RootCAs, c.ServerName = own.pool(), serverName(own.cluster)
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.show(), nil }
	return c, nil
}

// serving is the configuration of a server for the one protocol that a caller wants.
func (w TLS) serving(protocol string, own *Credentials) *tls.Config {
	c := w.config()
	c.NextProtos, c.Certificates = []string{protocol}, []tls.Certificate{*own.show()}
	if protocol == Form {
		c.Time = anyTime
	}
	if protocol != Join {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, own.pool()
	}
	return c
}

// refusing is the configuration that has no protocol in common with anybody, and no
// certificate for those who name none.
func (w TLS) refusing() *tls.Config {
	c := w.config()
	c.NextProtos = []string{"none"}
	return c
}

// config is what all connections have in common. Without tickets every connection shows
// its certificates.
func (w TLS) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, Time: func() time.Time { return w.Now().UTC() }}
}

// only is the protocol of a list of one.
func only(protocols []string) string {
	if len(protocols) != 1 {
		return ""
	}
	return protocols[0]
}

// pinned accepts only a chain that ends at the root with a fingerprint. A root that was
// replaced by now is found between.
func pinned(state tls.ConnectionState, root string, now time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range state.PeerCertificates {
		if fingerprint(c) == root {
			roots.AddCert(c)
		} else {
			between.AddCert(c)
		}
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
	return err
}

// begun tells who is at the other end after a handshake.
func begun(conn *tls.Conn, pin string) (net.Conn, Peer, error) {
	state := conn.ConnectionState()
	peer := Peer{Protocol: state.NegotiatedProtocol}
	switch {
	case peer.Protocol == Form, peer.Protocol == Join && pin == "":
		return conn, peer, nil
	case peer.Protocol == Join:
		peer.Roots = []string{pin}
	}
	for _, chain := range state.VerifiedChains {
		peer.Roots = append(peer.Roots, fingerprint(chain[len(chain)-1]))
	}
	var err error
	if peer.Cluster, peer.ID, err = nameIn(state.PeerCertificates[0]); err != nil {
		return nil, Peer{}, err
	}
	return conn, peer, nil
}
