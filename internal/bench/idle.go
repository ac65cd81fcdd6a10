package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// idleness is what a holder's daemon costs while nothing happens, all its processes together.
type idleness struct {
	CPU     float64 `json:"cpu"`           // share of one core
	Memory  int64   `json:"memory_bytes"`  // resident
	Written int64   `json:"written_bytes"` // to disk
}

// usage is what the processes of a daemon have used so far.
type usage struct {
	ticks           int64 // of 10 ms, USER_HZ
	memory, written int64
}

// idle watches the holder for that long. Nobody probes meanwhile.
func (a *arena) idle(ctx context.Context, length time.Duration) (idleness, error) {
	holder, err := a.settle(ctx)
	if err != nil {
		return idleness{}, err
	}
	if err := a.prober.Stop(); err != nil {
		return idleness{}, err
	}
	before, err := usageOf(a.daemons[holder])
	if err != nil {
		return idleness{}, err
	}
	lab.Pause(ctx, length)
	after, err := usageOf(a.daemons[holder])
	if err != nil {
		return idleness{}, err
	}
	if a.prober, err = a.StartProber(); err != nil {
		return idleness{}, err
	}
	cpu := time.Duration(after.ticks-before.ticks) * 10 * time.Millisecond
	return idleness{
		CPU: cpu.Seconds() / length.Seconds(), Memory: after.memory, Written: after.written - before.written,
	}, ctx.Err()
}

// usageOf adds up the processes of the daemon's process group (proc(5): stat, io, status).
func usageOf(d *lab.Daemon) (usage, error) {
	var sum usage
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return sum, err
	}
	found := false
	for _, path := range stats {
		fields := statFields(path)
		if len(fields) < 13 || fields[2] != strconv.Itoa(d.PID()) {
			continue
		}
		found = true
		dir := filepath.Dir(path)
		sum.ticks += number(fields[11]) + number(fields[12])
		sum.memory += valueIn(filepath.Join(dir, "status"), "VmRSS:") << 10
		sum.written += valueIn(filepath.Join(dir, "io"), "write_bytes:")
	}
	if !found {
		return sum, fmt.Errorf("no process of the group %d", d.PID())
	}
	return sum, nil
}

// statFields returns the fields of a stat file from the third, the state, on. The second, the program's name, may hold
// blanks.
func statFields(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil // it has ended meanwhile
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

// valueIn finds the number behind a word at the beginning of a line.
func valueIn(path, word string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == word {
			return number(fields[1])
		}
	}
	return 0
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
