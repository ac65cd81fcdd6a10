// Package vip tells the kernel about the floating addresses: Binder puts them on their links and announces them,
// Fence keeps them silent while this host has no lease, Watch says that somebody else changed something,
// and Clear removes what a crashed run left.
//
// It promises that, with the fence armed, no packet for a floating address comes in or goes out
// after the deadline that was last set, whatever becomes of this process; fence.go says how, and what is not covered.
// It leaves to others who may hold the addresses and when: it decides nothing and remembers nothing
// that it can ask the kernel.
//
// It acts on the network namespace of the calling thread. Methods of a Fence or Binder may be called from any goroutine,
// one at a time; only SetDeadline and Deadline may be called at any moment.
package vip
