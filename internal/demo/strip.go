package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// Marks in a strip, one for each stretch of time.
const (
	markAnswer  = '#' // the host answered every probe, or most
	markSome    = '+' // it answered some
	markSilence = '.' // it answered none
	markTwo     = 'X' // it answered while another one did
	markAhead   = ' ' // that has not been yet
)

// stripWidth is the number of marks in a line. With what stands before them they must fit 80 columns: a line that the
// terminal breaks can't be drawn over.
const stripWidth = 70

// strip draws a line for each host: who answered when. The last line tells the time, from the trouble on.
func strip(t lab.Timeline, from, to, trouble time.Duration) []string {
	step := (to - from) / stripWidth
	var lines []string
	for i, name := range t.Hosts {
		var marks strings.Builder
		for cell := range stripWidth {
			at := from + time.Duration(cell)*step
			marks.WriteRune(mark(t.Between(at, at+step), i))
		}
		lines = append(lines, fmt.Sprintf("%-5s %s", name, marks.String()))
	}
	return append(lines, ruler(from, step, trouble))
}

// mark says how a host did in one stretch.
func mark(t lab.Timeline, host int) rune {
	answered, sent := 0, 0
	for _, tick := range t.Ticks {
		if tick.Sent < 0 {
			continue
		}
		sent++
		if tick.Answered.Has(host) {
			answered++
		}
	}
	switch {
	case sent == 0:
		return markAhead
	case answered == 0:
		return markSilence
	case overlapped(t, host):
		return markTwo
	case 2*answered < sent:
		return markSome
	default:
		return markAnswer
	}
}

func overlapped(t lab.Timeline, host int) bool {
	for _, span := range t.Overlaps() {
		if span.Answered.Has(host) {
			return true
		}
	}
	return false
}

// ruler labels the trouble and each half second after it.
func ruler(from, step, trouble time.Duration) string {
	line := []rune(strings.Repeat(" ", stripWidth))
	put := func(at time.Duration, label string) {
		if cell := int((at - from) / step); cell >= 0 && cell < stripWidth {
			copy(line[cell:], []rune(label))
		}
	}
	put(trouble, "|trouble")
	for after := 500 * time.Millisecond; after < time.Minute; after += 500 * time.Millisecond {
		put(trouble+after, fmt.Sprintf("|%.1f s", after.Seconds()))
	}
	return strings.TrimRight("      "+string(line), " ")
}
