package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// source is the text of a file, kept to show the line that a problem is in.
type source struct {
	name  string
	lines []string
}

// position is a place in a file; line and column count from 1, columns in
// characters.
type position struct{ line, column int }

// byteOrderMark may begin a file that was saved on Windows; it means nothing.
const byteOrderMark = "\ufeff"

func newSource(name string, data []byte) source {
	text := strings.TrimPrefix(string(data), byteOrderMark)
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return source{name: name, lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
}

func (s source) problem(at position, hint, message string) Problem {
	at = s.clamp(at)
	return Problem{
		File: s.name, Line: at.line, Column: at.column,
		Message: message, Hint: hint,
		excerpt: s.excerpt(at),
	}
}

// clamp moves a place behind the end of the file, or of a line, to that end.
func (s source) clamp(at position) position {
	if at.line > len(s.lines) {
		at = position{len(s.lines), utf8.RuneCountInString(s.lines[len(s.lines)-1]) + 1}
	}
	at.line = max(at.line, 1)
	end := utf8.RuneCountInString(s.lines[at.line-1]) + 1
	at.column = min(max(at.column, 1), end)
	return at
}

// around returns the characters in front of a place and on it; 0 where there is
// none.
func (s source) around(at position) (before, on rune) {
	if at.line < 1 || at.line > len(s.lines) {
		return 0, 0
	}
	line := []rune(s.lines[at.line-1])
	if i := at.column - 2; i >= 0 && i < len(line) {
		before = line[i]
	}
	if i := at.column - 1; i >= 0 && i < len(line) {
		on = line[i]
	}
	return before, on
}

// excerpt shows at most width characters of the line and a caret below the place.
func (s source) excerpt(at position) string {
	const width, lead = 100, 60
	line := []rune(strings.Map(visible, s.lines[at.line-1]))
	caret := at.column - 1
	if cut := caret - lead; len(line) > width && cut > 0 {
		line, caret = line[cut:], lead
		line[0] = '…'
	}
	if len(line) > width {
		line = append(line[:width-1:width-1], '…')
	}
	return fmt.Sprintf("    %s\n    %s^", string(line), strings.Repeat(" ", caret))
}

// visible makes every character one column wide and harmless to a terminal.
func visible(r rune) rune {
	switch {
	case r == '\t':
		return '→'
	case !unicode.IsPrint(r):
		return utf8.RuneError
	}
	return r
}

// quote returns text from the file for a message: in quotes, escaped and short.
func quote(text string) string {
	const longest = 60
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
