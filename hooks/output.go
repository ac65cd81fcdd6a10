package hooks

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	lineLimit   = 1024                   // bytes of a line that are logged
	linesLimit  = 1000                   // lines of one call that are logged
	outputGrace = 100 * time.Millisecond // how long the end of the output is waited for after the script's exit
)

// output carries what the script writes into the log.
type output struct {
	reader, writer *os.File
	ended          chan struct{} // closed when nobody can write any more
}

func newOutput() (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &output{reader: r, writer: w, ended: make(chan struct{})}, nil
}

// follow gives up our own writing end and begins to log.
//
// The goroutine outlives the call if a process that the script has left holds the pipe: it reads on, so that this process
// neither blocks nor gets SIGPIPE, and ends with it.
func (o *output) follow(log *zap.Logger) {
	_ = o.writer.Close()
	go func() {
		defer close(o.ended)
		defer o.reader.Close()
		logLines(o.reader, log)
	}()
}

// finish is called after the script's exit. It returns when the output has ended, but waits no longer than outputGrace.
func (o *output) finish() {
	select {
	case <-o.ended:
	case <-time.After(outputGrace):
	}
}

// logLines reads r until it ends, and logs its first linesLimit lines.
func logLines(r io.Reader, log *zap.Logger) {
	lines := bufio.NewReaderSize(r, lineLimit)
	for n := 0; n < linesLimit; n++ {
		line, err := readLine(lines)
		if line != "" || err == nil {
			log.Info("hook output", zap.String("line", line))
		}
		if err != nil {
			return
		}
	}
	if _, err := lines.Peek(1); err == nil {
		log.Warn("hook output dropped from here on", zap.Int("lines", linesLimit))
		_, _ = io.Copy(io.Discard, lines)
	}
}

// readLine reads one line, however long, and returns it as valid UTF-8 without the newline; after lineLimit bytes " ..." stands
// for the rest. A last line without a newline comes together with the error.
func readLine(r *bufio.Reader) (line string, err error) {
	b, err := r.ReadSlice('\n')
	line = strings.ToValidUTF8(strings.TrimRight(string(b), "\r\n"), "\uFFFD")
	if errors.Is(err, bufio.ErrBufferFull) {
		line += " ..."
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return line, err
}
