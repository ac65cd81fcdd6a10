package trust_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/trust"
)

// shown is what a host with credentials shows, for those who do not keep to the rules.
func shown(t *testing.T, c *trust.Credentials) tls.Certificate {
	t.Helper()
	text, err := json.Marshal(c)
	check(t, err)
	var s struct {
		Key          []byte
		Chain, Roots [][]byte
	}
	check(t, json.Unmarshal(text, &s))
	key, err := x509.ParsePKCS8PrivateKey(s.Key)
	check(t, err)
	return tls.Certificate{Certificate: append(s.Chain, s.Roots...), PrivateKey: key}
}

// signed is a certificate by whoever shows one, whether he may sign or not.
func signed(t *testing.T, template *x509.Certificate, by tls.Certificate) tls.Certificate {
	t.Helper()
	parent, err := x509.ParseCertificate(by.Certificate[0])
	check(t, err)
	public, key, err := ed25519.GenerateKey(nil)
	check(t, err)
	template.NotBefore, template.NotAfter = now.Add(-day), now.Add(year)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by.PrivateKey)
	check(t, err)
	return tls.Certificate{Certificate: append([][]byte{der}, by.Certificate...), PrivateKey: key}
}

// root is the CA itself, as nobody shows it.
func root(t testing.TB, a trust.Authority) tls.Certificate {
	t.Helper()
	var s struct {
		Key   []byte
		Roots [][]byte
	}
	text, err := json.Marshal(a)
	check(t, err)
	check(t, json.Unmarshal(text, &s))
	key, err := x509.ParsePKCS8PrivateKey(s.Key)
	check(t, err)
	return tls.Certificate{Certificate: s.Roots[len(s.Roots)-1:], PrivateKey: key}
}

// named is a template for a certificate of a member, or of what looks like one.
func named(uris ...string) *x509.Certificate {
	c := &x509.Certificate{DNSNames: []string{"ours.vipd"}}
	for _, s := range uris {
		u, err := url.Parse(s)
		if err != nil {
			panic(err)
		}
		c.URIs = append(c.URIs, u)
	}
	return c
}

// hostile speaks TLS, and checks nothing.
func hostile(protocols []string, certificates ...tls.Certificate) *tls.Config {
	shows := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &append(certificates, tls.Certificate{})[0], nil
	}
	return &tls.Config{
		NextProtos: protocols, Certificates: certificates, GetClientCertificate: shows, MaxVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, ClientAuth: tls.RequestClientCert, Time: at(now),
	}
}

func talk(handshake func(net.Conn, *tls.Config) *tls.Conn, c *tls.Config) func(net.Conn) {
	return func(conn net.Conn) {
		secure := handshake(conn, c)
		_ = secure.SetDeadline(time.Now().Add(10 * time.Second))
		if secure.Handshake() == nil {
			_, _ = secure.Read(make([]byte, 1))
		}
	}
}

func says(words string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, words) }
}

