package health

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// site is a server that answers /N with status N, and a few other paths.
func site() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{status}", func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(r.PathValue("status"))
		if err != nil {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	})
	mux.Handle("/moved", http.RedirectHandler("/500", http.StatusMovedPermanently))
	mux.HandleFunc("/text", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "state: ready\n") })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 64<<10)+"ready") })
	mux.HandleFunc("web.example.org/host", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	return mux
}

func TestHTTPIsJudgedByStatusAndBody(t *testing.T) {
	server := httptest.NewServer(site())
	t.Cleanup(server.Close)
	at := func(path string, h HTTP) HTTP {
		h.URL = server.URL + path
		return h
	}
	few := []StatusRange{{200, 200}, {404, 404}, {500, 502}}
	tests := map[string]struct {
		probe HTTP
		want  string
	}{
		"200":                        {at("/200", HTTP{}), ""},
		"399":                        {at("/399", HTTP{}), ""},
		"400":                        {at("/400", HTTP{}), "status 400, expected 200-399"},
		"503":                        {at("/503", HTTP{}), "status 503, expected 200-399"},
		"a redirect is not followed": {at("/moved", HTTP{}), ""},
		"a status of some":           {at("/501", HTTP{Expect: few}), ""},
		"a status of none":           {at("/201", HTTP{Expect: few}), "status 201, expected 200, 404, 500-502"},
		"body":                       {at("/text", HTTP{Body: "ready"}), ""},
		"another body":               {at("/text", HTTP{Body: "steady"}), `the body does not contain "steady"; it begins with "state: ready\n"`},
		"no body":                    {at("/200", HTTP{Body: "ready"}), `the body does not contain "ready"; it begins with ""`},
		"text far behind":            {at("/long", HTTP{Body: "ready"}), `the body does not contain "ready"; it begins with "` + strings.Repeat("x", 60) + `"`},
		"a body that nobody reads":   {at("/endless", HTTP{}), ""},
		"host":                       {at("/host", HTTP{Host: "web.example.org"}), ""},
		"another host":               {at("/host", HTTP{Host: "www.example.org"}), "status 404, expected 200-399"},
		"no answer":                  {at("/cut", HTTP{}), "GET " + server.URL + "/cut: the server closed the connection without an answer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { wants(t, test.probe, test.want) })
	}
}

func TestHTTPSaysThatNobodyListens(t *testing.T) {
	address := deaf(t)
	wants(t, HTTP{URL: "http://" + address + "/"}, "GET http://"+address+"/: connect to "+address+": connection refused")
}

func TestHTTPUsesNoProxy(t *testing.T) {
	server := httptest.NewServer(site())
	t.Cleanup(server.Close)
	t.Setenv("HTTP_PROXY", "http://"+deaf(t))
	wants(t, HTTP{URL: server.URL + "/200"}, "")
}

func TestHTTPIsCutOffAtItsTimeout(t *testing.T) {
	server := httptest.NewServer(site())
	t.Cleanup(server.Close)
	late(t, HTTP{URL: server.URL + "/endless", Body: "ready"}, "GET "+server.URL+"/endless: no answer within ")
}

func TestHTTPSTakesOnlyTheServerThatItTrusts(t *testing.T) {
	server := httptest.NewUnstartedServer(site())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	url := server.URL + "/200"
	own, empty := certificates(t, server.Certificate().Raw), certificates(t)
	const untrusted = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
	tests := map[string]struct {
		tls  TLS
		want string
	}{
		"its CA":           {TLS{CA: own}, ""},
		"its name":         {TLS{CA: own, ServerName: "example.com"}, ""},
		"another name":     {TLS{CA: own, ServerName: "example.org"}, "GET " + url + ": tls: failed to verify certificate: x509: certificate is valid for example.com, *.example.com, not example.org"},
		"another CA":       {TLS{CA: certificates(t, authority(t))}, "GET " + url + ": " + untrusted},
		"the host's CAs":   {TLS{}, "GET " + url + ": " + untrusted},
		"insecure":         {TLS{Insecure: true}, ""},
		"a CA that is not": {TLS{CA: "/nonexistent/ca.pem"}, "open /nonexistent/ca.pem: no such file or directory"},
		"an empty CA":      {TLS{CA: empty}, empty + " holds no certificate in PEM form"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { wants(t, HTTP{URL: url, TLS: test.tls}, test.want) })
	}
}

// certificates writes a file in PEM form.
func certificates(t *testing.T, all ...[]byte) string {
	t.Helper()
	var text []byte
	for _, raw := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})...)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// authority makes a CA that has signed nothing.
func authority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// deaf returns an address that a socket holds without listening, so that nobody else listens there either.
func deaf(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	own, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", own.(*syscall.SockaddrInet4).Port)
}

// sayer is a server that says the same to everybody, whatever it is asked, and hangs up.
type sayer struct {
	mu     sync.Mutex
	answer []byte
	port   int
}

func newSayer(f *testing.F) *sayer {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	s := &sayer{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			_, _ = conn.Read(make([]byte, 4<<10))
			s.mu.Lock()
			_, _ = conn.Write(s.answer)
			s.mu.Unlock()
			_ = conn.Close()
		}
	}()
	return s
}

func (s *sayer) says(answer []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// FuzzHTTP lets a service answer any bytes: it is well only if its status says so and its body has the word, and what the cluster is
// told of it can be shown.
func FuzzHTTP(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\n\r\nready", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nready", "HTTP/1.1 503 No\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nready",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\xff", "SSH-2.0-OpenSSH\r\n", "", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100_000), strings.Repeat("\x00", 10_000),
	} {
		f.Add([]byte(answer))
	}
	server, visit := newSayer(f), 0
	f.Fuzz(func(t *testing.T, answer []byte) {
		server.says(answer)
		visit++ // each address has ports of its own, of which the kernel keeps those in use before for a minute
		probe := HTTP{URL: fmt.Sprintf("http://127.0.%d.%d:%d/", visit/250%250, 1+visit%250, server.port), Body: "ready"}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := probe.try(ctx)
		if err == nil && !bytes.Contains(answer, []byte("ready")) {
			t.Errorf("%q is taken for well", answer)
		}
		if ctx.Err() != nil {
			t.Error("it did not notice that the server had hung up")
		}
		if text := reason(err); len(text) > reasonLimit+len("…") || !utf8.ValidString(text) {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	})
}
