package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Errors are all problems of one file, in the order of their places; never empty.
type Errors struct {
	Problems []Problem
}

// Problem is one thing that is wrong with a file.
type Problem struct {
	File string
	// Line counts from 1; 0 means that the problem is the file as a whole.
	Line int
	// Column counts characters (not bytes) from 1; 0 when Line is 0.
	Column int
	// Message says what is wrong, Hint what to write instead. Both are one line.
	Message, Hint string

	excerpt string // the line with a caret below it
}

// Error returns the problems as a person wants to read them, with a blank line
// between two.
func (e *Errors) Error() string {
	texts := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, "\n\n")
}

// String returns the problem as
//
//	file:line:column: message
//	    the line of the file
//	        ^
//	hint: what to write instead
//
// without a line break at its end.
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s\nhint: %s", p.File, p.Message, p.Hint)
	}
	return fmt.Sprintf("%s:%d:%d: %s\n%s\nhint: %s", p.File, p.Line, p.Column, p.Message, p.excerpt, p.Hint)
}

// inOrder returns the problems sorted by place; nil if there are none.
func inOrder(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Errors{Problems: problems}
}
