package trust

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

const (
	rootLifetime = 10 * 365 * 24 * time.Hour // it begins in 1970: whatever clock it was made by, to none is it of the future
	nodeLifetime = 365 * 24 * time.Hour
	joinLifetime = 48 * time.Hour // of who is no member yet; backdating is less, so that it is enough for any clock

	// backdating is how far the clocks of two hosts may be apart without the newest
	// certificate of the one seeming to be of the future to the other.
	backdating = 24 * time.Hour
)

// Authority is the certification authority of a cluster. While it is being replaced it
// has two roots, the old and the new one; the new one signs, and is itself signed by
// the old one, so that a member which knows only the old one goes on understanding the
// others. The zero value is none.
type Authority struct {
	key   ed25519.PrivateKey // of the newest root
	roots []*x509.Certificate
	cross *x509.Certificate // the newest root as signed by the one before; nil if that is gone

	generation int // how often it was changed: an older one never replaces a newer one
}

// NewAuthority makes an authority with one root.
func NewAuthority(cluster string, now time.Time) (Authority, error) {
	key, root, err := newRoot(cluster, now)
	if err != nil {
		return Authority{}, err
	}
	return Authority{key: key, roots: []*x509.Certificate{root}}, nil
}

// Next returns an authority that has a new root beside the one of a. It fails while a
// has two, or none.
func (a Authority) Next(cluster string, now time.Time) (Authority, error) {
	if len(a.roots) != 1 {
		return a, errors.New("there is no certification authority, or it is being replaced already")
	}
	key, root, err := newRoot(cluster, now)
	if err != nil {
		return a, err
	}
	cross := *root
	cross.SignatureAlgorithm, cross.SerialNumber = 0, nil
	signed, err := sign(&cross, a.newest(), root.PublicKey, a.key)
	if err != nil {
		return a, err
	}
	return Authority{key: key, roots: []*x509.Certificate{a.newest(), root}, cross: signed, generation: a.generation + 1}, nil
}

// Retired returns a without the root that the newest one replaces. It may go as soon as
// all members have credentials of the newest, see [Credentials.Authority].
func (a Authority) Retired() Authority {
	if !a.Changing() {
		return a
	}
	return Authority{key: a.key, roots: a.roots[len(a.roots)-1:], generation: a.generation + 1}
}

// Changing reports whether a has two roots.
func (a Authority) Changing() bool { return len(a.roots) > 1 }

// IsZero reports whether a is none.
func (a Authority) IsZero() bool { return len(a.roots) == 0 }

// Follows reports whether a is what before was changed to.
func (a Authority) Follows(before Authority) bool { return a.generation == before.generation+1 }

// Equal reports whether a and b are the same authority at the same stage.
func (a Authority) Equal(b Authority) bool {
	return a.generation == b.generation && a.key.Equal(b.key) && slices.EqualFunc(a.roots, b.roots, (*x509.Certificate).Equal)
}

// Fingerprint is the SHA-256 of the newest root, in hexadecimal; "" if there is none.
func (a Authority) Fingerprint() string {
	if a.IsZero() {
		return ""
	}
	return fingerprint(a.newest())
}

// Ends says when the newest root is not good any more; the zero time if there is none.
func (a Authority) Ends() time.Time {
	if a.IsZero() {
		return time.Time{}
	}
	return a.newest().NotAfter
}

// String names a without its key.
func (a Authority) String() string { return "authority " + cmp.Or(a.Fingerprint(), "none") }

func (a Authority) newest() *x509.Certificate { return a.roots[len(a.roots)-1] }

// Certificate is what an authority answers to a [Request]: the chain of certificates
// and the roots that are trusted, in DER.
type Certificate struct {
	Chain      [][]byte `json:"chain"`
	Roots      [][]byte `json:"roots"`
	Generation int      `json:"generation"` // of the authority
}

// Certify returns a certificate for the key of a host that is about to become a member,
// given as PKIX. It is good for two days from now: a member replaces it by itself, see
// [Credentials.Renewed], and a host that becomes none has it no longer. The names of
// cluster and member have 1–63 letters, digits and hyphens.
func (a Authority) Certify(cluster, id string, public []byte, now time.Time) (Certificate, error) {
	return a.certify(cluster, id, public, now, joinLifetime)
}

