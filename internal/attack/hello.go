package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// The types of TLS records and handshake messages that are written by hand (RFC 8446 §5.1, §4).
const (
	recordHandshake   = 22
	recordApplication = 23
	messageHello      = 1
	messageKeyUpdate  = 24
)

// clientHello returns the records with which a client of that configuration begins.
func clientHello(cfg *tls.Config) []byte {
	var r recorder
	_ = tls.Client(&r, cfg).HandshakeContext(context.Background()) // nobody answers
	return r.Bytes()
}

// recorder is a connection to nobody that keeps what is said.
type recorder struct {
	net.Conn
	bytes.Buffer
}

func (r *recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r *recorder) Write(b []byte) (int, error)      { return r.Buffer.Write(b) }
func (r *recorder) Close() error                     { return nil }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// record writes one TLS record.
func record(kind byte, body []byte) []byte {
	return append([]byte{kind, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
}

// hugeHello is as long as a client hello can be with a list of protocols of nearly 64 KiB in it.
func hugeHello() speech {
	cfg := joiner()
	for range 250 {
		cfg.NextProtos = append(cfg.NextProtos, strings.Repeat("x", 255))
	}
	return say(string(clientHello(cfg)))
}

// claimedHello says that it is 16 MiB long, and goes on for as long as somebody listens.
func claimedHello(_ context.Context, c net.Conn) {
	if _, err := c.Write(record(recordHandshake, []byte{messageHello, 0xff, 0xff, 0xff})); err != nil {
		return
	}
	forever(c, string(record(recordHandshake, make([]byte, 16<<10))))
}

// bytewiseHello is a client hello in records of one byte each.
func bytewiseHello() speech {
	var all []byte
	hello := clientHello(joiner())
	for _, b := range hello[5:] {
		all = append(all, record(recordHandshake, []byte{b})...)
	}
	return say(string(all))
}

// cutHello says one byte more of a client hello on each connection, and closes every second one at once.
func cutHello() speech {
	hello := clientHello(joiner())
	var turn atomic.Uint64
	return func(ctx context.Context, c net.Conn) {
		n := turn.Add(1)
		_, err := c.Write(hello[:(n/2)%uint64(len(hello))])
		if err == nil && n%2 == 0 {
			silence(ctx, c)
		}
	}
}
