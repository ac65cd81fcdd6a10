package controltest

import (
	"context"
	"fmt"
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
		s.Trust = control.Trust{Authority: c.authority(), Ends: Now().AddDate(1, 0, 0)}
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
	c := h.cluster
	n := control.Node{
		Name: h.name, ID: "id-" + h.name, Address: h.address + ":7600", Version: version,
		State: control.StateBackup, Reason: c.lastReason(h.name), Since: Now(),
		Priority: priority, Paused: slices.Contains(c.paused, h.name),
	}
	if c.holder == h.name {
		n.State = control.StateMaster
	}
	if n.Paused {
		n.Reason = isPaused
	}
	return n
}

// lastReason says why a host holds or does not.
func (c *Cluster) lastReason(name string) string {
	if c.holder == name {
		return "the lease was gained"
	}
	for _, change := range c.history { // the newest first
		switch name {
		case change.From:
			return change.Reason
		case change.To:
			return "the lease was lost"
		}
	}
	return "started"
}

func (h *Host) members() control.Cluster {
	c := h.cluster
	n := len(c.voters)
	shown := control.Cluster{ID: ClusterID, Detect: detect, Quorum: control.Quorum{Needed: n/2 + 1}, Frozen: c.frozen}
	if c.holder == h.name {
		shown.Quorum.Reachable = &n
	}
	for _, name := range c.members {
		paused := slices.Contains(c.paused, name)
		m := control.Member{
			Name: name, ID: "id-" + name, Address: c.Host(name).address + ":7600", Voter: slices.Contains(c.voters, name),
			Leader: name == c.holder, Self: name == h.name, Able: !paused || name == c.holder, Healthy: !paused, Version: version,
			Checks:   []control.MemberCheck{{Name: "appsvc", Healthy: true}, {Name: "disk", Healthy: true, Weight: -20}},
			Priority: priority, Base: priority, Paused: paused, Why: c.why(name),
		}
		if paused {
			m.Reason = isPaused
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
	paused := slices.Contains(c.paused, name)
	switch {
	case c.holder == name && paused && c.frozen != nil && c.other() != "":
		return "holds although paused: the cluster is frozen"
	case c.holder == name && paused:
		return "holds although paused: no other host can take over"
	case c.holder == name:
		return fmt.Sprintf("holds: %s (priority %d)", c.reason(), priority)
	case paused:
		return isPaused
	case !slices.Contains(c.voters, name):
		return "has no vote yet"
	case c.holder == "":
		return "nobody leads now"
	}
	return "ready; the same priority as " + c.holder
}

// reason says how the holder came to hold.
func (c *Cluster) reason() string {
	last := c.history[0]
	if c.asked || last.From == "" {
		return last.Reason
	}
	return last.From + " handed over, " + last.Reason
}
