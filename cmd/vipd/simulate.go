package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/control"
)

func simulateCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:     "simulate",
		GroupID: groupLook,
		Short:   "Tell who would hold the address if something happened",
		Long: `Tell who would hold the address, and why, if checks failed and members were lost
or paused, all at once, and nothing else happened. Nothing is done. Each flag may
be given several times.`,
		Example: "  vipd simulate --fail appsvc@vm1 --lose vm2",
		Args:    noArguments,
	}
	var suppose control.Suppose
	c.Flags().StringArrayVar(&suppose.Fail, "fail", nil, "suppose that a check fails: `CHECK@NODE`")
	c.Flags().StringArrayVar(&suppose.Lose, "lose", nil, "suppose that `NODE` is lost")
	c.Flags().StringArrayVar(&suppose.Pause, "pause", nil, "suppose that `NODE` is paused")
	f := formatFlag(c)
	c.RunE = o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, _ []string) error {
		forecast, err := daemon.Simulate(ctx, suppose)
		if err != nil {
			return err
		}
		return show(c, *f, forecast, forecastText(forecast))
	})
	return o.asks(c)
}

// forecastText says first who would hold, and then of each member why.
func forecastText(f control.Forecast) string {
	var lines []string
	switch {
	case f.After == "":
		lines = append(lines, "nobody would hold: "+f.Why)
	case f.After == f.Before:
		lines = append(lines, fmt.Sprintf("%s would go on holding: %s", f.After, f.Why))
	case f.Planned:
		lines = append(lines, fmt.Sprintf("%s would hand over to %s: %s", f.Before, f.After, f.Why))
	default:
		lines = append(lines, fmt.Sprintf("%s would take over from %s: %s", f.After, nobody(f.Before), f.Why))
	}
	for _, m := range f.Members {
		lines = append(lines, fmt.Sprintf("  %s: %s", fit(m.Name, nameWidth), m.Why))
	}
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.Join(lines, "\n")
}
