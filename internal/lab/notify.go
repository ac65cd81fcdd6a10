package lab

import (
	"fmt"
	"strings"
)

// quietScript notes its calls as Apache's does, takes a little time, and tells when another call of it is still running.
const quietScript = `#!/bin/sh
exec 9>>%[1]s/notify.lock
flock -n 9 || echo "$(date +%%s.%%N) $*" >>%[1]s/notify.overlaps
echo "$(date +%%s.%%N) $* term $VIPD_TERM" >>%[1]s/notify.log
sleep 0.02
`

// InstallNotify writes a notify script that starts nothing, and returns its path. [Host.Notified] lists its calls.
func (h *Host) InstallNotify() (path string, err error) {
	return h.WriteFile("notify.sh", fmt.Sprintf(quietScript, h.Dir), 0o755)
}

// HooksOutOfOrder says what was wrong with the calls of the script that InstallNotify wrote: two at the same time, or
// MASTER twice for one term with nothing in between.
func (h *Host) HooksOutOfOrder() ([]string, error) {
	overlaps, err := h.readFile("notify.overlaps")
	if err != nil {
		return nil, err
	}
	calls, err := h.readFile("notify.log")
	var wrong []string
	for line := range strings.Lines(overlaps) {
		wrong = append(wrong, h.Name+": called while another call was running: "+strings.TrimSpace(line))
	}
	var last string // without the time
	for line := range strings.Lines(calls) {
		_, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		if call == last && strings.Contains(call, " MASTER ") {
			wrong = append(wrong, h.Name+": told MASTER twice in a row: "+strings.TrimSpace(line))
		}
		last = call
	}
	return wrong, err
}
