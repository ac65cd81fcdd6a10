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
	Backup Role = "BACKUP" // ready to, or not meant to
	Fault  Role = "FAULT"  // not able or not well enough to
	Stop   Role = "STOP"   // shutting down
)

// announceFor is how long the neighbours are told again, once a second.
const announceFor = 5 * time.Second

// Policy is what the operator has configured of this host's behaviour.
type Policy struct {
	Priority      int           // of this host before the weights of its checks, 1 to 254; 0: [election.DefaultPriority]
	Witness       bool          // never holds
	Preempt       bool          // takes the lease from a holder of lower priority
	PreemptDelay  time.Duration // once it should have for so long
	DrainTime     time.Duration // between the probe's no and the end of the service in a planned move; 0: none
	Prepare       bool          // hooks.prepare is configured here
	PrepareLimit  time.Duration // for the prepare hook of a successor; 0: none
	Release       bool          // without any healthy host none holds; otherwise one does all the same
	Fence         bool          // hooks.fence is configured
	FenceProceeds bool          // it may fail; otherwise it is repeated until it succeeds
	WaitForHook   bool          // the probe says yes only once the MASTER hook has ended well
}

// State is all that decisions are made from. It is a value: [Step] returns a new
// one.
type State struct {
	Policy Policy

	Leading  bool   // leader of the cluster, which alone can hand over
	Held     bool   // the lease is held
	Term     uint64 // of the lease, or of the last one
	Frozen   bool   // no hand-over is wanted in the whole cluster
	Known    bool   // every check has judged
	Healthy  bool
	Ailment  string           // why it is not healthy
	Shift    int              // of the priority, by the checks
	Checks   []election.Check // what they say
	Paused   bool             // an operator wants it not to hold
	Armed    bool             // the fence is in force
	Unarmed  string           // why it is not
	Bound    bool             // an address may be on this host: true until it was seen to be gone
	AllBound bool             // all of them are, and were put there under a lease
	Stopping bool
	Hasty    bool // stopping without warming up the successor and without drain time
	Urgent   bool // and without waiting for hooks

	Role       Role      // of the last hook begun; empty before the first
	RoleTerm   uint64    // the term for which it was begun, for MASTER
	Previous   Role      // of the hook before
	Since      time.Time // when Role began
	Reason     string    // why
	Wanted     Role      // what the hooks should be told last
	WantedTerm uint64
	Again      bool          // the hook of Role is to run once more
	Running    bool          // the hook of Role runs now
	HookErr    string        // how the last hook that has ended failed; empty if it did not
	HookTook   time.Duration // of that hook

	Told          election.Standing // what the election was told last
	HoldUntil     time.Time         // end of the hold-down after Failure
	Failures      int               // in a row
	Failure       string            // why this host could not hold; empty once the hold-down is over
	BindErr       string            // why the addresses could not be bound; empty if they could
	UnbindErr     string            // why they could not be removed; empty if they could
	AnnounceUntil time.Time

	Asked   *Request // a hand-over that somebody wants
	Asking  bool     // the election is looking for a successor
	Alone   bool     // it found none
	Balked  bool     // the one that it found can't take over after all: not to look again before the next tick
	Leaving *Leaving // a hand-over under way
	Moves   int      // counts what hand-overs wait for: the answers to earlier ones are void

	Preferred      string    // why this host should hold rather than the one that does; empty if not
	PreferredSince time.Time // zero while it would not preempt
	Preempting     bool      // the leader was asked to hand over to this host
	PreemptAfter   time.Time // not to be asked again before

	Claiming   bool              // the election is asked whom the fence hook has to put out of action
	ClaimErr   string            // why it could not say
	Claimed    uint64            // the term for which it has
	Unfenced   []election.Member // those who are left, in that term
	Fencing    bool              // the hook runs, for the first of them
	FenceErr   string            // how it failed last, in this term; empty if it did not
	FenceAgain time.Time         // when it runs once more

	WarmingFor int       // the request for which the prepare hook runs; 0 if none
	Warming    bool      // it runs
	WarmUntil  time.Time // then the service that was warmed up is stopped again; zero if none was

	Exited bool
}

// Request is somebody's wish to move the lease.
type Request struct {
	ID int
	election.Move
}

// Answering reports whether this host serves, as a load balancer's probe should be
// told. It ceases before anything of the service does.
func (s State) Answering() bool {
	wanted := s.Wanted == Master && s.WantedTerm == s.Term && (s.Leaving == nil || s.Leaving.Stage == Preparing)
	return s.serves() && wanted && (!s.Policy.WaitForHook || s.hasStarted())
}

// hasStarted reports whether the MASTER hook of this term has ended well.
func (s State) hasStarted() bool {
	return s.Role == Master && s.RoleTerm == s.Term && !s.Running && s.HookErr == ""
}

// mayHold reports whether this host may serve if the lease is its own.
func (s State) mayHold() bool { return s.Held && s.fitness() != election.Unable }

// mayBind reports whether addresses may be on this host.
func (s State) mayBind() bool { return s.mayHold() && s.cleared() }

// serves reports whether somebody would notice that this host lets go.
func (s State) serves() bool { return s.mayBind() && s.AllBound }
