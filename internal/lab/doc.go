// Package lab builds a small data centre out of network namespaces: hosts on one switch, a client, and a load
// balancer with direct server return. Programs run in it unchanged, real packets pass, and faults of the network happen
// in the switch, so that a host notices no more of them than it would of a broken network. A [Prober] asks every host
// each millisecond whether it accepts packets for the floating address, which is what all claims about outages and
// about two holders are measured by.
//
// Faults are as real as they can be made: of the network, of processes, of disks, of limits, and of what people do by hand.
//
// Everything that a lab makes (namespaces, processes, files, mounts) is gone after [Lab.Close], and also if its process is
// killed. The lab leaves the judgement to its callers; it knows nothing of elections. It needs root, and the programs
// ip and nft; some parts need apache2, keepalived, tc or /dev/fuse. The exported types may be used by any goroutine.
package lab
