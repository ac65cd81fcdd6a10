#!/bin/sh
# Before a removal vipd hands its addresses over. An upgrade (dpkg: "upgrade", rpm: 1) leaves it running.
set -e
case "$1" in
remove | deconfigure | 0) ;;
*) exit 0 ;;
esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --quiet vipd.service vipd@.service || true
systemctl stop vipd.service 'vipd@*.service'
