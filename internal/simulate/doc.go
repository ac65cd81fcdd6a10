// Package simulate runs whole clusters in one process on virtual time
// (testing/synctest): the real election with the real hashicorp/raft and its network
// transport, agent, health and hooks of three or five hosts, put together as cmd/vipd
// does. Simulated are what lies outside of them: TCP connections, disks, the kernel
// with fence and address, the clock of each host, the scripts, and operators. A
// nemesis draws faults from a seed, several at a time; the world looks at the
// invariants whenever something moves. docs/proof.md lists both.
//
// What can be held up: a whole process, or one goroutine of it, wherever it sends,
// receives, reads the clock, writes to the disk, stores to the fence or asks the
// kernel, also while it holds the lock of the rules. What it does between two such
// places takes no time. Where a goroutine holds another lock nothing may be held up,
// since virtual time stands still while somebody waits for a sync.Mutex: the identity
// is written at once (see keyIdentity).
//
// Timers of a daemon run at the true rate; the clock that the rules and the fence
// read runs at the host's own.
//
// What a seed replays: which faults begin when, and how long they last, while whom
// they hit may depend on who holds then; the delays of the network as far as segments
// are sent in the same order; raft's random timeouts and the members' ids. Which ready
// goroutine goes first, or which ready case of a select, is up to the Go runtime. So
// the same seed may take another course, and a failure prints what has happened.
//
// Not simulated: messages doubled by the network (TCP lets none through; raft's own
// repetitions are there), reads from the disk that fail, and the real kernel, for
// which there is internal/lab.
package simulate
