package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/control"
	"golang.org/x/sys/unix"
)

func leaderCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:     "leader",
		GroupID: groupLook,
		Short:   "Print the name of the host that holds the address",
		Long: `Print the name of the host that holds the address, and nothing else. Any member
can be asked. While there is none, the exit code is 3.`,
		Args: noArguments,
	}
	f := formatFlag(c)
	c.RunE = o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, _ []string) error {
		leader, err := daemon.Leader(ctx)
		if err != nil {
			return err
		}
		return show(c, *f, leader, plain(leader.Name))
	})
	return o.asks(c)
}

func statusCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:     "status",
		GroupID: groupLook,
		Short:   "Show who holds the address, who is in the cluster, and how this host is",
		Args:    noArguments,
	}
	f := formatFlag(c)
	c.RunE = o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, _ []string) error {
		s, err := daemon.Status(ctx)
		if err != nil {
			return err
		}
		return show(c, *f, s, statusText(s, time.Local, inkFor(c.OutOrStdout())))
	})
	return o.asks(c)
}

// show prints a result in the form that was asked for.
func show(c *cobra.Command, f format, v any, text string) error {
	if f == formatJSON {
		var err error
		if text, err = jsonText(v); err != nil {
			return err
		}
	}
	return result(c, text)
}

// inkFor returns colours for a terminal that wants them (no-color.org), none
// for anything else.
func inkFor(out io.Writer) ink {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return ink{}
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return ink{on: err == nil}
}
