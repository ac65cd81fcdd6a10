package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
)

// reader walks the tree of a file and collects every problem that it meets. Its
// methods return a harmless value where there is a problem, so that the walk goes
// on; the values count only if there was none.
type reader struct {
	source
	problems []Problem
	places   places
}

// value is what stands in the file under one path.
type value struct {
	path string     // as in "checks[0].name"; empty for the file itself
	node *yaml.Node // nil if the key is not in the file
	at   position   // of the value; where there is none, of its key, or of the key of the mapping it is missing in
	key  position   // of the key, or of the item of a list
}

// refuse reports a problem with a value, under its path.
func (r *reader) refuse(v value, hint, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if v.path != "" {
		message = v.path + ": " + message
	}
	r.problems = append(r.problems, r.problem(v.at, hint, message))
}

// refuseAt reports a problem with the text at a place.
func (r *reader) refuseAt(at position, hint, format string, args ...any) {
	r.refuse(value{at: at}, hint, format, args...)
}

// wrongKind reports a value that is not what belongs there.
func (r *reader) wrongKind(v value) {
	k := keyAt(v.path)
	what := describe(v.node)
	if v.path == "" {
		what = "the file: " + what
	}
	r.refuse(v, "write, for example, "+k.assignment(), "%s is not %s", what, k.kind)
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return quote(n.Value)
	}
}

// given reports whether there is a value to look at. A key without a value is a
// problem; an alias was one before.
func (r *reader) given(v value) bool {
	switch {
	case v.node == nil, v.node.Kind == yaml.AliasNode:
		return false
	case v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!null":
		k := keyAt(v.path)
		r.refuse(v, "write, for example, "+k.assignment(), "has no value")
		return false
	}
	return true
}

// need is given for a key that must be there.
func (r *reader) need(m mapping, name string) value {
	v := m.get(name)
	if v.node != nil || m.broken {
		return v
	}
	missing := keyAt(v.path)
	if m.node == nil {
		missing = keyAt(m.path)
	}
	r.refuse(v, "add, for example, "+missing.assignment(), "is missing")
	return v
}

// mapping is a value that has keys.
type mapping struct {
	value
	values map[string]value
	broken bool // it is something else, which has been reported
}

// get returns the value of a key, with a nil node if it is not in the file.
func (m mapping) get(name string) value {
	if v, ok := m.values[name]; ok {
		return v
	}
	return value{path: join(m.path, name), at: m.key, key: m.key}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// mapping reads the keys of a mapping; each must be known and stand there once.
func (r *reader) mapping(v value) mapping {
	m := mapping{value: v, values: make(map[string]value)}
	switch {
	case v.node == nil:
		return m
	case !r.given(v):
		m.broken = true
		return m
	case v.node.Kind != yaml.MappingNode:
		r.wrongKind(v)
		m.broken = true
		return m
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		r.entry(m, v.node.Content[i], v.node.Content[i+1])
	}
	return m
}

func (r *reader) entry(m mapping, k, n *yaml.Node) {
	at := value{path: m.path, at: place(k)}
	if k.Kind != yaml.ScalarNode {
		r.refuse(at, "the keys here are words, for example "+namesIn(m.path)[0], "%s is not a key", describe(k))
		return
	}
	if !slices.Contains(namesIn(m.path), k.Value) {
		r.refuse(at, unknownKeyHint(m.path, k.Value), "unknown key %s", quote(k.Value))
		return
	}
	v := value{path: join(m.path, k.Value), node: n, at: place(n), key: place(k)}
	if n.Tag == "!!null" {
		v.at = v.key // where nothing stands, the parser's place is of no help
	}
	if first, twice := m.values[k.Value]; twice {
		r.refuse(value{path: v.path, at: v.key}, "keep one of them", "stands here a second time; the first is in line %d", first.key.line)
		return
	}
	m.values[k.Value] = v
}

// list returns the items of a list.
func (r *reader) list(v value) []value {
	if !r.given(v) {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		r.wrongKind(v)
		return nil
	}
	items := make([]value, 0, len(v.node.Content))
	for i, n := range v.node.Content {
		items = append(items, value{path: fmt.Sprintf("%s[%d]", v.path, i), node: n, at: place(n), key: place(n)})
	}
	return items
}
