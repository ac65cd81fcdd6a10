package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/vipd/vipd/health"
)

// tried reads what a check tries. looked is what CheckHost looks at.
func (r *reader) tried(m mapping) (probe health.Probe, looked value) {
	kind := r.kind(m)
	v, name := m.get(kind), m.get("user")
	user := health.User{Name: r.user(name)}
	if kind != "script" && kind != "" && name.node != nil {
		r.refuse(name, "take it out: vipd tries this by itself and starts no program", "has no effect without script")
	}
	switch kind {
	case "script":
		return health.Script{Command: r.command(v), User: user}, program(v)
	case "http":
		return r.http(v)
	case "tcp":
		return health.TCP{Address: r.target(v)}, v
	case "unit":
		return health.Unit{Name: r.unit(v)}, v
	case "process":
		return r.process(v), v
	case "link":
		return health.Link{Name: r.link(v)}, v
	case "file":
		return r.presence(v), v
	}
	return nil, v
}

// kind finds the one kind that a check must have.
func (r *reader) kind(m mapping) string {
	kinds := []string{"script", "http", "tcp", "unit", "process", "link", "file"}
	given := slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool { return m.get(kind).node == nil })
	slices.SortFunc(given, func(a, b string) int {
		first, second := m.get(a).key, m.get(b).key
		return cmp.Or(cmp.Compare(first.line, second.line), cmp.Compare(first.column, second.column))
	})
	switch {
	case len(given) > 0:
		for _, kind := range given[1:] {
			r.refuse(value{path: m.path, at: m.get(kind).key}, "give each a check of its own", "%s and %s stand in one check", given[0], kind)
		}
		return given[0]
	case !m.broken:
		r.refuse(m.value, fmt.Sprintf("add one of %s; for example %s", strings.Join(kinds, ", "), keyAt(join(m.path, kinds[0])).assignment()),
			"does not say what to check")
	}
	return ""
}

// target reads IP:PORT, or the PORT of a service on this host.
func (r *reader) target(v value) netip.AddrPort {
	const hint = "write, for example, tcp: 127.0.0.1:5432, or tcp: 5432 for a port of 127.0.0.1"
	text, ok := r.text(v)
	if !ok {
		return netip.AddrPort{}
	}
	if port, ok := parsePort(text); ok {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	}
	target, err := netip.ParseAddrPort(text)
	ip := target.Addr()
	switch {
	case err != nil, target.Port() == 0:
		r.refuse(v, hint, "%s is not an IP address and a port", quote(text))
	case ip.IsUnspecified(), ip.IsMulticast(), isBroadcast(ip):
		r.refuse(v, hint, "%s is not the address of one host", ip)
	}
	return netip.AddrPortFrom(ip.Unmap(), target.Port())
}

// unit reads the whole name of a unit (systemd.unit(5)).
func (r *reader) unit(v value) string {
	const longest = 255 // UNIT_NAME_MAX
	text, ok := r.text(v)
	if !ok {
		return ""
	}
	kinds := []string{"service", "socket", "target", "mount", "automount", "swap", "timer", "path", "slice", "scope", "device"}
	name, kind := text, ""
	if i := strings.LastIndexByte(text, '.'); i >= 0 {
		name, kind = text[:i], text[i+1:]
	}
	switch {
	case strings.ContainsFunc(text, notInUnit), len(text) > longest, text == "":
		r.refuse(v, "systemctl list-units shows the names of this host's units", "%s is not the name of a unit", quote(text))
	case !slices.Contains(kinds, kind):
		whole := text + ".service"
		if near, ok := nearest(kind, kinds); ok {
			whole = name + "." + near
		}
		r.refuse(v, "write the whole name, for example unit: "+whole, "%s does not end in the kind of the unit", quote(text))
	case name == "", strings.HasSuffix(name, "@"):
		r.refuse(v, "write the name of a unit that can run, for example unit: postgresql@main.service", "%s is not the name of one unit", quote(text))
	}
	return text
}

func notInUnit(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(`:-_.\@`, c))
}

// process reads the name of a process, or where its id is.
func (r *reader) process(v value) health.Probe {
	if v.node.Kind == yaml.MappingNode {
		return health.PIDFile{Path: r.path(r.need(r.mapping(v), "pidfile"), "")}
	}
	text, ok := r.text(v)
	if !ok {
		return nil
	}
	switch i := strings.LastIndexByte(text, '/'); {
	case i >= 0 && i+1 < len(text):
		r.refuse(v, "write the name alone, without the folder: process: "+text[i+1:], "%s is not the name of a process", quote(text))
	case i >= 0, strings.ContainsRune(text, 0), text == "":
		r.refuse(v, "write the name as pgrep -x takes it, for example process: httpd", "%s is not the name of a process", quote(text))
	}
	return health.Program{Name: text}
}

// presence reads the path of a file that must be there, or must not.
func (r *reader) presence(v value) health.File {
	if v.node.Kind != yaml.MappingNode {
		return health.File{Path: r.path(v, "")}
	}
	m := r.mapping(v)
	return health.File{Path: r.path(r.need(m, "path"), ""), Absent: r.boolean(m.get("absent"), false)}
}
