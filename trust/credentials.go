package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Credentials are what a host shows and whom it trusts: its key, the chain of its
// certificate, and the roots.
type Credentials struct {
	key     ed25519.PrivateKey
	chain   []*x509.Certificate // its own first
	roots   []*x509.Certificate
	cluster string
	id      string

	generation int // of the authority
}

// Request is a new key that waits for its certificate.
type Request struct{ key ed25519.PrivateKey }

// NewRequest makes a key.
func NewRequest() (Request, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return Request{key}, err
}

// Public returns the public key as PKIX, which an [Authority] certifies.
func (r Request) Public() ([]byte, error) { return x509.MarshalPKIXPublicKey(r.key.Public()) }

// String does not show the key.
func (r Request) String() string { return "request for a certificate" }

// Credentials joins the key with its certificate.
func (r Request) Credentials(c Certificate) (*Credentials, error) {
	chain, err := parseAll(c.Chain)
	if err != nil {
		return nil, err
	}
	roots, err := parseAll(c.Roots)
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 || len(roots) == 0 {
		return nil, errors.New("no certificate")
	}
	if r.key == nil || !fits(r.key, chain[0]) {
		return nil, errors.New("the certificate is for another key")
	}
	if err := chain[0].CheckSignatureFrom(roots[len(roots)-1]); err != nil {
		return nil, fmt.Errorf("the certificate is not signed by the newest root: %w", err)
	}
	cluster, id, err := nameIn(chain[0])
	if err != nil {
		return nil, err
	}
	return &Credentials{r.key, chain, roots, cluster, id, c.Generation}, nil
}

// Issue makes a key and has it certified for a year by an authority that is at hand.
func Issue(a Authority, cluster, id string, now time.Time) (*Credentials, error) {
	request, err := NewRequest()
	if err != nil {
		return nil, err
	}
	public, err := request.Public()
	if err != nil {
		return nil, err
	}
	c, err := a.certify(cluster, id, public, now, nodeLifetime)
	if err != nil {
		return nil, err
	}
	return request.Credentials(c)
}

// Renewed returns what should replace c, and nil if nothing should: new credentials where
// the roots have changed, a third of the time of the certificate is over, it is of the
// future, or it is that of a host which is no member yet. An authority that is older than c, as a host has it while it reads its log,
// changes nothing.
func (c *Credentials) Renewed(a Authority, now time.Time) (*Credentials, error) {
	if a.IsZero() || a.generation < c.generation {
		return nil, nil
	}
	if slices.EqualFunc(c.roots, a.roots, (*x509.Certificate).Equal) && !c.due(now) {
		return nil, nil
	}
	return Issue(a, c.cluster, c.id, now)
}

func (c *Credentials) due(now time.Time) bool {
	issued := c.Begins().Add(backdating)
	return c.Ends().Sub(issued) < nodeLifetime || now.Before(c.Begins()) || now.Sub(issued) > c.Ends().Sub(issued)/3
}

// String does not show the key.
func (c *Credentials) String() string {
	return fmt.Sprintf("credentials of %s", memberName(c.cluster, c.id))
}

// Cluster is the name of the cluster that the certificate is of.
func (c *Credentials) Cluster() string { return c.cluster }

// ID is the id of the member that the certificate is of.
func (c *Credentials) ID() string { return c.id }

// Begins says since when the certificate is good.
func (c *Credentials) Begins() time.Time { return c.chain[0].NotBefore }

// Ends says when the certificate is not good any more.
func (c *Credentials) Ends() time.Time { return c.chain[0].NotAfter }

// Authority is the fingerprint of the newest root, which has signed the certificate. Who
// reports it must have stored c before: the old root goes when all have reported.
func (c *Credentials) Authority() string { return fingerprint(c.roots[len(c.roots)-1]) }

// Roots are the fingerprints of the roots that are trusted, the newest last.
func (c *Credentials) Roots() []string {
	roots := make([]string, len(c.roots))
	for i, root := range c.roots {
		roots[i] = fingerprint(root)
	}
	return roots
}

// Vouchers are the fingerprints of the roots that the certificate rests on: the newest,
// and the one before while that has signed the newest too.
func (c *Credentials) Vouchers() []string {
	if len(c.chain) == 1 {
		return []string{c.Authority()}
	}
	return c.Roots()
}

// Trusts reports whether one of the roots, given by fingerprint, is still trusted.
func (c *Credentials) Trusts(roots []string) bool {
	return slices.ContainsFunc(c.roots, func(r *x509.Certificate) bool { return slices.Contains(roots, fingerprint(r)) })
}

// storedCredentials are Credentials as they are kept on the disk.
type storedCredentials struct {
	Key []byte `json:"key"` // PKCS #8
	Certificate
}

// MarshalJSON writes all of c, its private key too.
func (c *Credentials) MarshalJSON() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		return nil, err
	}
	return json.Marshal(storedCredentials{key, Certificate{raw(c.chain), raw(c.roots), c.generation}})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (c *Credentials) UnmarshalJSON(text []byte) error {
	var s storedCredentials
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	key, err := parseKey(s.Key)
	if err != nil {
		return fmt.Errorf("the private key of this host: %w", err)
	}
	read, err := Request{key}.Credentials(s.Certificate)
	if err == nil {
		*c = *read
	}
	return err
}

// show is what TLS shows of c. The root goes with it, so that one who joins can compare
// it with the fingerprint in its token.
func (c *Credentials) show() *tls.Certificate {
	return &tls.Certificate{Certificate: append(raw(c.chain), raw(c.roots)...), PrivateKey: c.key, Leaf: c.chain[0]}
}

func (c *Credentials) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, root := range c.roots {
		pool.AddCert(root)
	}
	return pool
}
