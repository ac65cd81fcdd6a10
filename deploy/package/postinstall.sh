#!/bin/sh
# Starts nothing: without the operator's configuration vipd has nothing to do, and on an upgrade a restart would move the
# addresses, whose moment the operator chooses.
set -e
# Its members may ask the daemon how it is; only root may order.
getent group vipd >/dev/null || groupadd --system vipd
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
if systemctl is-active --quiet vipd.service 'vipd@*.service'; then
	echo "vipd: the old version runs on until you say, on one host after the other: systemctl restart vipd"
fi
