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
	if c.Node.Witness {
		rows = append(rows, []string{"witness", "votes, and never holds the address"}, []string{"detect", c.Detect.String()})
	} else {
		rows = append(rows, holderRows(c)...)
	}
	rows = append(rows, []string{"data_dir", c.DataDir}, []string{"socket", c.Socket})
	return c.File + ": ok\n  " + strings.Join(table(rows), "\n  ")
}

// holderRows says what concerns a host that may hold the address.
func holderRows(c *config.Config) [][]string {
	preempt := "does not preempt"
	if c.Preempt {
		preempt = fmt.Sprintf("preempts after %s", c.PreemptDelay)
	}
	rows := [][]string{{"priority", fmt.Sprintf("%d; %s", c.Node.Priority, preempt)}}
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
	unhealthy := "the best host holds"
	if c.ReleaseUnwell {
		unhealthy = "nobody holds"
	}
	rows = append(rows, []string{"all unwell", unhealthy})
	if c.DrainTime > 0 {
		rows = append(rows, []string{"drain", c.DrainTime.String()})
	}
	if c.Probe.Listen.IsValid() {
		rows = append(rows, []string{"probe", probeText(c.Probe)})
	}
	return append(rows, hookRows(c)...)
}

func probeText(p config.Probe) string {
	if p.WaitForHook {
		return fmt.Sprintf("http://%s, yes once MASTER has succeeded", p.Listen)
	}
	return fmt.Sprintf("http://%s", p.Listen)
}

func hookRows(c *config.Config) [][]string {
	if len(c.Hooks.Notify) == 0 {
		return [][]string{{"notify", "none"}}
	}
	rows := [][]string{{"notify", fmt.Sprintf("%s; timeout %s%s", strings.Join(c.Hooks.Notify, " "), c.Hooks.Timeout, asUser(c.Hooks.User.Name))}}
	if len(c.Hooks.Prepare) > 0 {
		rows = append(rows, []string{"prepare", strings.Join(c.Hooks.Prepare, " ")})
	}
	if len(c.Hooks.Fence) > 0 {
		failure := "waits until it succeeds"
		if c.FenceProceeds {
			failure = "goes on if it fails"
		}
		rows = append(rows, []string{"fence", strings.Join(c.Hooks.Fence, " ") + "; " + failure})
	}
	return rows
}

// asUser names the user of a script, if it has one of its own.
func asUser(name string) string {
	if name == "" {
		return ""
	}
	return ", user " + name
}
