package controltest

import (
	"context"
	"slices"
	"time"

	"github.com/vipd/vipd/control"
)

// What every host of the model is configured with.
const (
	detect  = control.Millis(500 * time.Millisecond)
	length  = control.Millis(375 * time.Millisecond)
	address = "42.159.241.126"
	version = "1.0.0"

	priority = 100
)

// Status implements control.Daemon.
func (h *Host) Status(ctx context.Context) (control.Status, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return control.Status{}, err
	}
	defer unlock()
	c := h.cluster
	s := control.Status{
		Time: Now(),
		Node: h.node(),
		VIP:  control.VIP{Interface: "eth0", Addresses: []string{address}, Bound: c.holder == h.name, Answering: c.holder == h.name},
		Fence: control.Fence{
			Armed: true, Open: c.holder == h.name,
		},
		History: slices.Clone(c.history),
	}
	if c.holder == h.name {
		s.Lease = control.Lease{Held: true, Term: c.term, Remaining: length, Length: length}
		s.Fence.Remaining = length
	}
	if c.has(h.name) {
		s.Cluster = h.members()
	}
	if c.has(h.name) && c.holder != "" {
		s.Holder = &control.Holder{Name: c.holder, Term: c.term, Since: Now()}
	}
	return s, nil
}

// Leader implements control.Daemon.
func (h *Host) Leader(ctx context.Context) (control.Leader, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return control.Leader{}, err
	}
	defer unlock()
	c := h.cluster
	if c.holder == "" || !c.has(h.name) {
		return control.Leader{}, noLeader()
	}
	return control.Leader{Name: c.holder, ID: "id-" + c.holder, Address: c.Host(c.holder).address + ":7600", Term: c.term}, nil
}

func (h *Host) node() control.Node {
	n := control.Node{
		Name: h.name, ID: "id-" + h.name, Address: h.address + ":7600", Version: version,
		State: control.StateBackup, Reason: "waiting", Since: Now(),
		Priority: priority, Paused: slices.Contains(h.cluster.paused, h.name),
	}
	if h.cluster.holder == h.name {
		n.State, n.Reason = control.StateMaster, "holds the lease"
	}
	return n
}

func (h *Host) members() control.Cluster {
	c := h.cluster
	n := len(c.members)
	shown := control.Cluster{ID: ClusterID, Detect: detect, Quorum: control.Quorum{Needed: n/2 + 1}, Frozen: c.frozen}
	if c.holder == h.name {
		shown.Quorum.Reachable = &n
	}
	for _, name := range c.members {
		m := control.Member{
			Name: name, ID: "id-" + name, Address: c.Host(name).address + ":7600",
			Voter: true, Leader: name == c.holder, Self: name == h.name, Able: true, Healthy: true, Version: version,
			Checks:   []control.MemberCheck{{Name: "appsvc", Healthy: true}, {Name: "disk", Healthy: true, Weight: -20}},
			Priority: priority, Paused: slices.Contains(c.paused, name), Why: c.why(name),
		}
		if c.holder == h.name && !m.Self {
			m.Contact = new(control.Millis(40 * time.Millisecond))
		}
		shown.Members = append(shown.Members, m)
	}
	return shown
}

// why says why a member holds or does not.
func (c *Cluster) why(name string) string {
	switch {
	case c.holder == "":
		return "nobody can hold while the hosts are cut off from each other"
	case c.holder == name && slices.Contains(c.paused, name):
		return "it is paused, but no other member can take the addresses"
	case c.holder == name:
		return c.history[0].Reason
	case slices.Contains(c.paused, name):
		return "it is paused"
	}
	return c.holder + " holds, and is no worse"
}
