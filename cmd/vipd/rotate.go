package main

import (
	"github.com/spf13/cobra"
	"github.com/vipd/vipd/control"
)

func rotateCommand(o *options) *cobra.Command {
	return o.simple(&cobra.Command{
		Use:     "rotate",
		GroupID: groupCluster,
		Short:   "Replace all keys between the hosts",
		Long: `Replace the certification authority of the cluster and the certificates of all
members, and make all tokens void. The address stays where it is.

Do this when a host that was a member, its disk or a backup of it may be in strange
hands: every member has the key of the authority. First vipd remove such a host. A
member that is off keeps the old authority alive until it is back, or removed; vipd
status names it. Certificates are renewed without this, long before they end.`,
	}, (*control.Client).Rotate, `the certification authority and the certificates of all members were replaced, and tokens made before are void
where cluster.secret_file is used, replace that too: put a new file on each host`)
}
