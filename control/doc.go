// Package control is how people ask the daemon: a small HTTP/1.1 API with JSON
// bodies on a unix socket, its server, and the client that the commands use.
//
// It promises that an asker can neither disturb the daemon (bodies, headers,
// connections and times are all limited) nor be left without an answer, that
// every refusal is one sentence with a hint and an exit code, and that one
// process at a time speaks for a socket. It decides nothing: what a request
// does is the business of the [Daemon] behind it. Who may ask is decided by the
// permissions of the socket file: its owner and the group vipd. Who may order is
// decided for each connection by the user who has opened it: root, and whom the
// daemon runs as.
//
// Beside that it has the health probe that load balancers ask over the network:
// one word, for anybody.
//
// All functions may be called from any goroutine.
package control
