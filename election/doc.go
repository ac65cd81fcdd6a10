// Package election decides which member holds the lease on the floating
// addresses. It is hashicorp/raft behind a guarded transport: raft supplies "one
// leader per term, elected by votes of a majority", and the rules in lease.go,
// enforced by transport.go, turn that into "at most one open fence at any
// instant". The deadline of the lease goes straight to a [Fence]; no other part
// of the daemon stands on that path. What a holder does with its lease (bind
// addresses, run hooks) is left to the caller, which learns of it through
// [Node.Lease] and [Node.Changed]. All methods of [Node] may be called from any
// goroutine.
//
// Reading order for the safety argument: lease.go, transport.go, and the fence
// that the kernel enforces.
package election
