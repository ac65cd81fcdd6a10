package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
)

// application is what a host says that wants a certificate (election/enrol.go).
type application struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Key     []byte `json:"key"`
	TokenID string `json:"token_id"`
	Secret  []byte `json:"secret"`
}

// wrongToken applies with a token that nobody has made, under that name.
func wrongToken(name string) speech {
	return asJoiner(func(ctx context.Context, c net.Conn) {
		body, err := json.Marshal(application{ID: random(8), Name: name, Key: make([]byte, 44), TokenID: random(4), Secret: make([]byte, 16)})
		if err != nil {
			panic(err) // strings and bytes can be marshalled
		}
		say(request("POST", "/enrol", string(body)))(ctx, c)
	})
}

// longWords has as much as it can in each word that might get into a log.
func longWords() speech {
	apply := func(id, name, token string) speech {
		return asJoiner(func(ctx context.Context, c net.Conn) {
			body := fmt.Sprintf(`{"id":%q,"name":%q,"token_id":%q}`, random(8)+id, random(4)+name, random(4)+token)
			say(request("POST", "/enrol", body))(ctx, c)
		})
	}
	long := strings.Repeat("x", 10<<10)
	return either(apply(long, "", ""), apply("", long, ""), apply("", "", long), asJoiner(func(ctx context.Context, c net.Conn) {
		say(request("POST", "/"+random(1<<10), "{}"))(ctx, c)
	}))
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails, see its documentation
	return hex.EncodeToString(b)
}

// manyBodies are requests to join without end, or which are no requests.
func manyBodies() speech {
	head := "POST /enrol HTTP/1.1\r\nHost: x\r\n"
	return either(
		asJoiner(endless(head+"Content-Length: 99999999999\r\n\r\n")),
		asJoiner(endless(head+"X: ")),
		asJoiner(endless("POST /")),
		asJoiner(chunks(head+"Transfer-Encoding: chunked\r\n\r\n")),
		asJoiner(say(request("POST", "/enrol", strings.Repeat("[", 60<<10)))),
		asJoiner(say(request("POST", "/cluster", "{}")+request("POST", "/cluster", "{}"))),
	)
}

// chunks are a body of one-byte chunks without end.
func chunks(head string) speech {
	block := strings.Repeat("1\r\n \r\n", 1<<10)
	return func(_ context.Context, c net.Conn) {
		if _, err := io.WriteString(c, head); err == nil {
			forever(c, block)
		}
	}
}

// newWords calls for another protocol each time, so that what a daemon says of it is always new.
func newWords() speech {
	var turn atomic.Uint64
	return func(ctx context.Context, c net.Conn) {
		withTLS(stranger(fmt.Sprintf("vipd-%d/1", turn.Add(1))))(ctx, c)
	}
}
