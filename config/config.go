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
	Node Node
	// VIP says which addresses float; a witness has none. Its Instance is Socket.
	VIP vip.Config
	// Detect is the silence after which a holder counts as gone, 50 ms … 60 s. It must
	// be the same on all members.
	Detect time.Duration
	// Checks decide whether this host is healthy; empty means always.
	Checks []health.Check
	// Hooks are the operator's scripts; its Notify is empty if there are none.
	Hooks hooks.Config
	// FenceProceeds says that a new holder goes on although its fence script has failed; else it waits until it succeeds.
	FenceProceeds bool
	// Preempt says that this host takes over from a holder of a lower priority, PreemptDelay (0 … 1 h) after it could have.
	Preempt      bool
	PreemptDelay time.Duration
	// Formation says how the hosts form a cluster by themselves; its Expect is empty if they do not.
	Formation Formation
	// AllowTwoVoters says that the operator knows what a cluster of two is worth.
	AllowTwoVoters bool
	// ReleaseUnwell says that nobody holds the addresses while no host is well; else the best of them does.
	ReleaseUnwell bool
	// DrainTime is how long the probe has said no when a planned move goes on, 0 … 10 min.
	DrainTime time.Duration
	// Probe is what load balancers ask.
	Probe Probe
	// DataDir keeps what must outlive a restart. It is absolute; /var/lib/vipd, or
	// below it /var/lib/vipd/NAME for an instance that is not called "vipd".
	DataDir string
	// Socket is where the daemon answers its commands: an absolute path of at most 107
	// bytes (sun_path, unix(7)); /run/vipd/NAME.sock unless the file says otherwise.
	Socket string

	source source
	places places
}

// Node is a host as its peers know it.
type Node struct {
	// Name is unique among the members; 1 … 63 letters, digits, '_', '.', '-'.
	Name string
	// Address is the host's own address and the port of the election.
	Address netip.AddrPort
	// Priority says how much this host is wanted as the holder, 1 … 254; more is better.
	Priority int
	// Witness says that this host votes and never holds the addresses.
	Witness bool
}

// Formation is what hosts need to form a cluster without an operator.
type Formation struct {
	// Expect are the own addresses of all hosts, this one's among them; 2 … 32, none twice.
	Expect []netip.AddrPort
	// SecretFile is the absolute path of the file with the secret that only they know; see [Config.Secret].
	SecretFile string
}

// Probe is a question over TCP: whether this host has the addresses.
type Probe struct {
	// Listen is where it can be asked; zero if nowhere.
	Listen netip.AddrPort
	// WaitForHook says that the answer is no until the notify script has succeeded with MASTER.
	WaitForHook bool
}

// places keeps the path and the place of the values that CheckHost looks at.
type places struct {
	node       value   // node.address
	addresses  []value // each floating address
	interfaces []value // the interface of each, wherever it was given
	checks     []value // the program of each check, its link or the file with its CA
	users      []value // the user of each check
	notify     value   // the programs of the hooks
	prepare    value
	fence      value
	user       value // hooks.user
	listen     value // probe.listen
	secret     value // cluster.secret_file
	dataDir    value // data_dir
	socket     value
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
// addresses are compared with its address, and because a witness has little else.
func (r *reader) file(m mapping, c *Config, hostname string) {
	node := r.mapping(m.get("node"))
	r.node(node, c, hostname)
	if c.Node.Witness {
		r.witness(m, node)
	} else {
		r.holder(m, c)
	}
	r.cluster(m.get("cluster"), c)
	c.Detect = r.duration(m.get("detect"), 500*time.Millisecond, span{50 * time.Millisecond, time.Minute})
	c.AllowTwoVoters = r.boolean(m.get("allow_two_voters"), false)
	c.DataDir = r.path(m.get("data_dir"), defaultDataDir(c.Name))
	r.places.dataDir, r.places.socket = m.get("data_dir"), m.get("socket")
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