func (a Authority) certify(cluster, id string, public []byte, now time.Time, lifetime time.Duration) (Certificate, error) {
	if a.IsZero() {
		return Certificate{}, errors.New("this host does not know the certification authority of its cluster yet")
	}
	if !isName(cluster) || !isName(id) {
		return Certificate{}, fmt.Errorf("no certificate can be made for %.80q in cluster %.80q", id, cluster)
	}
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return Certificate{}, fmt.Errorf("the key to certify: %w", err)
	}
	if _, ok := key.(ed25519.PublicKey); !ok {
		return Certificate{}, errors.New("the key to certify is not an Ed25519 key")
	}
	leaf, err := sign(nodeTemplate(cluster, id, now, lifetime), a.newest(), key, a.key)
	if err != nil {
		return Certificate{}, err
	}
	c := Certificate{Chain: [][]byte{leaf.Raw}, Roots: raw(a.roots), Generation: a.generation}
	if a.cross != nil {
		c.Chain = append(c.Chain, a.cross.Raw)
	}
	return c, nil
}

// stored is an Authority as it is replicated.
type stored struct {
	Key   []byte   `json:"key"` // PKCS #8
	Roots [][]byte `json:"roots"`
	Cross []byte   `json:"cross,omitempty"`

	Generation int `json:"generation"`
}

// MarshalJSON writes all of a, its private key too.
func (a Authority) MarshalJSON() ([]byte, error) {
	if a.IsZero() {
		return []byte("null"), nil
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	s := stored{Key: key, Roots: raw(a.roots), Generation: a.generation}
	if a.cross != nil {
		s.Cross = a.cross.Raw
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON has written.
func (a *Authority) UnmarshalJSON(text []byte) error {
	var s *stored
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	if s == nil {
		*a = Authority{}
		return nil
	}
	read, err := s.authority()
	if err != nil {
		return fmt.Errorf("the certification authority: %w", err)
	}
	*a = read
	return nil
}

func (s stored) authority() (a Authority, err error) {
	a.generation = s.Generation
	if a.key, err = parseKey(s.Key); err != nil {
		return a, err
	}
	if a.roots, err = parseAll(s.Roots); err != nil {
		return a, err
	}
	if len(s.Cross) > 0 {
		if a.cross, err = x509.ParseCertificate(s.Cross); err != nil {
			return a, err
		}
	}
	return a, a.check()
}

// check says what is wrong with an authority that was read.
func (a Authority) check() error {
	if len(a.roots) == 0 || len(a.roots) > 2 {
		return fmt.Errorf("%d roots", len(a.roots))
	}
	if !fits(a.key, a.newest()) {
		return errors.New("the key is not that of the newest root")
	}
	if a.Changing() != (a.cross != nil) {
		return errors.New("of the old root and its signature under the new one, one is missing")
	}
	if a.cross == nil {
		return nil
	}
	if !fits(a.key, a.cross) {
		return errors.New("the old root has signed another root")
	}
	return a.cross.CheckSignatureFrom(a.roots[0])
}

func newRoot(cluster string, now time.Time) (ed25519.PrivateKey, *x509.Certificate, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	name := fmt.Sprintf("vipd %s CA %s", cluster, hex.EncodeToString(public[:4])) // two of one cluster are told apart by it
	root, err := sign(rootTemplate(name, time.Unix(0, 0), now.Add(rootLifetime)), nil, public, key)
	return key, root, err
}

func rootTemplate(name string, from, until time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

func nodeTemplate(cluster, id string, now time.Time, lifetime time.Duration) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"vipd " + cluster}, CommonName: id},
		DNSNames:  []string{serverName(cluster)},
		URIs:      []*url.URL{memberName(cluster, id)},
		NotBefore: now.Add(-backdating), NotAfter: now.Add(lifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// sign returns a template as a certificate; without a parent it signs itself. Without a
// serial number, CreateCertificate draws one.
func sign(template, parent *x509.Certificate, public any, key ed25519.PrivateKey) (*x509.Certificate, error) {
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func parseKey(der []byte) (ed25519.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	own, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("the key is not an Ed25519 key")
	}
	return own, nil
}

// fits reports whether a certificate is for a key.
func fits(key ed25519.PrivateKey, c *x509.Certificate) bool {
	return key.Public().(ed25519.PublicKey).Equal(c.PublicKey)
}

func parseAll(ders [][]byte) ([]*x509.Certificate, error) {
	certificates := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		var err error
		if certificates[i], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return certificates, nil
}

func raw(certificates []*x509.Certificate) [][]byte {
	ders := make([][]byte, len(certificates))
	for i, c := range certificates {
		ders[i] = c.Raw
	}
	return ders
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
