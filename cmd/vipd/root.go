package main

import (
	"strings"

	"github.com/spf13/cobra"
)

const defaultConfig = "/etc/vipd/vipd.yaml"

// Groups of commands, as the help shows them.
const (
	groupCluster = "cluster"
	groupLook    = "look"
	groupHost    = "host"
)

// newRoot returns the command that has all others.
func newRoot() *cobra.Command {
	o := new(options)
	root := &cobra.Command{
		Use:   "vipd",
		Short: "vipd keeps a floating address on one of several hosts, and never on two",
		Long: `vipd keeps a floating address on one of several hosts, and never on two.

The hosts form a cluster. Its leader binds the address and starts the service
through your notify script; when it fails, another one does.`,
		DisableFlagsInUseLine:      true,
		Args:                       knownCommand,
		RunE:                       needCommand,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(c.CommandPath()+" --help", "%v", err)
	})
	root.PersistentFlags().StringVar(&o.config, "config", defaultConfig, "the configuration `FILE`")
	root.AddGroup(
		&cobra.Group{ID: groupCluster, Title: "Members and the address:"},
		&cobra.Group{ID: groupLook, Title: "Looking:"},
		&cobra.Group{ID: groupHost, Title: "This host:"},
	)
	root.SetHelpCommandGroupID(groupHost)
	root.SetCompletionCommandGroupID(groupHost)
	root.AddCommand(
		initCommand(o), joinCommand(o), leaveCommand(o), removeCommand(o), tokenCommand(o), rotateCommand(o),
		transferCommand(o), pauseCommand(o), resumeCommand(o), freezeCommand(o), thawCommand(o),
		leaderCommand(o), statusCommand(o), simulateCommand(o),
		runCommand(o), checkCommand(o), releaseCommand(o), recoverCommand(o), versionCommand(),
	)
	return root
}

// knownCommand refuses the first word if it is no command of root, or of a group of commands.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	name := root.CommandPath()
	hint := name + " --help"
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + name + " " + strings.Join(near, ", or "+name+" ") + "?"
	}
	return usage(hint, "there is no command %q", args[0])
}

// needCommand shows the help to someone who typed nothing but vipd, or a group of commands.
func needCommand(root *cobra.Command, _ []string) error {
	root.SetOut(root.ErrOrStderr())
	if err := root.Help(); err != nil {
		return err
	}
	return usage("", "say what to do")
}
