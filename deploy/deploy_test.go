// Package deploy has no code, only what is delivered; its tests say that this is sound.
package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/config"
)

// The units as they are shipped, and with each drop-in.
func TestUnitsAreSound(t *testing.T) {
	tests := map[string]struct {
		unit, dropIn string
		exposure     int // tenths of what systemd-analyze security may say at most
	}{
		"one group":          {"vipd.service", "", 30},
		"one of many groups": {"vipd@.service", "", 30},
		"unconfined":         {"vipd.service", "examples/unconfined.conf", 100},
		"unprivileged":       {"vipd.service", "examples/unprivileged.conf", 30},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// systemd-analyze wants the program to exist.
			unit := strings.ReplaceAll(read(t, test.unit), "/usr/bin/vipd", "/bin/true")
			file := filepath.Join(t.TempDir(), test.unit)
			write(t, file, unit, 0o600)
			if test.dropIn != "" {
				write(t, filepath.Join(file+".d", "drop-in.conf"), read(t, test.dropIn), 0o600)
			}
			// An unknown key is only told, and the exit status is 0.
			if out := analyze(t, "verify", "--man=no", file); out != "" {
				t.Errorf("systemd-analyze verify:\n%s", out)
			}
			analyze(t, "security", "--offline=yes", "--no-pager", "--threshold="+strconv.Itoa(test.exposure), file)
		})
	}
}

// analyze returns what systemd-analyze says, and fails the test if it exits with an error.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v (not installed? sudo make deps)\n%s", args[0], err, out)
	}
	return string(out)
}

// What is added to the restrictions of the unit must be added to the drop-in.
func TestUnconfinedTakesEveryRestrictionBack(t *testing.T) {
	_, restrictions, ok := strings.Cut(read(t, "vipd.service"), "kept from")
	restrictions, _, end := strings.Cut(restrictions, "RuntimeDirectory=")
	if !ok || !end {
		t.Fatal("vipd.service has no restrictions where this test looks for them")
	}
	if diff := cmp.Diff(keys(restrictions), keys(strings.TrimPrefix(settings(read(t, "examples/unconfined.conf")), "[Service]\n"))); diff != "" {
		t.Errorf("unconfined.conf (-in the unit +taken back):\n%s", diff)
	}
}

// keys returns what stands before the = of each line.
func keys(unit string) []string {
	var found []string
	for line := range strings.Lines(settings(unit)) {
		if key, _, ok := strings.Cut(line, "="); ok {
			found = append(found, key)
		}
	}
	return found
}

func TestTheTemplateUnitDiffersOnlyInNames(t *testing.T) {
	want := strings.NewReplacer(
		"Description=Floating address agent", "Description=Floating address agent, group %i",
		"/etc/vipd/vipd.yaml", "/etc/vipd/%i.yaml",
		"StateDirectory=vipd\n", "StateDirectory=vipd vipd/%i\n",
	).Replace(settings(read(t, "vipd.service")))
	if diff := cmp.Diff(want, settings(read(t, "vipd@.service"))); diff != "" {
		t.Errorf("vipd@.service (-want +got):\n%s", diff)
	}
}

// settings returns a unit file without comments and empty lines.
func settings(unit string) string {
	var b strings.Builder
	for line := range strings.Lines(unit) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestTheExampleConfigurationIsValid(t *testing.T) {
	shipped := read(t, "examples/vipd.yaml")
	// The settings that are there as comments: everything after "# " that is a key, or lies below one.
	commented := regexp.MustCompile(`(?m)^# ( *(- )?[a-z_]+:( |$))`)
	tests := map[string]string{
		"as shipped":               shipped,
		"with all settings in use": commented.ReplaceAllString(shipped, "$1"),
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "vipd.yaml")
			write(t, file, content, 0o600)
			cfg, err := config.Load(file)
			if err != nil {
				t.Fatalf("%v in:\n%s", err, content)
			}
			if used := content != shipped; used != (len(cfg.Checks) == 1 && len(cfg.Hooks.Notify) == 1 && len(cfg.Formation.Expect) == 3 && cfg.Node.Name == "vm1") {
				t.Errorf("checks %v, hook %v, cluster %v, name %s", cfg.Checks, cfg.Hooks.Notify, cfg.Formation.Expect, cfg.Node.Name)
			}
		})
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestInstallingMakesTheGroupVipdIfItIsMissing(t *testing.T) {
	tests := map[string]struct{ getent, want string }{
		"missing": {"exit 2", "--system vipd"},
		"there":   {"echo vipd:x:4242:", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "getent"), "#!/bin/sh\n[ \"$*\" = 'group vipd' ] || exit 1\n"+test.getent+"\n", 0o700)
			write(t, filepath.Join(dir, "groupadd"), "#!/bin/sh\necho \"$@\" >"+dir+"/made\n", 0o700)
			write(t, filepath.Join(dir, "systemctl"), "#!/bin/sh\n[ \"$1\" = daemon-reload ]\n", 0o700)
			install := exec.Command("/bin/sh", "package/postinstall.sh", "configure")
			install.Env = []string{"PATH=" + dir}
			if out, err := install.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v, %s", err, out)
			}
			made, _ := os.ReadFile(filepath.Join(dir, "made"))
			if got := strings.TrimSpace(string(made)); got != test.want {
				t.Errorf("groupadd %q, want %q", got, test.want)
			}
		})
	}
}
