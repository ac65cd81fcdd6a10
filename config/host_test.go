package config

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vm1 has three links, one of them a loopback link by another name.
func vm1() host {
	return host{
		links: map[string]net.Flags{"lo": net.FlagLoopback, "eth0": net.FlagUp, "self0": net.FlagLoopback},
		addresses: []netip.Addr{
			netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.11.12.4"),
			netip.MustParseAddr("::1"), netip.MustParseAddr("fe80::4"), netip.MustParseAddr("fd00::4"),
		},
	}
}

func TestAHostThatHasEverythingIsAccepted(t *testing.T) {
	script, authority := program755(t), certificate(t)
	c := accepted(t, `
node: {address: 10.11.12.4}
vip: {interface: eth0, addresses: [42.159.241.126/24, {address: 42.159.241.127, interface: lo}]}
checks: [{name: appsvc, script: `+script+` --fast}, {name: nic, link: eth0}, {name: web, http: {url: "https://[::1]/", tls: {ca: `+authority+`}}}]
hooks: {notify: [`+script+`, vip], prepare: `+script+`, fence: `+script+`}
probe: {listen: "[fd00::4]:7610"}
`)
	if err := c.checkHost(vm1()); err != nil {
		t.Error(err)
	}
}

func TestAHostIsRefusedWithThisText(t *testing.T) {
	folder := t.TempDir()
	plain := filepath.Join(folder, "notify.sh")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ file, want string }{
		"another host's address": {
			"node: {address: 10.11.12.5}\nvip: {interface: eth0, addresses: [42.159.241.126]}\n",
			`vipd.yaml:1:17: node.address: 10.11.12.5 is not an address of this host
    node: {address: 10.11.12.5}
                    ^
hint: this host has 10.11.12.4, fd00::4`,
		},
		"one missing link for two addresses": {
			"node: {address: 10.11.12.4}\nvip: {interface: ens3, addresses: [42.159.241.126, 42.159.241.127]}\n",
			`vipd.yaml:2:18: vip.interface: this host has no link "ens3"
    vip: {interface: ens3, addresses: [42.159.241.126, 42.159.241.127]}
                     ^
hint: this host has eth0, lo, self0`,
		},
		"a misspelled link": {
			"node: {address: 10.11.12.4}\nvip: {addresses: [{address: 42.159.241.126, interface: eth1}]}\n",
			`vipd.yaml:2:56: vip.addresses[0].interface: this host has no link "eth1"
    vip: {addresses: [{address: 42.159.241.126, interface: eth1}]}
                                                           ^
hint: did you mean eth0?`,
		},
		"a prefix on a loopback link that is not called lo": {
			"node: {address: 10.11.12.4}\nvip: {interface: self0, addresses: [42.159.241.126, 42.159.241.127/24]}\n",
			`vipd.yaml:2:53: vip.addresses[1]: on self0 the kernel takes all of 42.159.241.0/24 for this host, which would cut it off from every other host in there, its peers included
    vip: {interface: self0, addresses: [42.159.241.126, 42.159.241.127/24]}
                                                        ^
hint: write 42.159.241.127, which means 42.159.241.127/32`,
		},
		"a data directory that is a file": {
			"node: {address: 10.11.12.4}\nvip: {interface: eth0, addresses: [42.159.241.126]}\ndata_dir: DIR/notify.sh\n",
			`vipd.yaml:3:11: data_dir: "DIR/notify.sh" is not a directory
    data_dir: DIR/notify.sh
              ^
hint: name a directory that vipd may have for itself, or leave data_dir out`,
		},
		"a data directory below a file": {
			"node: {address: 10.11.12.4}\nvip: {interface: eth0, addresses: [42.159.241.126]}\ndata_dir: DIR/notify.sh/x\n",
			`vipd.yaml:3:11: data_dir: "DIR/notify.sh/x" is not a directory
    data_dir: DIR/notify.sh/x
              ^
hint: name a directory that vipd may have for itself, or leave data_dir out`,
		},
		"a probe on another host's address": {
			"node: {address: 10.11.12.4}\nvip: {interface: eth0, addresses: [42.159.241.126]}\nprobe: {listen: 10.11.12.5:7610}\n",
			`vipd.yaml:3:17: probe.listen: 10.11.12.5 is not an address of this host
    probe: {listen: 10.11.12.5:7610}
                    ^
hint: this host has 10.11.12.4, fd00::4`,
		},
		"what checks need and is not here": {
			"node: {address: 10.11.12.4}\nvip: {interface: eth0, addresses: [42.159.241.126]}\n" +
				"checks:\n" +
				"  - {name: a, link: eth1}\n" +
				"  - {name: b, http: {url: 'https://[::1]/', tls: {ca: DIR/none.pem}}}\n" +
				"  - {name: c, http: {url: 'https://[::1]/', tls: {ca: DIR/notify.sh}}}\n" +
				"  - {name: d, http: {url: 'https://[::1]/'}}\n" +
				"  - {name: e, file: DIR/none}\n",
			`vipd.yaml:4:21: checks[0].link: this host has no link "eth1"
      - {name: a, link: eth1}
                        ^
hint: did you mean eth0?

vipd.yaml:5:55: checks[1].http.tls.ca: "DIR/none.pem" cannot be read: no such file or directory
      - {name: b, http: {url: 'https://[::1]/', tls: {ca: DIR/none.pem}}}
                                                          ^
hint: put the certificates there, or mend the path

vipd.yaml:6:55: checks[2].http.tls.ca: "DIR/notify.sh" holds no certificate in PEM form
      - {name: c, http: {url: 'https://[::1]/', tls: {ca: DIR/notify.sh}}}
                                                          ^
hint: write the path of a file with lines -----BEGIN CERTIFICATE-----`,
		},
		"scripts that nobody can start": {
			"node: {address: 10.11.12.4}\nvip: {interface: eth0, addresses: [42.159.241.126]}\n" +
				"checks:\n" +
				"  - {name: a, script: DIR/none.sh}\n" +
				"  - {name: b, script: [DIR/none.sh --fast]}\n" +
				"  - {name: c, script: DIR}\n" +
				"  - {name: d, script: DIR/notify.sh/x}\n" +
				"hooks:\n" +
				"  notify: DIR/notify.sh\n" +
				"  prepare: DIR/prepare.sh\n" +
				"  fence: [DIR, vm1]\n",
			`vipd.yaml:4:23: checks[0].script: "DIR/none.sh" does not exist
      - {name: a, script: DIR/none.sh}
                          ^
hint: put the script there, or mend the path

vipd.yaml:5:24: checks[1].script: "DIR/none.sh --fast" does not exist
      - {name: b, script: [DIR/none.sh --fast]}
                           ^
hint: in a list, every word is an item of its own: [/etc/vipd/check.sh, --fast]

vipd.yaml:6:23: checks[2].script: "DIR" is not a file
      - {name: c, script: DIR}
                          ^
hint: write the path of a program

vipd.yaml:7:23: checks[3].script: "DIR/notify.sh/x" cannot be looked at: not a directory
      - {name: d, script: DIR/notify.sh/x}
                          ^
hint: every folder on the path must be readable

vipd.yaml:9:11: hooks.notify: "DIR/notify.sh" is not executable
      notify: DIR/notify.sh
              ^
hint: chmod +x DIR/notify.sh

vipd.yaml:10:12: hooks.prepare: "DIR/prepare.sh" does not exist
      prepare: DIR/prepare.sh
               ^
hint: put the script there, or mend the path

vipd.yaml:11:11: hooks.fence: "DIR" is not a file
      fence: [DIR, vm1]
              ^
hint: write the path of a program`,
		},
	}
	short := filepath.Join(os.TempDir(), fmt.Sprintf("vipd%d", os.Getpid())) // quoted paths are cut when long
	if err := os.Symlink(folder, short); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(short)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := accepted(t, strings.ReplaceAll(test.file, "DIR", short)).checkHost(vm1())
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(test.want, strings.ReplaceAll(err.Error(), short, "DIR")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAProbeMayListenOnAllAddressesAndOnALoopbackOne(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:7610", "'[::]:7610'", "127.0.0.2:7610"} {
		c := accepted(t, "node: {address: 10.11.12.4}\nvip: {interface: eth0, addresses: [42.159.241.126]}\nprobe: {listen: "+listen+"}\n")
		if err := c.checkHost(vm1()); err != nil {
			t.Error(err)
		}
	}
}

