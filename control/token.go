package control

import (
	"fmt"
	"time"
)

// How long and how often a token may be used.
const (
	minTTL, maxTTL = time.Minute, 30 * 24 * time.Hour
	maxUses        = 100
)

// TokenUse is how long and how often a token may be used.
type TokenUse struct {
	TTL  Millis `json:"ttl_ms"` // 1 min … 30 days
	Uses int    `json:"uses"`   // how many hosts may join with it, 1 … 100
}

// NewToken is the answer to the wish for a token. Text and JoinCommand hold a secret that
// nobody can find out later.
type NewToken struct {
	ID          string    `json:"id"`
	Text        string    `json:"token"`        // what a host that joins has to show
	JoinCommand string    `json:"join_command"` // what to type there
	Expires     time.Time `json:"expires"`
	TokenUse
}

// Token is what the cluster knows of a token; its secret is known to none.
type Token struct {
	ID      string    `json:"id"`
	By      string    `json:"by"` // the name of the member on which it was asked for
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Uses    int       `json:"uses"` // how many hosts may join with it
	Left    int       `json:"left"` // how many of them have not
	Revoked bool      `json:"revoked"`
}

func (u TokenUse) check() error {
	if ttl := u.TTL.Duration(); ttl < minTTL || ttl > maxTTL {
		return &Error{
			Message: fmt.Sprintf("a token can't be good for %s", ttl),
			Advice:  "give it from 1m to 720h (30 days), for example --ttl 1h", Code: CodeUsage,
		}
	}
	if u.Uses < 1 || u.Uses > maxUses {
		return &Error{
			Message: fmt.Sprintf("a token can't be good for %d hosts", u.Uses),
			Advice:  fmt.Sprintf("give it from 1 to %d uses, for example --uses 2", maxUses), Code: CodeUsage,
		}
	}
	return nil
}
