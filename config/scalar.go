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

// text returns the text of a scalar as it stands in the file, so that a number may
// serve as a name. ok is false if there is none.
func (r *reader) text(v value) (text string, ok bool) {
	if !r.given(v) {
		return "", false
	}
	if v.node.Kind != yaml.ScalarNode {
		r.wrongKind(v)
		return "", false
	}
	return v.node.Value, true
}

// boolean reads true or false; YAML 1.1's yes, no, on and off are not among them.
func (r *reader) boolean(v value, unless bool) bool {
	switch text, ok := r.text(v); {
	case !ok:
		return unless
	case v.node.Tag != "!!bool":
		r.wrongKind(v)
		return unless
	default:
		return strings.EqualFold(text, "true")
	}
}

// choice reads one of some words; the first of them if the key is not there.
func (r *reader) choice(v value, words ...string) string {
	text, ok := r.text(v)
	if !ok {
		return words[0]
	}
	if slices.Contains(words, text) {
		return text
	}
	last := len(words) - 1
	hint := "write " + strings.Join(words[:last], ", ") + " or " + words[last]
	if word, ok := nearest(text, words); ok {
		hint = fmt.Sprintf("did you mean %s?", word)
	}
	r.refuse(v, hint, "%s is not %s", quote(text), keyAt(v.path).kind)
	return words[0]
}

// count reads a whole number from 1 to most; 1 if the key is not there.
func (r *reader) count(v value, most int) int { return r.number(v, 1, numbers{1, most}) }

// numbers is the range that a whole number must be in, both ends included.
type numbers struct{ min, max int }

// number reads a whole number.
func (r *reader) number(v value, unless int, allowed numbers) int {
	text, ok := r.text(v)
	if !ok {
		return unless
	}
	n, err := strconv.Atoi(text)
	if err != nil || v.node.Tag != "!!int" {
		r.wrongKind(v)
		return unless
	}
	if n < allowed.min || n > allowed.max {
		r.refuse(v, fmt.Sprintf("write a number from %d to %d", allowed.min, allowed.max), "%d is out of range", n)
		return unless
	}
	return n
}

// span is the range that a duration must be in, both ends included.
type span struct{ min, max time.Duration }

func (s span) String() string { return human(s.min) + " to " + human(s.max) }

// duration reads a number with a unit, as time.ParseDuration takes it.
func (r *reader) duration(v value, unless time.Duration, allowed span) time.Duration {
	text, ok := r.text(v)
	if !ok {
		return unless
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil && (v.node.Tag == "!!int" || v.node.Tag == "!!float"):
		r.refuse(v, fmt.Sprintf("write %sms or %ss", text, text), "%s has no unit", text)
	case err != nil:
		r.refuse(v, "write a number and a unit (ms, s, m, h), for example "+keyAt(v.path).assignment(),
			"%s is not a duration", quote(text))
	case d < allowed.min:
		r.refuse(v, "write a duration from "+allowed.String(), "%s is shorter than %s", text, human(allowed.min))
	case d > allowed.max:
		r.refuse(v, "write a duration from "+allowed.String(), "%s is longer than %s", text, human(allowed.max))
	default:
		return d
	}
	return unless
}

// human writes a duration without the zeros that time.Duration puts behind it.
func human(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// path reads an absolute path.
func (r *reader) path(v value, unless string) string {
	text, ok := r.text(v)
	if !ok {
		return unless
	}
	if problem := badPath(text); problem != "" {
		r.refuse(v, "write, for example, "+keyAt(v.path).assignment(), "%s %s", quote(text), problem)
		return unless
	}
	return filepath.Clean(text)
}

// badPath says why a text can't be the path of a file or folder; empty if it can.
func badPath(text string) string {
	switch {
	case strings.ContainsRune(text, 0):
		return "contains a zero byte"
	case !filepath.IsAbs(text):
		return "is not an absolute path"
	case filepath.Clean(text) == "/":
		return "is the root of the file system"
	}
	return ""
}

// socket reads a path that fits into sun_path with its final zero byte (unix(7)).
func (r *reader) socket(v value, unless string) string {
	const longest = 107
	path := r.path(v, unless)
	if len(path) > longest {
		r.refuse(v, "write a shorter path, for example socket: /run/vipd/vipd.sock",
			"%s is %d bytes long, and a socket's path may have %d", quote(path), len(path), longest)
	}
	return path
}
