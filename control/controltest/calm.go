package controltest

import (
	"context"
	"slices"

	"github.com/vipd/vipd/control"
)

// Pause implements control.Daemon.
func (h *Host) Pause(ctx context.Context) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	c := h.cluster
	if slices.Contains(c.paused, h.name) {
		return nil
	}
	c.paused = append(c.paused, h.name)
	c.relieve()
	return nil
}

// isPaused is why a paused host does not hold.
const isPaused = "paused by an operator"

// relieve gives what a paused host holds to a member that can take it.
func (c *Cluster) relieve() {
	if to := c.other(); to != "" && c.frozen == nil && slices.Contains(c.paused, c.holder) {
		c.give(to, isPaused)
	}
}

// Resume implements control.Daemon.
func (h *Host) Resume(ctx context.Context) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	c := h.cluster
	c.paused = slices.DeleteFunc(c.paused, func(name string) bool { return name == h.name })
	c.relieve()
	return nil
}

// Freeze implements control.Daemon.
func (h *Host) Freeze(ctx context.Context) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.needLeader(); err != nil {
		return err
	}
	if h.cluster.frozen == nil {
		h.cluster.frozen = &control.Frozen{By: h.name, Time: Now()}
	}
	return nil
}

// needLeader is the refusal of what only the leader of this host's cluster can do.
func (h *Host) needLeader() error {
	if !h.cluster.has(h.name) {
		return &control.Error{
			Message: "this host belongs to no cluster", Advice: "`vipd init` on the first host, and `vipd token create` on a member, print what to type on the others; `vipd status` says what a host with cluster.expect waits for", Code: control.CodeFailed,
		}
	}
	return h.cluster.needLeader()
}

// Thaw implements control.Daemon.
func (h *Host) Thaw(ctx context.Context) error {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.needLeader(); err != nil {
		return err
	}
	h.cluster.frozen = nil
	h.cluster.relieve()
	return nil
}
