package control

import (
	"strings"
	"unicode"

	"go.uber.org/zap/zapcore"
)

// maxName is the longest name, id or address that an order may carry: that of a
// host name in the DNS (RFC 1035 §2.3.4), and then a port.
const maxName = 255 + len(":65535")

// arguments is what the body of an order says.
type arguments interface {
	check() error // the cause is a mistake of whoever asks
}

type noArguments struct{}

type joinArguments struct {
	Peer  string `json:"peer"`
	Token string `json:"token"`
}

// MarshalLogObject implements [zapcore.ObjectMarshaler]: the token is in no log.
func (a joinArguments) MarshalLogObject(line zapcore.ObjectEncoder) error {
	line.AddString("peer", a.Peer)
	return nil
}

type removeArguments struct {
	Node string `json:"node"`
}

type revokeArguments struct {
	ID string `json:"id"`
}

const maxTokenID = 16 // characters

func (noArguments) check() error { return nil }

func (a joinArguments) check() error {
	if a.Peer == "" {
		return usagef("join needs the address of a member")
	}
	if err := checkName("the peer", a.Peer); err != nil {
		return err
	}
	return checkToken(a.Token)
}

func (a removeArguments) check() error {
	if a.Node == "" {
		return usagef("remove needs the name of a member")
	}
	return checkName("the node", a.Node)
}

func (a revokeArguments) check() error {
	if a.ID == "" {
		return usagef("revoke needs the id of a token")
	}
	if len(a.ID) > maxTokenID { // what was meant may be the token itself, which gets into no message
		return usagef("that is no id of a token; `vipd token list` shows them")
	}
	return checkName("the id", a.ID)
}

func (t Transfer) check() error { return checkName("the node", t.Node) }

// checkName refuses what can be no name and no address, before it gets into a
// log or on the network.
func checkName(what, name string) error {
	if len(name) > maxName {
		return usagef("%s is longer than %d bytes", what, maxName)
	}
	if strings.ContainsFunc(name, odd) {
		return usagef("%s %q has characters that no name has", what, name)
	}
	return nil
}

// checkToken refuses what can be no token. The error does not repeat it.
func checkToken(token string) error {
	if len(token) > maxName || strings.ContainsFunc(token, odd) {
		return usagef("the token is longer than a token can be, or has characters that no token has")
	}
	return nil
}

func odd(r rune) bool {
	return r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r)
}
