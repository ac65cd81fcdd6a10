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
var ErrNotMember = hinted("this host belongs to no cluster", "run `vipd init` on the first host, `vipd join <peer>` on the others")
