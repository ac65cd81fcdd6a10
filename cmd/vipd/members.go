package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/control"
)

func initCommand(o *options) *cobra.Command {
	return o.asks(&cobra.Command{
		Use:     "init",
		GroupID: groupCluster,
		Short:   "Found a cluster on this host",
		Long: `Found a cluster of which this host is the first member, and print the command
to type on the others, with a token for them. Do this on one host only; on a member
it only prints the command, with a new token.`,
		Args: noArguments,
		RunE: o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, _ []string) error {
			formed, err := daemon.Init(ctx)
			if err != nil {
				return err
			}
			c.PrintErrln(foundedText(formed))
			return result(c, formed.JoinCommand)
		}),
	})
}

func foundedText(f control.Formed) string {
	use := fmt.Sprintf("(the token is good for %s)", useText(f.TokenUse))
	if f.Already {
		return fmt.Sprintf("%s is already a member of cluster %s; to let other hosts join, type there %s:", f.Node, f.Cluster, use)
	}
	return fmt.Sprintf("%s has founded cluster %s; now type on each of the other hosts %s:", f.Node, f.Cluster, use)
}

func leaveCommand(o *options) *cobra.Command {
	return o.asks(&cobra.Command{
		Use:     "leave",
		GroupID: groupCluster,
		Short:   "Take this host out of its cluster",
		Long:    `Hand over what this host holds and take it out of its cluster, for good.`,
		Args:    noArguments,
		RunE: o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, _ []string) error {
			if err := daemon.Leave(ctx); err != nil {
				return err
			}
			return result(c, "this host is in no cluster now")
		}),
	})
}

func removeCommand(o *options) *cobra.Command {
	return o.asks(&cobra.Command{
		Use:     "remove NODE",
		GroupID: groupCluster,
		Short:   "Take a lost host out of the cluster",
		Long: `Take NODE (a name or an id, see vipd status) out of the cluster. For a host that
is lost for good; one that runs should leave by itself. The keys of the cluster are on
its disk: if that may be in strange hands, vipd rotate replaces them.`,
		Example: "  vipd remove vm3",
		Args:    oneArgument("the name or id of a member", "vm3"),
		RunE: o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, args []string) error {
			if err := daemon.Remove(ctx, args[0]); err != nil {
				return err
			}
			return result(c, args[0]+" is no member now\nif that host or its disk may be in strange hands: vipd rotate, for the keys of the cluster are on it")
		}),
	})
}

func transferCommand(o *options) *cobra.Command {
	t := control.Transfer{}
	c := &cobra.Command{
		Use:     "transfer [NODE]",
		GroupID: groupCluster,
		Short:   "Move the address to another member",
		Long: `Move the address, and the service with it, to NODE, or to the member that is
best placed. It takes the drain_time of the configuration, what the notify script
takes to stop the service, and some milliseconds.`,
		Example: "  vipd transfer vm2",
		Args:    atMostOneNode,
		RunE: o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, args []string) error {
			t.Node = strings.Join(args, "")
			moved, err := daemon.Transfer(ctx, t)
			if err != nil {
				return err
			}
			return result(c, movedText(moved))
		}),
	}
	c.Flags().BoolVar(&t.Hasty, "no-drain", false, "do not prepare the successor, and do not wait drain_time")
	return o.asks(c)
}

func atMostOneNode(c *cobra.Command, args []string) error {
	if len(args) > 1 || len(args) == 1 && args[0] == "" {
		return usage(c.CommandPath()+" vm2, or "+c.CommandPath()+" for the best placed member", "%s takes the name of one member, or nothing", c.Name())
	}
	return nil
}

func movedText(m control.Moved) string {
	if m.From == m.To {
		return plain(fmt.Sprintf("%s holds already, term %d", m.To, m.Term))
	}
	return plain(fmt.Sprintf("%s → %s in %s, term %d", m.From, m.To, control.Span(m.Took.Duration()), m.Term))
}

// result prints what was asked for.
func result(c *cobra.Command, text string) error {
	if _, err := fmt.Fprintln(c.OutOrStdout(), text); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
