package lab

import "fmt"

// gentleScript is a notify script that loses no request on the way out: it lets no new connection to the floating address
// in, waits until those that are there have ended, at most for some tenths of a second, and only then stops httpd. Clients whose
// SYN is dropped try again, so each millisecond counts: apache2 -k stop would take as long as all the rest.
const gentleScript = `#!/bin/sh
# called with: INSTANCE <name> MASTER|BACKUP|FAULT|STOP <priority>
echo "$(date +%%s.%%N) $*" >>%[1]s/notify.log
case $3 in
MASTER)
	nft 'table ip gentle; delete table ip gentle'
	exec apache2 -f %[1]s/httpd.conf -k start ;;
BACKUP | FAULT | STOP)
	read -r pid 2>/dev/null <%[1]s/httpd.pid || exit 0
	nft 'table ip gentle { chain in { type filter hook input priority 0; ip daddr %[2]s tcp dport 80 tcp flags & (syn | ack) == syn drop; }; }'
	tries=100
	while [ $tries -gt 0 ] && [ -n "$(ss -Htn state established state syn-recv state fin-wait-1 src %[2]s:80)" ]; do
		tries=$((tries - 1))
		sleep 0.001
	done
	kill "$pid" ;;
*) exit 1 ;;
esac
`

// prepareScript starts httpd, also one that is still stopping, and returns when it gives its page at the fixed address.
const prepareScript = `#!/bin/bash
nft 'table ip gentle; delete table ip gentle'
page() { exec 3<>/dev/tcp/%[2]s/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3; }
until (page) 2>/dev/null | grep -qx %[3]s; do
	apache2 -f %[1]s/httpd.conf -k start
	sleep 0.01
done
`

// InstallGentleApache is InstallApache with a notify script that ends connections in peace, and with a script that starts
// httpd before the address comes.
func (h *Host) InstallGentleApache() (notify, prepare string, err error) {
	if _, err = h.InstallApache(); err != nil {
		return "", "", err
	}
	if notify, err = h.WriteFile("notify.sh", fmt.Sprintf(gentleScript, h.Dir, h.lab.Floating), 0o755); err != nil {
		return "", "", err
	}
	prepare, err = h.WriteFile("prepare.sh", fmt.Sprintf(prepareScript, h.Dir, h.Address, h.Name), 0o755)
	return notify, prepare, err
}
