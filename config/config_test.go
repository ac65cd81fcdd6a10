package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/hooks"
	"github.com/vipd/vipd/vip"
)

var update = flag.Bool("update", false, "write what the bad files are refused with to testdata; review the difference")

const hostname = "vm1.example.org"

// TestBadFilesAreRefusedWithThisText holds the text of every problem, one file (or
// a family of problems) at a time, as an operator sees it.
func TestBadFilesAreRefusedWithThisText(t *testing.T) {
	files := glob(t, "testdata/bad/*.yaml")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := parse(file, contents(t, file), hostname)
			if err == nil {
				t.Fatalf("accepted as %+v", c)
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(contents(t, golden)), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestGoodFilesMeanThis(t *testing.T) {
	tests := map[string]Config{
		"checks.yaml": {
			Name: "checks",
			Node: node("vm1", "10.11.12.4:7600"),
			VIP: vip.Config{
				Addresses: []vip.Address{address("42.159.241.126/32", "eth0")},
				Announce:  true,
				Instance:  "/run/vipd/checks.sock",
			},
			PreemptDelay: 30 * time.Second,
			Detect:       500 * time.Millisecond,
			Checks: []health.Check{
				usual("script", 0, health.Script{Command: []string{"/etc/vipd/check.sh", "--fast"}, User: health.User{Name: "www-data"}}),
				usual("web", 0, health.HTTP{URL: "http://127.0.0.1/healthz"}),
				{
					Name: "api",
					Probe: health.HTTP{
						URL: "https://localhost:8443/ready?deep=1", Expect: []health.StatusRange{{First: 200, Last: 200}, {First: 204, Last: 204}, {First: 300, Last: 399}},
						Body: "state: ready", Host: "api.example.org:8443", TLS: health.TLS{CA: "/etc/vipd/ca.pem", ServerName: "api.example.org"},
					},
					Interval: 500 * time.Millisecond, Timeout: 2 * time.Second, Fall: 3, Rise: 1,
				},
				usual("old", 10, health.HTTP{URL: "https://[::1]/", Expect: []health.StatusRange{{First: 401, Last: 401}}, TLS: health.TLS{Insecure: true}}),
				usual("db", 0, health.TCP{Address: netip.MustParseAddrPort("127.0.0.1:5432")}),
				usual("db6", 0, health.TCP{Address: netip.MustParseAddrPort("[::1]:5432")}),
				usual("cache", -20, health.TCP{Address: netip.MustParseAddrPort("127.0.0.1:6379")}),
				usual("unit", 0, health.Unit{Name: "postgresql@16-main.service"}),
				usual("process", 0, health.Program{Name: "httpd"}),
				usual("pid", 0, health.PIDFile{Path: "/run/x.pid"}),
				usual("nic", 0, health.Link{Name: "eth0"}),
				usual("ready", 0, health.File{Path: "/run/ready"}),
				usual("there", 253, health.File{Path: "/run/ready"}),
				usual("maintenance", -253, health.File{Path: "/run/maintenance", Absent: true}),
			},
			Hooks:   told(hooks.Config{Timeout: 30 * time.Second, Instance: "checks", Interface: "eth0"}, "42.159.241.126"),
			DataDir: "/var/lib/vipd/checks",
			Socket:  "/run/vipd/checks.sock",
		},
		"smallest.yaml": {
			Name: "smallest",
			Node: node("vm1", "10.11.12.4:7600"),
			VIP: vip.Config{
				Addresses: []vip.Address{address("42.159.241.126/32", "eth0")},
				Announce:  true,
				Instance:  "/run/vipd/smallest.sock",
			},
			Detect:       500 * time.Millisecond,
			PreemptDelay: 30 * time.Second,
			Hooks:        told(hooks.Config{Timeout: 30 * time.Second, Instance: "smallest", Interface: "eth0"}, "42.159.241.126"),
			DataDir:      "/var/lib/vipd/smallest",
			Socket:       "/run/vipd/smallest.sock",
		},
		"vipd.yaml": {
			Name: "vipd",
			Node: node("vm1", "10.11.12.4:7600"),
			VIP: vip.Config{
				Addresses: []vip.Address{address("42.159.241.126/32", "eth0")},
				Announce:  true,
				Instance:  "/run/vipd/vipd.sock",
			},
			Detect:       500 * time.Millisecond,
			PreemptDelay: 30 * time.Second,
			Checks: []health.Check{{
				Name: "appsvc", Probe: health.Script{Command: []string{"/etc/vipd/check.sh"}},
				Interval: time.Second, Timeout: time.Second, Fall: 2, Rise: 2,
			}},
			Hooks: told(hooks.Config{
				Notify: []string{"/etc/vipd/notify.sh"}, Timeout: 30 * time.Second, Instance: "vipd", Interface: "eth0",
			}, "42.159.241.126"),
			DataDir: "/var/lib/vipd",
			Socket:  "/run/vipd/vipd.sock",
		},
		"web.yaml": {
			Name: "web",
			Node: Node{Name: "4711", Address: netip.MustParseAddrPort("[fd00::4]:7601"), Priority: 254},
			VIP: vip.Config{
				Addresses: []vip.Address{
					address("2001:db8::10/128", "lo"),
					{Prefix: netip.MustParsePrefix("192.0.2.10/24"), Interface: "eth1", Label: "eth1:web", Scope: "link"},
					{Prefix: netip.MustParsePrefix("192.0.2.11/32"), Interface: "lo", Label: "lo", Scope: "host"},
				},
				Instance: "/srv/vipd/sock",
			},
			Detect: 50 * time.Millisecond,
			Checks: []health.Check{
				{
					Name: "http", Probe: health.Script{Command: []string{"/usr/bin/curl", "-fsS", "http://localhost/"}},
					Interval: 200 * time.Millisecond, Timeout: 200 * time.Millisecond, Fall: 1, Rise: 1,
				},
				{
					Name: "disk_1", Probe: health.Script{Command: []string{"/bin/sh", "-c", "test -w /srv || exit 1"}},
					Interval: time.Hour, Timeout: 1500 * time.Millisecond, Fall: 100, Rise: 1,
				},
			},
			Hooks: told(hooks.Config{
				Notify:  []string{"/etc/vipd/notify.sh", "web", ""},
				Prepare: []string{"/etc/vipd/prepare.sh", "web"},
				Fence:   []string{"/etc/vipd/fence.sh", "vm 1"},
				User:    hooks.User{Name: "4711"},
				Timeout: time.Hour, Instance: "web", Priority: 254, Interface: "lo",
			}, "2001:db8::10", "192.0.2.10", "192.0.2.11"),
			FenceProceeds:  true,
			Preempt:        true,
			PreemptDelay:   time.Hour,
			AllowTwoVoters: true,
			Formation:      Formation{Expect: addresses("[fd00::5]:7600", "[fd00::4]:7601"), SecretFile: "/etc/vipd/web.secret"},
			ReleaseUnwell:  true,
			DrainTime:      10 * time.Minute,
			Probe:          Probe{Listen: netip.MustParseAddrPort("[::]:7610"), WaitForHook: true},
			DataDir:        "/srv/vipd",
			Socket:         "/srv/vipd/sock",
		},
		"witness.yaml": {
			Name:           "witness",
			Node:           Node{Name: "vm3", Address: netip.MustParseAddrPort("10.11.12.6:7600"), Priority: 100, Witness: true},
			VIP:            vip.Config{Instance: "/run/vipd/witness.sock"},
			Detect:         time.Second,
			AllowTwoVoters: true,
			Formation:      Formation{Expect: addresses("10.11.12.4:7600", "10.11.12.5:7600", "10.11.12.6:7600"), SecretFile: "/etc/vipd/secret"},
			DataDir:        "/var/lib/vipd/witness",
			Socket:         "/run/vipd/witness.sock",
		},
	}
	for _, file := range glob(t, "testdata/good/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			got, err := parse(file, contents(t, file), hostname)
			if err != nil {
				t.Fatal(err)
			}
			want := tests[filepath.Base(file)]
			want.File = file
			opts := []cmp.Option{
				cmpopts.IgnoreUnexported(Config{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
				cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
			}
			if diff := cmp.Diff(want, *got, opts...); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestLoadReadsTheFile(t *testing.T) {
	c, err := Load("testdata/good/vipd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Node.Name != "vm1" {
		t.Errorf("node.name is %q", c.Node.Name)
	}
}

func TestLoadSaysWhyAFileCannotBeRead(t *testing.T) {
	folder := t.TempDir()
	tests := map[string]string{
		filepath.Join(folder, "vipd.yaml"): ": cannot be read: no such file or directory\n" +
			"hint: write the file, or say where it is with --config FILE",
		folder: ": cannot be read: is a directory\n" +
			"hint: the file must be readable by the user who runs vipd (root, usually)",
	}
	for file, want := range tests {
		if _, err := Load(file); err == nil || err.Error() != file+want {
			t.Errorf("Load(%s):\ngot:  %v\nwant: %s%s", file, err, file, want)
		}
	}
}

func TestTheHostNameMustBeUsableWhereItStandsInForTheNode(t *testing.T) {
	file := "testdata/good/smallest.yaml"
	for _, name := range []string{"", "(none)", "-vm1", ".example.org"} {
		_, err := parse(file, contents(t, file), name)
		want := "node.name: is missing, and the host name " + quote(name) + " cannot stand in for it"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("host name %q: %v", name, err)
		}
	}
}

func TestTheLinesOfAFileMayEndAsOnAnySystem(t *testing.T) {
	file := "testdata/good/vipd.yaml"
	for _, end := range []string{"\r\n", "\r"} {
		text := byteOrderMark + strings.ReplaceAll(string(contents(t, file)), "\n", end)
		if _, err := parse(file, []byte(text), hostname); err != nil {
			t.Errorf("lines ending in %q: %v", end, err)
		}
	}
}

// node returns what Config.Node is for a name and an address.
func node(name, address string) Node {
	return Node{Name: name, Address: netip.MustParseAddrPort(address), Priority: 100}
}

func addresses(texts ...string) []netip.AddrPort {
	var all []netip.AddrPort
	for _, text := range texts {
		all = append(all, netip.MustParseAddrPort(text))
	}
	return all
}

func address(prefix, link string) vip.Address {
	return vip.Address{Prefix: netip.MustParsePrefix(prefix), Interface: link, Scope: "global"}
}

// usual is a check with the defaults.
func usual(name string, weight int, probe health.Probe) health.Check {
	return health.Check{Name: name, Probe: probe, Weight: weight, Interval: time.Second, Timeout: time.Second, Fall: 1, Rise: 1}
}

func told(h hooks.Config, addresses ...string) hooks.Config {
	h.Addresses = addresses
	if h.Priority == 0 {
		h.Priority = 100
	}
	return h
}

// problems are what an error of this package consists of.
func problems(t *testing.T, err error) []Problem {
	t.Helper()
	all, ok := errors.AsType[*Errors](err)
	if !ok {
		t.Fatalf("%T, want *Errors: %v", err, err)
	}
	return all.Problems
}

func glob(tb testing.TB, pattern string) []string {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		tb.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

func contents(tb testing.TB, file string) []byte {
	tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
