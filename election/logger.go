package election

import (
	"io"
	"log"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
)

// raftLogger is raft's own log, at debug level: what an operator needs to know of
// an election this package says itself. The core behind zap must not block, because
// raft logs on its main loop. Only the methods that raft uses lead to zap.
type raftLogger struct {
	hclog.Logger
	log *zap.SugaredLogger
}

func newRaftLogger(log *zap.Logger) hclog.Logger {
	return raftLogger{hclog.NewNullLogger(), log.Named("raft").Sugar()}
}

// Error logs at debug level, see [raftLogger].
func (l raftLogger) Error(msg string, args ...any) { l.log.Debugw(msg, args...) }

// Warn logs at debug level.
func (l raftLogger) Warn(msg string, args ...any) { l.log.Debugw(msg, args...) }

// Info logs at debug level.
func (l raftLogger) Info(msg string, args ...any) { l.log.Debugw(msg, args...) }

// Debug logs at debug level.
func (l raftLogger) Debug(msg string, args ...any) { l.log.Debugw(msg, args...) }

// Trace drops.
func (l raftLogger) Trace(string, ...any) {}

// With adds fields.
func (l raftLogger) With(args ...any) hclog.Logger { return raftLogger{l.Logger, l.log.With(args...)} }

// Named adds a name.
func (l raftLogger) Named(name string) hclog.Logger {
	return raftLogger{l.Logger, l.log.Named(name)}
}

// StandardLogger logs nothing.
func (l raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(io.Discard, "", 0)
}
