package lab

import (
	"errors"
	"fmt"
	"io"
)

// Complain writes the error of a program with that name for a person to read, and the remedy if it has one.
func Complain(w io.Writer, program string, err error) {
	fmt.Fprintf(w, "%s: %v\n", program, err)
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		fmt.Fprintln(w, "hint:", hinted.Hint())
	}
}
