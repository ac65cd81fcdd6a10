package lab

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// KeepalivedConfig is what its users set.
type KeepalivedConfig struct {
	Priority  int           // 1 … 255; the first host's is usually 101, the second's 100, the third's 99
	AdvertInt time.Duration // 0 means keepalived's default, 1 s; less than that needs VRRP version 3
	Notify    string        // path of the notify script, "" for none
	Check     string        // path of the check script, run each second with fall 2 and rise 2; "" for none
}

// StartKeepalived starts keepalived with one instance for the floating address and all other hosts as unicast peers, as
// Debian's unit does: not started again when it dies.
func (h *Host) StartKeepalived(cfg KeepalivedConfig) (*Daemon, error) {
	if err := need("keepalived", "keepalived"); err != nil {
		return nil, err
	}
	conf, err := h.WriteFile("keepalived.conf", h.keepalivedConf(cfg), 0o644)
	if err != nil {
		return nil, err
	}
	// keepalived takes the pid files of one that was killed for a running one as long as nobody has reaped that process.
	pid, vrrp := h.Dir+"/keepalived.pid", h.Dir+"/keepalived.vrrp.pid"
	return h.StartService(Service{
		Name: "keepalived",
		Start: []string{"/bin/sh", "-c", `rm -f "$1" "$2"; exec keepalived --dont-fork --log-console --log-detail --vrrp ` +
			`--pid "$1" --vrrp_pid "$2" --use-file "$3"`, "keepalived", pid, vrrp, conf},
	})
}

// keepalivedConf writes the file in keepalived's own words (keepalived.conf(5)).
func (h *Host) keepalivedConf(cfg KeepalivedConfig) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("global_defs {\n router_id %s\n script_user root", h.Name)
	if cfg.AdvertInt > 0 && cfg.AdvertInt < time.Second {
		line(" vrrp_version 3")
	}
	line("}")
	if cfg.Check != "" {
		line("vrrp_script appsvc {\n script %q\n interval 1\n fall 2\n rise 2\n}", cfg.Check)
	}
	line("vrrp_instance vipd {\n interface eth0\n virtual_router_id 51\n priority %d", cfg.Priority)
	line(" state %s", map[bool]string{true: "MASTER", false: "BACKUP"}[h == h.lab.Hosts[0]])
	if cfg.AdvertInt > 0 {
		line(" advert_int %s", strconv.FormatFloat(cfg.AdvertInt.Seconds(), 'f', -1, 64))
	}
	line(" unicast_src_ip %s\n unicast_peer {", h.Address)
	for _, peer := range h.lab.Others(h) {
		line("  %s", peer.Address)
	}
	line(" }\n virtual_ipaddress {\n  %s\n }", h.lab.Floating)
	if cfg.Check != "" {
		line(" track_script {\n  appsvc\n }")
	}
	if cfg.Notify != "" {
		line(" notify %q", cfg.Notify)
	}
	line("}")
	return b.String()
}
