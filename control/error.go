package control

import (
	"errors"
	"fmt"
)

// Exit codes, for people's scripts: what a command that did not succeed exits
// with.
const (
	CodeFailed   = 1 // it could not be done
	CodeUsage    = 2 // it was asked wrongly, or the configuration is wrong
	CodeNoLeader = 3 // there is no leader now
)

// Error is a refusal made for people. It travels from the daemon to the command
// as JSON.
type Error struct {
	Message string `json:"error"`          // what went wrong, with which values; one sentence
	Advice  string `json:"hint,omitempty"` // what to do about it
	Code    int    `json:"code"`           // one of the Code constants
}

func (e *Error) Error() string { return e.Message }

// Hint says what to do about it, "" when there is nothing to say.
func (e *Error) Hint() string { return e.Advice }

// ExitCode is what the command exits with.
func (e *Error) ExitCode() int { return e.Code }

// ErrorOf returns err as an [Error]: its text, its hint if something in its
// chain has a Hint() string, and its exit code if something in its chain has an
// ExitCode() int from 1 to 3; otherwise the code is [CodeFailed].
func ErrorOf(err error) *Error {
	e := &Error{Message: err.Error(), Code: CodeFailed}
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		e.Advice = h.Hint()
	}
	if c, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok && c.ExitCode() >= CodeFailed && c.ExitCode() <= CodeNoLeader {
		e.Code = c.ExitCode()
	}
	return e
}

func usagef(format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), Code: CodeUsage}
}
