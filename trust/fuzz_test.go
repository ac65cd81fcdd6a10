package trust_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"testing"
	"time"

	"github.com/vipd/vipd/trust"
)

func FuzzParseToken(f *testing.F) {
	f.Add(trust.NewToken(newCluster(f, "ours").before).Text())
	f.Add("vipd1.")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := trust.ParseToken(text)
		if err != nil {
			return
		}
		again, err := trust.ParseToken(token.Text())
		if err != nil || again != token {
			t.Errorf("%v became %v, %v", token, again, err)
		}
	})
}

// What is read can be used, and written again.
func FuzzAuthority(f *testing.F) {
	ours := newCluster(f, "ours")
	for _, a := range []trust.Authority{{}, ours.before, ours.changing, ours.after} {
		text, err := json.Marshal(a)
		check(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var a, again trust.Authority
		if json.Unmarshal(text, &a) != nil {
			return
		}
		written, err := json.Marshal(a)
		check(t, err)
		check(t, json.Unmarshal(written, &again))
		if !again.Equal(a) {
			t.Errorf("%v became %v", a, again)
		}
		if !a.IsZero() {
			_, _ = trust.Issue(a, "ours", "a", now)
			_, _ = a.Next("ours", now)
			_, _ = trust.Issue(a.Retired(), "ours", "a", now)
		}
	})
}

func FuzzCredentials(f *testing.F) {
	ours := newCluster(f, "ours")
	for _, a := range []trust.Authority{ours.before, ours.changing, ours.after} {
		text, err := json.Marshal(member(f, a, "ours", "a").Member)
		check(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var c trust.Credentials
		if json.Unmarshal(text, &c) == nil && !bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
			use(t, &c)
		}
	})
}

// use does with credentials all that is done with them.
func use(t *testing.T, c *trust.Credentials) {
	t.Helper()
	if c.Cluster() == "" || c.ID() == "" || c.Authority() == "" || !c.Trusts(c.Vouchers()) {
		t.Errorf("%v: %q, trusts %v, rests on %v", c, c.Authority(), c.Roots(), c.Vouchers())
	}
	_, err := json.Marshal(c)
	check(t, err)
	_, err = c.Renewed(newCluster(t, "ours").before, now)
	check(t, err)
}

func FuzzCertificate(f *testing.F) {
	ours := newCluster(f, "ours")
	request, err := trust.NewRequest()
	check(f, err)
	public, err := request.Public()
	check(f, err)
	for _, a := range []trust.Authority{ours.before, ours.changing} {
		c, err := a.Certify("ours", "a", public, now)
		check(f, err)
		text, err := json.Marshal(c)
		check(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var answer trust.Certificate
		if json.Unmarshal(text, &answer) != nil {
			return
		}
		if c, err := request.Credentials(answer); err == nil {
			use(t, c)
		}
	})
}

// Whatever is certified can be used by whoever has the key.
func FuzzCertify(f *testing.F) {
	a := newCluster(f, "ours").changing
	request, err := trust.NewRequest()
	check(f, err)
	public, err := request.Public()
	check(f, err)
	f.Add("ours", "a", public)
	f.Add("ours", "a/b", public[:10])
	f.Fuzz(func(t *testing.T, cluster, id string, key []byte) {
		c, err := a.Certify(cluster, id, key, now)
		if err != nil || !bytes.Equal(key, public) {
			return
		}
		own, err := request.Credentials(c)
		check(t, err)
		if own.Cluster() != cluster || own.ID() != id {
			t.Errorf("%q in %q became %q in %q", id, cluster, own.ID(), own.Cluster())
		}
	})
}

// A server ends with whatever it is sent, and neither accepts it nor says much.
func FuzzServer(f *testing.F) {
	ours := newCluster(f, "ours")
	keys := member(f, ours.changing, "ours", "a")
	keys.Secret = secret(f, "0123456789abcdef0123456789abcdef", "a").Secret
	for _, protocol := range []string{trust.Raft, trust.Members, trust.Join, trust.Form, "vipd-raft/2"} {
		f.Add(firstWords(f, protocol))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("vipd\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, words []byte) {
		conn := &tape{in: bytes.NewReader(words)}
		_, peer, err := trust.TLS{Now: at(now)}.Server(t.Context(), conn, keys)
		if err == nil || peer.ID != "" {
			t.Errorf("%+v was let in", peer)
		}
		if conn.out > 8<<10 {
			t.Errorf("%d bytes were answered", conn.out)
		}
	})
}

// firstWords are what a client says first.
func firstWords(f *testing.F, protocol string) []byte {
	f.Helper()
	here, there := net.Pipe()
	defer func() { _, _ = here.Close(), there.Close() }()
	go talk(tls.Client, hostile([]string{protocol}))(here)
	words := make([]byte, 4<<10)
	n, err := there.Read(words)
	check(f, err)
	return words[:n]
}

// tape is a connection whose other side has said all at once, and gone.
type tape struct {
	in  io.Reader
	out int
}

func (c *tape) Read(b []byte) (int, error) { return c.in.Read(b) }

func (c *tape) Write(b []byte) (int, error) {
	c.out += len(b)
	return len(b), nil
}

func (c *tape) Close() error                     { return nil }
func (c *tape) LocalAddr() net.Addr              { return nil }
func (c *tape) RemoteAddr() net.Addr             { return nil }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }
