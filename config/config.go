package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/hooks"
	"github.com/vipd/vipd/vip"
)

// Config is what one file says, with the defaults filled in.
type Config struct {
	// File is the path that was given to [Load].
	File string
	// Name tells this instance from others on the same host: the base name of File
	// without its extension, "vipd" for /etc/vipd/vipd.yaml.
	Name string
	// Node is this host as its peers know it.
	Node struct {
		// Name is unique among the members; 1 … 63 letters, digits, '_', '.', '-'.
		Name string
		// Address is this host's own address and the port of the election.
		Address netip.AddrPort
	}
	// VIP says which addresses float. Its Instance is Socket.
	VIP vip.Config
	// Detect is the silence after which a holder counts as gone, 50 ms … 60 s. It must
	// be the same on all members.
	Detect time.Duration
	// Checks decide whether this host is healthy; empty means always.
	Checks []health.Check
	// Hooks is the operator's notify script; its Notify is empty if there is none.
	Hooks hooks.Config
	// DataDir keeps what must outlive a restart. It is absolute; /var/lib/vipd, or
	// below it /var/lib/vipd/NAME for an instance that is not called "vipd".
	DataDir string
	// Socket is where the daemon answers its commands: an absolute path of at most 107
	// bytes (sun_path, unix(7)); /run/vipd/NAME.sock unless the file says otherwise.
	Socket string

	source source
	places places
}

// places keeps the path and the place of the values that CheckHost looks at.
type places struct {
	node       value   // node.address
	addresses  []value // each floating address
	interfaces []value // the interface of each, wherever it was given
	checks     []value // the program of each check, its link or the file with its CA
	notify     value   // the program of the hook
	dataDir    value   // data_dir
}

// maxSize bounds the file, so that a wrong path (a log, /dev/zero) fails early.
const maxSize = 64 << 10

// Load reads and checks file. Any error is an [*Errors] with all problems of the
// file, in the order of their places. Load looks at nothing else on the host but its
// name, the default of node.name.
func Load(file string) (*Config, error) {
	data, err := read(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "" // refused below, unless the file names the node
	}
	return parse(file, data, hostname)
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSize+1))
}

func unreadable(file string, err error) *Errors {
	hint := "the file must be readable by the user who runs vipd (root, usually)"
	if errors.Is(err, fs.ErrNotExist) {
		hint = "write the file, or say where it is with --config FILE"
	}
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathError.Err // the path stands in front of the message already
	}
	return &Errors{Problems: []Problem{{File: file, Message: fmt.Sprintf("cannot be read: %v", err), Hint: hint}}}
}

// parse is Load without the host.
func parse(file string, data []byte, hostname string) (*Config, error) {
	r := &reader{source: newSource(file, data)}
	c := &Config{File: file, Name: r.instance(file)}
	if root, ok := r.tree(data); ok {
		r.file(r.mapping(root), c, hostname)
	}
	if err := inOrder(r.problems); err != nil {
		return nil, err
	}
	c.source, c.places = r.source, r.places
	return c, nil
}

// file reads the outermost keys. The node comes first, because the floating
// addresses are compared with its address.
func (r *reader) file(m mapping, c *Config, hostname string) {
	r.node(r.mapping(m.get("node")), c, hostname)
	r.vip(r.mapping(m.get("vip")), c)
	c.Detect = r.duration(m.get("detect"), 500*time.Millisecond, span{50 * time.Millisecond, time.Minute})
	r.checks(m.get("checks"), c)
	r.hooks(m.get("hooks"), c)
	c.DataDir = r.path(m.get("data_dir"), defaultDataDir(c.Name))
	r.places.dataDir = m.get("data_dir")
	c.Socket = r.socket(m.get("socket"), "/run/vipd/"+c.Name+".sock")
	c.VIP.Instance = c.Socket
	if c.DataDir == c.Socket {
		r.refuse(m.get("socket"), "leave socket out, its default is fine", "is the same path as data_dir")
	}
}

// instance derives the name of the instance from that of the file. It becomes part
// of paths, of a unit's name and of a script's arguments.
func (r *reader) instance(file string) string {
	base := filepath.Base(file)
	name := strings.TrimSuffix(base, filepath.Ext(base))
	if !isName(name) {
		r.problems = append(r.problems, Problem{
			File:    file,
			Message: fmt.Sprintf("the file's name gives the instance its name, and %s cannot be one", quote(name)),
			Hint:    "rename the file to letters, digits, '_', '.' and '-', for example vipd.yaml or web.yaml",
		})
	}
	return name
}

func defaultDataDir(instance string) string {
	if instance == "vipd" {
		return "/var/lib/vipd"
	}
	return "/var/lib/vipd/" + instance
}
