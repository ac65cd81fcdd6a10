package lab

import (
	"fmt"
	"strings"
)

// quietScript notes its calls as Apache's does, takes a little time, and tells when another call of it is still running.
const quietScript = `#!/bin/sh
exec 9>>%[1]s/notify.lock
flock -n 9 || echo "$(date +%%s.%%N) $*" >>%[1]s/notify.overlaps
echo "$(date +%%s.%%N) $*" >>%[1]s/notify.log
sleep 0.02
`

// InstallNotify writes a notify script that starts nothing, and returns its path. [Host.Notified] lists its calls.
func (h *Host) InstallNotify() (path string, err error) {
	return h.WriteFile("notify.sh", fmt.Sprintf(quietScript, h.Dir), 0o755)
}

// HooksOutOfOrder says what was wrong with the calls of the script that InstallNotify wrote: two at the same time, or
// MASTER twice in a row. Every daemon begins with another state, so that is wrong across restarts too.
func (h *Host) HooksOutOfOrder() ([]string, error) {
	overlaps, err := h.readFile("notify.overlaps")
	var wrong []string
	for line := range strings.Lines(overlaps) {
		wrong = append(wrong, h.Name+": called while another call was running: "+strings.TrimSpace(line))
	}
	if err != nil {
		return wrong, err
	}
	calls, err := h.Notified()
	for i := 1; i < len(calls); i++ {
		if calls[i].State == "MASTER" && calls[i-1].State == "MASTER" {
			wrong = append(wrong, fmt.Sprintf("%s: told MASTER twice in a row, at %s", h.Name, calls[i].At.Format("15:04:05.000")))
		}
	}
	return wrong, err
}
