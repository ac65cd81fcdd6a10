package election

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/vipd/vipd/trust"
)

const (
	maxTokens     = 100
	keptAfter     = 7 * 24 * time.Hour // what has become of a token is remembered so long after its end
	enrolmentLast = time.Hour          // a host that has a certificate must join within it
	maxRemoved    = 1000               // ids of 16 bytes

	minTTL, maxTTL = time.Minute, 30 * 24 * time.Hour
	maxUses        = 100
)

// Token is what the cluster knows of a join token; its secret is known to none.
type Token struct {
	ID      string    `json:"id"`
	Hash    []byte    `json:"hash"`    // of the secret
	Created time.Time `json:"created"` // by the clock of the leader, as are all of these
	Expires time.Time `json:"expires"`
	By      string    `json:"by"`   // the member on which it was asked for
	Uses    int       `json:"uses"` // how many hosts may join with it
	Left    int       `json:"left"` // how many of them have not
	Revoked bool      `json:"revoked,omitempty"`
}

// enrolment is one host that has got a certificate, and joins next.
type enrolment struct {
	ID      string    `json:"id"`              // of the host
	Token   string    `json:"token,omitempty"` // its id; "" with the secret of the configuration
	Time    time.Time `json:"time"`
	Expires time.Time `json:"expires"`
}

// Use is how long and how often a new token may be used.
type Use struct {
	TTL  time.Duration `json:"ttl"`  // 1 min … 30 d
	Uses int           `json:"uses"` // 1 … 100
}

func (u Use) check() error {
	if u.TTL < minTTL || u.TTL > maxTTL || u.Uses < 1 || u.Uses > maxUses {
		return hinted("a token is good for 1 minute to 30 days and for 1 to 100 hosts", "for example: vipd token create --ttl 1h --uses 2")
	}
	return nil
}

// wish is a token that somebody wants.
type wish struct {
	Use
	By string `json:"by"`
}

// made is a new token with its secret.
type made struct {
	Text  string `json:"text"`
	Token Token  `json:"token"`
}

// CreateToken makes a token. Text is what a host that joins has to show; nobody can find
// it out later.
func (n *Node) CreateToken(ctx context.Context, u Use) (text string, t Token, err error) {
	if err := u.check(); err != nil {
		return "", t, err
	}
	var m made
	err = n.duringElections(ctx, func() error { return n.callLeader(ctx, "", pathToken, wish{u, n.cfg.Name}, &m) })
	return m.Text, m.Token, err
}

func (n *Node) makeToken(ctx context.Context, w wish) (any, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	secret := trust.NewToken(n.machine.get().Authority)
	now := time.Now()
	t := Token{ID: secret.ID, Hash: secret.Hash(), Created: now, Expires: now.Add(w.TTL), By: w.By, Uses: w.Uses, Left: w.Uses}
	if err := n.commit(ctx, command{Token: &t}); err != nil {
		return nil, err
	}
	n.log.Info("a join token was made", zap.String("token", t.ID), zap.String("by", t.By), zap.Time("expires", t.Expires), zap.Int("uses", t.Uses))
	return made{secret.Text(), t}, nil
}

// Tokens returns the tokens that this member knows, the newest first. Those that are used
// up, revoked or over are among them for a week.
func (n *Node) Tokens() []Token {
	tokens := slices.Clone(n.machine.get().Tokens)
	slices.Reverse(tokens)
	return tokens
}

// RevokeToken ends a token. One that there is not is an [UnknownError].
func (n *Node) RevokeToken(ctx context.Context, id string) error {
	return n.callLeader(ctx, "", pathRevoke, id, nil)
}

func (n *Node) revoke(ctx context.Context, id string) error {
	if _, ok := n.machine.get().token(id); !ok {
		return unknown(fmt.Sprintf("there is no token %q", id), "`vipd token list` lists them")
	}
	if err := n.commit(ctx, command{Revoke: id}); err != nil {
		return err
	}
	n.log.Info("a join token was revoked", zap.String("token", id))
	return nil
}

func (s state) token(id string) (Token, bool) {
	i := slices.IndexFunc(s.Tokens, func(t Token) bool { return t.ID == id })
	if i < 0 {
		return Token{}, false
	}
	return s.Tokens[i], true
}

// withToken adds a token, and drops those that were over long before it was made.
func (s state) withToken(t Token) []Token {
	kept := slices.DeleteFunc(slices.Clone(s.Tokens), func(old Token) bool { return old.Expires.Add(keptAfter).Before(t.Created) })
	return lastOf(append(kept, t), maxTokens)
}

func (s state) changeToken(id string, change func(*Token)) []Token {
	tokens := slices.Clone(s.Tokens)
	for i := range tokens {
		if tokens[i].ID == id {
			change(&tokens[i])
		}
	}
	return tokens
}

// revoke ends a token, and what was begun with it: who has a certificate by it and is no
// member yet does not become one.
func (s state) revoke(id string) state {
	s.Tokens = s.changeToken(id, func(t *Token) { t.Revoked = true })
	s.Enrolled = slices.DeleteFunc(slices.Clone(s.Enrolled), func(e enrolment) bool { return e.Token == id })
	return s
}

// mayEnrol says why a host may not have a certificate.
func (s state) mayEnrol(e enrolment) error {
	if slices.Contains(s.Removed, e.ID) {
		return ErrRemoved
	}
	if e.Token == "" {
		return nil
	}
	t, ok := s.token(e.Token)
	switch {
	case !ok:
		return tokenRefused("the cluster knows no token %s: it was made by another, or before the last `vipd rotate`", e.Token)
	case t.Revoked:
		return tokenRefused("the token %s was revoked", e.Token)
	case !e.Time.Before(t.Expires):
		return tokenRefused("the token %s has ended at %s; the clock of the leader says %s", e.Token, clockText(t.Expires), clockText(e.Time))
	case t.Left <= 0 && !s.hasEnrolled(e):
		return tokenRefused("the token %s is used up: it was good for %d", e.Token, t.Uses)
	}
	return nil
}

func tokenRefused(format string, args ...any) error {
	return hinted(fmt.Sprintf(format, args...), "make a new one on a member: vipd token create")
}

func clockText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// enrol notes that a host has got a certificate. A host that asks again, because it did
// not hear the answer, does not use the token twice.
func (s state) enrol(e enrolment) state {
	again := s.hasEnrolled(e)
	s.Enrolled = append(s.stillEnrolled(e.ID), e)
	s.Enrolled = slices.DeleteFunc(s.Enrolled, func(o enrolment) bool { return o.Expires.Before(e.Time) })
	if !again {
		s.Tokens = s.changeToken(e.Token, func(t *Token) { t.Left-- })
	}
	return s
}

func (s state) hasEnrolled(e enrolment) bool {
	return slices.ContainsFunc(s.Enrolled, func(o enrolment) bool { return o.ID == e.ID && o.Token == e.Token })
}

// stillEnrolled is who is, without one.
func (s state) stillEnrolled(id string) []enrolment {
	return slices.DeleteFunc(slices.Clone(s.Enrolled), func(e enrolment) bool { return e.ID == id })
}
