package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
)

// HTTP is a page that is there. Each run makes a connection of its own and asks once: it goes through no proxy and follows no
// redirect.
type HTTP struct {
	// URL begins with http:// or https:// and names a host.
	URL string
	// Expect holds the statuses that mean healthy; if it is empty, these are 200 to 399.
	Expect []StatusRange
	// Body must occur in the first 64 KiB of the body. If it is empty the body is not read.
	Body string
	// Host is the Host header; if it is empty, that of the URL.
	Host string
	// TLS is for https only.
	TLS TLS
}

// StatusRange are the statuses from First to Last, both included.
type StatusRange struct{ First, Last int }

// TLS says whom an HTTP probe takes for the server.
type TLS struct {
	// CA is a file with the certificates that are trusted, in PEM form, read at every run; if it is empty, those of the host.
	CA string
	// ServerName is the name in the server's certificate; if it is empty, the host in the URL.
	ServerName string
	// Insecure accepts any certificate.
	Insecure bool
}

// String returns 200 or 200-399.
func (s StatusRange) String() string {
	if s.First == s.Last {
		return fmt.Sprint(s.First)
	}
	return fmt.Sprintf("%d-%d", s.First, s.Last)
}

func (h HTTP) try(ctx context.Context) error {
	config, err := h.TLS.config()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "vipd")
	if h.Host != "" {
		request.Host = h.Host
	}
	// The transport alone, since http.Client is what follows redirects.
	transport := &http.Transport{DialContext: connect, TLSClientConfig: config, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("%s: %w", h, spoken(err))
	}
	defer response.Body.Close()
	if err := h.expected(response.StatusCode); err != nil {
		return err
	}
	return h.searched(response.Body)
}

// spoken puts the one error of net/http that means nothing to an operator into words.
func spoken(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the server closed the connection without an answer")
	}
	return err
}

func (h HTTP) expected(status int) error {
	expect := h.Expect
	if len(expect) == 0 {
		expect = []StatusRange{{200, 399}}
	}
	if slices.ContainsFunc(expect, func(s StatusRange) bool { return s.First <= status && status <= s.Last }) {
		return nil
	}
	texts := make([]string, 0, len(expect))
	for _, s := range expect {
		texts = append(texts, s.String())
	}
	return fmt.Errorf("status %d, expected %s", status, strings.Join(texts, ", "))
}

func (h HTTP) searched(body io.Reader) error {
	const most, shown = 64 << 10, 60
	if h.Body == "" {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(body, most))
	if err != nil {
		return fmt.Errorf("read the body of %s: %w", h.URL, err)
	}
	if bytes.Contains(text, []byte(h.Body)) {
		return nil
	}
	return fmt.Errorf("the body does not contain %q; it begins with %q", h.Body, text[:min(len(text), shown)])
}

func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.Insecure} //nolint:gosec // the operator says so
	if t.CA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", t.CA)
	}
	return config, nil
}
