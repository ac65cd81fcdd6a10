package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/trust"
)

func tokenCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:     "token",
		GroupID: groupCluster,
		Short:   "Let other hosts join, for a while",
		Long: `Make, list and revoke the tokens with which other hosts join the cluster. A token
is a secret: who has it, and reaches a member, can become one.`,
		DisableFlagsInUseLine:      true,
		Args:                       knownCommand,
		RunE:                       needCommand,
		SuggestionsMinimumDistance: 2,
	}
	c.AddCommand(tokenCreateCommand(o), tokenListCommand(o), tokenRevokeCommand(o))
	return c
}

func tokenCreateCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a token and print it",
		Long: `Make a token and print it, alone, on standard output; what to type on the host
that shall join is told on standard error. Nobody can find the token out later: if
it is lost, make another one. Any member can be asked.`,
		Example: "  vipd token create\n  TOKEN=$(vipd token create --ttl 10m --uses 2)",
		Args:    noArguments,
	}
	ttl := c.Flags().Duration("ttl", time.Hour, "how long it is good, `DURATION` from 1m to 720h")
	uses := c.Flags().Int("uses", 1, "how many hosts may join with it, `NUMBER` from 1 to 100")
	c.RunE = o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, _ []string) error {
		made, err := daemon.CreateToken(ctx, control.TokenUse{TTL: control.Millis(*ttl), Uses: *uses})
		if err != nil {
			return err
		}
		c.PrintErrf("token %s is good for %s; type there:\n  %s\n", made.ID, useText(made.TokenUse), made.JoinCommand)
		return result(c, made.Text)
	})
	return o.asks(c)
}

// useText says how long and how often a token may be used.
func useText(u control.TokenUse) string {
	return fmt.Sprintf("%s and %s", brief(u.TTL.Duration()), plural(u.Uses, "host"))
}

func tokenListCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the tokens",
		Long: `List the tokens, the newest first, without their secrets. Those that are of no use
any more are listed for a week.`,
		Args: noArguments,
	}
	f := formatFlag(c)
	c.RunE = o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, _ []string) error {
		tokens, err := daemon.Tokens(ctx)
		if err != nil {
			return err
		}
		return show(c, *f, tokens, tokensText(tokens, time.Now()))
	})
	return o.asks(c)
}

// tokensText returns the tokens as a table, with the times in the zone of now.
func tokensText(tokens []control.Token, now time.Time) string {
	if len(tokens) == 0 {
		return "there are no tokens: vipd token create makes one"
	}
	rows := [][]string{{"TOKEN", "MADE ON", "AT", "USED", "STATE"}}
	for _, t := range tokens {
		rows = append(rows, []string{
			plain(t.ID), plain(t.By), t.Created.In(now.Location()).Format(time.DateTime), fmt.Sprintf("%d of %d", t.Uses-t.Left, t.Uses), tokenState(t, now),
		})
	}
	return strings.Join(table(rows, nameWidth, nameWidth), "\n")
}

func tokenState(t control.Token, now time.Time) string {
	switch {
	case t.Revoked:
		return "revoked"
	case t.Left == 0:
		return "used up"
	case !t.Expires.After(now):
		return "over since " + clock(t.Expires, now)
	}
	return fmt.Sprintf("good until %s (%s)", clock(t.Expires, now), control.Span(t.Expires.Sub(now)))
}

func tokenRevokeCommand(o *options) *cobra.Command {
	return o.asks(&cobra.Command{
		Use:     "revoke ID",
		Short:   "Make a token useless",
		Long:    `Make a token useless. ID is what vipd token list shows; the token itself will do.`,
		Example: "  vipd token revoke 5d41402a",
		Args:    oneArgument("the id of a token", "5d41402a"),
		RunE: o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, args []string) error {
			id := args[0]
			if t, err := trust.ParseToken(id); err == nil {
				id = t.ID
			}
			if err := daemon.RevokeToken(ctx, id); err != nil {
				return err
			}
			return result(c, "token "+id+" is of no use now")
		}),
	})
}
