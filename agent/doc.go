// Package agent turns the lease into a service: it binds the addresses while the
// lease is held, takes them off before or when it is lost, and runs the operator's
// hooks in order. A planned move warms the successor up, drains, stops the service,
// resets the connections and takes the addresses off before the lease is given up.
// All decisions are made by [Step], a pure function from a state and an event to the
// next state and the actions to perform; [Agent] is the one goroutine that performs
// them and the only code with the power to touch an address. The fence does not
// depend on any of this: the kernel closes it on time even when this goroutine hangs.
package agent
