package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/control"
)

// report tells a person of err, if there is one, and returns the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if _, ok := errors.AsType[*config.Errors](err); ok {
		fmt.Fprintln(stderr, err) // has a form of its own, of many lines
		return control.CodeUsage
	}
	e := control.ErrorOf(err)
	fmt.Fprintf(stderr, "vipd: %s\n", oneLine(e.Message))
	if hint := hintFor(err, e); hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", oneLine(hint))
	}
	return e.Code
}

// hintFor returns the error's own hint, or the one that most people need who
// have no permission.
func hintFor(err error, e *control.Error) string {
	if e.Advice == "" && errors.Is(err, fs.ErrPermission) {
		return "are you root? use sudo"
	}
	return e.Advice
}

// oneLine keeps a message on its line, and off the terminal's controls.
func oneLine(text string) string {
	return plain(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

// usage returns an error of someone who typed the wrong thing.
func usage(hint, format string, args ...any) error {
	return &control.Error{Message: fmt.Sprintf(format, args...), Advice: hint, Code: control.CodeUsage}
}
