package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/vipd/vipd/control"
)

const (
	pageWidth = 100 // characters; half a screen at least
	nameWidth = 24  // characters of a member's name; -o json has all
	handOvers = 5   // the newest; -o json has all
)

// page writes a status for an operator woken at three in the morning: what
// matters first, one thing a line.
type page struct {
	s     control.Status
	now   time.Time
	ink   ink
	lines []string
}

// statusText returns s as text in lines of at most 100 characters, with the
// times in zone.
func statusText(s control.Status, zone *time.Location, colours ink) string {
	p := &page{s: s, now: s.Time.In(zone), ink: colours}
	p.headline()
	if s.Cluster.ID != "" {
		p.members()
	}
	p.host()
	p.history()
	return strings.Join(p.lines, "\n")
}

// add appends lines, harmless to a terminal and cut to the width of the page.
func (p *page) add(lines ...string) {
	for _, line := range lines {
		p.lines = append(p.lines, fit(plain(line), pageWidth))
	}
}

// addDyed appends one line in a colour.
func (p *page) addDyed(dye func(string) string, line string) {
	p.lines = append(p.lines, dye(fit(plain(line), pageWidth)))
}

// headline says who holds the addresses, since when, and what is wrong.
func (p *page) headline() {
	dye, mood := p.ink.green, "all is well"
	if n := len(p.s.Warnings); n > 0 {
		dye, mood = p.ink.yellow, plural(n, "warning")
	}
	if p.s.Holder == nil {
		dye = p.ink.red
	}
	for _, line := range wrapped(p.holding()+"; "+mood, pageWidth, "  ") {
		p.addDyed(dye, line)
	}
	for _, warning := range p.s.Warnings {
		for _, line := range wrapped("! "+warning, pageWidth-2, "  ") {
			p.add("  " + line)
		}
	}
}

func (p *page) holding() string {
	what := p.addresses()
	switch h := p.s.Holder; {
	case p.s.Cluster.ID == "":
		return fit(p.s.Node.Name, nameWidth) + " is in no cluster and does not hold " + what
	case h == nil:
		return "this host knows of no holder of " + what
	default:
		who := fit(h.Name, nameWidth)
		if h.Name == p.s.Node.Name {
			who += " (this host)"
		}
		return fmt.Sprintf("%s holds %s since %s", who, what, since(h.Since, p.now))
	}
}

// addresses names the floating address, or counts them where there are more.
func (p *page) addresses() string {
	list := p.s.VIP.Addresses
	switch len(list) {
	case 0:
		return "the address"
	case 1:
		return bare(list[0])
	default:
		return fmt.Sprintf("%s and %d more", bare(list[0]), len(list)-1)
	}
}

// bare returns an address without a prefix length that says nothing.
func bare(address string) string {
	if strings.Contains(address, ":") {
		return strings.TrimSuffix(address, "/128")
	}
	return strings.TrimSuffix(address, "/32")
}

// history lists the last hand-overs, the newest first.
func (p *page) history() {
	if len(p.s.History) == 0 {
		return
	}
	var rows [][]string
	for _, c := range p.s.History[:min(len(p.s.History), handOvers)] {
		rows = append(rows, []string{
			c.Time.In(p.now.Location()).Format(time.DateTime),
			nobody(c.From) + " → " + nobody(c.To),
			fmt.Sprintf("term %d", c.Term),
			plain(c.Reason),
		})
	}
	p.add("")
	p.addDyed(p.ink.bold, "LAST HAND-OVERS")
	for _, line := range table(rows) {
		p.add("  " + line)
	}
}

func nobody(name string) string {
	if name == "" {
		return "nobody"
	}
	return fit(plain(name), nameWidth)
}
