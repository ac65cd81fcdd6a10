package main

import (
	"fmt"
	"runtime"

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
			return result(c, fmt.Sprintf("vipd %s (%s)", version, runtime.Version()))
		},
	}
}
