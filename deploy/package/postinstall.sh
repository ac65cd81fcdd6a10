#!/bin/sh
# Starts nothing: without the operator's configuration vipd has nothing to do, and on an upgrade a restart would move the
# addresses, whose moment the operator chooses.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
if systemctl is-active --quiet vipd.service 'vipd@*.service'; then
	echo "vipd: the old version runs on until you say, on one host after the other: systemctl restart vipd"
fi
