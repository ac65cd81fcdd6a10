package main

import (
	"fmt"
	"strconv"

	"github.com/vipd/vipd/control"
)

// members is the table of the cluster.
func (p *page) members() {
	rows := [][]string{{"MEMBER", "ADDRESS", "ROLE", "PRIO", "HEALTH", "HEARD", "VERSION"}}
	for _, m := range p.s.Cluster.Members {
		rows = append(rows, []string{
			plain(m.Name), plain(m.Address), p.role(m), rank(m), healthWord(m, p.s.Cluster.Detect), heard(m), plain(m.Version),
		})
	}
	lines := table(rows, nameWidth)
	p.add("")
	p.addDyed(p.ink.bold, lines[0])
	p.add(lines[1:]...)
	p.add(p.quorum())
	p.reasons()
}

func (p *page) role(m control.Member) string {
	switch {
	case p.s.Holder != nil && p.s.Holder.Name == m.Name:
		return "holder"
	case m.Witness:
		return "witness"
	case m.Paused:
		return "paused"
	case m.Leader:
		return "leader"
	case m.Voter:
		return "voter"
	default:
		return "no vote"
	}
}

func rank(m control.Member) string {
	if m.Witness || m.Priority == 0 {
		return "-"
	}
	return strconv.Itoa(m.Priority)
}

// healthWord is what a member last said of itself, unless it says nothing any more. It
// matters of those only that may hold.
func healthWord(m control.Member, detect control.Millis) string {
	switch {
	case m.Contact != nil && *m.Contact > detect:
		return "SILENT"
	case m.Contact == nil && !m.Self:
		return "?"
	case m.Witness, m.Paused:
		return "-"
	case m.Healthy:
		return "well"
	}
	return "UNWELL"
}

func heard(m control.Member) string {
	switch {
	case m.Self:
		return "this host"
	case m.Contact == nil:
		return "-"
	default:
		return control.Span(m.Contact.Duration()) + " ago"
	}
}

func (p *page) quorum() string {
	c := p.s.Cluster
	reachable := ""
	if c.Quorum.Reachable != nil {
		reachable = fmt.Sprintf("%s reachable, ", plural(*c.Quorum.Reachable, "voter"))
	}
	return fmt.Sprintf("%s%d needed; gone after %s of silence; cluster %s", reachable, c.Quorum.Needed, control.Span(c.Detect.Duration()), c.ID)
}

// reasons says of each member why it holds or does not.
func (p *page) reasons() {
	begun := false
	for _, m := range p.s.Cluster.Members {
		why := p.why(m)
		if why == "" {
			continue
		}
		if !begun {
			p.add("")
			p.addDyed(p.ink.bold, "WHY")
			begun = true
		}
		for _, line := range wrapped(fit(plain(fit(m.Name, nameWidth)+": "+why), 4*pageWidth), pageWidth-2, "  ") {
			p.add("  " + line)
		}
	}
}

func (p *page) why(m control.Member) string {
	if !m.HoldDown.After(p.now) {
		return m.Why
	}
	wait := fmt.Sprintf("it does not preempt before %s (in %s)", clock(m.HoldDown, p.now), control.Span(m.HoldDown.Sub(p.now)))
	if m.Why == "" {
		return wait
	}
	return m.Why + "; " + wait
}
