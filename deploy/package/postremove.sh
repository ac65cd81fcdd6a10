#!/bin/sh
# A purge (dpkg) also forgets the cluster: this host's identity, votes and log.
set -e
if [ "$1" = purge ]; then
	rm -rf /var/lib/vipd
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
