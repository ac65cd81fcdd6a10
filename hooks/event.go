package hooks

// Event is one change of state that the script is told of.
type Event struct {
	// State is the new state: MASTER, BACKUP, FAULT or STOP.
	State string
	// Previous is the state before it; empty at the start.
	Previous string
	// Term is the election term in which it happened.
	Term uint64
	// Reason says in words why the state changed.
	Reason string
	// Leader is the name of the node that now holds the addresses; empty if nobody is known to.
	Leader string
}
