package simulate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/vipd/vipd/election"
	"github.com/vipd/vipd/trust"
)

// patience is how long operators wait for a command.
func (w *world) patience() time.Duration { return 30*time.Second + 4*w.detect }

// command runs an operator's command on a living daemon, until the round ends at
// the latest.
func (n *nemesis) command(d *daemon, what string, f func(context.Context) error, then func(error)) {
	n.timeline.add(d.host.name, "operator: %s", what)
	ctx, cancel := context.WithTimeout(context.Background(), n.patience())
	mended := n.mended
	n.running.Go(func() {
		select {
		case <-mended:
			cancel()
		case <-ctx.Done():
		}
	})
	n.running.Go(func() {
		defer cancel()
		err := f(ctx)
		if d.process.dead.Load() {
			err = errDead // whoever asked has seen the connection break
		}
		n.timeline.add(d.host.name, "operator: %s: %s", what, orDone(err))
		n.mu.Lock()
		defer n.mu.Unlock()
		then(err)
	})
}

func orDone(err error) string {
	if err == nil {
		return "done"
	}
	return err.Error()
}

func (n *nemesis) anyAlive() *daemon {
	ds := n.alive()
	if len(ds) == 0 {
		return nil
	}
	return ds[n.dice.below(len(ds))]
}

// transfer moves the lease, from any member to any member.
func (n *nemesis) transfer() {
	d, old := n.anyAlive(), n.serving(false)
	if d == nil {
		return
	}
	target := ""
	if n.dice.in(2) {
		target = n.hosts[n.dice.below(len(n.hosts))].name
	}
	move := election.Move{Target: target, Reason: "asked for by an operator", Cause: election.ByOperator, Hasty: n.profile.Varied && n.dice.in(3)}
	n.mu.Lock()
	before := n.totals.Openings
	n.mu.Unlock()
	n.command(d, "transfer "+target, func(ctx context.Context) error {
		return d.node.Move(ctx, move)
	}, func(err error) {
		if err != nil {
			return
		}
		n.totals.Transfers++
		if old != nil && n.totals.Openings == before && old.host.kernel.isOpen(old.host.clock.now()) {
			n.fails("a transfer was acknowledged, and %s has held all the time", old.host.name)
		}
	})
}

// leave takes a host out; it joins again when the round is over.
func (n *nemesis) leave() {
	d := n.anyAlive()
	if d == nil || !n.mayChange() {
		return
	}
	n.changeMember(d, d.host, "leave", func(ctx context.Context) error { return d.leave(ctx) })
}

// leave does what `vipd leave` does.
func (d *daemon) leave(ctx context.Context) error {
	s := d.node.Status()
	if s.Leading && len(s.Members) > 1 {
		if _, err := d.agent.Transfer(ctx, election.Move{Reason: "leaves the cluster", Cause: election.ByOperator}); err != nil {
			return err
		}
	}
	return d.node.Leave(ctx)
}

// remove takes another host out.
func (n *nemesis) remove() {
	d, h := n.anyAlive(), n.hosts[n.dice.below(len(n.hosts))]
	if d == nil || !n.mayChange() {
		return
	}
	n.changeMember(d, h, "remove "+h.name, func(ctx context.Context) error { return d.node.Remove(ctx, h.name) })
}

// changeMember runs a command on d that takes h out of the cluster, whichever of the
// ids that h has had is the member.
func (n *nemesis) changeMember(d *daemon, h *host, what string, f func(context.Context) error) {
	n.mu.Lock()
	ids := slices.Clone(h.ids)
	busy := h.changing
	if !busy {
		h.changing = true
		n.ledger.begins(ids...)
	}
	n.mu.Unlock()
	if busy {
		return
	}
	n.command(d, what, f, func(err error) {
		h.changing = false
		n.ledger.ends(out, err, ids...)
		if err == nil {
			n.totals.Changes++
		}
	})
}

// found makes the cluster.
func (w *world) found() error {
	first := w.await(func() *daemon { return w.daemonOf(w.hosts[0]) })
	ctx, cancel := context.WithTimeout(context.Background(), w.patience())
	defer cancel()
	_, err := first.node.Init(ctx)
	if err != nil {
		return err
	}
	id := first.node.Status().ID
	w.mu.Lock()
	defer w.mu.Unlock()
	first.host.ids = []string{id}
	w.ledger.ends(in, nil, id)
	return nil
}

// await waits until there is a daemon that can be asked.
func (w *world) await(f func() *daemon) *daemon {
	for {
		if d := f(); d != nil && d.ready.Load() {
			return d
		}
		time.Sleep(time.Millisecond)
	}
}

// gather makes every host a voter that is none. It fails, with the error of the last
// attempt, if that takes unreasonably long.
func (w *world) gather() error {
	err := errors.New("nobody has held for long enough")
	for end := time.Now().Add(20*w.detect + 10*time.Minute); time.Now().Before(end); time.Sleep(w.detect / 4) {
		holder := w.serving(false)
		if holder == nil {
			continue
		}
		w.thaw(holder)
		missing := w.notVoters(holder.node.Status())
		if len(missing) == 0 {
			return nil
		}
		for _, h := range missing {
			if e := w.join(h, holder); e != nil {
				err = e
			}
		}
	}
	return err
}

func (w *world) notVoters(s election.Status) []*host {
	var missing []*host
	for _, h := range w.hosts {
		d := w.daemonOf(h)
		if d == nil || !d.ready.Load() {
			missing = append(missing, h)
			continue
		}
		id, voter := d.node.Status().ID, false
		for _, m := range s.Members {
			voter = voter || m.ID == id && m.Voter && !w.isWaiting(id)
		}
		if !voter {
			missing = append(missing, h)
		}
	}
	return missing
}

// join does what `vipd join` does, and `vipd leave` where the host was removed and has
// not heard of it.
func (w *world) join(h *host, peer *daemon) error {
	d := w.daemonOf(h)
	if d == nil || !d.ready.Load() {
		return nil
	}
	id := d.node.Status().ID
	w.mu.Lock()
	w.ledger.begins(id)
	w.ledger.begins(h.ids...) // the host takes the place of what it was before its disk was wiped
	if !slices.Contains(h.ids, id) {
		h.ids = append(h.ids, id)
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), w.patience())
	defer cancel()
	err := d.join(ctx, peer)
	if d.process.dead.Load() {
		err = errDead
	}
	w.timeline.add(h.name, "operator: join %s: %s", peer.host.address, orDone(err))
	now := d.admitted()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ledger.ends(now, err, id)
	if err == nil {
		w.totals.Changes++
	}
	return err
}

// join takes a token from a member to the host, which forgets first that it was one itself.
func (d *daemon) join(ctx context.Context, peer *daemon) error {
	token, _, err := peer.node.CreateToken(ctx, election.Use{TTL: time.Hour, Uses: 1})
	if err != nil {
		return err
	}
	if _, err = d.node.Join(ctx, peer.host.address, token); errors.Is(err, election.ErrRemoved) || errors.Is(err, trust.ErrNotOfCluster) {
		err = errors.Join(err, d.leave(ctx))
	}
	return err
}

// admitted is what a join that has succeeded has brought: a vote, or a place in the cluster
// and the vote later, when there is a third host or this one has caught up once more.
func (d *daemon) admitted() standing {
	s := d.node.Status()
	if slices.ContainsFunc(s.Members, func(m election.MemberStatus) bool { return m.ID == s.ID && m.Voter }) {
		return in
	}
	return waiting
}

func (w *world) isWaiting(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ledger.members[id] == waiting
}
