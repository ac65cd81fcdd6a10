package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/hooks"
)

// CheckHost compares a Config that came from [Load] with the host it is called on:
// the interfaces exist, the scripts can be started and only be changed by who is
// trusted, node.address and probe.listen are addresses of this host, data_dir can be
// a directory that is private, and so is cluster.secret_file. It also looks up the users of scripts, which are not
// started before that. It judges for a vipd of the user who calls it. It changes
// nothing on the host and starts nothing. Its errors are an [*Errors] with all
// problems, at the places of the values in the file, or the reason why the host
// could not be asked.
func (c *Config) CheckHost() error {
	h, err := thisHost()
	if err != nil {
		return err
	}
	return c.checkHost(h)
}

// host is what a configuration is compared with.
type host struct {
	links     map[string]net.Flags
	addresses []netip.Addr
	uid       uint32 // of whoever is to run vipd
	bound     bool   // root, and may not become another user
}

func thisHost() (host, error) {
	h := host{links: make(map[string]net.Flags), uid: uint32(os.Geteuid())} //nolint:gosec // never negative
	var err error
	if h.bound, err = mayNotSetIDs(); err != nil {
		return h, err
	}
	links, err := net.Interfaces()
	if err != nil {
		return h, fmt.Errorf("list the links of this host: %w", err)
	}
	for _, link := range links {
		h.links[link.Name] = link.Flags
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return h, fmt.Errorf("list the addresses of this host: %w", err)
	}
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			h.addresses = append(h.addresses, prefix.Addr())
		}
	}
	return h, nil
}

func (c *Config) checkHost(h host) error {
	r := &reader{source: c.source}
	if own := c.Node.Address.Addr(); !slices.Contains(h.addresses, own) {
		r.refuse(c.places.node, h.ownAddresses(), "%s is not an address of this host", own)
	}
	c.checkLinks(r, h)
	files := custody{reader: r, uid: h.uid, told: make(map[string]bool)}
	for i, check := range c.Checks {
		if script, ok := check.Probe.(health.Script); ok {
			script.User = health.User(r.account(c.places.users[i], script.User.Name, h))
			c.Checks[i].Probe = script
			files.command(c.places.checks[i], script.Command, hooks.User(script.User))
		}
		r.checkProbe(c.places.checks[i], check.Probe, h)
	}
	c.Hooks.User = r.account(c.places.user, c.Hooks.User.Name, h)
	files.command(c.places.notify, c.Hooks.Notify, c.Hooks.User)
	files.command(c.places.prepare, c.Hooks.Prepare, c.Hooks.User)
	files.command(c.places.fence, c.Hooks.Fence, c.Hooks.User)
	if ip := c.Probe.Listen.Addr(); ip.IsValid() && !ip.IsUnspecified() && !ip.IsLoopback() && !slices.Contains(h.addresses, ip) {
		r.refuse(c.places.listen, h.ownAddresses(), "%s is not an address of this host", ip)
	}
	if file := c.Formation.SecretFile; file != "" {
		files.checkSecret(c.places.secret, file)
	}
	files.checkDataDir(c.places.dataDir, c.DataDir)
	files.checkSocketDir(c.places.socket, c.Socket)
	return inOrder(r.problems)
}

// checkLinks looks for the links of the addresses.
func (c *Config) checkLinks(r *reader, h host) {
	seen := make(map[position]bool)
	for i, a := range c.VIP.Addresses {
		flags, ok := h.links[a.Interface]
		link := c.places.interfaces[i]
		switch {
		case !ok && !seen[link.at]:
			seen[link.at] = true // vip.interface serves many addresses
			r.refuse(link, h.linkHint(a.Interface), "this host has no link %s", quote(a.Interface))
		case flags&net.FlagLoopback != 0 && !a.Prefix.IsSingleIP():
			r.refuse(c.places.addresses[i], loHint(a.Prefix.Addr()), "%s", loProblem(a.Prefix, a.Interface))
		}
	}
}

// checkProbe looks at what a check needs on this host, and not at what it checks.
func (r *reader) checkProbe(v value, probe health.Probe, h host) {
	switch p := probe.(type) {
	case health.Link:
		if _, ok := h.links[p.Name]; !ok {
			r.refuse(v, h.linkHint(p.Name), "this host has no link %s", quote(p.Name))
		}
	case health.HTTP:
		if p.TLS.CA != "" {
			r.checkCertificates(v, p.TLS.CA)
		}
	}
}

// checkCertificates refuses a file in which there is no certificate.
func (r *reader) checkCertificates(v value, file string) {
	text, err := os.ReadFile(file)
	switch {
	case err != nil:
		r.refuse(v, "put the certificates there, or mend the path", "%s cannot be read: %v", quote(file), errors.Unwrap(err))
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		r.refuse(v, "write the path of a file with lines -----BEGIN CERTIFICATE-----", "%s holds no certificate in PEM form", quote(file))
	}
}

// ownAddresses lists what node.address might be.
func (h host) ownAddresses() string {
	var usable []string
	for _, ip := range h.addresses {
		if problem, _ := badNodeAddress(ip); problem == "" {
			usable = append(usable, ip.String())
		}
	}
	if len(usable) == 0 {
		return "this host has no address yet that its peers could reach"
	}
	return "this host has " + strings.Join(usable, ", ")
}

func (h host) linkHint(name string) string {
	var names []string
	for name := range h.links {
		names = append(names, name)
	}
	slices.Sort(names)
	if known, ok := nearest(name, names); ok {
		return fmt.Sprintf("did you mean %s?", known)
	}
	return "this host has " + strings.Join(names, ", ")
}

// command refuses what nobody may execute (execve(2)), and a program or a script of it (an argument that is the absolute path
// of a file) that others could change.
func (c custody) command(v value, command []string, as hooks.User) {
	var more []uint32
	if as.Credential != nil {
		more = []uint32{as.Credential.Uid}
	}
	for i, word := range command {
		if i == 0 && c.executable(v, word) || i > 0 && filepath.IsAbs(word) && isFile(word) {
			c.file(v, word, more...)
		}
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (r *reader) executable(v value, file string) bool {
	const exec = 0o111
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.refuse(v, missingHint(file), "%s does not exist", quote(file))
	case err != nil:
		r.refuse(v, "every folder on the path must be readable", "%s cannot be looked at: %v", quote(file), errors.Unwrap(err))
	case !info.Mode().IsRegular():
		r.refuse(v, "write the path of a program", "%s is not a file", quote(file))
	case info.Mode().Perm()&exec == 0:
		r.refuse(v, "chmod +x "+file, "%s is not executable", quote(file))
	default:
		return true
	}
	return false
}

func missingHint(file string) string {
	if strings.Contains(file, " ") {
		return "in a list, every word is an item of its own: [/etc/vipd/check.sh, --fast]"
	}
	return "put the script there, or mend the path"
}
