package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/vipd/vipd/seats"
)

// Limits of the probe, which anybody on the network may ask.
const (
	probeConnections = 256
	probeHeader      = 4 << 10         // bytes
	slowProbe        = 2 * time.Second // for reading a request, or for taking an answer
)

// ServeProbe answers the health probe of a load balancer on l until ctx ends,
// and closes l: to GET and HEAD of any path it says 200 while answering returns
// true, and 503 otherwise. The error is nil after an orderly end.
//
// A connection carries one answer and has two seconds for the request and two
// for the answer; at most 256 are open at a time, and what comes beyond takes the
// place of the oldest from the address that has the most. Requests are not logged. Answering is called for each request, from
// any goroutine, and must not block.
func ServeProbe(ctx context.Context, l net.Listener, answering func() bool, log *zap.Logger) error {
	server := &http.Server{
		Handler:                      probe(answering),
		ReadHeaderTimeout:            slowProbe,
		ReadTimeout:                  slowProbe,
		WriteTimeout:                 slowProbe,
		MaxHeaderBytes:               probeHeader,
		DisableGeneralOptionsHandler: true, // it would answer 200 to "OPTIONS *"
		ErrorLog:                     zap.NewStdLog(log),
	}
	server.SetKeepAlivesEnabled(false)
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	err := server.Serve(seats.Listener{Listener: l, Seats: seats.New[netip.Prefix](probeConnections)})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	_ = server.Close()
	return fmt.Errorf("answer probes on %s: %w", l.Addr(), err)
}

func probe(answering func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
		case answering():
			_, _ = io.WriteString(w, "holder\n")
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "standby\n")
		}
	})
}
