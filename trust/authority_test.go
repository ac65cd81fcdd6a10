package trust_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/trust"
)

func TestAuthorityIsTheSameAfterReplication(t *testing.T) {
	ours := newCluster(t, "ours")
	for name, written := range map[string]trust.Authority{"none": {}, "before": ours.before, "changing": ours.changing, "after": ours.after} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(written)
			check(t, err)
			read := newCluster(t, "theirs").changing // what was there before is gone
			check(t, json.Unmarshal(text, &read))
			if !read.Equal(written) {
				t.Errorf("read %v, want %v", read, written)
			}
			again, err := json.Marshal(read)
			check(t, err)
			if diff := cmp.Diff(string(text), string(again)); diff != "" {
				t.Errorf("-written +read:\n%s", diff)
			}
		})
	}
}

func TestStagesOfAnAuthority(t *testing.T) {
	ours := newCluster(t, "ours")
	stages := map[string]trust.Authority{"none": {}, "before": ours.before, "changing": ours.changing, "after": ours.after, "after, twice": ours.after.Retired()}
	type stage struct{ Changing, Zero, FollowsBefore, FollowsChanging bool }
	want := map[string]stage{
		"none":         {Zero: true},
		"before":       {},
		"changing":     {Changing: true, FollowsBefore: true},
		"after":        {FollowsChanging: true},
		"after, twice": {FollowsChanging: true},
	}
	got := make(map[string]stage)
	for name, a := range stages {
		got[name] = stage{a.Changing(), a.IsZero(), a.Follows(ours.before), a.Follows(ours.changing)}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if ours.changing.Fingerprint() == ours.before.Fingerprint() || ours.changing.Fingerprint() != ours.after.Fingerprint() {
		t.Error("the fingerprint is not that of the newest root")
	}
}

func TestAuthorityThatThereIsNot(t *testing.T) {
	var none trust.Authority
	if got := none.Retired(); !got.IsZero() || none.Fingerprint() != "" || !none.Ends().IsZero() {
		t.Errorf("got %v, %q, %v", got, none.Fingerprint(), none.Ends())
	}
	if _, err := none.Next("ours", now); err == nil {
		t.Error("a root was put beside none")
	}
}

func TestNoThirdRootDuringAChange(t *testing.T) {
	ours := newCluster(t, "ours")
	if got, err := ours.changing.Next("ours", now); err == nil || !got.Equal(ours.changing) {
		t.Errorf("got %v, %v", got, err)
	}
}

// A host whose clock is ahead founds a cluster, and the clock is set right afterwards.
func TestRootOutlivesAClockThatIsSetBack(t *testing.T) {
	a, err := trust.NewAuthority("ours", now.Add(3*year))
	check(t, err)
	if got, want := a.Ends(), now.Add(13*year); !got.Equal(want) {
		t.Errorf("it ends at %s, want %s", got, want)
	}
	keys := member(t, a, "ours", "a")
	e := meet(t, trust.TLS{Now: at(now)}, trust.TLS{Now: at(now)}, trust.Raft, keys, keys)
	if e.ClientError+e.ServerError != "" {
		t.Errorf("%+v", e)
	}
}

func TestAuthorityRefusesWhatDoesNotBelongTogether(t *testing.T) {
	type stored struct {
		Key   []byte   `json:"key"`
		Roots [][]byte `json:"roots"`
		Cross []byte   `json:"cross,omitempty"`
	}
	parts := func(a trust.Authority) stored {
		var s stored
		text, err := json.Marshal(a)
		check(t, err)
		check(t, json.Unmarshal(text, &s))
		return s
	}
	ours, theirs := newCluster(t, "ours"), newCluster(t, "theirs")
	before, changing, after, other := parts(ours.before), parts(ours.changing), parts(ours.after), parts(theirs.changing)
	tests := []struct {
		name string
		s    stored
		want string
	}{
		{"nothing", stored{}, "asn1: syntax error: sequence truncated"},
		{"no root", stored{Key: before.Key}, "0 roots"},
		{"a third root", stored{changing.Key, append(before.Roots, changing.Roots...), changing.Cross}, "3 roots"},
		{"a root of garbage", stored{Key: before.Key, Roots: [][]byte{{1}}}, "x509: malformed certificate"},
		{"a signature of garbage", stored{changing.Key, changing.Roots, []byte{1}}, "x509: malformed certificate"},
		{"the key of the old root", stored{before.Key, changing.Roots, changing.Cross}, "the key is not that of the newest root"},
		{"two roots without a signature", stored{Key: changing.Key, Roots: changing.Roots}, "of the old root and its signature under the new one, one is missing"},
		{"a signature without the old root", stored{after.Key, after.Roots, changing.Cross}, "of the old root and its signature under the new one, one is missing"},
		{"a signature under another root", stored{changing.Key, changing.Roots, other.Cross}, "the old root has signed another root"},
		{"a signature by the root itself", stored{changing.Key, changing.Roots, changing.Roots[1]}, "x509: Ed25519 verification failure"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, err := json.Marshal(test.s)
			check(t, err)
			a := ours.before
			if got, want := text(t, json.Unmarshal(b, &a)), "the certification authority: "+test.want; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if !a.Equal(ours.before) {
				t.Error("what was there before has changed")
			}
		})
	}
}

// A leader whose clock is far ahead takes its CA for one that ends, and replaces it: what
// the others then make of the new one with the right clock must be good.
func TestTheCAOfALeaderWhoseClockIsFarAheadIsGood(t *testing.T) {
	before, err := trust.NewAuthority("ours", now)
	check(t, err)
	for _, years := range []int{9, 12, 200} {
		changing, err := before.Next("ours", now.AddDate(years, 0, 0))
		check(t, err)
		for _, a := range []trust.Authority{changing, changing.Retired()} {
			one, err := trust.Issue(a, "ours", "a", now)
			check(t, err)
			two, err := trust.Issue(a, "ours", "b", now)
			check(t, err)
			wire := trust.TLS{Now: func() time.Time { return now }}
			if e := meet(t, wire, wire, trust.Raft, trust.Keys{Member: one}, trust.Keys{Member: two}); e.ClientError != "" || e.ServerError != "" {
				t.Errorf("%d years: %+v", years, e)
			}
		}
	}
}
