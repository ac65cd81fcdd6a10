package main

import (
	"fmt"
	"io"
	"time"
)

const layout = "%-15s %9s %9s %9s %6s %8s %7s %6s %7s %7s %8s %7s  %s\n"

// writeHead heads the table.
func writeHead(w io.Writer) {
	fmt.Fprintln(w, "cpu: of one core, of the busiest daemon; memory and descriptors: the most that a daemon had, beyond what it had before;\nsilence: of the floating address")
	fmt.Fprintf(w, layout, "attack", "conns", "sent", "longest", "cpu", "memory", "descr.", "terms", "probe", "status", "silence", "log", "verdict")
}

// write writes the row, and below it what was done and which bounds it broke.
func (r row) write(w io.Writer) {
	var probe, status time.Duration
	var cpu float64
	changes := 0
	for _, v := range r.seen {
		probe, status = max(probe, v.probe.slowest), max(status, v.status.slowest)
		changes, cpu = max(changes, v.changes), max(cpu, v.cpu)
	}
	verdict := "held"
	if r.broken() {
		verdict = "BROKEN"
	}
	fmt.Fprintf(w, layout, r.attack.name, fmt.Sprint(r.done.Connections), amount(r.done.Sent), ms(r.done.Longest), fmt.Sprintf("%.0f %%", 100*cpu), fmt.Sprintf("%d MiB", r.most.memory>>20),
		fmt.Sprint(r.most.files), fmt.Sprint(changes), ms(probe), ms(status), ms(r.silence), amount(r.logged), verdict)
	if r.attack.does != "" {
		fmt.Fprintf(w, "    %s\n", r.attack.does)
	}
	for _, fault := range append(r.faults, r.late...) {
		fmt.Fprintf(w, "  ! %s\n", fault)
	}
	if r.broken() {
		for _, line := range r.lines {
			fmt.Fprintf(w, "    log of %s\n", line)
		}
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// amount writes a number of bytes short.
func amount(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d B", n)
	}
}
