package control

import (
	"strings"
	"unicode"
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
	Peer string `json:"peer"`
}

type removeArguments struct {
	Node string `json:"node"`
}

func (noArguments) check() error { return nil }

func (a joinArguments) check() error {
	if a.Peer == "" {
		return usagef("join needs the address of a member")
	}
	return checkName("the peer", a.Peer)
}

func (a removeArguments) check() error {
	if a.Node == "" {
		return usagef("remove needs the name of a member")
	}
	return checkName("the node", a.Node)
}

func (t Transfer) check() error { return checkName("the node", t.Node) }

// checkName refuses what can be no name and no address, before it gets into a
// log or on the network.
func checkName(what, name string) error {
	if len(name) > maxName {
		return usagef("%s is longer than %d bytes", what, maxName)
	}
	odd := func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if strings.ContainsFunc(name, odd) {
		return usagef("%s %q has characters that no name has", what, name)
	}
	return nil
}
