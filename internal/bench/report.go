package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// report writes what was measured, for a person to the writer and for others to the files that are wanted.
func report(w io.Writer, s settings, columns []column) error {
	if s.json != "" {
		text, err := json.MarshalIndent(columns, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.json, text, 0o644); err != nil {
			return err
		}
	}
	if s.markdown != "" {
		var b bytes.Buffer
		writeMarkdown(&b, columns)
		if err := os.WriteFile(s.markdown, b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	writeCircumstances(w, s)
	usual, others := split(columns)
	for _, table := range [][]column{usual, others} {
		if len(table) > 0 {
			writeTable(w, table)
			fmt.Fprintln(w)
		}
	}
	if anyWeb(columns) {
		writeWeb(w, columns)
		fmt.Fprintln(w)
	}
	writeGoals(w, columns)
	return nil
}

// writeCircumstances says how it was measured, and what the words of the tables mean.
func writeCircumstances(w io.Writer, s settings) {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // an unknown kernel is left out
	fmt.Fprintf(w, "Three hosts in network namespaces, one floating address, a probe each millisecond straight to each host;\n"+
		"%s, Linux %s, %d cores. A fault lasts until another host has answered for %v.\n",
		time.Now().Format(time.DateOnly), bytes.TrimSpace(kernel), runtime.NumCPU(), aftermath)
	fmt.Fprintf(w, "Runs: vipd %d of crash, transfer, SIGTERM and check, %d of each other fault; keepalived %d: its timers hardly vary (-peer-runs).\n",
		s.runs, s.seldomRuns, s.peerRuns)
	fmt.Fprintf(w, "two: the longest time for which two hosts answered, until all was well again; one of about %v had no other end.\n\n", aftermath)
}

// split puts vipd with a detect of its own choice into a table of its own: it meets only some of the faults.
func split(columns []column) (usual, others []column) {
	for _, c := range columns {
		if c.Detect > 0 && c.Detect != usualDetect {
			others = append(others, c)
			continue
		}
		usual = append(usual, c)
	}
	return usual, others
}
