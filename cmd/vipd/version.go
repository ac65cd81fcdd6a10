package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is stamped by the linker: -ldflags "-X main.version=1.2.3".
var version = "dev"

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: groupHost,
		Short:   "Print the version of this program",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return result(c, fmt.Sprintf("vipd %s (%s%s)", version, builtFrom(), runtime.Version()))
		},
	}
}

// builtFrom names the commit that the Go tool noted, if it did.
func builtFrom() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "commit " + s.Value + ", "
		}
	}
	return ""
}
