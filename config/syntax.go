package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// tree parses the file. What it returns is a plain tree of mappings, lists and
// scalars, except that a misused alias, reported here, may stand in it.
func (r *reader) tree(data []byte) (value, bool) {
	if len(data) > maxSize {
		r.refuseAt(position{1, 1}, "a configuration takes a few dozen lines; is this the right file?",
			"the file is larger than %d KiB", maxSize>>10)
		return value{}, false
	}
	if !r.characters() {
		return value{}, false
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.syntax(err)
		return value{}, false
	}
	var document, second yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		r.refuseAt(position{1, 1}, "write at least node.address, vip.interface and vip.addresses", "the file is empty")
		return value{}, false
	case err != nil:
		r.syntax(err)
		return value{}, false
	}
	if err := loader.Load(&second); err == nil {
		r.refuseAt(place(&second), "keep one; what stands after --- or ... goes into a file of its own",
			"a second document begins here, and a file holds one configuration")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
	root := document.Content[0]
	r.plain(root)
	return value{node: root, at: place(root), key: place(root)}, true
}

func place(n *yaml.Node) position { return position{n.Line, n.Column} }

// characters refuses what is not text, and what looks like a blank but is none and
// so would silently become part of a word. In a comment the latter is harmless.
func (r *reader) characters() bool {
	ok := true
	for i, line := range r.lines {
		column, comment, last := 0, false, ' '
		for offset, c := range line {
			column++
			comment = comment || c == '#' && (last == ' ' || last == '\t')
			last = c
			if message, hint := badCharacter(c, line[offset:], comment); message != "" {
				r.refuseAt(position{i + 1, column}, hint, "%s", message)
				ok = false
				break
			}
		}
	}
	return ok
}

func badCharacter(c rune, rest string, comment bool) (message, hint string) {
	switch {
	case c == utf8.RuneError && !strings.HasPrefix(rest, "\uFFFD"):
		return fmt.Sprintf("the byte 0x%02x is not UTF-8 text", rest[0]), "save the file as UTF-8"
	case c == '\t':
		return "", ""
	case unicode.IsControl(c), c == '\u2028', c == '\u2029', c == '\uFFFE', c == '\uFFFF':
		return fmt.Sprintf("the control character U+%04X is not text", c), "delete the character and type the line anew"
	case !comment && c > unicode.MaxASCII && (unicode.IsSpace(c) || unicode.Is(unicode.Cf, c)):
		return fmt.Sprintf("U+%04X looks like a blank (or like nothing) but is another character", c), "delete the character and type a plain blank where one belongs"
	}
	return "", ""
}

// syntax reports what the YAML parser could not read.
func (r *reader) syntax(err error) {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		r.refuseAt(position{1, 1}, "see https://yaml.org for the syntax", "%v", err)
		return
	}
	at := position{e.Mark.Line, e.Mark.Column}
	opened := position{e.ContextMark.Line, e.ContextMark.Column}
	unclosed := strings.Contains(e.ContextMsg, "a flow ") || strings.Contains(e.ContextMsg, "quoted scalar")
	if opened.line > 0 && opened.line < at.line && (unclosed || strings.Contains(e.ContextMsg, "simple key")) {
		at = opened // where it was opened helps more than where the next line begins
	}
	before, on := r.around(at)
	r.refuseAt(at, syntaxHint(e.Message, before, on), "not YAML: %s", syntaxMessage(e))
}

func syntaxMessage(e *yaml.LoadError) string {
	if e.ContextMsg == "" || strings.Contains(e.ContextMsg, "next token") {
		return e.Message
	}
	return e.Message + " " + e.ContextMsg
}

// syntaxHint guesses the usual cause of a message of the parser (scanner.go and
// parser.go of go.yaml.in/yaml/v4), given the characters before and at the place.
func syntaxHint(message string, before, on rune) string {
	has := func(part string) bool { return strings.Contains(message, part) }
	switch {
	case on == '\t' || has("tab character"):
		return "indent with blanks; YAML does not allow tabs there"
	case before == ']' || before == '}':
		return `text that begins with [ or { must be in quotes, for example "[fd00::4]:7600"`
	case has("cannot start any token"):
		return fmt.Sprintf("put text that begins with %c in quotes", on)
	case has("mapping values are not allowed"):
		return "put text with a colon before a blank or at its end in quotes, or mend the indentation"
	case has("expected ':'"):
		return `write a colon and a blank after the key, as in "detect: 500ms"`
	case has("expected ',' or"), has("expected node content"):
		return "close the bracket, and write one comma between two items"
	case has("unexpected end of stream"):
		return "close the quotes on the same line"
	case has("incompatible YAML"):
		return "leave the %YAML line out"
	case has("unknown escape"):
		return `write \\ for a backslash, or use single quotes`
	case has("unknown anchor"):
		return "put text that begins with * in quotes"
	}
	return "mend the indentation: keys of one mapping, and the dashes of one list, stand in one column"
}

// plain refuses anchors, aliases and tags: they would let a value stand elsewhere,
// or be another, than what the reader of the file sees.
func (r *reader) plain(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.refuseAt(place(n), "write the value out; text that begins with * goes in quotes", "aliases (*%s) are not supported", n.Value)
	case n.Anchor != "":
		r.refuseAt(place(n), "write the value out where it is used; text that begins with & goes in quotes", "anchors (&%s) are not supported", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		r.refuseAt(place(n), "leave the tag out; text that begins with ! goes in quotes", "tags (%s) are not supported", n.Tag)
	}
	for _, child := range n.Content {
		r.plain(child)
	}
}
