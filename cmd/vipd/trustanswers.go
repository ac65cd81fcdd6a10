package main

import (
	"context"

	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/election"
)

// CreateToken makes a token.
func (a answers) CreateToken(ctx context.Context, use control.TokenUse) (control.NewToken, error) {
	text, t, err := a.node.CreateToken(ctx, election.Use{TTL: use.TTL.Duration(), Uses: use.Uses})
	if err != nil {
		return control.NewToken{}, coded(err)
	}
	return control.NewToken{ID: t.ID, Text: text, JoinCommand: a.joinCommand(text), Expires: t.Expires, TokenUse: use}, nil
}

// Tokens lists the tokens that this host knows.
func (a answers) Tokens(context.Context) ([]control.Token, error) {
	var tokens []control.Token
	for _, t := range a.node.Tokens() {
		tokens = append(tokens, control.Token{
			ID: t.ID, By: t.By, Created: t.Created, Expires: t.Expires, Uses: t.Uses, Left: t.Left, Revoked: t.Revoked,
		})
	}
	return tokens, nil
}

// RevokeToken ends a token.
func (a answers) RevokeToken(ctx context.Context, id string) error {
	return coded(a.node.RevokeToken(ctx, id))
}

// Rotate replaces the CA and all certificates.
func (a answers) Rotate(ctx context.Context) error { return coded(a.node.Rotate(ctx)) }

// joinCommand is what to type on another host.
func (a answers) joinCommand(token string) string {
	peer := a.cfg.Node.Address.String()
	if a.cfg.Node.Address.Port() == election.DefaultPort {
		peer = a.cfg.Node.Address.Addr().String()
	}
	return commandFor("vipd join "+peer+" --token "+token, a.cfg.File)
}

func (a answers) trustStatus() control.Trust {
	t := a.node.Trust()
	return control.Trust{Authority: t.Authority, Ends: t.Ends, Rotating: t.Rotating, Waiting: t.Waiting}
}
