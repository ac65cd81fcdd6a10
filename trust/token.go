package trust

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	tokenPrefix = "vipd1."
	sumSize     = sha256.Size
	idSize      = 4
	secretSize  = 16
)

// Token is what a host needs to join a cluster once.
type Token struct {
	Authority string // the fingerprint of the cluster's root: the joiner knows by it whom it talks to
	ID        string // the name of the token, which is no secret
	Secret    string `json:"-"` // binary
}

// NewToken makes a token for the cluster of an authority.
func NewToken(a Authority) Token {
	random := make([]byte, idSize+secretSize)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	return Token{a.Fingerprint(), hex.EncodeToString(random[:idSize]), string(random[idSize:])}
}

// Hash is what a cluster keeps of the secret. The secret is random and long, so that no
// slow hash is needed.
func (t Token) Hash() []byte {
	sum := sha256.Sum256([]byte(t.Secret))
	return sum[:]
}

// Matches reports whether a hash is that of the secret, in constant time.
func (t Token) Matches(hash []byte) bool { return subtle.ConstantTimeCompare(t.Hash(), hash) == 1 }

// Text is the token as an operator copies it.
func (t Token) Text() string {
	sum, _ := hex.DecodeString(t.Authority)
	id, _ := hex.DecodeString(t.ID)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(append(sum, id...), t.Secret...))
}

// String hides the secret: tokens end up in logs by accident.
func (t Token) String() string { return "token " + t.ID }

// GoString is String.
func (t Token) GoString() string { return t.String() }

// ParseToken reads a token. The error does not repeat what was read.
func ParseToken(text string) (Token, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ok {
		return Token{}, fmt.Errorf("this is no token of vipd: it does not begin with %q", tokenPrefix)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(b) != sumSize+idSize+secretSize {
		return Token{}, errors.New("this token is not whole, or has more in it than a token")
	}
	return Token{hex.EncodeToString(b[:sumSize]), hex.EncodeToString(b[sumSize : sumSize+idSize]), string(b[sumSize+idSize:])}, nil
}
