package controltest

import (
	"context"
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
	formed := control.Formed{Cluster: ClusterID, Node: h.name, TokenUse: initUse()}
	if h.cluster.has(h.name) {
		if err := h.cluster.needLeader(); err != nil {
			return control.Formed{}, err
		}
		formed.Already, formed.JoinCommand = true, h.newToken(initUse()).JoinCommand
		return formed, nil
	}
	if len(h.cluster.members) > 0 {
		return control.Formed{}, &control.Error{Message: "the model has one cluster only", Code: control.CodeFailed}
	}
	h.cluster.members = []string{h.name}
	h.cluster.enfranchise()
	h.cluster.give(h.name, "the first holder")
	formed.JoinCommand = h.newToken(initUse()).JoinCommand
	return formed, nil
}

// Join implements control.Daemon.
func (h *Host) Join(ctx context.Context, peer, token string) (control.Joined, error) {
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
				Message: peer + " belongs to no cluster itself", Advice: "run `vipd init` there first, or name another peer", Code: control.CodeFailed,
			}
		}
		if err := c.needLeader(); err != nil {
			return control.Joined{}, err
		}
		if err := c.use(token); err != nil {
			return control.Joined{}, err
		}
		c.members = append(c.members, h.name)
		c.enfranchise()
	}
	waiting := !slices.Contains(c.voters, h.name)
	return control.Joined{Cluster: ClusterID, Leader: c.holder, Members: slices.Clone(c.members), Already: already && !waiting, Waiting: waiting}, nil
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
	c := h.cluster
	if !c.has(h.name) {
		return nil
	}
	if slices.Equal(c.voters, []string{h.name}) {
		return &control.Error{Message: "this host is the last member", Advice: "to give the cluster up, stop vipd and empty the data directory", Code: control.CodeFailed}
	}
	if c.holder == h.name {
		c.giveOnOrder(c.other(), h.name+" leaves the cluster")
	}
	c.drop(h.name)
	return nil
}

// Remove implements control.Daemon.
func (h *Host) Remove(ctx context.Context, node string) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.needLeader(); err != nil {
		return err
	}
	if err := h.cluster.needMember(node); err != nil {
		return err
	}
	if h.cluster.holder == node {
		return &control.Error{Message: node + " holds the addresses now", Advice: "run `vipd transfer` first, or `vipd leave` on it", Code: control.CodeFailed}
	}
	h.cluster.drop(node)
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
	if c.holder == "" || !c.has(h.name) {
		return control.Moved{}, noLeader()
	}
	if t.Node == c.holder {
		return control.Moved{From: c.holder, To: c.holder, Term: c.term}, nil
	}
	to, err := c.successor(t.Node)
	if err != nil {
		return control.Moved{}, err
	}
	from := c.holder
	c.giveOnOrder(to, "asked for by an operator")
	took := drained
	if t.Hasty {
		took = undrained
	}
	return control.Moved{From: from, To: to, Term: c.term, Took: took}, nil
}

// successor returns who takes over: the member of that name, or the first that can.
func (c *Cluster) successor(name string) (string, error) {
	refused := func(message, advice string) error {
		return &control.Error{Message: message, Advice: advice, Code: control.CodeFailed}
	}
	if c.frozen != nil {
		return "", refused("hand-overs are frozen in this cluster", "run `vipd thaw` first")
	}
	if name == "" {
		if name = c.other(); name == "" {
			return "", refused("no other healthy member is in contact", "see `vipd status`")
		}
	}
	switch err := c.needMember(name); {
	case err != nil:
		return "", err
	case slices.Contains(c.paused, name):
		return "", refused(name+" can't take over: "+isPaused, "run `vipd resume` there, or name another member, or none")
	case !slices.Contains(c.voters, name):
		return "", refused(name+" can't take over: has no vote yet",
			"wait until it has caught up and, if it is the second host, a third one has joined, or name another member, or none")
	}
	return name, nil
}

// How long a transfer takes in the model.
const (
	drained   = control.Millis(12 * time.Millisecond)
	undrained = control.Millis(4 * time.Millisecond)
)

// other returns the first member that does not hold and could, "" if there is none.
func (c *Cluster) other() string {
	i := slices.IndexFunc(c.voters, func(m string) bool { return m != c.holder && !slices.Contains(c.paused, m) })
	if i < 0 {
		return ""
	}
	return c.voters[i]
}
