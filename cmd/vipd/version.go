package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Stamped by the linker: -ldflags "-X main.version=1.2.3 -X main.commit=abcdef".
var (
	version = "dev"
	commit  = ""
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: groupHost,
		Short:   "Print the version of this program",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return result(c, fmt.Sprintf("vipd %s (commit %s, %s)", version, builtFrom(), runtime.Version()))
		},
	}
}

// builtFrom returns the commit that was stamped, or the one the Go tool noted.
func builtFrom() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