func TestAWitnessNeedsOnlyAnAddress(t *testing.T) {
	if err := accepted(t, "node: {address: 10.11.12.4, witness: true}\n").checkHost(vm1()); err != nil {
		t.Error(err)
	}
}

func TestAHostWithoutAnAddressIsToldSo(t *testing.T) {
	c := accepted(t, "node: {address: 10.11.12.4}\nvip: {interface: lo, addresses: [42.159.241.126]}\n")
	err := c.checkHost(host{links: vm1().links, addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	if err == nil || !strings.Contains(err.Error(), "hint: this host has no address yet that its peers could reach") {
		t.Error(err)
	}
}

func TestThisHostIsSeenAsItIs(t *testing.T) {
	c := accepted(t, "node: {address: 192.0.2.1}\nvip: {interface: lo, addresses: [192.0.2.10, {address: 192.0.2.11, interface: nolinkhere}]}\n")
	err := c.CheckHost()
	if err == nil {
		t.Fatal("accepted on a host without that address and that link")
	}
	if len(problems(t, err)) != 2 {
		t.Fatalf("lo is on every host, and the others are not here: %v", err)
	}
}

func accepted(t *testing.T, text string) *Config {
	t.Helper()
	c, err := parse("vipd.yaml", []byte(text), hostname)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func program755(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "check.sh")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// certificate writes a file with the certificate of a test server.
func certificate(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
