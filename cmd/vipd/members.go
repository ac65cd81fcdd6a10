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
to type on the others. Do this on one host only, once.`,
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
	if f.Already {
		return fmt.Sprintf("%s is already a member of cluster %s; to let another host join, type there:", f.Node, f.Cluster)
	}
	return fmt.Sprintf("%s has founded cluster %s; now type on each of the other hosts:", f.Node, f.Cluster)
}

func joinCommand(o *options) *cobra.Command {
	return o.asks(&cobra.Command{
		Use:     "join PEER",
		GroupID: groupCluster,
		Short:   "Make this host a member of a peer's cluster",
		Long: `Make this host a member of the cluster of PEER: the address of any member, and
its port if that is not 7600.`,
		Example: "  vipd join 10.11.12.4",
		Args:    oneArgument("the address of any member", "10.11.12.4"),
		RunE: o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, args []string) error {
			joined, err := daemon.Join(ctx, args[0])
			if err != nil {
				return err
			}
			return result(c, joinedText(joined))
		}),
	})
}

func joinedText(j control.Joined) string {
	what := "joined"
	if j.Already {
		what = "already a member of"
	}
	leader := "no leader now"
	if j.Leader != "" {
		leader = "leader " + j.Leader
	}
	text := fmt.Sprintf("%s cluster %s: members %s; %s", what, j.Cluster, strings.Join(j.Members, ", "), leader)
	if j.Waiting {
		text += "\nit gets its vote when a third host joins: with two that vote, the loss of either would stop the service"
	}
	return text
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
is lost for good; one that runs should leave by itself.`,
		Example: "  vipd remove vm3",
		Args:    oneArgument("the name or id of a member", "vm3"),
		RunE: o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, args []string) error {
			if err := daemon.Remove(ctx, args[0]); err != nil {
				return err
			}
			return result(c, args[0]+" is no member now")
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
		return fmt.Sprintf("%s holds already, term %d", m.To, m.Term)
	}
	return fmt.Sprintf("%s → %s in %s, term %d", m.From, m.To, control.Span(m.Took.Duration()), m.Term)
}

// result prints what was asked for.
func result(c *cobra.Command, text string) error {
	if _, err := fmt.Fprintln(c.OutOrStdout(), text); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
