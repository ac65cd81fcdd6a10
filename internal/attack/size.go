package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// size is how much a process has.
type size struct {
	memory int64 // resident, in bytes
	files  int   // open descriptors
}

func (s size) String() string { return fmt.Sprintf("%d MiB, %d descriptors", s.memory>>20, s.files) }

// sizeOf looks at a process from outside (proc(5): statm, fd).
func sizeOf(pid int) (size, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return size{}, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return size{}, fmt.Errorf("process %d has ended", pid)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return size{}, err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return size{memory: pages * int64(os.Getpagesize()), files: len(files)}, err
}

// most is the greater of each.
func (s size) most(o size) size {
	return size{memory: max(s.memory, o.memory), files: max(s.files, o.files)}
}

// busy is how long a process has had a processor so far (proc(5): stat), to 10 ms; 0 if it is gone.
func busy(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:])) // from the third on
	if len(fields) < 13 {
		return 0
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
