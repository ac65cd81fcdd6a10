package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/vip"
)

func releaseCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:     "release",
		GroupID: groupHost,
		Short:   "Remove what a crashed daemon left on this host",
		Long: `Remove the address and the fence that a crashed daemon left on this host. Nothing
is printed if nothing was there. While a daemon runs this is refused: stop it,
or use vipd transfer. systemd does this after the daemon (ExecStopPost).`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := o.left()
			if err != nil {
				return err
			}
			removed, err := release(cfg)
			for _, a := range removed {
				c.PrintErrf("vipd: removed %s\n", a)
			}
			return err
		},
	}
	c.Flags().StringVar(&o.socket, "socket", "", "remove what the daemon at `PATH` left, without reading the configuration")
	return c
}

// left returns what may have been left: of the daemon at a socket, only what its
// fence remembers.
func (o *options) left() (vip.Config, error) {
	if o.socket != "" {
		return vip.Config{Instance: o.socket}, nil
	}
	cfg, err := config.Load(o.config)
	if err != nil {
		return vip.Config{}, fmt.Errorf("%w\nvipd: nothing was released: without a configuration it is not known what;"+
			" vipd release --socket PATH needs none", err)
	}
	return cfg.VIP, nil
}

// release removes what a dead daemon left, and returns the addresses that are
// gone now. It keeps a daemon from starting meanwhile.
func release(cfg vip.Config) (removed []netip.Addr, err error) {
	socket, err := control.Claim(cfg.Instance)
	if err != nil {
		return nil, fmt.Errorf("nothing was released: %w", err)
	}
	defer func() { err = errors.Join(err, socket.Release()) }()
	return vip.Clear(cfg)
}
