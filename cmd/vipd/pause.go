package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/control"
)

func pauseCommand(o *options) *cobra.Command {
	return o.simple(&cobra.Command{
		Use:     "pause",
		GroupID: groupCluster,
		Short:   "Keep this host from holding the address",
		Long: `Keep this host from holding the address until vipd resume, also after a restart
or a reboot. If it holds, it hands over as soon as another member can take the
address; until then it goes on. While the cluster is frozen it keeps what it holds.
It keeps its vote.`,
	}, (*control.Client).Pause, "this host is paused: it does not take over, and hands over what it holds as soon as it may; vipd resume ends it")
}

func resumeCommand(o *options) *cobra.Command {
	return o.simple(&cobra.Command{
		Use:     "resume",
		GroupID: groupCluster,
		Short:   "Let this host hold the address again",
		Long:    `Let this host hold the address again, after vipd pause.`,
	}, (*control.Client).Resume, "this host may hold the address again")
}

func freezeCommand(o *options) *cobra.Command {
	return o.simple(&cobra.Command{
		Use:     "freeze",
		GroupID: groupCluster,
		Short:   "Keep the address where it is",
		Long: `Keep the address where it is until vipd thaw, whatever the checks and priorities
of all members say; vipd transfer is refused as well. Only when the holder is lost,
stopped, or not able to hold at all does another one take it. Any member can be
asked.`,
	}, (*control.Client).Freeze, "the cluster is frozen: the address moves only when its holder is lost, stopped, or not able to hold at all; vipd thaw ends it")
}

func thawCommand(o *options) *cobra.Command {
	return o.simple(&cobra.Command{
		Use:     "thaw",
		GroupID: groupCluster,
		Short:   "Let the address move again",
		Long:    `Let the address move again, after vipd freeze. Any member can be asked.`,
	}, (*control.Client).Thaw, "the cluster is not frozen: the address may move")
}

// simple makes c a command that only gives an order, and prints done when that
// has succeeded.
func (o *options) simple(c *cobra.Command, order func(*control.Client, context.Context) error, done string) *cobra.Command {
	c.Args = noArguments
	c.RunE = o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, _ []string) error {
		if err := order(daemon, ctx); err != nil {
			return err
		}
		return result(c, done)
	})
	return o.asks(c)
}
