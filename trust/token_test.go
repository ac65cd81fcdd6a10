package trust_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/trust"
)

func TestTokenIsTheSameAfterItWasCopied(t *testing.T) {
	a := newCluster(t, "ours").before
	token := trust.NewToken(a)
	for name, text := range map[string]string{"as it is": token.Text(), "with spaces around it": " " + token.Text() + "\r\n"} {
		t.Run(name, func(t *testing.T) {
			got, err := trust.ParseToken(text)
			check(t, err)
			if diff := cmp.Diff(token, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got.Authority != a.Fingerprint() || !got.Matches(token.Hash()) {
				t.Errorf("it is not for %v, or its secret is another", a)
			}
		})
	}
}

func TestTokensAreDifferent(t *testing.T) {
	a := newCluster(t, "ours").before
	one, other := trust.NewToken(a), trust.NewToken(a)
	if one.ID == other.ID || one.Matches(other.Hash()) || one.Matches(nil) {
		t.Errorf("%v and %v", one, other)
	}
}

func TestParseTokenRefuses(t *testing.T) {
	good := trust.NewToken(newCluster(t, "ours").before).Text()
	const (
		none  = `this is no token of vipd: it does not begin with "vipd1."`
		whole = "this token is not whole, or has more in it than a token"
	)
	tests := []struct{ name, text, want string }{
		{"nothing", "", none},
		{"something else", "K10abc", none},
		{"a token of the future", "vipd2" + good[5:], none},
		{"the beginning only", "vipd1.", whole},
		{"one that lacks its end", good[:len(good)-1], whole},
		{"one and more", good + "AAAA", whole},
		{"two", good + good, whole},
		{"one in other letters", strings.ToUpper(good), none},
		{"one with a star", good[:20] + "*" + good[21:], whole},
		{"one whose last bits are not zero", good[:len(good)-1] + "_", whole},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := trust.ParseToken(test.text); text(t, err) != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
