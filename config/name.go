package config

import (
	"fmt"
	"strings"
	"unicode"
)

const nameRule = "write 1 to 63 letters, digits, '_', '.' or '-', the first a letter, digit or '_'"

// isName reports whether a text can name a node, a check or an instance: what an
// RFC 1123 label may be, and '_' and '.' as well. A leading '-' would look like an
// option on a command line, a leading '.' hides a file.
func isName(text string) bool {
	if text == "" || len(text) > 63 || text[0] == '-' || text[0] == '.' {
		return false
	}
	return strings.IndexFunc(text, func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("_.-", c)
	}) < 0
}

// name reads a name; empty if there is none.
func (r *reader) name(v value) string {
	text, ok := r.text(v)
	switch {
	case !ok:
		return ""
	case v.node.Tag == "!!bool":
		r.refuse(v, fmt.Sprintf("write it in quotes if it is meant as a name: %q", text), "%s is not a name", text)
		return ""
	case !isName(text):
		r.refuse(v, nameRule, "%s is not a name", quote(text))
		return ""
	}
	return text
}

// link reads the name of a network interface; empty if there is none. The rule is
// the kernel's (dev_valid_name in net/core/dev.c).
func (r *reader) link(v value) string {
	const longest = 15 // IFNAMSIZ - 1
	text, ok := r.text(v)
	if !ok {
		return ""
	}
	name, _, alias := strings.Cut(text, ":")
	switch {
	case len(text) > longest:
		r.refuse(v, "ip -brief link shows the names of this host's links",
			"%s is %d bytes long, and the name of a link has at most %d", quote(text), len(text), longest)
	case alias && name != "":
		hint := "write link: " + name
		if _, key := keyAt(v.path).split(); key == "interface" {
			hint = fmt.Sprintf("write interface: %s, and label: %s with the address", name, quote(text))
		}
		r.refuse(v, hint, "%s is a label, not a link", quote(text))
	case text == "", text == ".", text == "..", strings.ContainsFunc(text, notInLink):
		r.refuse(v, "ip -brief link shows the names of this host's links", "%s is not the name of a link", quote(text))
	default:
		return text
	}
	return ""
}

func notInLink(c rune) bool {
	return c == '/' || c == ':' || unicode.IsSpace(c) || !unicode.IsPrint(c)
}
