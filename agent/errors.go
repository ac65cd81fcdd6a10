package agent

import "errors"

// hintedError is an error that also says what to do.
type hintedError struct{ message, hint string }

func (e *hintedError) Error() string { return e.message }

// Hint says what the operator can do about the error.
func (e *hintedError) Hint() string { return e.hint }

var (
	errHandingOver = errors.New("a hand-over is under way already")
	errStopping    = errors.New("vipd is stopping")
	errLost        = errors.New("the lease was lost before the hand-over was done")
	errLeaseOver   = errors.New("the lease is over")
	errGained      = errors.New("this host has got the lease")
	errLeads       = errors.New("this host leads already")
	errPreparing   = errors.New("the prepare hook runs already")
	errFrozen      = &hintedError{"hand-overs are frozen in this cluster", "run `vipd thaw` first"}
)
