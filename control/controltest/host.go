package controltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/control"
)

// Init implements control.Daemon.
func (h *Host) Init(ctx context.Context) (control.Formed, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return control.Formed{}, err
	}
	defer unlock()
	formed := control.Formed{Cluster: ClusterID, Node: h.name, JoinCommand: "vipd join " + h.address}
	if h.cluster.has(h.name) {
		formed.Already = true
		return formed, nil
	}
	if len(h.cluster.members) > 0 {
		return control.Formed{}, &control.Error{Message: "the model has one cluster only", Code: control.CodeFailed}
	}
	h.cluster.members = []string{h.name}
	h.cluster.give(h.name, "the cluster was founded")
	return formed, nil
}

// Join implements control.Daemon.
func (h *Host) Join(ctx context.Context, peer string) (control.Joined, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return control.Joined{}, err
	}
	defer unlock()
	c := h.cluster
	already := c.has(h.name)
	if !already {
		if !c.memberAt(peer) {
			return control.Joined{}, &control.Error{
				Message: fmt.Sprintf("join %s: no member of a cluster answers there", peer),
				Advice:  "give the address of a host on which `vipd init` or `vipd join` has succeeded",
				Code:    control.CodeFailed,
			}
		}
		if err := c.needLeader(); err != nil {
			return control.Joined{}, err
		}
		c.members = append(c.members, h.name)
	}
	return control.Joined{Cluster: ClusterID, Leader: c.holder, Members: slices.Clone(c.members), Already: already}, nil
}

func (c *Cluster) memberAt(peer string) bool {
	address, _, _ := strings.Cut(peer, ":")
	return slices.ContainsFunc(c.hosts, func(h *Host) bool { return h.address == address && c.has(h.name) })
}

// Leave implements control.Daemon.
func (h *Host) Leave(ctx context.Context) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	h.cluster.drop(h.name, h.name+" leaves the cluster")
	return nil
}

// Remove implements control.Daemon.
func (h *Host) Remove(ctx context.Context, node string) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.cluster.needMember(node); err != nil {
		return err
	}
	if err := h.cluster.needLeader(); err != nil {
		return err
	}
	h.cluster.drop(node, node+" was removed")
	return nil
}

// Transfer implements control.Daemon.
func (h *Host) Transfer(ctx context.Context, t control.Transfer) (control.Moved, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return control.Moved{}, err
	}
	defer unlock()
	c := h.cluster
	if err := c.needLeader(); err != nil {
		return control.Moved{}, err
	}
	if c.frozen != nil {
		return control.Moved{}, &control.Error{Message: "the cluster is frozen", Advice: "type vipd thaw first", Code: control.CodeFailed}
	}
	to := t.Node
	if to == "" {
		to = c.other()
	}
	if to == "" {
		return control.Moved{}, &control.Error{Message: "no other member can take the addresses", Code: control.CodeFailed}
	}
	if err := c.needMember(to); err != nil {
		return control.Moved{}, err
	}
	if to != c.holder && slices.Contains(c.paused, to) {
		return control.Moved{}, &control.Error{Message: to + " is paused", Advice: "type vipd resume there", Code: control.CodeFailed}
	}
	from := c.holder
	c.give(to, "an operator asked for it")
	took := drained
	if t.Hasty {
		took = undrained
	}
	return control.Moved{From: from, To: to, Term: c.term, Took: took}, nil
}

// How long a transfer takes in the model.
const (
	drained   = control.Millis(12 * time.Millisecond)
	undrained = control.Millis(4 * time.Millisecond)
)

// other returns the first member that does not hold and could, "" if there is none.
func (c *Cluster) other() string {
	i := slices.IndexFunc(c.members, func(m string) bool { return m != c.holder && !slices.Contains(c.paused, m) })
	if i < 0 {
		return ""
	}
	return c.members[i]
}
