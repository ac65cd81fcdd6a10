#!/bin/sh
# An example of a prepare script (hooks.prepare): before a planned move vipd runs it on the host that is to take over, while the
# old one still serves, and waits for it. What is done here, nobody has to wait for during the move.
#
# So it does what takes long and harms nobody on two hosts at once: it finds out whether the service could start here, starts
# what the service needs, reads its files into memory. It must not start the service itself, nor mount a shared disk, nor bind
# the floating address: the other host still has all of them. The move may not come after all, so nothing here may need to be
# undone.
#
# vipd.service confines it: it can read what root owns or everybody may read, and start nothing by itself, but ask systemd.
#
# Its arguments are those of a notify script, with PREPARE as the state.

NEEDS="memcached"  # what the service needs, and what may run on all hosts at once; names of units with blanks between
CONTENT="/var/www" # what is read once, so that it is in memory when the first clients come

[ "${3:-}" = PREPARE ] || {
	echo "this is a prepare script, it can't be called with ${3:-nothing}: use it as hooks.prepare only" >&2
	exit 1
}

# Better an error now than after the service has been stopped on the other host.
apachectl configtest || exit 1

# shellcheck disable=SC2086 # several names
systemctl start $NEEDS || exit 1

find "$CONTENT" -type f -exec cat {} + >/dev/null
