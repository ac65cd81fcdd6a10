package main

import (
	"context"
	"net"
	"time"
)

// speech is what one connection is used for; it returns when the connection is to be closed.
type speech func(ctx context.Context, c net.Conn)

// attack is one thing to try.
type attack struct {
	name        string
	does        string // for people
	at          door
	callers     int // at each target; each of them has one connection at a time
	speak       speech
	pause       time.Duration // at least, between two connections of a caller
	spread      bool          // the callers have many addresses, not one
	smallBuffer bool          // a connection takes next to nothing that is not read
	inside      bool          // it comes from the third host, from a user without rights
	patient     bool          // it goes on for long enough to see that slow connections are closed
}

// door is where a daemon listens.
type door int

const (
	peers  door = iota // node.address, where the other hosts call
	health             // probe.listen
	socket             // of the commands
)

func (d door) of(t target) string { return [...]string{t.Peers, t.Probe, t.Socket}[d] }

// attacks lists them all, in the order in which they are run.
func attacks() []attack {
	var all []attack
	for _, some := range [][]attack{floods(), slowness(), nonsense(), hellos(), handshakes(), joining(), probing(), asking()} {
		all = append(all, some...)
	}
	return all
}

// a moment lies between two connections of callers that are shown the door.
const moment = 20 * time.Millisecond

// floods are connections and nothing else, at the port of the peers.
func floods() []attack {
	return []attack{
		{name: "none", does: "nothing, for comparison"},
		{name: "idle", does: "2000 connections that say nothing, opened anew when closed", callers: 2000, speak: silence, pause: moment},
		{name: "idle-spread", does: "the same from 64 addresses", callers: 2000, speak: silence, pause: moment, spread: true},
		{name: "churn", does: "connections opened and closed at once, as fast as 16 callers can", callers: 16, speak: nothing},
		{name: "churn-spread", does: "the same from 64 addresses, by 64 callers", callers: 64, speak: nothing, spread: true},
		{name: "inside-idle", does: "500 connections that say nothing, of a user without rights on the third host", callers: 500, speak: silence, pause: moment, inside: true},
		{name: "inside-churn", does: "connections opened and closed at once, by 16 callers there", callers: 16, speak: nothing, inside: true},
	}
}

// slowness is what keeps a daemon waiting at the port of the peers.
func slowness() []attack {
	hello := clientHello(joiner())
	return []attack{
		{name: "drip", does: "a TLS client hello, a byte a second, on 500 connections", callers: 500, speak: drip(hello, 1), pause: moment, patient: true},
		{name: "drip-spread", does: "the same from 64 addresses", callers: 500, speak: drip(hello, 1), pause: moment, spread: true},
		{name: "drip-middle", does: "the client hello at once, what follows a byte a second", callers: 500, speak: drip(append(hello, make([]byte, 64)...), len(hello)), pause: moment},
		{name: "deaf", does: "a whole handshake, then requests whose answers nobody reads", callers: 200, speak: asJoiner(deaf(request("POST", "/cluster", "{}"))), pause: moment, smallBuffer: true, patient: true},
	}
}

// nonsense is what is not TLS, at the port of the peers.
func nonsense() []attack {
	return []attack{
		{name: "garbage", does: "64 KiB of random bytes", callers: 16, speak: garbage},
		{name: "plain-http", does: "HTTP without TLS", callers: 16, speak: say(request("POST", "/join", "{}"))},
		{name: "old-frame", does: "the hello of the versions before TLS, and one that claims to be 4 GiB", callers: 16, speak: either(say(oldFrame(`{"protocol":"raft/1"}`)), say("vipd\xff\xff\xff\xff"))},
	}
}

// hellos are TLS client hellos as no client sends them.
func hellos() []attack {
	return []attack{
		{name: "hello-huge", does: "client hellos of 64 KiB, of 16 MiB as they say, and of records of one byte", callers: 16, speak: either(hugeHello(), claimedHello, bytewiseHello())},
		{name: "hello-cut", does: "a client hello cut off at each length, the connection closed or left open", callers: 64, speak: cutHello(), pause: moment},
		{name: "tls12", does: "clients that speak TLS 1.2 at most", callers: 8, speak: withTLS(oldTLS())},
	}
}

