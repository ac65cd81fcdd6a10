package election

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"

	"github.com/vipd/vipd/trust"
)

// application is a host that wants a certificate. It is trusted because of its token, or
// because it has shown by the handshake that it knows the secret.
type application struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Key     []byte `json:"key"` // PKIX
	TokenID string `json:"token_id,omitempty"`
	Secret  []byte `json:"secret,omitempty"` // of the token
}

const maxNameSize = 63 // bytes, of what a host that is not known says and the log repeats

// enrolled is the answer.
type enrolled struct {
	Cluster     string            `json:"cluster"`
	Certificate trust.Certificate `json:"certificate"`
}

// enrol gives a host a certificate, with which it may join within the next hour. It runs
// on the leader.
func (n *Node) enrol(ctx context.Context, a application) (any, error) {
	from := callerOf(ctx)
	if err := n.receives(from, a); err != nil {
		return nil, err
	}
	log := n.log.With(zap.String("peer", from.host), zap.String("member", a.Name), zap.String("token", a.TokenID))
	answer, err := n.certify(ctx, from, a)
	if err != nil {
		if reason := n.stream.callers.news(from.host, err, time.Now()); reason != "" {
			log.Warn("a host that wants to join gets no certificate", zap.String("error", reason))
		}
		return nil, err
	}
	log.Info("a host that joins has got its certificate")
	return answer, nil
}

// receives says why an application is not even looked at, nor told to the log.
func (n *Node) receives(from caller, a application) error {
	if err := n.guesses.allowed(from); err != nil {
		return err
	}
	if b, err := hex.DecodeString(a.ID); err != nil || len(b) != idSize || len(a.Name) > maxNameSize || len(a.TokenID) > maxNameSize {
		n.guesses.failed(from)
		return errors.New("this is no application of a host")
	}
	return nil
}

func (n *Node) certify(ctx context.Context, from caller, a application) (enrolled, error) {
	now, st := time.Now(), n.machine.get()
	e := enrolment{ID: a.ID, Time: now, Expires: now.Add(enrolmentLast)}
	if from.Protocol != trust.Form {
		e.Token = a.TokenID
	}
	if err := n.mayEnrol(from, a, e); err != nil {
		n.guesses.failed(from)
		return enrolled{}, err
	}
	certificate, err := st.Authority.Certify(st.Cluster, a.ID, a.Key, now)
	if err != nil {
		return enrolled{}, err
	}
	return enrolled{st.Cluster, certificate}, n.commit(ctx, command{Enrol: &e})
}

// mayEnrol says why a host may not have a certificate.
func (n *Node) mayEnrol(from caller, a application, e enrolment) error {
	st := n.machine.get()
	t, known := st.token(a.TokenID)
	switch {
	case from.Protocol == trust.Form:
	case a.TokenID == "":
		return errNoToken
	case known && !trust.Token{Secret: string(a.Secret)}.Matches(t.Hash):
		return tokenRefused("the secret of the token %s is wrong", a.TokenID)
	}
	if slices.Contains(n.view.voters(), raft.ServerID(a.ID)) {
		return errTakenID
	}
	return st.mayEnrol(e)
}

// errTakenID is for one who would get the certificate of a member. A host that has a vote
// has had its certificate, and the log in which that stands.
var errTakenID = hinted("a member has the id of that host", "its disk was copied or set back: stop vipd there, empty the data directory, start vipd and join with a token")

var errNoToken = hinted("a host needs a token to join", "type on a member: vipd token create")

// guesses limits how often a host may come with tokens that are not good. Hosts that know
// the secret need none, and try until they are in.
type guesses struct {
	mu    sync.Mutex
	since time.Time
	wrong map[string]int // by host
}

const (
	guessing   = time.Minute
	maxGuesses = 10 // of one host, each minute
)

func (g *guesses) allowed(from caller) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.since) >= guessing {
		g.since, g.wrong = now, make(map[string]int)
	}
	if from.Protocol != trust.Form && g.wrong[from.host] >= maxGuesses {
		return hinted("too many attempts with tokens that are not good", "wait a minute, and make a new one: vipd token create")
	}
	return nil
}

func (g *guesses) failed(from caller) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wrong[from.host]++
}
