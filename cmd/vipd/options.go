package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/control"
)

// options are the flags that commands share.
type options struct {
	config string
	socket string
}

// asks gives c the flag of a command that asks the daemon.
func (o *options) asks(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&o.socket, "socket", "", "ask the daemon at `PATH`, without reading the configuration")
	return c
}

// client returns a client of the daemon that the options mean.
func (o *options) client() (*control.Client, error) {
	if o.socket != "" {
		base := filepath.Base(o.socket)
		return control.NewClient(o.socket, unit(strings.TrimSuffix(base, filepath.Ext(base)))), nil
	}
	cfg, err := config.Load(o.config)
	if err != nil {
		return nil, fmt.Errorf("%w\nhint: a running daemon can be asked without its configuration, with --socket PATH", err)
	}
	return control.NewClient(cfg.Socket, unit(cfg.Name)), nil
}

// unit returns the systemd unit that runs the instance of that name.
func unit(instance string) string {
	if instance == "vipd" {
		return "vipd"
	}
	return "vipd@" + instance
}

// asking returns what runs a command that asks the daemon: ask gets the
// command, for its output, a client and the arguments.
func (o *options) asking(ask func(context.Context, *cobra.Command, *control.Client, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		client, err := o.client()
		if err != nil {
			return err
		}
		return ask(c.Context(), c, client, args)
	}
}

// noArguments refuses all arguments.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c.CommandPath(), "%s takes no arguments", c.Name())
	}
	return nil
}

// oneArgument wants one argument: what is it, an example is for the hint.
func oneArgument(what, example string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return usage(c.CommandPath()+" "+example, "%s needs one argument, %s", c.Name(), what)
		}
		return nil
	}
}
