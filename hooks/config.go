package hooks

import "time"

// Config says which script is called, and what it is told about this instance.
type Config struct {
	// Notify is the program and its arguments, run without a shell; empty means that there is no hook.
	Notify []string
	// Timeout is how long one call may take; then its process group is killed.
	Timeout time.Duration
	// Instance is the name given to the script as its second argument, after the word INSTANCE.
	Instance string
	// Priority is the script's last argument; keepalived gives 0 … 255.
	Priority int
	// Addresses are the floating addresses, for VIPD_ADDRESSES.
	Addresses []string
	// Interface is the link of the first address, for VIPD_INTERFACE.
	Interface string
}

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
