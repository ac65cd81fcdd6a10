package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// timeoutError is the reason of a call that took longer than it may.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return fmt.Sprintf("still running after %v, killed", time.Duration(e))
}

// failure is an error with a hint for the operator.
type failure struct {
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Hint says what the operator can do.
func (f *failure) Hint() string { return f.hint }

// explain names the command that failed with err, and adds a hint where there is one.
func explain(argv []string, err error) error {
	line := strings.Join(argv, " ")
	named := fmt.Errorf("%w (%s)", err, line) // the reason first: what is shown of it may be short
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &failure{named, "run it by hand to see why: " + line}
	}
	if timeout := timeoutError(0); errors.As(err, &timeout) {
		return &failure{named, "make the script quicker (a service can be started without waiting for it) or raise hooks.timeout"}
	}
	switch {
	case errors.Is(err, syscall.EPERM):
		return &failure{named, "to run a script as another user takes root, CAP_SETUID and CAP_SETGID"}
	case errors.Is(err, fs.ErrPermission):
		return &failure{named, "is it executable? chmod +x " + argv[0] + "; may the user of the script enter the folders above it?"}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return &failure{named, "is the path right, and is the program on the script's #! line installed?"}
	}
	return named
}
