package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// commitTimeout is for one entry of the replicated log.
const commitTimeout = 10 * time.Second

// maxEntry is how many bytes an entry may have: as many of them as raft puts into one
// call must not be longer than a call may be.
const maxEntry = maxBody

// commit replicates c. It must run on the leader and blocks until a majority has it.
func (n *Node) commit(ctx context.Context, c command) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if len(body) > maxEntry {
		return fmt.Errorf("what shall be replicated has %d bytes, and may have %d", len(body), maxEntry)
	}
	f := n.raft.Apply(body, commitTimeout)
	if err := n.confirmed(ctx, f); err != nil {
		return fmt.Errorf("replicate: %w", err)
	}
	if err, ok := f.Response().(error); ok {
		return err
	}
	return nil
}

// confirmed waits until a majority has confirmed f, for commitTimeout at most.
func (n *Node) confirmed(ctx context.Context, f raft.Future) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	done := make(chan error, 1)
	n.unanswered.Add(1)
	go func() { // raft may never answer what is under way when it is shut down
		done <- f.Error()
		n.unanswered.Add(-1)
	}()
	select {
	case <-n.ended:
		return ErrNoLeader
	case err := <-done:
		if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipLost) {
			return ErrNoLeader
		}
		return err
	case <-ctx.Done():
		return hinted(fmt.Sprintf("not confirmed by a majority within %s", commitTimeout), "it may still take effect; `vipd status` shows who is silent or unwell")
	}
}

// isMember reports whether this host stands in the configuration that it knows.
func (n *Node) isMember() bool {
	return slices.ContainsFunc(n.view.Configuration().Servers, func(s raft.Server) bool { return s.ID == n.rules.self })
}

// change runs one change of membership at a time, none within T of the last one.
func (n *Node) change(ctx context.Context, f func() error) error {
	select {
	case n.changing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("another change of membership is under way: %w", context.Cause(ctx))
	}
	defer func() { <-n.changing }()
	return f()
}

// settled waits until a majority has what this leader has, its configuration included.
func (n *Node) settled(ctx context.Context) error {
	return n.confirmed(ctx, n.raft.Barrier(commitTimeout))
}

// step performs one change of raft's configuration, T after the last one of this
// member: by then no lease rests on the configuration before it, whose majorities
// need not overlap with those of the next. (Of another leader no lease is left.)
func (n *Node) step(ctx context.Context, f func() raft.IndexFuture) error {
	if err := n.rest(ctx); err != nil {
		return err
	}
	defer func() { n.lastChange = n.cfg.Now() }()
	return n.confirmed(ctx, f())
}

// rest waits until T after the last change of this member.
func (n *Node) rest(ctx context.Context) error {
	if wait := n.lastChange.Add(n.cfg.Detect).Sub(n.cfg.Now()); wait > 0 && !pause(ctx, wait) {
		return context.Cause(ctx)
	}
	return nil
}

// await waits, for some seconds at most, until a condition holds on the leader.
func (n *Node) await(ctx context.Context, condition func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	for !condition() {
		if !n.Leading() {
			return ErrNoLeader
		}
		if !pause(ctx, time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// reachable reports whether a peer has acknowledged a call sent less than T ago.
func (n *Node) reachable(id raft.ServerID) bool {
	return id == n.rules.self || n.cfg.Now().Sub(n.rules.lastAcked(id)) < n.cfg.Detect
}

// duringElections repeats what fails for want of a leader, for some seconds: a
// change of membership is no less wanted because the leader was lost meanwhile. What
// it repeats must do no harm when it was done already.
func (n *Node) duringElections(ctx context.Context, f func() error) error {
	trying, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	for {
		if err := f(); !errors.Is(err, ErrNoLeader) || !pause(trying, n.cfg.Detect/5) {
			return err
		}
	}
}

// note replicates what a member says of itself.
func (n *Node) note(ctx context.Context, m Member) error {
	if s, _, known := n.find(m.ID); !known || string(s.ID) != m.ID {
		return unknownMember(m.ID)
	}
	if err := m.check(); err != nil {
		return err
	}
	return n.commit(ctx, command{Member: &m})
}

// find returns the member with a name or id.
func (n *Node) find(who string) (raft.Server, Member, bool) {
	st := n.machine.get()
	for _, s := range n.view.Configuration().Servers {
		m, ok := st.member(func(m Member) bool { return m.ID == string(s.ID) })
		if !ok {
			m = Member{ID: string(s.ID), Name: string(s.Address), Address: string(s.Address), Able: true, Healthy: true} // nothing is known yet
		}
		if m.Name == who || m.ID == who {
			return s, m, true
		}
	}
	return raft.Server{}, Member{}, false
}

// keepReported tells the cluster what it should know of this host whenever what it knows
// differs, and whenever members come or change their version.
func (n *Node) keepReported(ctx context.Context) {
	versions := ""
	for {
		select {
		case <-n.reporting:
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
		me := n.reported()
		st := n.machine.get()
		known, _ := st.member(func(m Member) bool { return m.ID == me.ID })
		if now := st.versions(); reflect.DeepEqual(known, me) && now == versions || !n.isMember() {
			continue
		}
		if err := n.callLeader(ctx, "", pathReport, me, nil); err != nil {
			n.log.Debug("the cluster does not know this host's state yet", zap.Error(err))
			continue
		}
		versions = st.versions()
	}
}
