package agent

import (
	"time"

	"github.com/vipd/vipd/election"
)

// Role is what the operator's hooks are told, in keepalived's words.
type Role string

// The roles.
const (
	Master Role = "MASTER" // holds the addresses
	Backup Role = "BACKUP" // ready to
	Fault  Role = "FAULT"  // not able or not well enough to
	Stop   Role = "STOP"   // shutting down
)

// HoldDown is how long a host that could not bind the addresses or start the
// service is held back before it may try again.
const HoldDown = 30 * time.Second

// announceFor is how long the neighbours are told again, once a second.
const announceFor = 5 * time.Second

// State is all that decisions are made from. It is a value: [Step] returns a new
// one.
type State struct {
	Leading  bool   // leader of the cluster, which alone can hand over
	Held     bool   // the lease is held
	Term     uint64 // of the lease, or of the last one
	Known    bool   // every check has judged
	Healthy  bool
	Ailment  string // why it is not healthy
	Armed    bool   // the fence is in force
	Unarmed  string // why it is not
	Bound    bool   // an address may be on this host: true until it was seen to be gone
	AllBound bool   // all of them are, and were put there under a lease
	Stopping bool

	Role       Role      // of the last hook begun; empty before the first
	RoleTerm   uint64    // the term for which it was begun, for MASTER
	Previous   Role      // of the hook before
	Since      time.Time // when Role began
	Reason     string    // why
	Wanted     Role      // what the hooks should be told last
	WantedTerm uint64
	Running    bool          // the hook of Role runs now
	HookErr    string        // how the last hook that has ended failed; empty if it did not
	HookTook   time.Duration // of that hook

	Told          Fitness   // what the election was told last
	HoldUntil     time.Time // end of the hold-down after Failure
	Failure       string    // why this host could not hold; empty once the hold-down is over
	BindErr       string    // why the addresses could not be bound; empty if they could
	UnbindErr     string    // why they could not be removed; empty if they could
	AnnounceUntil time.Time

	Asked   *Request // a hand-over that the operator wants
	Asking  bool     // the election is looking for a successor
	Alone   bool     // it found none
	Leaving *Leaving // a hand-over under way
	Exited  bool
}

// Fitness is what this host tells the election about itself.
type Fitness struct {
	Degree election.Fitness
	Reason string
}

// Request is an operator's wish to move the lease. Target may be empty.
type Request struct {
	ID     int
	Target string
	Reason string
}

// Leaving is a hand-over under way, from the decision until another leads.
type Leaving struct {
	To      *election.Member // nil: nobody to hand over to, this host only stops
	Reason  string
	Request int  // the operator's request that it answers; 0 if none
	Role    Role // of the hook that stops the service
	Stage   Stage
}

// Stage is how far a hand-over has come.
type Stage int

// The stages of a hand-over, in order.
const (
	Hooking   Stage = iota // the hook that stops the service runs
	Unbinding              // the addresses come off
	Moving                 // the lease is given up and the successor told
)

// Event is something that happened.
type Event interface{ event() }

// The events.
type (
	// LeaseChanged says how the lease stands now.
	LeaseChanged struct {
		Held, Leading bool
		Term          uint64
	}
	// HealthChanged carries the verdict of the checks.
	HealthChanged struct {
		Healthy bool
		Reason  string
	}
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
	// HandedOver answers [HandOver].
	HandedOver struct{ Err error }
	// Drifted says that somebody changed links or addresses. Missing says that an
	// address that was bound is not there.
	Drifted struct{ Missing bool }
	// TransferAsked is the operator's wish to move the lease.
	TransferAsked struct{ Request }
	// StopAsked is the wish to shut down.
	StopAsked struct{}
	// Tick comes once a second.
	Tick struct{}
)

func (LeaseChanged) event()  {}
func (HealthChanged) event() {}
func (FenceChecked) event()  {}
func (Bound) event()         {}
func (Unbound) event()       {}
func (HookDone) event()      {}
func (Found) event()         {}
func (HandedOver) event()    {}
func (Drifted) event()       {}
func (TransferAsked) event() {}
func (StopAsked) event()     {}
func (Tick) event()          {}

// Action is something to do. Each that can fail is answered by an event.
type Action interface{ action() }

// The actions.
type (
	// Bind puts the addresses on, or renews them; answered by [Bound].
	Bind struct{}
	// Unbind takes them off; answered by [Unbound].
	Unbind struct{}
	// Announce tells the neighbours, now and for a while.
	Announce struct{}
	// Arm puts the fence in force again; answered by [FenceChecked].
	Arm struct{}
	// RunHook runs the operator's hook; answered by [HookDone].
	RunHook struct {
		Role, Previous Role
		Term           uint64
		Reason         string
	}
	// SetFitness tells the election how readily this host stands.
	SetFitness struct{ Fitness }
	// FindSuccessor looks for a member to hand over to and has the reason recorded;
	// answered by [Found].
	FindSuccessor struct {
		Request        int // the operator's; 0 if it is for this host's own sake
		Target, Reason string
	}
	// HandOver gives up the lease; answered by [HandedOver].
	HandOver struct{ To election.Member }
	// Reply answers an operator's request.
	Reply struct {
		Request int
		To      string
		Err     error
	}
	// Exit ends the agent.
	Exit struct{}
)

func (Bind) action()          {}
func (Unbind) action()        {}
func (Announce) action()      {}
func (Arm) action()           {}
func (RunHook) action()       {}
func (SetFitness) action()    {}
func (FindSuccessor) action() {}
func (HandOver) action()      {}
func (Reply) action()         {}
func (Exit) action()          {}
