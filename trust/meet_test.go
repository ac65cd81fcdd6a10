package trust_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vipd/vipd/trust"
	"github.com/vipd/vipd/trust/trusttest"
)

// tb is a test, a fuzz target, a benchmark or a property.
type tb interface {
	rapid.TB
	Context() context.Context
}

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// at is a clock that stands still.
func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func clocks(offset time.Duration) func() time.Time { return at(now.Add(offset)) }

const (
	day  = 24 * time.Hour
	year = 365 * day
)

var wires = map[string]func(now func() time.Time) trust.Wire{
	"TLS":   func(now func() time.Time) trust.Wire { return trust.TLS{Now: now} },
	"Plain": func(now func() time.Time) trust.Wire { return trusttest.Plain{Now: now} },
}

// eachWire runs a test with the real wire and with the plain one.
func eachWire(t *testing.T, test func(t *testing.T, wire func(now func() time.Time) trust.Wire)) {
	t.Helper()
	for name, wire := range wires {
		t.Run(name, func(t *testing.T) { test(t, wire) })
	}
}

// A cluster that is replacing its CA, and what members of it may have.
type cluster struct {
	before, changing, after trust.Authority
}

func newCluster(t tb, name string) cluster {
	t.Helper()
	before, err := trust.NewAuthority(name, now)
	check(t, err)
	changing, err := before.Next(name, now)
	check(t, err)
	return cluster{before, changing, changing.Retired()}
}

func member(t tb, a trust.Authority, cluster, id string) trust.Keys {
	t.Helper()
	c, err := trust.Issue(a, cluster, id, now)
	check(t, err)
	return trust.Keys{Member: c}
}

func secret(t tb, secret, id string) trust.Keys {
	t.Helper()
	c, err := trust.FromSecret([]byte(secret), id)
	check(t, err)
	return trust.Keys{Secret: c}
}

func pin(a trust.Authority) trust.Keys { return trust.Keys{Root: a.Fingerprint()} }

func check(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ends is what the two ends of a connection came to.
type ends struct {
	Client, Server           trust.Peer
	ClientError, ServerError string
}

// meet connects a client and a server. As in production, either closes the connection
// when it does not want it, and the server speaks first after the handshake.
func meet(t tb, clientWire, serverWire trust.Wire, protocol string, client, server trust.Keys) ends {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	here, there := net.Pipe()
	defer func() { _ = here.Close() }()
	var e ends
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = there.Close() }()
		conn, peer, err := serverWire.Server(ctx, there, server)
		e.Server, e.ServerError = peer, text(t, err)
		if err == nil {
			_, _ = conn.Write([]byte("x"))
		}
	}()
	conn, peer, err := clientWire.Client(ctx, here, protocol, client)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		err = trust.Explain(protocol, err)
	}
	_ = here.Close()
	<-done
	if err == nil {
		e.Client = peer
	}
	e.ClientError = text(t, err)
	return e
}

// text is what people read. Who is told that two hosts do not trust each other is also
// told what to do.
func text(t tb, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*trust.Error](err); ok && e.Hint() == "" {
		t.Errorf("%v: no hint", err)
	}
	return err.Error()
}

// trusting has a certificate of its own authority, and trusts another too: its client
// accepts servers that do not accept it.
func trusting(t tb, other, own trust.Authority) trust.Keys {
	t.Helper()
	request, err := trust.NewRequest()
	check(t, err)
	public, err := request.Public()
	check(t, err)
	certificate, err := own.Certify("ours", "a", public, now)
	check(t, err)
	foreign, err := other.Certify("ours", "a", public, now)
	check(t, err)
	certificate.Roots = append(foreign.Roots, certificate.Roots...)
	c, err := request.Credentials(certificate)
	check(t, err)
	return trust.Keys{Member: c}
}
