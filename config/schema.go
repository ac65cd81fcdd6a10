package config

import (
	"slices"
	"strings"
)

// key is one key that may stand in a file.
type key struct {
	path    string // [] stands for any item of a list
	kind    string // what its value is, to complete "this is not …"
	example string
}

// keys lists every key there is. Whatever is not here is refused.
func keys() []key {
	return []key{
		{"node", "a mapping", "{address: 10.11.12.4}"},
		{"node.name", "a name", "vm1"},
		{"node.address", "an IP address", "10.11.12.4"},
		{"node.priority", "a whole number", "100"},
		{"node.witness", "true or false", "true"},
		{"cluster", "a mapping", "{expect: [10.11.12.4, 10.11.12.5, 10.11.12.6], secret_file: /etc/vipd/secret}"},
		{"cluster.expect", "a list", "[10.11.12.4, 10.11.12.5, 10.11.12.6]"},
		{"cluster.expect[]", "an IP address", "10.11.12.4"},
		{"cluster.secret_file", "an absolute path", "/etc/vipd/secret"},
		{"vip", "a mapping", "{interface: eth0, addresses: [42.159.241.126]}"},
		{"vip.interface", "the name of a link", "eth0"},
		{"vip.addresses", "a list", "[42.159.241.126]"},
		{"vip.addresses[]", "a floating address", "42.159.241.126"},
		{"vip.addresses[].address", "a floating address", "42.159.241.126"},
		{"vip.addresses[].interface", "the name of a link", "eth0"},
		{"vip.addresses[].label", "a label", "eth0:vip"},
		{"vip.addresses[].scope", "a scope", "global"},
		{"vip.announce", "true or false", "true"},
		{"detect", "a duration", "500ms"},
		{"all_unhealthy", "hold or release", "hold"},
		{"preempt", "true or false", "true"},
		{"preempt_delay", "a duration", "30s"},
		{"drain_time", "a duration", "10s"},
		{"allow_two_voters", "true or false", "true"},
		{"checks", "a list", "[{name: appsvc, script: /etc/vipd/check.sh}]"},
		{"checks[]", "a mapping", "{name: appsvc, script: /etc/vipd/check.sh}"},
		{"checks[].name", "a name", "appsvc"},
		{"checks[].script", "a command", "/etc/vipd/check.sh"},
		{"checks[].script[]", "a word", "/etc/vipd/check.sh"},
		{"checks[].user", "the name of a user", "nobody"},
		{"checks[].http", "a mapping", `{url: "http://127.0.0.1/healthz"}`},
		{"checks[].http.url", "a URL", `"http://127.0.0.1/healthz"`},
		{"checks[].http.expect", "a status", "200-399"},
		{"checks[].http.expect[]", "a status", "200"},
		{"checks[].http.body", "a text", "ready"},
		{"checks[].http.host", "the name of a host", "web.example.org"},
		{"checks[].http.tls", "a mapping", "{ca: /etc/vipd/ca.pem}"},
		{"checks[].http.tls.ca", "an absolute path", "/etc/vipd/ca.pem"},
		{"checks[].http.tls.server_name", "the name of a host", "web.example.org"},
		{"checks[].http.tls.insecure", "true or false", "true"},
		{"checks[].tcp", "an IP address and a port", "127.0.0.1:5432"},
		{"checks[].unit", "the name of a unit", "apache2.service"},
		{"checks[].process", "the name of a process", "httpd"},
		{"checks[].process.pidfile", "an absolute path", "/run/httpd.pid"},
		{"checks[].link", "the name of a link", "eth0"},
		{"checks[].file", "an absolute path", "/run/ready"},
		{"checks[].file.path", "an absolute path", "/run/maintenance"},
		{"checks[].file.absent", "true or false", "true"},
		{"checks[].weight", "a whole number", "-20"},
		{"checks[].interval", "a duration", "1s"},
		{"checks[].timeout", "a duration", "1s"},
		{"checks[].fall", "a whole number", "2"},
		{"checks[].rise", "a whole number", "2"},
		{"hooks", "a mapping", "{notify: /etc/vipd/notify.sh}"},
		{"hooks.notify", "a command", "/etc/vipd/notify.sh"},
		{"hooks.notify[]", "a word", "/etc/vipd/notify.sh"},
		{"hooks.prepare", "a command", "/etc/vipd/prepare.sh"},
		{"hooks.prepare[]", "a word", "/etc/vipd/prepare.sh"},
		{"hooks.fence", "a command", "/etc/vipd/fence.sh"},
		{"hooks.fence[]", "a word", "/etc/vipd/fence.sh"},
		{"hooks.fence_failure", "wait or proceed", "wait"},
		{"hooks.user", "the name of a user", "nobody"},
		{"hooks.timeout", "a duration", "30s"},
		{"probe", "a mapping", "{listen: 10.11.12.4:7610}"},
		{"probe.listen", "an IP address and a port", "10.11.12.4:7610"},
		{"probe.wait_for_hook", "true or false", "true"},
		{"data_dir", "an absolute path", "/var/lib/vipd"},
		{"socket", "an absolute path", "/run/vipd/vipd.sock"},
	}
}

// keyAt finds the key of a path as it stands in messages, where items are numbered.
func keyAt(path string) key {
	path = anyItem(path)
	i := slices.IndexFunc(keys(), func(k key) bool { return k.path == path })
	if i < 0 {
		return key{path: path, kind: "a mapping", example: "node: {address: 10.11.12.4}"} // the file itself
	}
	return keys()[i]
}

// anyItem turns checks[2].name into checks[].name.
func anyItem(path string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, path)
}

// split cuts the path into that of the mapping and the last word; a path that ends
// in [] has no last word.
func (k key) split() (parent, name string) {
	i := strings.LastIndexByte(k.path, '.')
	if i < 0 {
		return "", k.path
	}
	return k.path[:i], k.path[i+1:]
}

// assignment is the key with its example, as it would stand in a file.
func (k key) assignment() string {
	_, name := k.split()
	if strings.HasSuffix(name, "[]") {
		return "- " + k.example
	}
	return name + ": " + k.example
}

// namesIn lists the keys of one mapping.
func namesIn(path string) []string {
	var names []string
	for _, k := range keys() {
		if parent, name := k.split(); parent == anyItem(path) && !strings.HasSuffix(name, "[]") {
			names = append(names, name)
		}
	}
	return names
}

// mappingsWith lists the mappings in which a key of that name belongs.
func mappingsWith(name string) []string {
	var paths []string
	for _, k := range keys() {
		if parent, n := k.split(); n == name {
			paths = append(paths, parent)
		}
	}
	return paths
}
