package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// format is the form of a result: the flag -o.
type format string

const (
	formatText format = "text"
	formatJSON format = "json"
)

// String, Set and Type implement [github.com/spf13/pflag.Value].
func (f *format) String() string { return string(*f) }

// Set refuses what is no format.
func (f *format) Set(value string) error {
	if v := format(value); v == formatText || v == formatJSON {
		*f = v
		return nil
	}
	return fmt.Errorf("must be text or json")
}

// Type is what the help calls the value.
func (f *format) Type() string { return "text|json" }

// formatFlag gives c the flag -o.
func formatFlag(c *cobra.Command) *format {
	f := formatText
	c.Flags().VarP(&f, "output", "o", "the form of the result")
	return &f
}

// jsonText returns v as JSON for people: indented, and with < and > as they are.
func jsonText(v any) (string, error) {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("print as JSON: %w", err)
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}
