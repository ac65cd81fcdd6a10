// Package controltest has a small working model of a cluster, for the tests of
// those who ask a daemon. It keeps the promises that control.Daemon documents
// and has no clock, no network and no kernel: everything happens at once, at
// the instant [Now]. Its methods may be called from any goroutine.
package controltest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vipd/vipd/control"
)

// Now returns the only instant of the model: three in the morning.
func Now() time.Time { return time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC) }

// ClusterID is the id of the one cluster that the model can have.
const ClusterID = "3f9c2b7e"

// Cluster is the world of the model: all hosts, and which of them are members.
type Cluster struct {
	mu      sync.Mutex
	hosts   []*Host
	members []string // by name, in the order in which they joined
	holder  string   // "" while nobody holds
	term    uint64
	history []control.Change // the newest first
	paused  []string         // by name
	frozen  *control.Frozen
	cut     bool
}

// Host is one host of the model, and a control.Daemon.
type Host struct {
	cluster       *Cluster
	name, address string
}

var _ control.Daemon = (*Host)(nil)

// NewCluster returns a world with up to nine hosts of these names, at the
// addresses 10.11.12.4 and up, none of them a member of a cluster yet.
func NewCluster(names ...string) *Cluster {
	c := new(Cluster)
	for i, name := range names {
		c.hosts = append(c.hosts, &Host{cluster: c, name: name, address: fmt.Sprintf("10.11.12.%d", 4+i)})
	}
	return c
}

// Host returns the host of that name, nil if there is none.
func (c *Cluster) Host(name string) *Host {
	i := slices.IndexFunc(c.hosts, func(h *Host) bool { return h.name == name })
	if i < 0 {
		return nil
	}
	return c.hosts[i]
}

// Cut cuts all hosts off from each other: nobody holds from now on.
func (c *Cluster) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	c.give("", "the hosts are cut off from each other")
}

// give makes to the holder, in a new term.
func (c *Cluster) give(to, reason string) {
	if c.holder == to {
		return
	}
	c.term++
	change := control.Change{Time: Now(), From: c.holder, To: to, Term: c.term, Reason: reason}
	c.history = slices.Insert(c.history, 0, change)
	c.holder = to
}

func (c *Cluster) has(name string) bool { return slices.Contains(c.members, name) }

// drop takes a member out; if it held, the first of the others that can holds.
func (c *Cluster) drop(name, reason string) {
	c.members = slices.DeleteFunc(c.members, func(m string) bool { return m == name })
	if c.holder == name {
		c.give(c.other(), reason)
	}
}

// lock takes the lock unless ctx has ended.
func (h *Host) lock(ctx context.Context) (unlock func(), err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	h.cluster.mu.Lock()
	return h.cluster.mu.Unlock, nil
}

// needLeader is the refusal of what only a leader can do.
func (c *Cluster) needLeader() error {
	if c.holder != "" {
		return nil
	}
	return noLeader()
}

func noLeader() error {
	return &control.Error{Message: "there is no leader now", Advice: "`vipd status` says what this host knows", Code: control.CodeNoLeader}
}

func (c *Cluster) needMember(name string) error {
	if c.has(name) {
		return nil
	}
	return &control.Error{
		Message: fmt.Sprintf("no member is named %q", name),
		Advice:  fmt.Sprintf("the members are %v", c.members), Code: control.CodeFailed,
	}
}
