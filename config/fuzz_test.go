package config

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vipd/vipd/health"
)

// FuzzParse feeds any bytes: a file is either accepted, and then what Config
// promises holds, or refused with a place inside the file for every problem.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		for _, file := range glob(f, pattern) {
			f.Add(contents(f, file))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse("vipd.yaml", data, "vm1")
		if err == nil {
			promised(t, c)
			return
		}
		for _, p := range problems(t, err) {
			placed(t, newSource("vipd.yaml", data), p)
		}
	})
}

func placed(t *testing.T, s source, p Problem) {
	t.Helper()
	if p.Message == "" || p.Hint == "" {
		t.Errorf("problem without words: %+v", p)
	}
	if p.Line < 1 || p.Line > len(s.lines) {
		t.Fatalf("line %d of %d: %s", p.Line, len(s.lines), p)
	}
	if length := utf8.RuneCountInString(s.lines[p.Line-1]); p.Column < 1 || p.Column > length+1 {
		t.Errorf("column %d of %d: %s", p.Column, length, p)
	}
	if !utf8.ValidString(p.String()) {
		t.Errorf("not UTF-8: %q", p.String())
	}
}

func promised(t *testing.T, c *Config) {
	t.Helper()
	switch {
	case !isName(c.Node.Name), !c.Node.Address.IsValid(), c.Node.Address.Port() == 0:
		t.Errorf("node: %+v", c.Node)
	case c.Detect < 50*time.Millisecond, c.Detect > time.Minute:
		t.Errorf("detect: %s", c.Detect)
	case c.Node.Priority < 1, c.Node.Priority > 254, c.PreemptDelay < 0, c.DrainTime < 0:
		t.Errorf("moves: %+v", c)
	case c.Probe.Listen.IsValid() && c.Probe.Listen.Port() == 0, c.Probe.WaitForHook && len(c.Hooks.Notify) == 0:
		t.Errorf("probe: %+v", c.Probe)
	case (len(c.VIP.Addresses) == 0) != c.Node.Witness, len(c.Hooks.Addresses) != len(c.VIP.Addresses):
		t.Errorf("addresses: %+v", c.VIP)
	case len(c.Formation.Expect) > 0 != (c.Formation.SecretFile != ""), c.Formation.SecretFile != "" && !slices.Contains(c.Formation.Expect, c.Node.Address):
		t.Errorf("formation: %+v", c.Formation)
	case badPath(c.DataDir) != "", badPath(c.Socket) != "", len(c.Socket) > 107, c.VIP.Instance != c.Socket:
		t.Errorf("paths: %q, %q", c.DataDir, c.Socket)
	}
	for _, a := range c.VIP.Addresses {
		if !a.Prefix.IsValid() || a.Interface == "" || len(a.Interface) > 15 || len(a.Label) > 15 || a.Prefix.Addr() == c.Node.Address.Addr() {
			t.Errorf("address: %+v", a)
		}
	}
	for _, check := range c.Checks {
		rules := check.Interval > 0 && check.Timeout > 0 && check.Fall >= 1 && check.Rise >= 1 && check.Weight >= -253 && check.Weight <= 253
		if !isName(check.Name) || !rules || !promisedProbe(check.Probe) {
			t.Errorf("check: %+v", check)
		}
	}
}

func promisedProbe(probe health.Probe) bool {
	switch p := probe.(type) {
	case health.Script:
		return len(p.Command) > 0 && badPath(p.Command[0]) == ""
	case health.HTTP:
		_, err := http.NewRequest(http.MethodGet, p.URL, nil)
		return err == nil && (p.TLS.CA == "" || badPath(p.TLS.CA) == "")
	case health.TCP:
		return p.Address.IsValid() && p.Address.Port() > 0
	case health.Unit:
		return strings.Contains(p.Name, ".")
	case health.Program:
		return p.Name != "" && !strings.ContainsAny(p.Name, "/\x00")
	case health.PIDFile:
		return badPath(p.Path) == ""
	case health.Link:
		return p.Name != "" && len(p.Name) <= 15
	case health.File:
		return badPath(p.Path) == ""
	}
	return false
}
