package main

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"
)

const (
	sinkLines   = 1024        // that wait at most
	sinkLine    = 16 << 10    // bytes of a line; the rest is cut
	sinkParting = time.Second // for what waits at the end
)

// sink takes lines and writes them to a file that may hang: a full pipe, a
// stopped journald. Writing to it never blocks; while too many lines wait it
// drops new ones and counts them, and says how many as soon as it can.
type sink struct {
	out     io.Writer
	loss    func(lines uint64) []byte // the line that tells of lost lines
	lines   chan []byte
	dropped atomic.Uint64
	ending  chan struct{}
	ended   chan struct{}
}

// newSink returns a sink that writes to out until Close. What loss returns tells
// the reader how many lines are missing there.
func newSink(out io.Writer, loss func(lines uint64) []byte) *sink {
	s := &sink{
		out:    out,
		loss:   loss,
		lines:  make(chan []byte, sinkLines),
		ending: make(chan struct{}),
		ended:  make(chan struct{}),
	}
	go s.run()
	return s
}

// Write implements [io.Writer] for whole lines. It never blocks or fails.
func (s *sink) Write(line []byte) (int, error) {
	kept := bytes.Clone(line[:min(len(line), sinkLine)])
	if len(kept) < len(line) {
		kept = append(kept, "…\n"...)
	}
	select {
	case s.lines <- kept:
	default:
		s.dropped.Add(1)
	}
	return len(line), nil
}

// Sync does nothing: who waits for a log may wait for ever. See Close.
func (s *sink) Sync() error { return nil }

// Dropped is how many lines have been lost until now.
func (s *sink) Dropped() uint64 { return s.dropped.Load() }

// Close writes what waits, for a second at most. Lines written later are lost.
func (s *sink) Close() {
	close(s.ending)
	select {
	case <-s.ended:
	case <-time.After(sinkParting):
	}
}

func (s *sink) run() {
	defer close(s.ended)
	var told uint64
	for {
		line, ok := s.next()
		if !ok {
			return
		}
		_, _ = s.out.Write(line) // nowhere to tell of an error
		if lost := s.Dropped(); lost > told {
			_, _ = s.out.Write(s.loss(lost - told))
			told = lost
		}
	}
}

// next waits for a line. At the end it returns those that wait, and then none.
func (s *sink) next() ([]byte, bool) {
	select {
	case line := <-s.lines:
		return line, true
	case <-s.ending:
	}
	select {
	case line := <-s.lines:
		return line, true
	default:
		return nil, false
	}
}
