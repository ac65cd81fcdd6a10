package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// VipdConfig is what differs between hosts that run vipd in a lab; the rest follows from the lab.
type VipdConfig struct {
	Binary       string        // path of vipd
	Detect       time.Duration // 0 leaves it to vipd
	Interface    string        // for the floating address; "" means eth0
	Notify       string        // path of the notify script, "" for none
	Prepare      string        // path of the prepare script, "" for none; needs Notify
	Fence        string        // path of the fence script, "" for none; needs Notify
	Check        string        // path of the check script, run each second with fall 2 and rise 2; "" for none
	Node         string        // more keys of node, as in "priority: 150"
	More         string        // more lines of the file, which say what has no field here
	RestartDelay time.Duration // 0 means 1 s, as in deploy/vipd.service
}

// Binary returns the path of a vipd: the one that was given or, if that is "", one that BuildVipd builds. The caller calls
// remove when it needs the program no more; what was given stays.
func Binary(ctx context.Context, given string) (path string, remove func(), err error) {
	if given != "" {
		return given, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "vipd-")
	if err != nil {
		return "", nil, fmt.Errorf("build vipd: %w", err)
	}
	remove = func() { os.RemoveAll(dir) }
	if path, err = BuildVipd(ctx, dir); err != nil {
		remove()
		return "", nil, err
	}
	return path, remove, nil
}

// BuildVipd builds vipd from the module that the working directory is in, and returns the path of the program.
func BuildVipd(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "vipd")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/vipd/vipd/cmd/vipd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build vipd: %w\n%s", err, out)
	}
	return binary, nil
}

// StartWitness is StartVipd for a host that only votes.
func (h *Host) StartWitness(cfg VipdConfig) (*Daemon, error) {
	text := fmt.Sprintf("node: {name: %s, address: %s, witness: true}\ndetect: %v\ndata_dir: %s/vipd\nsocket: %s/vipd.sock\n", h.Name, h.Address, cfg.Detect, h.Dir, h.Dir)
	return h.startVipd(cfg, text)
}

// StartVipd writes the host's configuration and starts vipd as deploy/vipd.service does. The host is in no cluster yet,
// unless it was when it ran vipd before.
func (h *Host) StartVipd(cfg VipdConfig) (*Daemon, error) { return h.startVipd(cfg, h.vipdYAML(cfg)) }

func (h *Host) startVipd(cfg VipdConfig, text string) (*Daemon, error) {
	conf, err := h.WriteFile("vipd.yaml", text, 0o644)
	if err != nil {
		return nil, err
	}
	h.vipd = []string{cfg.Binary, "--config", conf}
	if cfg.RestartDelay == 0 {
		cfg.RestartDelay = time.Second
	}
	return h.StartService(Service{
		Name: "vipd", Notify: true, Restart: true, RestartDelay: cfg.RestartDelay,
		Start: h.vipdArgs("run"), StopPost: h.vipdArgs("release"),
	})
}

func (h *Host) vipdArgs(args ...string) []string {
	return append(h.vipd[:len(h.vipd):len(h.vipd)], args...)
}

func (h *Host) vipdYAML(cfg VipdConfig) string {
	if cfg.Interface == "" {
		cfg.Interface = "eth0"
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("node:\n  name: %s\n  address: %s", h.Name, h.Address)
	if cfg.Node != "" {
		line("  %s", cfg.Node)
	}
	line("vip:\n  interface: %s\n  addresses: [%s]", cfg.Interface, h.lab.Floating)
	if cfg.Detect > 0 {
		line("detect: %v", cfg.Detect)
	}
	if cfg.Check != "" {
		line("checks:\n  - name: appsvc\n    script: %s\n    interval: 1s\n    timeout: 1s\n    fall: 2\n    rise: 2", cfg.Check)
	}
	if cfg.Notify != "" {
		line("hooks:\n  notify: %s", cfg.Notify)
		if cfg.Prepare != "" {
			line("  prepare: %s", cfg.Prepare)
		}
		if cfg.Fence != "" {
			line("  fence: %s", cfg.Fence)
		}
		line("  timeout: 30s")
	}
	if cfg.More != "" {
		line("%s", cfg.More)
	}
	line("data_dir: %s/vipd\nsocket: %s/vipd.sock", h.Dir, h.Dir)
	return b.String()
}

// Vipd types a vipd command on the host, which StartVipd was called for.
func (h *Host) Vipd(ctx context.Context, args ...string) (Result, error) {
	return h.Exec(ctx, h.vipdArgs(args...)...)
}
