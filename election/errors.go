package election

import "fmt"

// hintedError is an error that also says what to do.
type hintedError struct{ message, hint string }

func hinted(message, hint string) error { return &hintedError{message, hint} }

func (e *hintedError) Error() string { return e.message }

// Hint says what the operator can do about the error.
func (e *hintedError) Hint() string { return e.hint }

// UnknownError says that somebody has named a member or a check that there is not.
type UnknownError struct{ hintedError }

func unknown(message, hint string) error { return &UnknownError{hintedError{message, hint}} }

func unknownMember(name string) error {
	return unknown(fmt.Sprintf("there is no member %q", name), "`vipd status` lists the members")
}

// ErrNoLeader says that the cluster has no leader now.
var ErrNoLeader = hinted("there is no leader now", "an election takes about the detect time; if this lasts, too few members reach each other: see `vipd status`; if a majority is lost for ever: `vipd recover --help`")

// ErrNotMember says that this host belongs to no cluster.
var ErrNotMember = hinted("this host belongs to no cluster", "`vipd init` on the first host, and `vipd token create` on a member, print what to type on the others; `vipd status` says what a host with cluster.expect waits for")

// refusedError says that another host does not talk to this one, or this one to it.
type refusedError struct {
	hintedError
	why error // ErrRemoved, one of trust's, or nil
}

// Unwrap returns why.
func (e *refusedError) Unwrap() error { return e.why }

func refused(message, hint string, removed bool) *refusedError {
	e := &refusedError{hintedError: hintedError{message, hint}}
	if removed {
		e.why = ErrRemoved
	}
	return e
}

// ErrRemoved is what a host is told that was a member, and whose id can be none again.
var ErrRemoved = hinted("that host was removed from this cluster", "`vipd leave` there makes it forget that; then it may join again, with a token")
