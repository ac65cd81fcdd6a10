// Package health says whether this host can do its work: it runs the operator's check scripts, and probes of its own
// (HTTP, TCP, a unit, a process, a link, a file), at their intervals and turns their results, by rise and fall, into one Verdict.
//
// It promises that a check at its timeout counts as failed whatever the script does: its process group is killed, and neither
// a process that can't be killed nor one that keeps the script's output open delays the judgement. The same holds for a probe
// that waits for another program or, as a file on a dead NFS server, for the kernel. Runs of one check never
// overlap; checks don't wait for each other. Scripts die with this process (PR_SET_PDEATHSIG, prctl(2)).
//
// What follows from a verdict is the caller's affair. One goroutine calls Monitor.Run; Monitor.Verdict may be called from any.
package health