func TestServerRefuses(t *testing.T) {
	ours := newCluster(t, "ours")
	server, old := member(t, ours.after, "ours", "b"), member(t, ours.before, "ours", "a")
	good := shown(t, member(t, ours.after, "ours", "a").Member)
	with := func(protocols []string, certificates ...tls.Certificate) func(net.Conn) {
		return talk(tls.Client, hostile(protocols, certificates...))
	}
	tls12 := hostile([]string{trust.Raft}, good)
	tls12.MaxVersion = tls.VersionTLS12
	raft := []string{trust.Raft}

	const (
		otherVersion = "the caller does not speak as this version of vipd does: "
		notOurs      = "the caller is not of this cluster"
		notTLS       = "the caller does not speak TLS"
		nameless     = "the certificate names no member of a cluster"
	)
	tests := []struct {
		name   string
		client func(net.Conn)
		want   string
	}{
		{"who names no protocol", with(nil, good), otherVersion + `[]`},
		{"a protocol of the future", with([]string{"vipd-raft/2"}, good), otherVersion + `["vipd-raft/2"]`},
		{"who cannot decide", with([]string{trust.Raft, trust.Join}, good), otherVersion + `["vipd-raft/1" "vipd-join/1"]`},
		{"who says it twice", with([]string{trust.Raft, trust.Raft}, good), otherVersion + `["vipd-raft/1" "vipd-raft/1"]`},
		{"what it says itself when it refuses", with([]string{"none"}, good), otherVersion + `["none"]`},
		{"a browser", with([]string{"h2", "http/1.1"}, good), otherVersion + `["h2" "http/1.1"]`},
		{"who never comes to an end", with(slices.Repeat([]string{"x"}, 1000), good), otherVersion + "[" + strings.Repeat(`"x" `, 19) + `"x"`},
		{"who forms a cluster", with([]string{trust.Form}, good), "the caller wants to form a cluster, and this host has no secret for that"},
		{"TLS 1.2", talk(tls.Client, tls12), "the handshake failed: tls: client offered only unsupported versions: [303]"},

		{"who shows no certificate", with(raft), "the handshake failed: tls: client didn't provide a certificate"},
		{"a root that was retired", with(raft, shown(t, old.Member)), notOurs},
		{"a certificate by a member", with(raft, signed(t, named("vipd://ours/c"), good)), notOurs},
		{"a member's name, signed by nobody", with(raft, signed(t, named("vipd://ours/a"), shown(t, member(t, newCluster(t, "ours").before, "ours", "a").Member))), notOurs},
		{"the root itself", with(raft, root(t, ours.after)), nameless},
		{"no name", with(raft, signed(t, named(), root(t, ours.after))), nameless},
		{"two names", with(raft, signed(t, named("vipd://ours/a", "vipd://ours/b"), root(t, ours.after))), nameless},
		{"a name of something else", with(raft, signed(t, named("https://ours/a"), root(t, ours.after))), nameless},
		{"a name without a member", with(raft, signed(t, named("vipd://ours/"), root(t, ours.after))), nameless},
		{"a name that goes on", with(raft, signed(t, named("vipd://ours/a/b"), root(t, ours.after))), nameless},
		{"a name with a query", with(raft, signed(t, named("vipd://ours/a?b"), root(t, ours.after))), nameless},
		{"a name with a user", with(raft, signed(t, named("vipd://root@ours/a"), root(t, ours.after))), nameless},
		{"a name of two clusters", with(raft, signed(t, named("vipd://theirs/a"), root(t, ours.after))), nameless},
		{
			"a certificate for servers only", with(raft, signed(t, &x509.Certificate{DNSNames: []string{"ours.vipd"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, root(t, ours.after))),
			"the handshake failed: tls: failed to verify certificate: x509: certificate specifies an incompatible key usage",
		},

		{"vipd before TLS", says("vipd\x00\x00\x00\x02{}"), "the caller runs a version of vipd without TLS"},
		{"HTTP", says("GET / HTTP/1.1\r\n\r\n"), notTLS},
		{"zeros", says("\x00\x00\x00\x00\x00"), notTLS},
		{"who goes away", says(""), trust.ErrGone.Error()},
		{"who goes away in the middle", says("\x16\x03\x01"), trust.ErrGone.Error()},
		{"who goes away after a record", says("\x16\x03\x01\x00\x01\x01"), trust.ErrGone.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			here, there := pair(t)
			go func() {
				defer func() { _ = here.Close() }()
				test.client(here)
			}()
			conn, peer, err := trust.TLS{Now: at(now)}.Server(t.Context(), there, server)
			if text(t, err) != test.want || conn != nil || peer.Protocol != "" {
				t.Errorf("got %v, %+v, %v\nwant %s", conn, peer, err, test.want)
			}
		})
	}
}

func TestClientRefuses(t *testing.T) {
	ours := newCluster(t, "ours")
	pinned := pin(ours.after)
	keys := trust.Keys{Member: member(t, ours.after, "ours", "a").Member, Root: pinned.Root}
	good, old := shown(t, member(t, ours.after, "ours", "b").Member), shown(t, member(t, ours.before, "ours", "b").Member)
	leafOnly := good
	leafOnly.Certificate = good.Certificate[:1]
	pretends := shown(t, member(t, newCluster(t, "ours").before, "ours", "b").Member)
	pretends.Certificate = append(pretends.Certificate, root(t, ours.after).Certificate...)
	with := func(protocol string, certificates ...tls.Certificate) func(net.Conn) {
		return talk(tls.Server, hostile([]string{protocol}, certificates...))
	}
	tls12 := hostile([]string{trust.Raft}, good)
	tls12.MaxVersion = tls.VersionTLS12

	const (
		notOurs    = "the host that answers is not of this cluster"
		wrongToken = "the host that answers is of another cluster than the token"
		notTLS     = "what answers there does not speak TLS 1.3"
		nameless   = "the certificate names no member of a cluster"
	)
	tests := []struct {
		name     string
		protocol string
		server   func(net.Conn)
		want     string
	}{
		{"no protocol", trust.Raft, talk(tls.Server, hostile(nil, good)), "what answers there speaks TLS, and is not vipd"},
		{"another protocol", trust.Raft, with("vipd-raft/2", good), "the host that answers belongs to no cluster"},
		{"TLS 1.2", trust.Raft, talk(tls.Server, tls12), notTLS},
		{"HTTP", trust.Raft, says("HTTP/1.1 400 Bad Request\r\n\r\n"), notTLS},
		{"SSH", trust.Join, says("SSH-2.0-OpenSSH_10.0\r\n"), notTLS},
		{"who hangs up", trust.Raft, says(""), "the handshake failed: EOF"},

		{"a root that was retired", trust.Raft, with(trust.Raft, old), notOurs},
		{"a certificate by a member", trust.Raft, with(trust.Raft, signed(t, named("vipd://ours/c"), good)), notOurs},
		{"a certificate of another name", trust.Raft, with(trust.Raft, signed(t, &x509.Certificate{DNSNames: []string{"theirs.vipd"}}, root(t, ours.after))), notOurs},
		{"no name", trust.Raft, with(trust.Raft, signed(t, named(), root(t, ours.after))), nameless},

		{"a certificate by a member, when joining", trust.Join, with(trust.Join, signed(t, named("vipd://ours/c"), good)), wrongToken},
		{"a root that was retired, when joining", trust.Join, with(trust.Join, old), wrongToken},
		{"no root, when joining", trust.Join, with(trust.Join, leafOnly), wrongToken},
		{"the right root below a certificate that it has not signed", trust.Join, with(trust.Join, pretends), wrongToken},
		{"the root itself, when joining", trust.Join, with(trust.Join, root(t, ours.after)), nameless},
		{"no name, when joining", trust.Join, with(trust.Join, signed(t, named(), root(t, ours.after))), nameless},
		{
			"a certificate for clients only, when joining", trust.Join,
			with(trust.Join, signed(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, root(t, ours.after))),
			"the handshake failed: x509: certificate specifies an incompatible key usage",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			here, there := pair(t)
			go func() {
				defer func() { _ = there.(*net.TCPConn).CloseWrite() }()
				test.server(there)
			}()
			conn, peer, err := trust.TLS{Now: at(now)}.Client(t.Context(), here, test.protocol, keys)
			if text(t, err) != test.want || conn != nil || peer.Protocol != "" {
				t.Errorf("got %v, %+v, %v\nwant %s", conn, peer, err, test.want)
			}
		})
	}
}

