package main

import (
	"bytes"
	_ "embed" // of the page
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

const pageName = "timeline.html"

//go:embed page.html
var pageText string

// page is what the template shows. Times are seconds since the prober's start.
type page struct {
	Record    record
	Figures   []figure
	Counts    []count
	Bad       bool
	OverlapMS int64
	Seconds   float64
	Groups    []string
	Lanes     []lane
	Bands     []mark
	Rounds    []row
}

// lane is a host, or what concerns all of them.
type lane struct {
	Name  string
	Wide  bool // nobody answers there
	Rows  int  // of faults that overlap in time
	Marks []mark
}

// mark is a bar or a tick.
type mark struct {
	Class      string
	At, Length float64
	Row        int
	Text, Tip  string
}

// row is a line of the table of rounds.
type row struct {
	Number             int
	At                 float64
	When, Faults, Back string
	Holder             string
	Bad                bool
}

// render makes the page: one file that needs no other.
func render(rec record) ([]byte, error) {
	tmpl, err := template.New(pageName).Parse(pageText)
	if err != nil {
		return nil, err
	}
	p := page{
		Record: rec, Figures: rec.figures(), Counts: rec.counts(), Bad: !rec.good(),
		OverlapMS: rec.overlap().Milliseconds(), Seconds: rec.Length.Seconds(),
		Groups: colours(), Bands: bands(rec), Rounds: table(rec),
	}
	for i, host := range rec.Hosts {
		p.Lanes = append(p.Lanes, hostLane(rec, i, host))
	}
	p.Lanes = append(p.Lanes, wideLane(rec))
	var b bytes.Buffer
	if err := tmpl.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return b.Bytes(), nil
}

// colours are the classes of faults in the page's style.
func colours() []string {
	return []string{"network", "host", "process", "disk", "limit", "input", "sabotage"}
}

// colour is the class of a kind of fault.
func colour(name string) string {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
	if i < 0 {
		return "network" // of a version that knew other kinds
	}
	return map[group]string{
		network: "network", link: "host", process: "process", disk: "disk", limit: "limit", input: "input",
		machine: "process", reboot: "host", sabotage: "sabotage",
	}[all[i].group]
}

func between(class string, from, to time.Duration) mark {
	return mark{Class: class, At: from.Seconds(), Length: (to - from).Seconds()}
}

func hostLane(rec record, index int, host string) lane {
	l := lane{Name: host}
	l.add(rec.Faults, func(f fault) bool { return slices.Contains(f.Hosts, host) })
	for _, s := range rec.Answers {
		if s.Answered.Has(index) {
			m := between(fmt.Sprintf("answer h%d", index), s.From, s.To)
			m.Tip = fmt.Sprintf("%s answered for %s from %s on", host, ms(s.Length()), at(s.From))
			l.Marks = append(l.Marks, m)
		}
	}
	for _, e := range rec.Events {
		if e.Host == host {
			m := between(e.Kind, e.At, e.At)
			m.Tip = at(e.At) + ": " + e.Text
			l.Marks = append(l.Marks, m)
		}
	}
	return l
}

func wideLane(rec record) lane {
	l := lane{Name: "all", Wide: true}
	l.add(rec.Faults, func(f fault) bool { return len(f.Hosts) == 0 })
	return l
}

// add puts bars for faults on the lane, those that overlap in time below one another.
func (l *lane) add(faults []fault, ours func(fault) bool) {
	var free []time.Duration // by row
	for _, f := range faults {
		if !ours(f) {
			continue
		}
		i := slices.IndexFunc(free, func(until time.Duration) bool { return until <= f.From })
		if i < 0 {
			i = len(free)
			free = append(free, 0)
		}
		free[i] = f.To
		m := between("fault "+colour(f.Kind), f.From, f.To)
		m.Row, m.Text = i, f.Kind
		if len(f.Hosts) == 0 && f.Detail != "" {
			m.Text = f.Kind + ": " + f.Detail
		}
		m.Tip = fmt.Sprintf("%s, %s … %s (%s)", f.label(), at(f.From), at(f.To), ms(f.To-f.From))
		l.Marks = append(l.Marks, m)
	}
	l.Rows = len(free)
}

// bands go through all lanes: the times without an answer, rounds, ways back, and overlaps.
func bands(rec record) []mark {
	var all []mark
	for _, s := range rec.Answers {
		if s.Answered == 0 {
			m := between("gap", s.From, s.To)
			m.Tip = fmt.Sprintf("nobody answered for %s from %s on", ms(s.Length()), at(s.From))
			all = append(all, m)
		}
	}
	for _, r := range rec.Rounds {
		all = append(all, between("round", r.From, r.From))
		if r.Back > 0 {
			m := between("back", r.Mended, r.Mended+r.Back)
			if r.Back > 3*rec.Detect {
				m.Class = "back late"
			}
			m.Tip = fmt.Sprintf("round %d: one holder again %s after the last mending", r.Number, ms(r.Back))
			all = append(all, m)
		}
	}
	for _, s := range rec.Overlap {
		all = append(all, overlapBand(rec, s))
	}
	return all
}

func overlapBand(rec record, s lab.Span) mark {
	m := between("overlap", s.From, s.To)
	m.Tip = fmt.Sprintf("TWO HOLDERS: %s answered for %s from %s on; active: %s", strings.Join(rec.names(s.Answered), " and "),
		ms(s.Length()), at(s.From), labels(rec.active(s.From-rec.Detect, s.To)))
	return m
}

func table(rec record) []row {
	var rows []row
	for _, r := range rec.Rounds {
		line := row{
			Number: r.Number, At: r.From.Seconds(), When: at(r.From), Holder: r.Holder, Back: ms(r.Back),
			Faults: labels(slices.DeleteFunc(slices.Clone(rec.Faults), func(f fault) bool { return f.Round != r.Number })),
			Bad:    r.Back < 0 || r.Back > 3*rec.Detect,
		}
		if r.Failure != "" {
			line.Back = "not: " + r.Failure
		}
		rows = append(rows, line)
	}
	return rows
}
