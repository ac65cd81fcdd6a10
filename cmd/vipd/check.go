package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

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
			if d := longestStop(cfg); d > unitPatience {
				c.PrintErrf("vipd: a planned stop may take %s: TimeoutStopSec of the unit must be longer (vipd.service has %s)\n", brief(d), brief(unitPatience))
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

// unitPatience is TimeoutStopSec of the units that come with vipd.
const unitPatience = 2 * time.Minute

// longestStop is how long a planned stop takes at most: with the hook that runs when it
// begins, the one that prepares the successor, and the last one.
func longestStop(c *config.Config) time.Duration {
	if len(c.Hooks.Notify) == 0 {
		return c.DrainTime
	}
	return c.DrainTime + 3*c.Hooks.Timeout
}

// brief is a duration as one would write it into a configuration: 2m, not 2m0s.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

const witnessText = "votes, and never holds the address"

// configText says what a configuration means, defaults included.
func configText(c *config.Config) string {
	rows := [][]string{{"node", fmt.Sprintf("%s at %s", c.Node.Name, c.Node.Address)}}
	if c.Node.Witness {
		rows = append(rows, []string{"witness", witnessText}, []string{"detect", brief(c.Detect)})
	} else {
		rows = append(rows, holderRows(c)...)
	}
	if len(c.Formation.Expect) > 0 {
		rows = append(rows, []string{"cluster", formationText(c.Formation)})
	}
	if c.AllowTwoVoters {
		rows = append(rows, []string{"voters", "two will do: the loss of either then stops the service (allow_two_voters)"})
	}
	rows = append(rows, []string{"data_dir", c.DataDir}, []string{"socket", c.Socket})
	return c.File + ": ok\n  " + strings.Join(table(rows), "\n  ")
}

// holderRows says what concerns a host that may hold the address.
func holderRows(c *config.Config) [][]string {
	rows := [][]string{{"priority", priorityText(c)}}
	for _, a := range c.VIP.Addresses {
		rows = append(rows, []string{"address", fmt.Sprintf("%s on %s", bare(a.Prefix.String()), a.Interface)})
	}
	if !c.VIP.Announce {
		rows = append(rows, []string{"announce", "neighbours are not told of a move (announce: false)"})
	}
	rows = append(rows, []string{"detect", brief(c.Detect)})
	for _, h := range c.Checks {
		rows = append(rows, []string{"check", checkText(h)})
	}
	unhealthy := "if no host is well, the best of them holds (all_unhealthy: hold)"
	if c.ReleaseUnwell {
		unhealthy = "if no host is well, nobody holds (all_unhealthy: release)"
	}
	rows = append(rows, []string{"unhealthy", unhealthy})
	if c.DrainTime > 0 {
		rows = append(rows, []string{"drain", brief(c.DrainTime)})
	}
	if c.Probe.Listen.IsValid() {
		rows = append(rows, []string{"probe", probeText(c.Probe)})
	}
	return append(rows, hookRows(c)...)
}

func formationText(f config.Formation) string {
	var hosts []string
	for _, address := range f.Expect {
		hosts = append(hosts, address.String())
	}
	return fmt.Sprintf("forms itself of %s; secret in %s", strings.Join(hosts, ", "), f.SecretFile)
}

func checkText(h health.Check) string {
	text := fmt.Sprintf("%s: %s; interval %s, timeout %s, fall %d, rise %d", h.Name, h.Probe, brief(h.Interval), brief(h.Timeout), h.Fall, h.Rise)
	if h.Weight != 0 {
		text += fmt.Sprintf(", weight %+d", h.Weight)
	}
	if script, ok := h.Probe.(health.Script); ok {
		text += asUser(script.User.Name)
	}
	return text
}

// priorityText says what the checks can make of the priority, and what comes of it.
func priorityText(c *config.Config) string {
	least, most := c.Node.Priority, c.Node.Priority
	for _, h := range c.Checks {
		least, most = least+min(h.Weight, 0), most+max(h.Weight, 0)
	}
	text := strconv.Itoa(c.Node.Priority)
	if least != most {
		text += fmt.Sprintf(", with its checks %d to %d", max(least, 1), min(most, 254))
	}
	if c.Preempt {
		return fmt.Sprintf("%s; preempts after %s", text, brief(c.PreemptDelay))
	}
	return text + "; does not preempt"
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
	rows := [][]string{{"notify", fmt.Sprintf("%s; timeout %s", strings.Join(c.Hooks.Notify, " "), brief(c.Hooks.Timeout)+asUser(c.Hooks.User.Name))}}
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
