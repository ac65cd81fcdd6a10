package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// change is what follows the words "holder changed" in vipd's log.
type change struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Term   uint64 `json:"term"`
	Reason string `json:"reason"`
}

// changes are the changes of the holder as the daemons logged them, each once.
func (r *rig) changes() []event {
	found := map[change]event{}
	for _, h := range r.Hosts {
		for line := range strings.Lines(r.daemons[h].Log()) {
			at, c, ok := parseChange(line)
			if !ok {
				continue
			}
			e := event{At: r.prober.At(at), Host: c.To, Kind: "holder", Text: c.text()}
			if known, again := found[c]; !again || e.At < known.At {
				found[c] = e
			}
		}
	}
	var events []event
	for _, e := range found {
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	return events
}

func (c change) text() string {
	from := c.From
	if from == "" {
		from = "nobody"
	}
	return fmt.Sprintf("%s → %s, term %d: %s", from, c.To, c.Term, c.Reason)
}

// parseChange reads a line of vipd's log: time, level, message, fields as JSON.
func parseChange(line string) (at time.Time, c change, ok bool) {
	stamp, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	_, rest, _ = strings.Cut(rest, " ")
	fields, ok := strings.CutPrefix(rest, "holder changed ")
	if !ok {
		return at, c, false
	}
	at, err := time.Parse("2006-01-02T15:04:05.000Z07:00", stamp)
	return at, c, err == nil && json.Unmarshal([]byte(fields), &c) == nil
}
