package trust_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vipd/vipd/trust"
	"github.com/vipd/vipd/trust/trusttest"
)

// rotation is a cluster whose CA is replaced again and again, while its members read the
// log at their own pace.
type rotation struct {
	t       *rapid.T
	now     time.Time
	log     []trust.Authority // as it was replicated
	members []*rotating
}

type rotating struct {
	read int // how much of the log
	own  *trust.Credentials
}

func (r *rotation) newest() trust.Authority { return r.log[len(r.log)-1] }

func (r *rotation) any() *rotating { return rapid.SampledFrom(r.members).Draw(r.t, "member") }

func (r *rotation) check(err error) {
	if err != nil {
		r.t.Fatal(err)
	}
}

// joins adds a member. Its certificate is by the leader, who has read all.
func (r *rotation) joins() {
	own, err := trust.Issue(r.newest(), "ours", "a", r.now)
	r.check(err)
	r.members = append(r.members, &rotating{len(r.log), own})
}

func (r *rotation) rotates() {
	if r.newest().Changing() {
		return
	}
	next, err := r.newest().Next("ours", r.now)
	r.check(err)
	r.log = append(r.log, next)
}

// retires the old root, if all members have reported that they have credentials of the new one.
func (r *rotation) retires() {
	waits := slices.ContainsFunc(r.members, func(m *rotating) bool { return m.own.Authority() != r.newest().Fingerprint() })
	if r.newest().Changing() && !waits {
		r.log = append(r.log, r.newest().Retired())
	}
}

func (r *rotation) renews(m *rotating) {
	renewed, err := m.own.Renewed(r.log[m.read-1], r.now)
	r.check(err)
	if renewed != nil {
		m.own = renewed
	}
}

func (r *rotation) restarts(m *rotating) {
	text, err := json.Marshal(m.own)
	r.check(err)
	m.own = nil
	r.check(json.Unmarshal(text, &m.own))
}

// passes lets some time go by, in which all look after their certificates.
func (r *rotation) passes() {
	r.now = r.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(r.t, "days")) * day)
	for _, m := range r.members {
		r.renews(m)
	}
}

// understand checks that some member and all others understand each other. One pair does
// so by TLS; that the plain wire says the same is known from TestBothWiresTrustTheSame.
func (r *rotation) understand() {
	one, plain := r.any(), trusttest.Plain{Now: at(r.now)}
	for _, other := range r.members {
		r.meet(plain, one, other)
		r.meet(plain, other, one)
	}
	r.meet(trust.TLS{Now: at(r.now)}, one, r.any())
}

func (r *rotation) meet(w trust.Wire, client, server *rotating) {
	e := meet(r.t, w, w, trust.Raft, trust.Keys{Member: client.own}, trust.Keys{Member: server.own})
	if e.ClientError+e.ServerError != "" {
		r.t.Fatalf("%+v", e)
	}
	if !client.own.Trusts(e.Client.Roots) || !server.own.Trusts(e.Server.Roots) {
		r.t.Fatalf("the connection rests on roots that are not trusted: %+v", e)
	}
}

func TestMembersUnderstandEachOtherThroughRotations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &rotation{t: t, now: now}
		first, err := trust.NewAuthority("ours", now)
		r.check(err)
		r.log = []trust.Authority{first}
		r.joins()
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { r.understand() },
			"a host joins": func(t *rapid.T) {
				if len(r.members) == 4 {
					t.Skip("enough")
				}
				r.joins()
			},
			"rotate": func(*rapid.T) { r.rotates() },
			"retire": func(*rapid.T) { r.retires() },
			"read the log": func(t *rapid.T) {
				m := r.any()
				m.read = rapid.IntRange(m.read, len(r.log)).Draw(t, "read")
			},
			"read the log again": func(t *rapid.T) { // as after a restart
				m := r.any()
				m.read = rapid.IntRange(1, m.read).Draw(t, "read")
				r.restarts(m)
			},
			"renew": func(*rapid.T) { r.renews(r.any()) },
			"time":  func(*rapid.T) { r.passes() },
			"leave": func(t *rapid.T) {
				if len(r.members) == 1 {
					t.Skip("the last")
				}
				i := rapid.IntRange(0, len(r.members)-1).Draw(t, "member")
				r.members = slices.Delete(r.members, i, i+1)
			},
		})
	})
}
