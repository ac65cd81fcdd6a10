package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// hooks reads the scripts that are told of what happens, and what they are told.
func (r *reader) hooks(v value, c *Config) {
	m := r.mapping(v)
	c.Hooks.Instance, c.Hooks.Priority = c.Name, c.Node.Priority
	c.Hooks.Timeout = r.duration(m.get("timeout"), 30*time.Second, span{100 * time.Millisecond, time.Hour})
	for i, a := range c.VIP.Addresses {
		c.Hooks.Addresses = append(c.Hooks.Addresses, a.Prefix.Addr().String())
		if i == 0 {
			c.Hooks.Interface = a.Interface
		}
	}
	if v.node == nil {
		return
	}
	notify, prepare, fence := r.need(m, "notify"), m.get("prepare"), m.get("fence")
	c.Hooks.Notify, c.Hooks.Prepare, c.Hooks.Fence = r.command(notify), r.command(prepare), r.command(fence)
	r.places.notify, r.places.prepare, r.places.fence = program(notify), program(prepare), program(fence)
	r.places.user = m.get("user")
	c.Hooks.User.Name = r.user(r.places.user)
	failure := m.get("fence_failure")
	c.FenceProceeds = r.choice(failure, "wait", "proceed") == "proceed"
	if fence.node == nil {
		r.without(failure, "fence")
	}
}

// without refuses a value that counts only together with another key, which is missing or off.
func (r *reader) without(v value, other string) {
	if v.node != nil {
		_, name := keyAt(v.path).split()
		r.refuse(v, fmt.Sprintf("add %s, or take %s out", other, name), "has no effect without %s", other)
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