// pair is the two ends of a connection over TCP, whose writes do not wait.
func pair(t testing.TB) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if here, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	return here, there
}

func TestCallerThatResetsTheConnectionIsGone(t *testing.T) {
	here, there := pair(t)
	check(t, here.(*net.TCPConn).SetLinger(0))
	check(t, here.Close())
	if _, _, err := (trust.TLS{Now: at(now)}).Server(t.Context(), there, trust.Keys{}); !errors.Is(err, trust.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}

// Whoever does not check whom he calls gets no further, whatever he wants.
func TestServerWantsToKnowWhoCalls(t *testing.T) {
	ours, theirs := newCluster(t, "ours"), newCluster(t, "theirs")
	server := member(t, ours.before, "ours", "b")
	server.Secret = secret(t, strings.Repeat("s", trust.MinSecret), "b").Secret
	const (
		nothing = "the handshake failed: tls: client didn't provide a certificate"
		notOurs = "the caller is not of this cluster"
	)
	none, foreign := tls.Certificate{}, shown(t, member(t, theirs.before, "ours", "a").Member)
	formed, other := shown(t, server.Secret), shown(t, secret(t, strings.Repeat("t", trust.MinSecret), "a").Secret)
	tests := []struct {
		protocol string
		shows    tls.Certificate
		want     string
	}{
		{trust.Raft, none, nothing},
		{trust.Raft, foreign, notOurs},
		{trust.Raft, formed, notOurs},
		{trust.Members, none, nothing},
		{trust.Members, foreign, notOurs},
		{trust.Members, formed, notOurs},
		{trust.Form, none, nothing},
		{trust.Form, other, notOurs},
		{trust.Form, shown(t, server.Member), "the certificate of the caller has ended, or is of the future: current time 2026-01-01T00:00:00Z is before 2026-11-27T12:00:00Z"},
	}
	for _, test := range tests {
		here, there := pair(t)
		go talk(tls.Client, hostile([]string{test.protocol}, test.shows))(here)
		if _, _, err := (trust.TLS{Now: at(now)}).Server(t.Context(), there, server); text(t, err) != test.want {
			t.Errorf("%s: got %v, want %s", test.protocol, err, test.want)
		}
	}
}

// What is recorded today must not be read by a quantum computer of a later day.
func TestKeysAreExchangedByTheHybridThatGoPrefers(t *testing.T) {
	ours := newCluster(t, "ours").before
	here, there := pair(t)
	go func() { _, _, _ = trust.TLS{Now: at(now)}.Server(t.Context(), there, member(t, ours, "ours", "b")) }()
	conn, _, err := trust.TLS{Now: at(now)}.Client(t.Context(), here, trust.Raft, member(t, ours, "ours", "a"))
	check(t, err)
	if state := conn.(*tls.Conn).ConnectionState(); state.CurveID != tls.X25519MLKEM768 || state.Version != tls.VersionTLS13 {
		t.Errorf("got %v, %s", state.CurveID, tls.VersionName(state.Version))
	}
}

// A resumed connection would rest on certificates that were looked at long ago.
func TestNoConnectionCanBeResumed(t *testing.T) {
	server := member(t, newCluster(t, "ours").before, "ours", "b")
	c, kept := hostile([]string{trust.Join}), make(tickets)
	c.ClientSessionCache, c.ServerName = kept, "ours.vipd"
	here, there := pair(t)
	go func() {
		if conn, _, err := (trust.TLS{Now: at(now)}).Server(t.Context(), there, server); err == nil {
			_, _ = conn.Write([]byte("x"))
		}
	}()
	_, err := tls.Client(here, c).Read(make([]byte, 1))
	check(t, err)
	if len(kept) > 0 {
		t.Error("the server has given a ticket")
	}
}

type tickets map[string]*tls.ClientSessionState

func (k tickets) Get(string) (*tls.ClientSessionState, bool)    { return nil, false }
func (k tickets) Put(key string, state *tls.ClientSessionState) { k[key] = state }

func TestExplainLeavesOtherErrorsAlone(t *testing.T) {
	for _, err := range []error{nil, io.EOF, net.ErrClosed, context.Canceled, &net.OpError{Op: "read", Err: errors.New("tls: bad certificate")}} {
		if got := trust.Explain(trust.Raft, err); got != err { //nolint:errorlint // the same, not one that wraps it
			t.Errorf("%v became %v", err, got)
		}
	}
}

// A client learns from the first read that the server has refused it. What it has written
// before may be the first thing that fails.
func TestRefusalIsReadAfterAWriteToo(t *testing.T) {
	ours, theirs := newCluster(t, "ours"), newCluster(t, "theirs")
	here, there := pair(t)
	done := make(chan error, 1)
	go func() {
		_, _, err := trust.TLS{Now: at(now)}.Server(t.Context(), there, member(t, ours.before, "ours", "b"))
		_ = there.Close()
		done <- err
	}()
	conn, _, err := trust.TLS{Now: at(now)}.Client(t.Context(), here, trust.Raft, trusting(t, ours.before, theirs.before))
	check(t, err)
	<-done
	_, _ = conn.Write([]byte(strings.Repeat("x", 100)))
	_, err = conn.Read(make([]byte, 1))
	if got, want := text(t, trust.Explain(trust.Raft, err)), "the host that answers does not trust the certificate of this one"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Both sides of a handshake between members, on one core.
func BenchmarkHandshake(b *testing.B) {
	for name, wire := range wires {
		b.Run(name, func(b *testing.B) {
			w, keys := wire(at(now)), member(b, newCluster(b, "ours").before, "ours", "a")
			for b.Loop() {
				here, there := net.Pipe()
				done := make(chan error, 1)
				go func() {
					_, _, err := w.Server(b.Context(), there, keys)
					done <- err
				}()
				_, _, err := w.Client(b.Context(), here, trust.Raft, keys)
				if err := errors.Join(err, <-done); err != nil {
					b.Fatal(err)
				}
				_, _ = here.Close(), there.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/handshake")
		})
	}
}
