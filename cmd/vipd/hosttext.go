package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vipd/vipd/control"
)

// host says how the host is that answers.
func (p *page) host() {
	n := p.s.Node
	p.add("")
	title := fmt.Sprintf("THIS HOST  %s is %s since %s", fit(n.Name, nameWidth), n.State, since(n.Since, p.now))
	if line := because(title, plain(n.Reason)); utf8.RuneCountInString(line) <= pageWidth {
		p.addDyed(p.ink.bold, line)
	} else {
		p.addDyed(p.ink.bold, title)
		p.entry("reason", n.Reason)
	}
	if n.Witness {
		p.entry("witness", witnessText)
	} else {
		p.entry("lease", p.lease())
		p.entry("fence", p.fence())
		p.bound()
		p.checks()
		p.entry("notify", p.hooks())
	}
	if p.s.Trust.Authority != "" {
		p.entry("trust", p.trust())
	}
	p.entry("daemon", fmt.Sprintf("version %s, up for %s, id %s", n.Version, control.Span(n.Uptime.Duration()), n.ID))
}

// entry appends a name and what is to be said of it, in some lines if need be.
func (p *page) entry(name, text string) {
	const indent = "           "
	for i, line := range wrapped(fit(plain(text), 4*pageWidth), pageWidth-len(indent), "") {
		if i == 0 {
			p.add(fmt.Sprintf("  %-*s%s", len(indent)-2, name, line))
		} else {
			p.add(indent + line)
		}
	}
}

func (p *page) lease() string {
	l := p.s.Lease
	if !l.Held {
		return "not held"
	}
	return fmt.Sprintf("held in term %d, %s of %s left", l.Term, control.Span(l.Remaining.Duration()), control.Span(l.Length.Duration()))
}

func (p *page) fence() string {
	f := p.s.Fence
	switch {
	case !f.Armed:
		return because("NOT ARMED", f.Error)
	case f.Open:
		return "armed, open for " + control.Span(f.Remaining.Duration())
	default:
		return "armed, closed"
	}
}

// bound has one entry for each address.
func (p *page) bound() {
	v := p.s.VIP
	state := "not bound"
	if v.Bound {
		state = "bound to " + v.Interface
	}
	for _, a := range v.Addresses {
		p.entry("address", bare(a)+" "+state)
	}
}

// checks has one entry for each check.
func (p *page) checks() {
	if len(p.s.Checks) == 0 {
		p.entry("check", "none")
	}
	for _, c := range p.s.Checks {
		p.entry("check", p.check(c))
	}
}

func (p *page) check(c control.Check) string {
	if !c.Known {
		return c.Name + ": has not run yet"
	}
	last := fmt.Sprintf("ran %s ago, took %s", control.Span(p.now.Sub(c.LastRun)), control.Span(c.Took.Duration()))
	judgement := "well"
	if !c.Healthy {
		judgement = "UNWELL"
	}
	if c.Failures > 0 {
		last = because(fmt.Sprintf("failed %s in a row, %s", times(c.Failures), last), why(c))
	}
	return fmt.Sprintf("%s: %s since %s, %s", c.Name, judgement, since(c.Since, p.now), last)
}

// why returns the reason of the last failure and what the check said to it.
func why(c control.Check) string {
	if output := strings.TrimSpace(c.Output); output != "" {
		return because(c.Reason, output)
	}
	return c.Reason
}

func (p *page) hooks() string {
	h := p.s.Hooks
	last := "has not run yet"
	if !h.Last.IsZero() {
		last = fmt.Sprintf("%s at %s", h.LastState, clock(h.Last, p.now))
		if h.LastError == "" {
			last += ", took " + control.Span(h.LastTook.Duration())
		} else {
			last = because(last+" FAILED", h.LastError)
		}
	}
	switch {
	case !h.Configured:
		return "none"
	case h.Running != "":
		return fmt.Sprintf("%s is running since %s", h.Running, since(h.Last, p.now))
	default:
		return last
	}
}

// trust says by what the hosts know each other; 16 digits are enough to compare.
func (p *page) trust() string {
	t := p.s.Trust
	text := fmt.Sprintf("CA %.16s, certificate until %s", t.Authority, t.Ends.In(p.now.Location()).Format(time.DateOnly))
	if t.Rotating {
		text += "; the CA is being replaced"
	}
	return text
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

func times(n int) string { return plural(n, "time") }
