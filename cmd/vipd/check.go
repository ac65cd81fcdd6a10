package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/election"
	"github.com/vipd/vipd/health"
)

func checkCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		GroupID: groupHost,
		Short:   "Check the configuration, without a daemon",
		Long: `Read the configuration, compare it with this host, and show what it means. All
mistakes are shown at once, each with its place. Nothing is changed or started.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(o.config)
			if err != nil {
				return err
			}
			if err := cfg.CheckHost(); err != nil {
				return err
			}
			if election.MachineID() == "" {
				c.PrintErrf("vipd: %s\nhint: %s\n", noMachine, noMachineHint)
			}
			return result(c, configText(cfg))
		},
	}
}

// What is lost where a machine has nothing of its own, such as a container.
const (
	noMachine = "this host can't be told from a copy of it: /etc/machine-id and the hardware's UUID are both empty," +
		" so a clone of its disk is not refused and may vote twice"
	noMachineHint = "systemd-machine-id-setup gives it an id; never run a copy of its data directory"
)

// configText says what a configuration means, defaults included.
func configText(c *config.Config) string {
	rows := [][]string{{"node", fmt.Sprintf("%s at %s", c.Node.Name, c.Node.Address)}}
	for _, a := range c.VIP.Addresses {
		rows = append(rows, []string{"address", fmt.Sprintf("%s on %s", bare(a.Prefix.String()), a.Interface)})
	}
	rows = append(rows, []string{"detect", c.Detect.String()})
	for _, h := range c.Checks {
		text := fmt.Sprintf("%s: %s; interval %s, timeout %s, fall %d, rise %d", h.Name, h.Probe, h.Interval, h.Timeout, h.Fall, h.Rise)
		if h.Weight != 0 {
			text += fmt.Sprintf(", weight %+d", h.Weight)
		}
		if script, ok := h.Probe.(health.Script); ok {
			text += asUser(script.User.Name)
		}
		rows = append(rows, []string{"check", text})
	}
	notify := "none"
	if len(c.Hooks.Notify) > 0 {
		notify = fmt.Sprintf("%s; timeout %s%s", strings.Join(c.Hooks.Notify, " "), c.Hooks.Timeout, asUser(c.Hooks.User.Name))
	}
	rows = append(rows, []string{"notify", notify}, []string{"data_dir", c.DataDir}, []string{"socket", c.Socket})
	return c.File + ": ok\n  " + strings.Join(table(rows), "\n  ")
}

// asUser names the user of a script, if it has one of its own.
func asUser(name string) string {
	if name == "" {
		return ""
	}
	return ", user " + name
}
