package control

import "time"

// The four states a host can be in, as keepalived's notify scripts know them.
const (
	StateMaster = "MASTER" // it holds the lease and the addresses
	StateBackup = "BACKUP" // it does not hold: it is ready to, paused, or a witness
	StateFault  = "FAULT"  // it can't or must not hold: a check fails, the fence is not armed, …
	StateStop   = "STOP"   // it is shutting down
)

// Status is what one host knows of itself and of its cluster at one moment. Its
// JSON form is stable: fields are added, never renamed or removed. Times are in
// RFC 3339 and left out when there is none; lists are never null.
type Status struct {
	Time    time.Time `json:"time"` // when all this was so
	Node    Node      `json:"node"`
	Cluster Cluster   `json:"cluster"`
	// Holder is the member that holds the addresses as far as this host knows,
	// nil when nobody does or this host can't know.
	Holder *Holder `json:"holder"`
	Lease  Lease   `json:"lease"`
	Fence  Fence   `json:"fence"`
	VIP    VIP     `json:"vip"`
	Checks []Check `json:"checks"`
	Hooks  Hooks   `json:"hooks"`
	Trust  Trust   `json:"trust"`
	// History lists the last changes of holder, the newest first.
	History []Change `json:"history"`
	// Warnings are plain sentences about what an operator should look at. The
	// server adds those that follow from the rest of the status.
	Warnings []string `json:"warnings"`
}

