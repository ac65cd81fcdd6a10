package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/vipd/vipd/internal/lab"
	"golang.org/x/sys/unix"
)

// screen is what the audience looks at: a terminal, on which timelines move, or a file, which gets only the last state
// of each and no colours.
type screen struct {
	w        *os.File
	terminal bool
}

func newScreen(w *os.File) *screen {
	_, err := unix.IoctlGetTermios(int(w.Fd()), unix.TCGETS)
	return &screen{w: w, terminal: err == nil && os.Getenv("TERM") != "dumb"}
}

// Colours, as a terminal is told of them (ECMA-48, SGR).
const (
	bold  = "1"
	green = "32"
	red   = "31"
)

func (s *screen) dye(colour, text string) string {
	if !s.terminal {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (s *screen) heading(format string, args ...any) {
	fmt.Fprintf(s.w, "\n%s\n", s.dye(bold, fmt.Sprintf(format, args...)))
}

func (s *screen) line(format string, args ...any) { fmt.Fprintf(s.w, "  "+format+"\n", args...) }

func (s *screen) typed(format string, args ...any) {
	fmt.Fprintf(s.w, "  %s\n", s.dye(bold, fmt.Sprintf(format, args...)))
}

// watch shows who answers from one instant to another, while it happens if the screen can do that.
func (s *screen) watch(ctx context.Context, p *lab.Prober, from, to, trouble time.Duration) {
	drawn := 0
	for ctx.Err() == nil {
		now := p.Now()
		if s.terminal || now >= to {
			drawn = s.draw(strip(p.Timeline(from), from, to, trouble), drawn)
		}
		if now >= to {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(50*time.Millisecond, to-now)):
		}
	}
}

// draw writes the lines over those that were drawn last, and returns how many there are now.
func (s *screen) draw(lines []string, drawn int) int {
	if drawn > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA", drawn)
	}
	for _, line := range lines {
		line = strings.ReplaceAll(line, string(markAnswer), s.dye(green, string(markAnswer)))
		line = strings.ReplaceAll(line, string(markTwo), s.dye(red, string(markTwo)))
		fmt.Fprintf(s.w, "  %s\n", line)
	}
	return len(lines)
}
