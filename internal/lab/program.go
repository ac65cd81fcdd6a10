package lab

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// run runs a program of the machine to its end. The error carries what it wrote to stderr.
func run(args ...string) error { return runWith("", args...) }

// runWith is run with something on the program's stdin.
func runWith(stdin string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

// need returns an error with a hint if a program that the caller is about to use is not there.
func need(program, debianPackage string) error {
	if _, err := exec.LookPath(program); err != nil {
		return &missingError{program: program, debianPackage: debianPackage}
	}
	return nil
}

type missingError struct{ program, debianPackage string }

func (e *missingError) Error() string { return "the program " + e.program + " is not installed" }

// Hint says how to install it.
func (e *missingError) Hint() string { return "apt-get install " + e.debianPackage }
