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
	voters  []string // those of them that vote
	holder  string   // "" while nobody holds
	term    uint64
	history []control.Change // the newest first
	asked   bool             // an operator wanted the newest
	paused  []string         // by name
	frozen  *control.Frozen
	tokens  []control.Token // the newest first
	cut     bool

	rotations int
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
	c.cut, c.holder = true, ""
}

// give makes to the holder, in a new term.
func (c *Cluster) give(to, reason string) {
	if c.holder == to {
		return
	}
	c.term++
	change := control.Change{Time: Now(), From: c.holder, To: to, Term: c.term, Reason: reason}
	c.history = slices.Insert(c.history, 0, change)
	c.holder, c.asked = to, false
}

// giveOnOrder is give for what an operator wants.
func (c *Cluster) giveOnOrder(to, reason string) {
	c.give(to, reason)
	c.asked = true
}

// enfranchise gives their votes to all members, unless these are two.
func (c *Cluster) enfranchise() {
	if len(c.members) != 2 {
		c.voters = slices.Clone(c.members)
	}
}

func (c *Cluster) has(name string) bool { return slices.Contains(c.members, name) }

// drop takes a member out.
func (c *Cluster) drop(name string) {
	is := func(m string) bool { return m == name }
	c.members, c.voters = slices.DeleteFunc(c.members, is), slices.DeleteFunc(c.voters, is)
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
	return &control.Error{
		Message: "there is no leader now",
		Advice: "an election takes about the detect time; if this lasts, too few members reach each other: see `vipd status`;" +
			" if a majority is lost for ever: `vipd recover --help`",
		Code: control.CodeNoLeader,
	}
}

func (c *Cluster) needMember(name string) error {
	if c.has(name) {
		return nil
	}
	return &control.Error{Message: fmt.Sprintf("there is no member %q", name), Advice: "`vipd status` lists the members", Code: control.CodeUsage}
}
