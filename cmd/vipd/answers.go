package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vipd/vipd/agent"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/election"
)

// answers is what the daemon says and does for whoever asks on its socket.
type answers struct{ *server }

var _ control.Daemon = answers{}

// Init founds a cluster.
func (a answers) Init(ctx context.Context) (control.Formed, error) {
	already, err := a.node.Init(ctx)
	if err != nil {
		return control.Formed{}, coded(err)
	}
	made, err := a.CreateToken(ctx, control.TokenUse{TTL: control.Millis(time.Hour), Uses: 10})
	if err != nil {
		return control.Formed{}, fmt.Errorf("this host is a member; make a token for the others: %w", err)
	}
	return control.Formed{
		Cluster: a.node.Status().Cluster, Node: a.cfg.Node.Name, JoinCommand: made.JoinCommand, TokenUse: made.TokenUse, Already: already,
	}, nil
}

// Join makes this host a member.
func (a answers) Join(ctx context.Context, peer, token string) (control.Joined, error) {
	already, err := a.node.Join(ctx, peer, token)
	if err != nil {
		return control.Joined{}, coded(err)
	}
	s := a.node.Status()
	joined := control.Joined{Cluster: s.Cluster, Leader: s.Leader.Name, Already: already}
	for _, m := range s.Members {
		joined.Members = append(joined.Members, m.Name)
		joined.Waiting = joined.Waiting || m.ID == s.ID && !m.Voter && len(s.Members) < 3 // a third one gets it in a moment
	}
	return joined, nil
}

// Leave hands over, if this host leads, and takes it out of the cluster.
func (a answers) Leave(ctx context.Context) error {
	s := a.node.Status()
	if s.Cluster == "" {
		return nil
	}
	if s.Leading && len(s.Members) > 1 {
		if _, err := a.agent.Transfer(ctx, election.Move{Reason: a.cfg.Node.Name + " leaves the cluster", Cause: election.ByOperator}); err != nil {
			return coded(err)
		}
	}
	return coded(a.node.Leave(ctx))
}

// Remove takes a member out of the cluster.
func (a answers) Remove(ctx context.Context, node string) error {
	return coded(a.node.Remove(ctx, node))
}

// Transfer moves the lease and waits until the new holder is known here.
func (a answers) Transfer(ctx context.Context, t control.Transfer) (control.Moved, error) {
	began := time.Now()
	from := a.node.Status().Leader
	if from.ID == "" {
		return control.Moved{}, coded(election.ErrNoLeader)
	}
	if t.Node == from.Name || t.Node == from.ID {
		return control.Moved{From: from.Name, To: from.Name, Term: a.node.Status().Term}, nil
	}
	if err := a.node.Move(ctx, election.Move{Target: t.Node, Reason: "asked for by an operator", Cause: election.ByOperator, Hasty: t.Hasty}); err != nil {
		return control.Moved{}, coded(err)
	}
	for {
		s := a.node.Status()
		if s.Leader.ID != "" && s.Leader.ID != from.ID {
			return control.Moved{From: from.Name, To: s.Leader.Name, Term: s.Term, Took: control.Millis(time.Since(began))}, nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return control.Moved{}, fmt.Errorf("wait for the new holder: %w", context.Cause(ctx))
		}
	}
}

// Pause keeps this host from holding.
func (a answers) Pause(context.Context) error { return a.pause(true) }

// Resume undoes Pause.
func (a answers) Resume(context.Context) error { return a.pause(false) }

func (a answers) pause(paused bool) error {
	a.pausing.Lock()
	defer a.pausing.Unlock()
	if err := a.node.SetPaused(paused); err != nil {
		return coded(err)
	}
	a.agent.Report(agent.PauseChanged{Paused: paused})
	return nil
}

// Freeze keeps the addresses from moving.
func (a answers) Freeze(ctx context.Context) error { return coded(a.node.Freeze(ctx)) }

// Thaw undoes Freeze.
func (a answers) Thaw(ctx context.Context) error { return coded(a.node.Thaw(ctx)) }

// coded gives the errors of the election their exit codes.
func coded(err error) error {
	if err == nil {
		return nil
	}
	e := control.ErrorOf(err)
	if errors.Is(err, election.ErrNoLeader) {
		e.Code = control.CodeNoLeader
	}
	if _, ok := errors.AsType[*election.UnknownError](err); ok {
		e.Code = control.CodeUsage
	}
	return e
}

// Status says what this host knows.
func (a answers) Status(ctx context.Context) (control.Status, error) {
	s, now := a.node.StatusOfAll(ctx), boottime()
	status := control.Status{
		Time: time.Now(), Node: a.nodeStatus(s), Cluster: clusterStatus(s), Holder: holder(s),
		Lease: control.Lease{Held: s.Lease.Held, Term: s.Lease.Term, Remaining: control.Millis(s.Lease.Left), Length: control.Millis(s.Length)},
		Fence: a.fenceStatus(now), VIP: a.vipStatus(), Hooks: a.hooksStatus(), Trust: a.trustStatus(),
	}
	status.Cluster.Forming = a.node.Formation()
	for _, c := range a.monitor.Verdict().Checks {
		status.Checks = append(status.Checks, control.Check{
			Name: c.Name, Healthy: c.Healthy, Known: c.Known, Since: c.Since, LastRun: c.Last, Took: control.Millis(c.Took),
			Failures: c.Failures, Reason: c.Reason, Output: c.Output, Weight: c.Weight,
		})
	}
	for _, c := range slices.Backward(s.History) {
		status.History = append(status.History, control.Change{Time: c.Time, From: c.From, To: c.To, Term: c.Term, Reason: c.Reason})
	}
	status.Warnings = a.warnings(s)
	return status, nil
}

