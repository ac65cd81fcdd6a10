// Package trust makes sure who is at the other end of a connection between hosts. It
// has the certification authority of a cluster, the certificates of its members, the
// tokens with which new hosts join, and the handshake that all connections begin with
// (TLS 1.3, RFC 8446; the protocols on it are told apart by ALPN, RFC 7301).
//
// It says who somebody is. Whether he is a member now, and which tokens are good, is
// known to package election, which also keeps what is made here: the [Authority] in the
// replicated state, the [Credentials] of a member beside its identity.
//
// Package trusttest has a [Wire] without cryptography, for tests and simulations.
//
// All functions may be called by any goroutine; only the handshakes of a [Wire] block.
package trust
