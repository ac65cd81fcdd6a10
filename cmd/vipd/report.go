package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/control"
)

// report tells a person of err, if there is one, and returns the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	text, code := errorText(err)
	priority := ""
	if toJournald(stderr, os.Getenv("JOURNAL_STREAM")) {
		priority = errorPriority
	}
	for line := range strings.Lines(text) {
		fmt.Fprint(stderr, priority, line)
	}
	return code
}

// errorText returns what a person reads of err, and the exit code.
func errorText(err error) (string, int) {
	if _, ok := errors.AsType[*config.Errors](err); ok {
		return err.Error() + "\n", control.CodeUsage // has a form of its own, of many lines
	}
	e := control.ErrorOf(err)
	text := "vipd: " + oneLine(e.Message) + "\n"
	if hint := hintFor(err, e); hint != "" {
		text += "hint: " + oneLine(hint) + "\n"
	}
	return text, e.Code
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
