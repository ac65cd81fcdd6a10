package agent

import "github.com/vipd/vipd/election"

// Event is something that happened.
type Event interface{ event() }

// The events.
type (
	// LeaseChanged says how the lease stands now.
	LeaseChanged struct {
		Held, Leading bool
		Term          uint64
		Frozen        bool   // no hand-over is wanted in the whole cluster
		Preferred     string // why this host should hold rather than the one that does; empty if not
	}
	// HealthChanged carries the verdict of the checks.
	HealthChanged struct {
		Healthy bool
		Reason  string
		Shift   int // of the priority, by the weights of the checks
		Checks  []election.Check
	}
	// PauseChanged says whether an operator wants this host not to hold.
	PauseChanged struct{ Paused bool }
	// FenceChecked says whether the fence is in force; Err is empty if it is.
	FenceChecked struct{ Err string }
	// Bound answers [Bind].
	Bound struct{ Err string }
	// Unbound answers [Unbind].
	Unbound struct{ Err string }
	// HookDone answers [RunHook].
	HookDone struct {
		Role Role
		Err  string
	}
	// Found answers [FindSuccessor]; To is nil if there is none.
	Found struct {
		Request int
		To      *election.Member
		Err     error
	}
	// Prepared answers [Prepare].
	Prepared struct {
		ID  int
		Err error
	}
	// Waited answers [Wait].
	Waited struct{ ID int }
	// HandedOver answers [HandOver].
	HandedOver struct{ Err error }
	// Preempted answers [Preempt].
	Preempted struct{ Err error }
	// Claimed answers [Claim].
	Claimed struct {
		Term uint64
		election.Claim
		Err string
	}
	// Fenced answers [RunFence].
	Fenced struct {
		Term uint64
		Err  string
		Void bool // it was ended before its time
	}
	// PrepareAsked is the wish of a holder that is about to hand over to this host.
	PrepareAsked struct{ Request int }
	// PrepareDone answers [RunPrepare].
	PrepareDone struct {
		Request int
		Err     error
	}
	// Drifted says that somebody changed links or addresses. Missing says that an
	// address that was bound is not there.
	Drifted struct{ Missing bool }
	// TransferAsked is somebody's wish to move the lease.
	TransferAsked struct{ Request }
	// StopAsked is the wish to shut down: in order, or in haste, without warming up a
	// successor and without drain time. In haste for the second time, hooks are not
	// waited for either.
	StopAsked struct{ Hasty bool }
	// Tick comes once a second.
	Tick struct{}
)

func (LeaseChanged) event()  {}
func (HealthChanged) event() {}
func (PauseChanged) event()  {}
func (FenceChecked) event()  {}
func (Bound) event()         {}
func (Unbound) event()       {}
func (HookDone) event()      {}
func (Found) event()         {}
func (Prepared) event()      {}
func (Waited) event()        {}
func (HandedOver) event()    {}
func (Preempted) event()     {}
func (Claimed) event()       {}
func (Fenced) event()        {}
func (PrepareAsked) event()  {}
func (PrepareDone) event()   {}
func (Drifted) event()       {}
func (TransferAsked) event() {}
func (StopAsked) event()     {}
func (Tick) event()          {}
