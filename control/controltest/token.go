package controltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/control"
)

// initUse is what the token is good for that init makes.
func initUse() control.TokenUse {
	return control.TokenUse{TTL: control.Millis(time.Hour), Uses: 10}
}

// CreateToken implements control.Daemon. The first token of the model is "vipd1.model1".
func (h *Host) CreateToken(ctx context.Context, use control.TokenUse) (control.NewToken, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return control.NewToken{}, err
	}
	defer unlock()
	if err := h.needLeader(); err != nil {
		return control.NewToken{}, err
	}
	return h.newToken(use), nil
}

func (h *Host) newToken(use control.TokenUse) control.NewToken {
	c := h.cluster
	n := len(c.tokens) + 1
	made := control.NewToken{ID: fmt.Sprintf("token%d", n), Text: fmt.Sprintf("vipd1.model%d", n), Expires: Now().Add(use.TTL.Duration()), TokenUse: use}
	made.JoinCommand = fmt.Sprintf("vipd join %s --token %s", h.address, made.Text)
	c.tokens = slices.Insert(c.tokens, 0, control.Token{
		ID: made.ID, By: h.name, Created: Now(), Expires: made.Expires, Uses: use.Uses, Left: use.Uses,
	})
	return made
}

// Tokens implements control.Daemon.
func (h *Host) Tokens(ctx context.Context) ([]control.Token, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return slices.Clone(h.cluster.tokens), nil
}

// RevokeToken implements control.Daemon.
func (h *Host) RevokeToken(ctx context.Context, id string) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.needLeader(); err != nil {
		return err
	}
	t := h.cluster.token(id)
	if t == nil {
		return &control.Error{Message: fmt.Sprintf("there is no token %q", id), Advice: "`vipd token list` lists the tokens", Code: control.CodeUsage}
	}
	t.Revoked = true
	return nil
}

// Rotate implements control.Daemon.
func (h *Host) Rotate(ctx context.Context) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.needLeader(); err != nil {
		return err
	}
	for i := range h.cluster.tokens {
		h.cluster.tokens[i].Revoked = true
	}
	h.cluster.rotations++
	return nil
}

// authority is the fingerprint of the CA of the model.
func (c *Cluster) authority() string {
	return strings.Repeat(fmt.Sprintf("%08x", 0xca000001+c.rotations), 8)
}

func (c *Cluster) token(id string) *control.Token {
	i := slices.IndexFunc(c.tokens, func(t control.Token) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return &c.tokens[i]
}

// use lets one host join with a token.
func (c *Cluster) use(text string) error {
	t := c.token(strings.Replace(text, "vipd1.model", "token", 1))
	refused := func(message string) error {
		return &control.Error{Message: message, Advice: "`vipd token create` on a member makes one", Code: control.CodeFailed}
	}
	switch {
	case text == "":
		return refused("a host that joins needs a token")
	case t == nil:
		return refused("the cluster does not know this token")
	case t.Revoked:
		return refused("this token was revoked")
	case t.Left == 0:
		return refused("this token is used up")
	}
	t.Left--
	return nil
}
