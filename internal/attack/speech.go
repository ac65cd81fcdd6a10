package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// nothing closes the connection at once.
func nothing(context.Context, net.Conn) {}

// silence keeps the connection until the other side has had enough.
func silence(_ context.Context, c net.Conn) { _, _ = c.Read(make([]byte, 1)) }

// say says the words and waits for the other side to close.
func say(words string) speech {
	return func(_ context.Context, c net.Conn) {
		if _, err := io.WriteString(c, words); err == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	}
}

// garbage is random bytes.
func garbage(ctx context.Context, c net.Conn) {
	var block [1 << 16]byte
	rand.Read(block[:]) // never fails, see its documentation
	say(string(block[:]))(ctx, c)
}

// exchange says the words and reads the beginning of an answer.
func exchange(words string) speech {
	return func(_ context.Context, c net.Conn) {
		if _, err := io.WriteString(c, words); err == nil {
			_, _ = c.Read(make([]byte, 4<<10))
		}
	}
}

// drip says the first bytes at once and each of the others a second later.
func drip(words []byte, first int) speech {
	return func(ctx context.Context, c net.Conn) {
		_, err := c.Write(words[:first])
		for i := first; i < len(words) && err == nil && pause(ctx, time.Second); i++ {
			_, err = c.Write(words[i : i+1])
		}
		if err == nil {
			silence(ctx, c)
		}
	}
}

// deaf says the words again and again, and reads nothing.
func deaf(words string) speech {
	block := strings.Repeat(words, 1+(16<<10)/len(words))
	return func(_ context.Context, c net.Conn) { forever(c, block) }
}

// endless begins with the words and never ends.
func endless(words string) speech {
	block := strings.Repeat("x", 16<<10)
	return func(_ context.Context, c net.Conn) {
		if _, err := io.WriteString(c, words); err == nil {
			forever(c, block)
		}
	}
}

func forever(c net.Conn, words string) {
	for {
		if _, err := io.WriteString(c, words); err != nil {
			return
		}
	}
}

// either gives one speech after the other, by turns.
func either(speeches ...speech) speech {
	var turn atomic.Uint64
	return func(ctx context.Context, c net.Conn) { speeches[turn.Add(1)%uint64(len(speeches))](ctx, c) }
}

// orders are all that there are, by turns.
func orders() speech {
	var all []speech
	for _, name := range []string{"init", "join", "remove", "transfer", "leave", "pause", "resume", "freeze", "thaw"} {
		all = append(all, exchange(request("POST", "/v1/"+name, `{"node":"vm1"}`)))
	}
	return either(all...)
}

// request writes an HTTP request.
func request(method, path, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: vipd\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
}

// oldFrame is a frame of the versions before TLS.
func oldFrame(body string) string {
	return string(binary.BigEndian.AppendUint32([]byte("vipd"), uint32(len(body)))) + body
}
