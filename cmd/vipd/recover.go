package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/election"
)

func recoverCommand(o *options) *cobra.Command {
	var without []string
	c := &cobra.Command{
		Use:     "recover [--without NODE,NODE]",
		GroupID: groupHost,
		Short:   "Go on alone after the majority was lost for ever",
		Long: `Make this host the only member of a new cluster, because the majority of the old
one is lost for ever. vipd must be stopped here. Without a flag, nothing is done:
it shows what this host knows, and what to type.

No program can know whether the others are lost or merely cut off. If enough of
them still live, they hold the address too, and then two hosts answer. So first
make sure that they are off and never come back with their disks, and then name
each of them.`,
		Example: "  vipd recover\n  vipd recover --without vm1,vm2",
		Args:    noArguments,
	}
	c.Flags().StringSliceVar(&without, "without", nil, "do it: go on without these `NODES`, all the others")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(o.config)
		if err != nil {
			return err
		}
		if err := cfg.CheckHost(); err != nil { // without its own address it could not hear that the others answer
			return err
		}
		text, err := recoverMember(c.Context(), cfg, without)
		if err != nil {
			return err
		}
		return result(c, text)
	}
	return c
}

// recoverMember does what the flag asks for and returns what to tell. It keeps a
// daemon from starting meanwhile.
func recoverMember(ctx context.Context, cfg *config.Config, without []string) (text string, err error) {
	socket, err := control.Claim(cfg.Socket)
	if err != nil {
		return "", fmt.Errorf("recover needs vipd stopped: %w", err)
	}
	defer func() { err = errors.Join(err, socket.Release()) }()
	disk, err := election.OpenDataDir(cfg.DataDir, zap.NewNop())
	if err != nil {
		return "", err
	}
	member, err := election.OpenRecovery(election.Config{
		Address: cfg.Node.Address, Detect: cfg.Detect, Disk: disk, Machine: election.MachineID(), Dial: dialFrom(cfg), Log: zap.NewNop(),
	})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, member.Close()) }()
	if len(without) == 0 {
		return remainsText(member, cfg.File), nil
	}
	cluster, err := member.Perform(ctx, without)
	if err != nil {
		return "", err
	}
	return recoveredText(member.Self.Name, cluster, unit(cfg.Name), commandFor("vipd token create", cfg.File), len(without)), nil
}

// recoveredText says what is left to do, with as many hosts as there were others.
func recoveredText(name, cluster, unit, create string, others int) string {
	return fmt.Sprintf(`%s is the only member of the new cluster %s
now, here:                 systemctl start %s
then, here:                %s --uses %d
then, on each other host:  empty its data directory, start vipd, and type what that has printed`, name, cluster, unit, create, others)
}

// commandFor returns a command for who has that configuration file.
func commandFor(command, file string) string {
	if file == defaultConfig {
		return command
	}
	return command + " --config " + file
}

// remainsText says what a member knows and what an operator has to weigh.
func remainsText(r *election.Recovery, file string) string {
	rows := [][]string{{"MEMBER", "ADDRESS", ""}, {plain(r.Self.Name), plain(r.Self.Address), "this host"}}
	var names []string
	for _, m := range r.Others {
		rows = append(rows, []string{plain(m.Name), plain(m.Address), "must be lost for ever"})
		names = append(names, plain(m.Name))
	}
	lines := table(rows, nameWidth)
	if len(names) == 0 {
		return strings.Join(append(lines, "", "It is the only member: there is nothing to recover. Start vipd."), "\n")
	}
	return strings.Join(append(lines,
		"",
		fmt.Sprintf("The log of this host ends in term %d at entry %d, cluster %s.", r.Term, r.Index, plain(r.Cluster)),
		"If more hosts are left, recover on the one with the highest term, and of these with the highest",
		"entry; the others begin anew.",
		"",
		"IF ENOUGH OF THE OTHERS STILL LIVE, TWO HOSTS WILL ANSWER UNDER THE ADDRESS. This host cannot",
		"know; make sure that they are off and can't come back with their disks. Then type:",
		"",
		"  "+commandFor("vipd recover", file)+" --without "+strings.Join(names, ","),
	), "\n")
}
