package agent

import (
	"time"

	"github.com/vipd/vipd/election"
)

// Action is something to do. Each that can fail is answered by an event.
type Action interface{ action() }

// The actions.
type (
	// Bind puts the addresses on, or renews them; answered by [Bound].
	Bind struct{}
	// ResetConnections ends the connections to the addresses.
	ResetConnections struct{}
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
	// SetStanding tells the election how readily this host stands.
	SetStanding struct{ election.Standing }
	// FindSuccessor looks for a member to hand over to; answered by [Found].
	FindSuccessor struct {
		Request int // somebody's; 0 if it is for this host's own sake
		Target  string
		Well    bool // an unhealthy member is none
	}
	// Prepare has the successor warm the service up, if Warm; looks, if Recheck, whether
	// it can still take over; and has the reason of the hand-over recorded. It is answered
	// by [Prepared].
	Prepare struct {
		ID      int
		To      election.Member
		Warm    bool
		Recheck bool
		Reason  string
		Cause   election.Cause
	}
	// Wait lets time pass; answered by [Waited].
	Wait struct {
		ID  int
		For time.Duration
	}
	// HandOver has it recorded that this host has let go of all that it held in the term
	// Released, if that is not 0, and gives up the lease of Term, or of whatever term this
	// host leads in if that is 0, unless To is nil; answered by [HandedOver].
	HandOver struct {
		To             *election.Member
		Released, Term uint64
	}
	// Preempt asks the leader to hand over to this host; answered by [Preempted].
	Preempt struct{ Reason string }
	// Claim records this host as the holder and asks the election whom it has to fence;
	// answered by [Claimed].
	Claim struct{ Term uint64 }
	// RunFence runs the hook that puts a holder before out of action; answered by [Fenced].
	RunFence struct {
		Previous election.Member
		Term     uint64
		Reason   string
	}
	// RecordFenced has it recorded that a holder before is out of action, or is to be
	// taken for it.
	RecordFenced struct {
		Previous election.Member
		Term     uint64
	}
	// RunPrepare runs the hook that warms the service up; answered by [PrepareDone].
	RunPrepare struct {
		Request int
		Reason  string
	}
	// Reply answers a request.
	Reply struct {
		Request int
		To      string
		Err     error
	}
	// Exit ends the agent.
	Exit struct{}
)

func (Bind) action()             {}
func (ResetConnections) action() {}
func (Unbind) action()           {}
func (Announce) action()         {}
func (Arm) action()              {}
func (RunHook) action()          {}
func (SetStanding) action()      {}
func (FindSuccessor) action()    {}
func (Prepare) action()          {}
func (Wait) action()             {}
func (HandOver) action()         {}
func (Preempt) action()          {}
func (Claim) action()            {}
func (RunFence) action()         {}
func (RecordFenced) action()     {}
func (RunPrepare) action()       {}
func (Reply) action()            {}
func (Exit) action()             {}
