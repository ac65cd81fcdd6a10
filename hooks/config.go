package hooks

import "time"

// Config says which script is called, and what it is told about this instance.
type Config struct {
	// Notify is the program and its arguments, run without a shell; empty means that there is no hook.
	Notify []string
	// Timeout is how long one call may take; then its process group is killed. Zero or less means no limit.
	Timeout time.Duration
	// Instance is the name that the script gets after the word INSTANCE.
	Instance string
	// Priority is the script's last argument, 0 … 255 as in keepalived.
	Priority int
	// Addresses are the floating addresses, for VIPD_ADDRESSES.
	Addresses []string
	// Interface is the link of the first address, for VIPD_INTERFACE.
	Interface string
}
