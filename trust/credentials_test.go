package trust_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/trust"
)

func TestCertificateIsForAYearAndClocksADayApart(t *testing.T) {
	c := member(t, newCluster(t, "ours").before, "ours", "a").Member
	got := []any{c.Cluster(), c.ID(), c.Begins(), c.Ends()}
	if diff := cmp.Diff([]any{"ours", "a", now.Add(-day), now.Add(year)}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCertificateOfWhoJoinsIsForTwoDaysUntilHeIsAMember(t *testing.T) {
	ours := newCluster(t, "ours").before
	request, err := trust.NewRequest()
	check(t, err)
	public, err := request.Public()
	check(t, err)
	certificate, err := ours.Certify("ours", "a", public, now)
	check(t, err)
	joiner, err := request.Credentials(certificate)
	check(t, err)
	if diff := cmp.Diff([]time.Time{now.Add(-day), now.Add(2 * day)}, []time.Time{joiner.Begins(), joiner.Ends()}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if none, err := joiner.Renewed(trust.Authority{}, now); none != nil || err != nil {
		t.Errorf("before it is a member: %v, %v", none, err)
	}
	member, err := joiner.Renewed(ours, now)
	check(t, err)
	if member == nil || !member.Ends().Equal(now.Add(year)) {
		t.Errorf("as a member it has %v", member)
	}
}

func TestRenewed(t *testing.T) {
	ours := newCluster(t, "ours")
	again, err := ours.after.Next("ours", now)
	check(t, err)
	tests := []struct {
		name      string
		has       trust.Authority
		authority trust.Authority
		after     time.Duration
		want      bool
	}{
		{"nothing has changed", ours.before, ours.before, 0, false},
		{"a third of the year is not over", ours.before, ours.before, year / 3, false},
		{"a third of the year is over", ours.before, ours.before, year/3 + time.Second, true},
		{"it has ended", ours.before, ours.before, 2 * year, true},
		{"the clock was set back a bit", ours.before, ours.before, -day, false},
		{"the clock was set back", ours.before, ours.before, -day - time.Second, true},
		{"a newer root signs", ours.before, ours.changing, 0, true},
		{"the old root is gone", ours.changing, ours.after, 0, true},
		{"a change was missed", ours.before, ours.after, 0, true},
		{"the next root signs", ours.after, again, 0, true},
		{"the log is at the beginning of the change", ours.after, ours.changing, 0, false},
		{"the log is before the change", ours.changing, ours.before, 0, false},
		{"the log is before the change, and it has ended", ours.changing, ours.before, 2 * year, false},
		{"the log is before all", ours.before, trust.Authority{}, 2 * year, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := member(t, test.has, "ours", "a").Member
			then := now.Add(test.after)
			renewed, err := c.Renewed(test.authority, then)
			check(t, err)
			if got := renewed != nil; got != test.want {
				t.Fatalf("renewed: %t, want %t", got, test.want)
			}
			if renewed == nil {
				return
			}
			got := []any{renewed.Cluster(), renewed.ID(), renewed.Begins(), renewed.Ends(), renewed.Authority()}
			want := []any{"ours", "a", then.Add(-day), then.Add(year), test.authority.Fingerprint()}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if more, err := renewed.Renewed(test.authority, then); more != nil || err != nil {
				t.Errorf("renewed twice: %v, %v", more, err)
			}
		})
	}
}

func TestTrustsTheRootsThatAreLeft(t *testing.T) {
	ours := newCluster(t, "ours")
	old, other := ours.before.Fingerprint(), ours.changing.Fingerprint()
	type sees struct {
		Authority       string
		Roots, Vouchers []string
		Old, New        bool
	}
	tests := []struct {
		name string
		has  trust.Authority
		want sees
	}{
		{"before", ours.before, sees{old, []string{old}, []string{old}, true, false}},
		{"changing", ours.changing, sees{other, []string{old, other}, []string{old, other}, true, true}},
		{"after", ours.after, sees{other, []string{other}, []string{other}, false, true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := member(t, test.has, "ours", "a").Member
			got := sees{c.Authority(), c.Roots(), c.Vouchers(), c.Trusts([]string{old, "x"}), c.Trusts([]string{"x", other})}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if c.Trusts(nil) {
				t.Error("what rests on no root is trusted")
			}
		})
	}
}

func TestCredentialsAreTheSameAfterTheDisk(t *testing.T) {
	ours := newCluster(t, "ours")
	for name, a := range map[string]trust.Authority{"before": ours.before, "changing": ours.changing, "after": ours.after} {
		t.Run(name, func(t *testing.T) {
			written := member(t, a, "ours", "a")
			text, err := json.Marshal(written.Member)
			check(t, err)
			var read *trust.Credentials
			check(t, json.Unmarshal(text, &read))
			again, err := json.Marshal(read)
			check(t, err)
			if diff := cmp.Diff(string(text), string(again)); diff != "" {
				t.Errorf("-written +read:\n%s", diff)
			}
			e := meet(t, trust.TLS{Now: at(now)}, trust.TLS{Now: at(now)}, trust.Raft, trust.Keys{Member: read}, written)
			if e.ClientError+e.ServerError != "" {
				t.Errorf("%+v", e)
			}
			if older, err := read.Renewed(ours.before, now); older != nil || err != nil {
				t.Errorf("it has forgotten how new its authority was: %v, %v", older, err)
			}
		})
	}
}

// A Certificate comes over the network from a member, but it may be a member gone mad.
func TestCredentialsRefuseWhatIsNotTheirs(t *testing.T) {
	ours, theirs := newCluster(t, "ours"), newCluster(t, "theirs")
	request, err := trust.NewRequest()
	check(t, err)
	public, err := request.Public()
	check(t, err)
	certify := func(a trust.Authority, cluster string) trust.Certificate {
		c, err := a.Certify(cluster, "a", public, now)
		check(t, err)
		return c
	}
	good, other := certify(ours.changing, "ours"), certify(theirs.before, "theirs")
	stranger, err := trust.NewRequest()
	check(t, err)
	tests := []struct {
		name    string
		request trust.Request
		c       trust.Certificate
		want    string
	}{
		{"all is well", request, good, ""},
		{"no request", trust.Request{}, good, "the certificate is for another key"},
		{"another key", stranger, good, "the certificate is for another key"},
		{"nothing", request, trust.Certificate{}, "no certificate"},
		{"no chain", request, trust.Certificate{Roots: good.Roots}, "no certificate"},
		{"no roots", request, trust.Certificate{Chain: good.Chain}, "no certificate"},
		{"a chain of garbage", request, trust.Certificate{Chain: [][]byte{{1}}, Roots: good.Roots}, "x509: malformed certificate"},
		{"roots of garbage", request, trust.Certificate{Chain: good.Chain, Roots: [][]byte{nil}}, "x509: malformed certificate"},
		{"other roots", request, trust.Certificate{Chain: good.Chain, Roots: other.Roots}, "the certificate is not signed by the newest root: x509: Ed25519 verification failure"},
		{"the old root as the newest", request, trust.Certificate{Chain: good.Chain, Roots: good.Roots[:1]}, "the certificate is not signed by the newest root: x509: Ed25519 verification failure"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := test.request.Credentials(test.c)
			if got := text(t, err); got != test.want || (c == nil) != (test.want != "") {
				t.Errorf("got %v, %q, want %q", c, got, test.want)
			}
		})
	}
}

func TestCertifyRefuses(t *testing.T) {
	a := newCluster(t, "ours").before
	request, err := trust.NewRequest()
	check(t, err)
	public, err := request.Public()
	check(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	p256, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	check(t, err)
	tests := []struct {
		name        string
		authority   trust.Authority
		cluster, id string
		public      []byte
		want        string
	}{
		{"all is well", a, "ours", "0123456789abcdef", public, ""},
		{"no authority", trust.Authority{}, "ours", "a", public, "this host does not know the certification authority of its cluster yet"},
		{"no key", a, "ours", "a", nil, "the key to certify: asn1: syntax error: sequence truncated"},
		{"half a key", a, "ours", "a", public[:len(public)-1], "the key to certify: asn1: syntax error: data truncated"},
		{"a key of another kind", a, "ours", "a", p256, "the key to certify is not an Ed25519 key"},
		{"no id", a, "ours", "", public, `no certificate can be made for "" in cluster "ours"`},
		{"no cluster", a, "", "a", public, `no certificate can be made for "a" in cluster ""`},
		{"an id with a slash", a, "ours", "a/b", public, `no certificate can be made for "a/b" in cluster "ours"`},
		{"an id with a line break", a, "ours", "a\n", public, `no certificate can be made for "a\n" in cluster "ours"`},
		{"a cluster in a domain", a, "ours.example", "a", public, `no certificate can be made for "a" in cluster "ours.example"`},
		{"an id without end", a, "ours", strings.Repeat("a", 64), public, `no certificate can be made for "` + strings.Repeat("a", 64) + `" in cluster "ours"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.authority.Certify(test.cluster, test.id, test.public, now); text(t, err) != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// Formatted by accident, nothing shows what must stay secret.
func TestSecretsAreNotPrinted(t *testing.T) {
	a := newCluster(t, "ours").changing
	c := member(t, a, "ours", "a").Member
	request, err := trust.NewRequest()
	check(t, err)
	token := trust.NewToken(a)
	tests := map[string]any{
		"authority " + a.Fingerprint(): a,
		"authority none":               trust.Authority{},
		"credentials of vipd://ours/a": c,
		"request for a certificate":    request,
		"token " + token.ID:            token,
	}
	for want, value := range tests {
		for _, verb := range []string{"%v", "%+v", "%s"} {
			if got := fmt.Sprintf(verb, value); got != want {
				t.Errorf("%s: got %q, want %q", verb, got, want)
			}
		}
	}
	if got, want := fmt.Sprintf("%#v", token), "token "+token.ID; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if text, err := json.Marshal(token); strings.Contains(string(text), "ecret") || err != nil {
		t.Errorf("%s, %v", text, err)
	}
}
