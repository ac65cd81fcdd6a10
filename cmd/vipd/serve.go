package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/config"
)

func runCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "run",
		GroupID: groupHost,
		Short:   "Run the daemon (systemd does this)",
		Long: `Run the daemon in the foreground until SIGTERM or SIGINT, upon which it hands
over what it holds before it exits. A second signal leaves out prepare and
drain_time, a third one does not wait for the hooks. Its log goes to stderr.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := closeMemory(); err != nil {
				return err
			}
			cfg, err := config.Load(o.config)
			if err != nil {
				return err
			}
			if err := cfg.CheckHost(); err != nil {
				return err
			}
			log, lines := openLog(c.ErrOrStderr(), os.Getenv("JOURNAL_STREAM"))
			defer lines.Close()
			return runDaemon(c.Context(), cfg, log)
		},
	}
}