// handshakes complete TLS handshakes, or try to.
func handshakes() []attack {
	return []attack{
		{name: "renegotiate", does: "a client hello within a TLS 1.3 connection, sealed and in the clear", callers: 8, speak: either(sealed(renegotiation), inTheClear)},
		{name: "key-update", does: "key updates that ask for one, without end, answers unread", callers: 16, speak: sealed(keyUpdates), smallBuffer: true, patient: true},
		{name: "no-certificate", does: "members' protocols without a certificate", callers: 8, speak: either(withTLS(stranger("vipd-raft/1")), withTLS(stranger("vipd-members/1")), withTLS(stranger("vipd-form/1")))},
		{name: "foreign-ca", does: "members' protocols with a certificate of a CA of the attacker's own", callers: 8, speak: either(withTLS(impostor("vipd-raft/1")), withTLS(impostor("vipd-members/1")), withTLS(impostor("vipd-form/1")))},
		{name: "handshakes", does: "complete handshakes of a joiner, as fast as 8 callers can", callers: 8, speak: asJoiner(nothing)},
	}
}

// joining speaks the protocol of those who join.
func joining() []attack {
	return []attack{
		{name: "join-tokens", does: "wrong tokens, as fast as 16 callers can", callers: 16, speak: wrongToken("vm9")},
		{name: "join-spread", does: "the same from 64 addresses", callers: 64, speak: wrongToken("vm9"), spread: true},
		{name: "join-inside", does: "the same of a user without rights on the third host", callers: 16, speak: wrongToken("vm9"), inside: true},
		{name: "join-bodies", does: "bodies and headers without end, chunks of a byte, nested JSON, two requests at once", callers: 16, speak: manyBodies()},
		{name: "join-words", does: "ids, names and paths of 10 KiB, never the same", callers: 16, speak: longWords(), spread: true},
		{name: "new-words", does: "a protocol that nobody knows, another one each time, of a user on the third host", callers: 16, speak: newWords(), inside: true},
	}
}

// probing is done to the health probe.
func probing() []attack {
	huge := "GET / HTTP/1.1\r\nHost: x\r\nX: "
	return []attack{
		{name: "probe-idle", does: "500 connections that say nothing", at: health, callers: 500, speak: silence, pause: moment},
		{name: "probe-spread", does: "the same from 64 addresses", at: health, callers: 500, speak: silence, pause: moment, spread: true},
		{name: "probe-churn", does: "connections opened and closed at once, as fast as 16 callers can", at: health, callers: 16, speak: nothing},
		{name: "probe-flood", does: "probes, as fast as 16 callers can", at: health, callers: 16, speak: exchange(request("GET", "/", ""))},
		{name: "probe-drip", does: "a request, a byte a second", at: health, callers: 200, speak: drip([]byte(request("GET", "/", "")), 1), pause: moment, patient: true},
		{name: "probe-header", does: "a header without end", at: health, callers: 16, speak: endless(huge)},
		{name: "probe-deaf", does: "requests whose answers nobody reads", at: health, callers: 200, speak: deaf(request("GET", "/", "")), pause: moment, smallBuffer: true, patient: true},
	}
}

// asking is done at the socket, by a user whom its group lets in.
func asking() []attack {
	return []attack{
		{name: "socket-idle", does: "500 connections that say nothing", at: socket, callers: 500, speak: silence, pause: moment},
		{name: "socket-churn", does: "connections opened and closed at once, as fast as 16 callers can", at: socket, callers: 16, speak: nothing},
		{name: "socket-flood", does: "status asked for, as fast as 16 callers can", at: socket, callers: 16, speak: exchange(request("GET", "/v1/status", ""))},
		{name: "socket-drip", does: "a request, a byte a second", at: socket, callers: 64, speak: drip([]byte(request("GET", "/v1/status", "")), 1), pause: moment},
		{name: "socket-deaf", does: "status asked for, answers never read", at: socket, callers: 64, speak: deaf(request("GET", "/v1/status", "")), pause: moment},
		{name: "socket-body", does: "bodies and headers without end", at: socket, callers: 16, speak: either(endless("POST /v1/join HTTP/1.1\r\nHost: vipd\r\nContent-Length: 9999999999\r\n\r\n"), endless("GET /v1/status HTTP/1.1\r\nX: "), endless("GET /"))},
		{name: "socket-orders", does: "orders, which are not its to give", at: socket, callers: 16, speak: orders()},
	}
}
