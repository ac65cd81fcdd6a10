package hooks

import "time"

// Config says which scripts are called, and what they are told about this instance.
type Config struct {
	// Notify is the program and its arguments, run without a shell; empty means that there is no hook. It is told of every
	// change of state.
	Notify []string
	// Prepare is run like Notify on the host that is to take over, before a planned move; empty means that there is none.
	Prepare []string
	// Fence is run like Notify on a new holder, to cut the one before it off what they share; empty means that there is none.
	Fence []string
	// User is whom the scripts run as.
	User User
	// Timeout is how long one call may take; then its process group is killed. Zero or less means no limit.
	Timeout time.Duration
	// Instance is the name that a script gets after the word INSTANCE.
	Instance string
	// Priority is a script's last argument, 1 … 254 as in keepalived.
	Priority int
	// Addresses are the floating addresses, for VIPD_ADDRESSES.
	Addresses []string
	// Interface is the link of the first address, for VIPD_INTERFACE.
	Interface string
}
