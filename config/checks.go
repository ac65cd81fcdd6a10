package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/vipd/vipd/health"
)

// mostInARow bounds rise and fall, heaviest a weight, as in keepalived.conf(5).
const mostInARow, heaviest = 100, 253

func (r *reader) checks(v value, c *Config) {
	// A process takes milliseconds to start: below these, a check would only ever fail.
	intervals, timeouts := span{50 * time.Millisecond, time.Hour}, span{10 * time.Millisecond, time.Hour}
	seen := make(map[string]string)
	for _, item := range r.list(v) {
		m := r.mapping(item)
		interval := r.duration(m.get("interval"), time.Second, intervals)
		name := r.need(m, "name")
		probe, looked := r.probe(m)
		check := health.Check{
			Name:     r.name(name),
			Probe:    probe,
			Interval: interval,
			Timeout:  r.duration(m.get("timeout"), interval, timeouts),
			Fall:     r.count(m.get("fall"), mostInARow),
			Rise:     r.count(m.get("rise"), mostInARow),
			Weight:   r.number(m.get("weight"), 0, -heaviest, heaviest),
		}
		if first, twice := seen[check.Name]; twice && check.Name != "" {
			r.refuse(name, "give each check a name of its own", "%s is the name of %s already", quote(check.Name), first)
		} else {
			seen[check.Name] = item.path
		}
		c.Checks = append(c.Checks, check)
		r.places.checks = append(r.places.checks, looked)
	}
}

// hooks reads the notify script. What keepalived would give it as priority is
// always keepalived's default, 100: there are no priorities here.
func (r *reader) hooks(v value, c *Config) {
	m := r.mapping(v)
	c.Hooks.Instance, c.Hooks.Priority = c.Name, 100
	c.Hooks.Timeout = r.duration(m.get("timeout"), 30*time.Second, span{100 * time.Millisecond, time.Hour})
	for i, a := range c.VIP.Addresses {
		c.Hooks.Addresses = append(c.Hooks.Addresses, a.Prefix.Addr().String())
		if i == 0 {
			c.Hooks.Interface = a.Interface
		}
	}
	if v.node != nil {
		notify := r.need(m, "notify")
		c.Hooks.Notify = r.command(notify)
		r.places.notify = program(notify)
	}
}

// program is the place of a command's first word.
func program(v value) value {
	if v.node != nil && v.node.Kind == yaml.SequenceNode && len(v.node.Content) > 0 {
		v.at = place(v.node.Content[0])
	}
	return v
}

// command reads a program and its arguments, from one text or from a list of words.
// No shell runs it, so a text that only a shell would understand is refused.
func (r *reader) command(v value) []string {
	if !r.given(v) {
		return nil
	}
	words := r.words(v)
	if len(words) == 0 {
		return nil
	}
	zero := func(word string) bool { return strings.ContainsRune(word, 0) }
	if problem := badPath(words[0]); problem != "" {
		r.refuse(program(v), "write the whole path of the program, for example "+keyAt(v.path).example, "%s %s", quote(words[0]), problem)
	} else if slices.ContainsFunc(words, zero) {
		r.refuse(v, "take it out; no program can be given one", "a zero byte stands in a word")
	}
	words[0] = filepath.Clean(words[0])
	return words
}

// words returns nothing if it has reported a problem.
func (r *reader) words(v value) []string {
	if v.node.Kind == yaml.SequenceNode {
		return r.listedWords(v)
	}
	text, ok := r.text(v)
	if !ok {
		return nil
	}
	if i := strings.IndexAny(text, "'\"\\`$&|;<>()*?[]{}\n"); i >= 0 {
		_, name := keyAt(v.path).split()
		r.refuse(v, fmt.Sprintf(`write the words as a list: %s: ["/bin/sh", "-c", %s]`, name, strconv.Quote(text)),
			"%s means something to a shell, but no shell runs this", quote(text[i:i+1]))
		return nil
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		r.wrongKind(v)
	}
	return words
}

func (r *reader) listedWords(v value) []string {
	items := r.list(v)
	if len(items) == 0 {
		r.refuse(v, "write, for example, "+keyAt(v.path).assignment(), "the list is empty")
	}
	var words []string
	for _, item := range items {
		if word, ok := r.text(item); ok {
			words = append(words, word)
		}
	}
	if len(words) < len(items) {
		return nil
	}
	return words
}
