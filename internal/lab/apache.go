package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// apacheConfig is a whole httpd for one host: all its files are in the host's directory, and its page is the host's
// name. It listens on every address, as it does where net.ipv4.ip_nonlocal_bind is not set.
const apacheConfig = `ServerRoot %[1]s
ServerName %[2]s
PidFile %[1]s/httpd.pid
ErrorLog %[1]s/httpd.log
DefaultRuntimeDir %[1]s
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
Listen 80
DocumentRoot %[1]s/www
DirectoryIndex index.html
`

// notifyScript is a script as people write them for keepalived: it runs httpd on the master and nowhere else. Each
// call is also written to a file.
const notifyScript = `#!/bin/sh
# called with: INSTANCE <name> MASTER|BACKUP|FAULT|STOP <priority>
echo "$(date +%%s.%%N) $*" >>%[1]s/notify.log
case $3 in
MASTER) exec apache2 -f %[1]s/httpd.conf -k start ;;
BACKUP | FAULT | STOP) [ ! -e %[1]s/httpd.pid ] || exec apache2 -f %[1]s/httpd.conf -k stop ;;
*) exit 1 ;;
esac
`

// checkScript fails while the file "sick" is there, and notes when it failed.
const checkScript = `#!/bin/sh
[ -e %[1]s/sick ] || exit 0
date +%%s.%%N >>%[1]s/failures.log
exit 1
`

// InstallApache gives the host a real httpd, not started, and returns the path of the notify script that starts and
// stops it: called with MASTER or with BACKUP, FAULT or STOP as its third argument. The page is the host's name.
func (h *Host) InstallApache() (notify string, err error) {
	if err := need("apache2", "apache2"); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(h.Dir, "www"), 0o755); err != nil {
		return "", fmt.Errorf("install apache on %s: %w", h.Name, err)
	}
	if _, err := h.WriteFile("www/index.html", h.Name+"\n", 0o644); err != nil {
		return "", err
	}
	if _, err := h.WriteFile("httpd.conf", fmt.Sprintf(apacheConfig, h.Dir, h.Name), 0o644); err != nil {
		return "", err
	}
	return h.WriteFile("notify.sh", fmt.Sprintf(notifyScript, h.Dir), 0o755)
}

// Notification is one call of the notify script.
type Notification struct {
	At    time.Time
	State string // MASTER, BACKUP, FAULT or STOP
}

// Notified lists the calls of the notify script, oldest first.
func (h *Host) Notified() ([]Notification, error) {
	text, err := h.readFile("notify.log")
	var calls []Notification
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		at, err := unixTime(fields[0])
		if err != nil {
			return nil, fmt.Errorf("notify.log of %s: %w", h.Name, err)
		}
		calls = append(calls, Notification{At: at, State: fields[3]})
	}
	return calls, err
}

// InstallCheck writes a health check script that succeeds until [Host.Sicken], and returns its path.
func (h *Host) InstallCheck() (path string, err error) {
	return h.WriteFile("check.sh", fmt.Sprintf(checkScript, h.Dir), 0o755)
}

// Sicken lets the host's health check fail from now on.
func (h *Host) Sicken() error {
	_, err := h.WriteFile("sick", "", 0o644)
	return err
}

// Failures lists when the check script has failed since the last Cure, oldest first.
func (h *Host) Failures() ([]time.Time, error) {
	text, err := h.readFile("failures.log")
	var failures []time.Time
	for line := range strings.Lines(text) {
		at, err := unixTime(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("failures.log of %s: %w", h.Name, err)
		}
		failures = append(failures, at)
	}
	return failures, err
}

// Cure lets the host's health check succeed again and forgets the failures.
func (h *Host) Cure() error {
	for _, name := range []string{"sick", "failures.log"} {
		if err := os.Remove(filepath.Join(h.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cure %s: %w", h.Name, err)
		}
	}
	return nil
}

// unixTime reads what `date +%s.%N` writes.
func unixTime(text string) (time.Time, error) {
	seconds, err := strconv.ParseFloat(text, 64)
	return time.UnixMicro(int64(seconds * 1e6)), err
}

// readFile reads a file of the host; one that is not there is empty.
func (h *Host) readFile(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(h.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// WriteFile writes a file into the host's directory and returns its path.
func (h *Host) WriteFile(name, content string, mode os.FileMode) (path string, err error) {
	path = filepath.Join(h.Dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		return "", fmt.Errorf("write a file on %s: %w", h.Name, err)
	}
	return path, nil
}
