package simulate

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// timeline remembers the last events of a run.
type timeline struct {
	began time.Time

	mu    sync.Mutex
	last  [500]string
	count int
}

func (l *timeline) add(who, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[l.count%len(l.last)] = fmt.Sprintf("%14.6f  %-8s  %s", time.Since(l.began).Seconds(), who, text)
	l.count++
}

// String returns the events in order, a line each: seconds of virtual time since
// the run began, who, what.
func (l *timeline) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	if l.count > len(l.last) {
		fmt.Fprintf(&b, "%14s  (%d earlier events)\n", "…", l.count-len(l.last))
	}
	for i := max(0, l.count-len(l.last)); i < l.count; i++ {
		fmt.Fprintln(&b, l.last[i%len(l.last)])
	}
	return b.String()
}

// logger returns a logger whose lines become events of who.
func (l *timeline) logger(who string) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "m", ConsoleSeparator: " "})
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(lines{l, who}), zapcore.InfoLevel))
}

type lines struct {
	timeline *timeline
	who      string
}

// Write adds one line of a log.
func (l lines) Write(b []byte) (int, error) {
	l.timeline.add(l.who, "%s", strings.TrimSpace(string(b)))
	return len(b), nil
}
