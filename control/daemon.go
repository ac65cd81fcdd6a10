package control

import "context"

// Daemon is what can be asked of a host: by the [Client] over the socket, and by
// the server of the daemon itself. Each call blocks until it is done or ctx
// ends; ctx also ends when the asker hangs up, which does not undo what is
// already under way. A method may be called while others are running.
//
// An error that a person is to read may carry a Hint() string, and an
// ExitCode() int (see [Error]); both reach the asker.
type Daemon interface {
	// Status says what this host knows now. It may ask the leader for what only
	// the leader knows, but does not wait for it longer than a second.
	Status(ctx context.Context) (Status, error)
	// Leader says who holds the addresses, from what this host knows: it asks
	// nobody. While nobody does, the error's exit code is [CodeNoLeader].
	Leader(ctx context.Context) (Leader, error)
	// Simulate says who would hold if all of that happened at once. It does nothing. A
	// member or a check that there is not is a mistake ([CodeUsage]); while it is not
	// known who can be reached, the exit code is [CodeNoLeader].
	Simulate(ctx context.Context, s Suppose) (Forecast, error)
	// Init founds a cluster of which this host is the first member, and makes a
	// token for the others. On a host that is a member already it founds nothing and
	// sets Already.
	Init(ctx context.Context) (Formed, error)
	// Join makes this host a member of the cluster of peer, which may be any
	// member: "address" or "address:port". The token is one that CreateToken has
	// made there; "" goes on with a join that was begun before. On a host that is a
	// member of that cluster already it changes nothing and sets Already.
	Join(ctx context.Context, peer, token string) (Joined, error)
	// Leave hands over what this host holds and takes it out of its cluster. On
	// a host that is in no cluster it does nothing.
	Leave(ctx context.Context) error
	// Remove takes another host, lost or not, out of the cluster. A name or id
	// that no member has is a mistake ([CodeUsage]): it is more likely misspelt than gone.
	Remove(ctx context.Context, node string) error
	// Transfer hands the addresses over as t says. Where t.Node holds them
	// already it does nothing: From equals To. A t.Node that no member has is a
	// mistake ([CodeUsage]).
	Transfer(ctx context.Context, t Transfer) (Moved, error)
	// Pause keeps this host from holding until Resume, also across restarts; it
	// keeps its vote. What it holds it hands over as soon as another member can
	// take it. Pause does not wait for that. On a host that is paused already it
	// does nothing.
	Pause(ctx context.Context) error
	// Resume undoes Pause. On a host that is not paused it does nothing.
	Resume(ctx context.Context) error
	// Freeze keeps the addresses from moving until Thaw, on order too: only a
	// holder that is lost, stopped, or not able to hold at all is replaced. A
	// cluster that is frozen already remembers who froze it first.
	Freeze(ctx context.Context) error
	// Thaw undoes Freeze. In a cluster that is not frozen it does nothing.
	Thaw(ctx context.Context) error
	// CreateToken makes a token with which other hosts join the cluster. Its text is
	// in the answer and nowhere else. A use out of range is a mistake ([CodeUsage]).
	CreateToken(ctx context.Context, use TokenUse) (NewToken, error)
	// Tokens lists the tokens that this host knows, the newest first: also those that
	// are of no use any more, for a week. None of it is secret.
	Tokens(ctx context.Context) ([]Token, error)
	// RevokeToken ends a token. An id that no token has is a mistake ([CodeUsage]).
	RevokeToken(ctx context.Context, id string) error
	// Rotate replaces the certification authority of the cluster and the certificates
	// of all members, and revokes all tokens. It waits until that is done; if ctx ends
	// before, the error names the members that are missing, and it goes on.
	Rotate(ctx context.Context) error
}

// Transfer is a wish to move the addresses.
type Transfer struct {
	Node  string `json:"node"`  // a name or an id; "" leaves the choice to the daemon
	Hasty bool   `json:"hasty"` // do not prepare the successor, and do not wait until the connections have drained
}

// Formed is the answer to init.
type Formed struct {
	Cluster string `json:"cluster"` // the id of the cluster
	Node    string `json:"node"`    // the name of this host
	// JoinCommand is what to type on each of the other hosts. It holds a secret: the
	// token, of which TokenUse says how long and how often it is good.
	JoinCommand string `json:"join_command"`
	TokenUse
	Already bool `json:"already"` // this host was a member before
}

// Joined is the answer to join.
type Joined struct {
	Cluster string   `json:"cluster"` // the id of the cluster
	Leader  string   `json:"leader"`  // its name, "" while there is none
	Members []string `json:"members"` // their names, this host's included
	Already bool     `json:"already"` // this host was a member before
	Waiting bool     `json:"waiting"` // its vote waits until a third host joins
}

// Moved is the answer to transfer.
type Moved struct {
	From string `json:"from"` // the name of the member that held
	To   string `json:"to"`   // the name of the member that holds now
	Term uint64 `json:"term"` // the term in which To holds
	Took Millis `json:"took_ms"`
}

// Leader is the answer to the question who holds the addresses.
type Leader struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	Address string `json:"address"` // host:port of its own fixed address
	Term    uint64 `json:"term"`
}
