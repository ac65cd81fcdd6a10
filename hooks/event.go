package hooks

// Event is what a script is told.
type Event struct {
	// State is the new state: MASTER, BACKUP, FAULT or STOP. [Runner.Prepare] and [Runner.Fence] put PREPARE and FENCE there.
	State string
	// Previous is the state before it; empty at the start.
	Previous string
	// Term is the election term in which it happened.
	Term uint64
	// Reason says in words why the state changed.
	Reason string
	// Leader is the name of the node that now holds the addresses; empty if nobody is known to.
	Leader string
	// OldHolder is the name of the node that held the addresses before and has to be cut off; empty where there is none.
	OldHolder string
	// OldAddress is that node's own fixed address, without a port.
	OldAddress string
}
