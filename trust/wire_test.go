package trust_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipd/vipd/trust"
)

func TestBothWiresTrustTheSame(t *testing.T) {
	ours, theirs := newCluster(t, "ours"), newCluster(t, "theirs")
	old, other := ours.before.Fingerprint(), ours.changing.Fingerprint()
	changing := func(id string) trust.Keys { return member(t, ours.changing, "ours", id) }
	before := func(id string) trust.Keys { return member(t, ours.before, "ours", id) }
	after := func(id string) trust.Keys { return member(t, ours.after, "ours", id) }
	foreign := member(t, theirs.before, "theirs", "b")
	good, bad := secret(t, strings.Repeat("s", trust.MinSecret), "a"), secret(t, strings.Repeat("t", trust.MinSecret), "b")

	peers := func(protocol string, client, server []string) ends {
		return ends{
			Client: trust.Peer{Protocol: protocol, Cluster: "ours", ID: "b", Roots: client},
			Server: trust.Peer{Protocol: protocol, Cluster: "ours", ID: "a", Roots: server},
		}
	}
	joined := func(root string) ends {
		return ends{Client: trust.Peer{Protocol: trust.Join, Cluster: "ours", ID: "b", Roots: []string{root}}, Server: trust.Peer{Protocol: trust.Join}}
	}
	formed := ends{Client: trust.Peer{Protocol: trust.Form}, Server: trust.Peer{Protocol: trust.Form}}

	const (
		distrusts   = "the caller does not trust the certificate of this host"
		distrusted  = "the host that answers does not trust the certificate of this one"
		notOurs     = "the host that answers is not of this cluster"
		noCluster   = "the host that answers belongs to no cluster"
		unspoken    = "the caller wants a member of a cluster, and this host is none"
		otherSecret = "the host that answers has another secret to form a cluster with"
		wrongToken  = "the host that answers is of another cluster than the token"
	)
	tests := []struct {
		name           string
		protocol       string
		client, server trust.Keys
		slow, fast     time.Duration // clock of the client, of the server
		want           ends
	}{
		{name: "members, for raft", protocol: trust.Raft, client: before("a"), server: before("b"), want: peers(trust.Raft, []string{old}, []string{old})},
		{name: "members, for questions", protocol: trust.Members, client: before("a"), server: before("b"), want: peers(trust.Members, []string{old}, []string{old})},
		{name: "the client knows of the new root, the server does not", protocol: trust.Raft, client: changing("a"), server: before("b"), want: peers(trust.Raft, []string{old}, []string{old})},
		{name: "the server knows of the new root, the client does not", protocol: trust.Raft, client: before("a"), server: changing("b"), want: peers(trust.Raft, []string{old}, []string{old})},
		{name: "both know of the new root", protocol: trust.Raft, client: changing("a"), server: changing("b"), want: peers(trust.Raft, []string{other, old}, []string{other, old})},
		{name: "the old root is gone at the server", protocol: trust.Raft, client: changing("a"), server: after("b"), want: peers(trust.Raft, []string{other}, []string{other})},
		{name: "the old root is gone at the client", protocol: trust.Raft, client: after("a"), server: changing("b"), want: peers(trust.Raft, []string{other}, []string{other})},
		{name: "the old root is gone at the client, the server has only that", protocol: trust.Raft, client: after("a"), server: before("b"), want: ends{ClientError: notOurs, ServerError: distrusts}},
		{name: "the old root is gone at the server, the client has only that", protocol: trust.Raft, client: before("a"), server: after("b"), want: ends{ClientError: notOurs, ServerError: distrusts}},
		{name: "another cluster", protocol: trust.Raft, client: before("a"), server: foreign, want: ends{ClientError: notOurs, ServerError: distrusts}},
		{
			name: "the client is not trusted", protocol: trust.Raft, client: trusting(t, ours.before, theirs.before), server: before("b"),
			want: ends{ClientError: distrusted, ServerError: "the caller is not of this cluster"},
		},
		{
			name: "the client is not trusted, for questions", protocol: trust.Members, client: trusting(t, ours.before, theirs.before), server: before("b"),
			want: ends{ClientError: distrusted, ServerError: "the caller is not of this cluster"},
		},
		{name: "a protocol of the future", protocol: "vipd-raft/2", client: before("a"), server: before("b"), want: ends{ClientError: "this host has no certificate for vipd-raft/2", ServerError: trust.ErrGone.Error()}},
		{name: "a server of no cluster", protocol: trust.Raft, client: before("a"), want: ends{ClientError: noCluster, ServerError: unspoken}},
		{name: "a server with a secret only", protocol: trust.Members, client: before("a"), server: good, want: ends{ClientError: noCluster, ServerError: unspoken}},
		{name: "a client without a certificate", protocol: trust.Raft, client: good, server: before("b"), want: ends{ClientError: "this host has no certificate for vipd-raft/1", ServerError: trust.ErrGone.Error()}},
		{
			name: "the server's certificate has ended", protocol: trust.Raft, client: before("a"), server: before("b"), slow: year + time.Hour, fast: 0,
			want: ends{ClientError: "the certificate of the host that answers has ended, or is of the future: current time 2027-11-28T13:00:00Z is after 2027-11-28T12:00:00Z", ServerError: distrusts},
		},
		{
			name: "the server's certificate is of the future", protocol: trust.Raft, client: before("a"), server: before("b"), slow: -day - time.Hour, fast: 0,
			want: ends{ClientError: "the certificate of the host that answers has ended, or is of the future: current time 2026-11-27T11:00:00Z is before 2026-11-27T12:00:00Z", ServerError: distrusts},
		},
		{
			name: "the client's certificate has ended", protocol: trust.Raft, client: before("a"), server: before("b"), fast: year + time.Hour,
			want: ends{
				ClientError: "the host that answers thinks that the certificate of this one has ended, or is of the future",
				ServerError: "the certificate of the caller has ended, or is of the future: current time 2027-11-28T13:00:00Z is after 2027-11-28T12:00:00Z",
			},
		},
		{
			name: "the client's certificate is of the future", protocol: trust.Raft, client: before("a"), server: before("b"), fast: -day - time.Hour,
			want: ends{
				ClientError: "the host that answers thinks that the certificate of this one has ended, or is of the future",
				ServerError: "the certificate of the caller has ended, or is of the future: current time 2026-11-27T11:00:00Z is before 2026-11-27T12:00:00Z",
			},
		},
		{name: "clocks a bit apart", protocol: trust.Raft, client: before("a"), server: before("b"), slow: -day, fast: year, want: peers(trust.Raft, []string{old}, []string{old})},

		{name: "a joiner", protocol: trust.Join, client: pin(ours.before), server: before("b"), want: joined(old)},
		{name: "a joiner with a token of before the change", protocol: trust.Join, client: pin(ours.before), server: changing("b"), want: joined(old)},
		{name: "a joiner with a token of the change", protocol: trust.Join, client: pin(ours.changing), server: changing("b"), want: joined(other)},
		{name: "a joiner with a token of before, after the change", protocol: trust.Join, client: pin(ours.before), server: after("b"), want: ends{ClientError: wrongToken, ServerError: distrusts}},
		{name: "a joiner with a token of another cluster", protocol: trust.Join, client: pin(theirs.before), server: before("b"), want: ends{ClientError: wrongToken, ServerError: distrusts}},
		{name: "a joiner without a token", protocol: trust.Join, server: before("b"), want: ends{ClientError: wrongToken, ServerError: distrusts}},
		{name: "a joiner at a host of no cluster", protocol: trust.Join, client: pin(ours.before), server: good, want: ends{ClientError: noCluster, ServerError: unspoken}},
		{
			name: "a joiner with a slow clock", protocol: trust.Join, client: pin(ours.before), server: before("b"), slow: -day - time.Hour,
			want: ends{ClientError: "the certificate of the host that answers has ended, or is of the future: current time 2026-11-27T11:00:00Z is before 2026-11-27T12:00:00Z", ServerError: distrusts},
		},
		{name: "a member joins again", protocol: trust.Join, client: trust.Keys{Member: foreign.Member, Root: old}, server: before("b"), want: joined(old)},

		{name: "the same secret", protocol: trust.Form, client: good, server: secret(t, strings.Repeat("s", trust.MinSecret), "b"), want: formed},
		{name: "the same secret, without clocks", protocol: trust.Form, client: good, server: good, slow: -56 * year, fast: 64 * year, want: formed},
		{name: "another secret", protocol: trust.Form, client: good, server: bad, want: ends{ClientError: otherSecret, ServerError: distrusts}},
		{
			name: "no secret at the server", protocol: trust.Form, client: good, server: before("b"),
			want: ends{ClientError: "the host that answers has no secret to form a cluster with", ServerError: "the caller wants to form a cluster, and this host has no secret for that"},
		},
		{name: "a secret where a member is wanted", protocol: trust.Raft, client: trust.Keys{Member: good.Secret}, server: before("b"), want: ends{ClientError: notOurs, ServerError: distrusts}},
		{name: "a member where a secret is wanted", protocol: trust.Form, client: trust.Keys{Secret: before("a").Member}, server: good, want: ends{ClientError: otherSecret, ServerError: distrusts}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			eachWire(t, func(t *testing.T, wire func(now func() time.Time) trust.Wire) {
				got := meet(t, wire(clocks(test.slow)), wire(clocks(test.fast)), test.protocol, test.client, test.server)
				if diff := cmp.Diff(test.want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

func TestBothWiresKnowWhoDoesNotSpeakThem(t *testing.T) {
	tests := []struct{ name, words, client, server string }{
		{"vipd before TLS", "vipd\x00\x00\x00\x02{}", "what answers there does not speak TLS 1.3", "the caller runs a version of vipd without TLS"},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", "what answers there does not speak TLS 1.3", "the caller does not speak TLS"},
		{"nobody", "", "the handshake failed: EOF", trust.ErrGone.Error()},
		{"who breaks off", "\x00\x00", "the handshake failed: unexpected EOF", trust.ErrGone.Error()},
	}
	keys := member(t, newCluster(t, "ours").before, "ours", "a")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			eachWire(t, func(t *testing.T, wire func(now func() time.Time) trust.Wire) {
				_, _, client := wire(at(now)).Client(t.Context(), &tape{in: strings.NewReader(test.words)}, trust.Raft, keys)
				_, _, server := wire(at(now)).Server(t.Context(), &tape{in: strings.NewReader(test.words)}, keys)
				if diff := cmp.Diff([]string{test.client, test.server}, []string{text(t, client), text(t, server)}); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

func TestEitherSideGivesUpWhenItsTimeIsOver(t *testing.T) {
	keys := member(t, newCluster(t, "ours").before, "ours", "a")
	sides := map[string]func(context.Context, trust.Wire, net.Conn) error{
		"client": func(ctx context.Context, w trust.Wire, conn net.Conn) error {
			_, _, err := w.Client(ctx, conn, trust.Raft, keys)
			return err
		},
		"server": func(ctx context.Context, w trust.Wire, conn net.Conn) error {
			_, _, err := w.Server(ctx, conn, keys)
			return err
		},
	}
	for name, side := range sides {
		t.Run(name, func(t *testing.T) {
			eachWire(t, func(t *testing.T, wire func(now func() time.Time) trust.Wire) {
				synctest.Test(t, func(t *testing.T) {
					here, there := net.Pipe()
					defer func() { _, _ = here.Close(), there.Close() }()
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					if err := side(ctx, wire(clocks(0)), here); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v, want the deadline", err)
					}
				})
			})
		})
	}
}

func TestNoDeadlineIsLeftOnTheConnection(t *testing.T) {
	keys := member(t, newCluster(t, "ours").before, "ours", "a")
	eachWire(t, func(t *testing.T, wire func(now func() time.Time) trust.Wire) {
		synctest.Test(t, func(t *testing.T) {
			here, there := net.Pipe()
			defer func() { _, _ = here.Close(), there.Close() }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			go func() {
				conn, _, err := wire(clocks(0)).Server(ctx, there, keys)
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Minute)
				_, _ = fmt.Fprint(conn, "late")
			}()
			conn, _, err := wire(clocks(0)).Client(ctx, here, trust.Raft, keys)
			check(t, err)
			got := make([]byte, 9)
			n, err := conn.Read(got)
			if string(got[:n]) != "late" || err != nil {
				t.Errorf("read %q, %v", got[:n], err)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the deadline of the handshake still holds")
			}
		})
	})
}