// Node is the host that answers.
type Node struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`      // random, drawn when the data directory was made
	Address string    `json:"address"` // host:port of its own fixed address
	Version string    `json:"version"`
	State   string    `json:"state"`  // one of the State constants
	Reason  string    `json:"reason"` // why it is in that state
	Since   time.Time `json:"since,omitzero"`
	Uptime  Millis    `json:"uptime_ms"` // of the daemon
	// Priority is what its file says and what its checks make of that, from 1 to
	// 254: the greater, the rather it holds.
	Priority int  `json:"priority"`
	Paused   bool `json:"paused"`  // an operator wants it not to hold
	Witness  bool `json:"witness"` // it votes and never holds
}

// Cluster is the group of hosts this one belongs to.
type Cluster struct {
	ID      string   `json:"id"`        // "" while this host is in none
	Detect  Millis   `json:"detect_ms"` // the silence after which a holder counts as gone
	Quorum  Quorum   `json:"quorum"`
	Members []Member `json:"members"`
	Frozen  *Frozen  `json:"frozen"` // nil unless an operator wants nothing to move by itself
	// Forming is what a host in no cluster waits for that forms one with others by
	// itself; "" on all other hosts.
	Forming string `json:"forming"`
}

// Frozen says who froze the cluster, and when.
type Frozen struct {
	By   string    `json:"by"` // the name of the member on which it was asked for
	Time time.Time `json:"time"`
}

// Quorum is how many voters it takes to have a holder.
type Quorum struct {
	Needed    int  `json:"needed"`
	Reachable *int `json:"reachable"` // this host included; nil where only the leader knows
}

// Member is one host of the cluster, as the host that answers sees it.
type Member struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	Address string `json:"address"` // host:port
	Voter   bool   `json:"voter"`   // false until a new member has caught up
	Leader  bool   `json:"leader"`
	Self    bool   `json:"self"` // the host that answers
	Able    bool   `json:"able"` // false while it can't hold at all: its fence is not armed, it is paused or a witness, …
	Healthy bool   `json:"healthy"`
	Reason  string `json:"reason"` // why it is not healthy
	Version string `json:"version"`
	// Contact is how long ago this host last heard of that member, nil when it
	// does not know: only the leader hears of all.
	Contact  *Millis       `json:"contact_ms"`
	Priority int           `json:"priority"`      // as in Node
	Base     int           `json:"base_priority"` // what its file says; 0 if that is not known
	Preempt  bool          `json:"preempt"`       // it takes over from a holder of lower priority
	Witness  bool          `json:"witness"`
	Paused   bool          `json:"paused"`
	Checks   []MemberCheck `json:"checks"`
	// HoldDown is until when that member does not take the addresses from a
	// holder that is well, though its priority is greater.
	HoldDown time.Time `json:"hold_down_until,omitzero"`
	Why      string    `json:"why"` // why it holds or does not; one sentence
}

// MemberCheck is a health check of a member, as that member last told of it.
type MemberCheck struct {
	Name    string `json:"name"`
	Healthy bool   `json:"healthy"`
	Weight  int    `json:"weight"` // 0: while it fails the member is not healthy; else it changes the priority
	Reason  string `json:"reason"` // of the last failure
}

// Holder is the member that holds the addresses.
type Holder struct {
	Name  string    `json:"name"`
	Term  uint64    `json:"term"`
	Since time.Time `json:"since,omitzero"`
}

// Lease is this host's own right to hold the addresses.
type Lease struct {
	Held      bool   `json:"held"`
	Term      uint64 `json:"term"` // the term it is or was last held in
	Remaining Millis `json:"remaining_ms"`
	Length    Millis `json:"length_ms"` // of a lease that was just renewed
}

// Fence is this host's filter in the kernel, which keeps packets from the
// addresses unless the lease runs.
type Fence struct {
	Armed     bool   `json:"armed"`
	Open      bool   `json:"open"`
	Remaining Millis `json:"remaining_ms"` // until it closes by itself
	Error     string `json:"error"`        // why it is not armed
}

// VIP is the state of the floating addresses on this host.
type VIP struct {
	Interface string   `json:"interface"`
	Addresses []string `json:"addresses"`
	Bound     bool     `json:"bound"`     // all of them, read from the kernel
	Answering bool     `json:"answering"` // what this host tells a load balancer that probes it
}

// Check is one of this host's health checks and its last judgement.
type Check struct {
	Name     string    `json:"name"`
	Healthy  bool      `json:"healthy"`
	Known    bool      `json:"known"`          // false until it has run once
	Since    time.Time `json:"since,omitzero"` // of the judgement
	LastRun  time.Time `json:"last_run,omitzero"`
	Took     Millis    `json:"took_ms"`
	Failures int       `json:"failures"` // in a row
	Reason   string    `json:"reason"`   // of the last failure
	Output   string    `json:"output"`   // of the last run
	Weight   int       `json:"weight"`   // as in MemberCheck
}

// Hooks is what this host's notify script is doing.
type Hooks struct {
	Configured bool      `json:"configured"`
	Running    string    `json:"running"`       // the state it is being told, "" while it does not run
	Last       time.Time `json:"last,omitzero"` // when the last run began
	LastState  string    `json:"last_state"`    // the state it was told then
	LastTook   Millis    `json:"last_took_ms"`  // of the last run that has ended
	LastError  string    `json:"last_error"`    // of that run, "" when it succeeded
}

// Trust is how this host and the others know each other.
type Trust struct {
	// Authority is the SHA-256 of the certification authority that has signed this
	// host's certificate, in hexadecimal; "" while it has none.
	Authority string `json:"authority"`
	// Ends is when that certificate is not good any more. It is renewed long before.
	Ends     time.Time `json:"certificate_ends,omitzero"`
	Rotating bool      `json:"rotating"` // the authority is being replaced
	Waiting  []string  `json:"waiting"`  // by name, the members without a certificate of the new one
}

// Change is one change of holder. From or To is "" where nobody held.
type Change struct {
	Time   time.Time `json:"time"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Term   uint64    `json:"term"`
	Reason string    `json:"reason"`
}

// complete returns s as it is shown to the asker: without null lists, and with
// the warnings that follow from it after those it came with.
func (s Status) complete() Status {
	s.Cluster.Members = listed(s.Cluster.Members)
	for i := range s.Cluster.Members {
		s.Cluster.Members[i].Checks = listed(s.Cluster.Members[i].Checks)
	}
	s.VIP.Addresses = listed(s.VIP.Addresses)
	s.Checks = listed(s.Checks)
	s.Trust.Waiting = listed(s.Trust.Waiting)
	s.History = listed(s.History)
	s.Warnings = append(listed(s.Warnings), s.findings()...)
	return s
}

// listed returns a copy of list that is never nil.
func listed[T any](list []T) []T { return append([]T{}, list...) }