// Simulate says who would hold.
func (a answers) Simulate(ctx context.Context, suppose control.Suppose) (control.Forecast, error) {
	f, err := a.node.StatusOfAll(ctx).Forecast(election.Suppose(suppose))
	if err != nil {
		return control.Forecast{}, coded(err)
	}
	forecast := control.Forecast{Before: f.Before, After: f.After, Why: f.Why, Planned: f.Planned}
	for _, m := range f.Members {
		forecast.Members = append(forecast.Members, control.ForecastMember(m))
	}
	return forecast, nil
}

// Leader says who holds the addresses, without asking anybody.
func (a answers) Leader(context.Context) (control.Leader, error) {
	s := a.node.Status()
	h := holder(s)
	if h == nil {
		return control.Leader{}, coded(election.ErrNoLeader)
	}
	return control.Leader{Name: h.Name, ID: s.Leader.ID, Address: s.Leader.Address, Term: h.Term}, nil
}

func (a answers) nodeStatus(s election.Status) control.Node {
	state := a.agent.State()
	n := control.Node{
		Name: a.cfg.Node.Name, ID: s.ID, Address: a.cfg.Node.Address.String(), Version: version,
		State: string(state.Role), Reason: cmp.Or(state.Told.Reason, state.Reason), Since: state.Since, Uptime: control.Millis(time.Since(a.started)),
		Priority: state.Told.Priority, Paused: state.Paused, Witness: a.cfg.Node.Witness,
	}
	if n.State == "" {
		n.State = control.StateFault // nothing is known yet
	}
	return n
}

func clusterStatus(s election.Status) control.Cluster {
	c := control.Cluster{ID: s.Cluster, Detect: control.Millis(s.Detect), Quorum: control.Quorum{Needed: s.Needed}}
	if s.Reachable >= 0 {
		c.Quorum.Reachable = &s.Reachable
	}
	if s.Frozen != nil {
		c.Frozen = &control.Frozen{By: s.Frozen.By, Time: s.Frozen.Time}
	}
	for _, m := range s.Members {
		member := control.Member{
			Name: m.Name, ID: m.ID, Address: m.Address, Voter: m.Voter, Leader: m.ID == s.Leader.ID, Self: m.ID == s.ID,
			Able: m.Able, Healthy: m.Healthy, Reason: m.Reason, Version: m.Version,
			Priority: m.EffectivePriority(), Base: m.Base, Preempt: m.Preempt, Witness: m.Witness, Paused: m.Paused, HoldDown: m.HoldDown, Why: m.Why,
		}
		for _, check := range m.Checks {
			member.Checks = append(member.Checks, control.MemberCheck{Name: check.Name, Healthy: check.Healthy, Weight: check.Weight, Reason: check.Reason})
		}
		if m.Contact >= 0 {
			contact := control.Millis(m.Contact)
			member.Contact = &contact
		}
		c.Members = append(c.Members, member)
	}
	return c
}

// holder is the leader, as far as this host knows; of itself it knows exactly.
func holder(s election.Status) *control.Holder {
	m, ok := s.Holder()
	if !ok {
		return nil
	}
	h := &control.Holder{Name: m.Name, Term: s.Term}
	if n := len(s.History); n > 0 && s.History[n-1].To == h.Name {
		h.Since = s.History[n-1].Time
	}
	return h
}

func (a answers) fenceStatus(now election.Instant) control.Fence {
	left := max(0, a.kernel.Deadline().Sub(now))
	f := control.Fence{Open: left > 0, Remaining: control.Millis(left)}
	if err := a.kernel.Check(); err != nil {
		f.Error = err.Error()
	} else {
		f.Armed = true
	}
	return f
}

func (a answers) vipStatus() control.VIP {
	bound, err := a.kernel.Bound()
	v := control.VIP{Bound: bound && err == nil && len(a.cfg.VIP.Addresses) > 0, Answering: a.answering()}
	for i, address := range a.cfg.VIP.Addresses {
		if i == 0 {
			v.Interface = address.Interface
		}
		v.Addresses = append(v.Addresses, address.Prefix.String())
	}
	return v
}

func (a answers) hooksStatus() control.Hooks {
	state := a.agent.State()
	h := control.Hooks{
		Configured: len(a.cfg.Hooks.Notify) > 0, Last: state.Since, LastState: string(state.Role),
		LastTook: control.Millis(state.HookTook), LastError: state.HookErr,
	}
	if state.Running {
		h.Running = h.LastState
	}
	return h
}

// warnings says what an operator should know and the rest of the status does not.
func (a answers) warnings(s election.Status) []string {
	state := a.agent.State()
	w := slices.Clone(s.Trouble)
	if state.UnbindErr != "" {
		w = append(w, "the addresses can't be removed from this host (the fence keeps them silent): "+state.UnbindErr)
	}
	if state.FenceErr != "" {
		w = append(w, "a holder before could not be fenced: "+state.FenceErr)
	}
	if state.Alone {
		w = append(w, "this host had better hand over, but no other healthy member is in contact: "+state.Told.Reason)
	}
	return w
}
