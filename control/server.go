package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Limits of the server. None of them can be reached by the commands.
const (
	maxConnections = 32
	maxOthers      = 24      // of these, by users who may ask and not order
	maxHeader      = 8 << 10 // bytes
	maxBody        = 4 << 10 // bytes

	questionLimit = 5 * time.Second // for what is answered from memory
	orderLimit    = 5 * time.Minute // for what may wait for the operator's scripts
	slowAsker     = 5 * time.Second // for reading a request, or for taking an answer
	idleLimit     = 30 * time.Second
	partingLimit  = 2 * time.Second // for the answers that are under way at the end
)

// Serve answers on l for d until ctx ends, and closes l. Answers that are then
// under way have two seconds left, so that who asked for the end is told of it.
// Everybody whom the socket lets in may ask; orders are taken from root and from the
// user of this process only, and logged with the user and the process that gave
// them. The error is nil after an orderly end.
func Serve(ctx context.Context, l net.Listener, d Daemon, log *zap.Logger) error {
	server := &http.Server{
		Handler:           routes(d, log),
		ConnContext:       withAsker,
		ReadHeaderTimeout: slowAsker,
		ReadTimeout:       slowAsker,
		WriteTimeout:      orderLimit + slowAsker,
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          zap.NewStdLog(log),
	}
	stopped := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(stopped)
		stop(context.WithoutCancel(ctx), server)
	})()
	err := server.Serve(reserve(limit(l, maxConnections), maxOthers))
	if errors.Is(err, http.ErrServerClosed) {
		<-stopped
		return nil
	}
	_ = server.Close()
	return fmt.Errorf("answer on %s: %w", l.Addr(), err)
}

// stop lets answers under way finish for partingLimit, then cuts them off.
func stop(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(ctx, partingLimit)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
	}
}
