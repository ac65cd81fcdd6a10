package trust

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"
)

// formation is the name of the cluster that hosts with the same secret seem to be of.
const formation = "formation"

// MinSecret is the least length of a secret, in bytes. Whoever can reach a host gets to
// see a public key that only the secret leads to, and can try out guesses by himself.
const MinSecret = 32

// FromSecret returns the credentials of whoever knows a secret. They trust whoever knows
// it too, at whatever time: hosts that are being set up may have no clock yet.
func FromSecret(secret []byte, id string) (*Credentials, error) {
	if len(secret) < MinSecret {
		return nil, &Error{fmt.Sprintf("the secret has %d bytes, and needs %d", len(secret), MinSecret), "make one with `openssl rand -base64 48`, the same for all hosts"}
	}
	seed, err := hkdf.Key(sha256.New, secret, nil, "vipd formation", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	template := rootTemplate("vipd formation", anyTime().Add(-backdating), anyTime().Add(nodeLifetime))
	template.SerialNumber = big.NewInt(1) // all that know the secret make the same root
	root, err := sign(template, nil, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return Issue(Authority{key: key, roots: []*x509.Certificate{root}}, formation, id, anyTime())
}

// anyTime is what the clock says wherever a secret is what counts.
func anyTime() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }
