#!/bin/sh
# An example of a notify script: the web server runs where the floating address is, and only there. It must be possible to
# call it twice with the same state. What it prints goes to vipd's log.
#
# Its arguments are those of keepalived: INSTANCE, the name, the state, the priority. The environment says more: VIPD_STATE,
# VIPD_PREVIOUS, VIPD_TERM, VIPD_REASON, VIPD_ADDRESSES, VIPD_INTERFACE, VIPD_LEADER.
# It may call systemctl, but vipd.service confines what else it does: docs/operations.md, "Confined, and without root".

SERVICE=apache2 # httpd on Red Hat and its relatives

case "$3" in
MASTER)
	exec systemctl start "$SERVICE"
	;;
BACKUP | FAULT | STOP)
	exec systemctl stop "$SERVICE"
	;;
*)
	echo "unknown state: $3" >&2
	exit 1
	;;
esac
