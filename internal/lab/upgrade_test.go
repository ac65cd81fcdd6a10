//go:build upgrade

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/control"
)

// upgrade is a session whose hosts run one of two versions each.
type upgrade struct {
	*session
	previous, current edition
	runs              map[*Host]edition
	cluster           string           // its id
	ids               map[*Host]string // of the members
	known             []control.Change // the history as the hosts told it last
}

// TestRollingUpgrade does what docs/operations.md tells an operator to do, and lets happen in between what can happen.
func TestRollingUpgrade(t *testing.T) {
	u := &upgrade{previous: buildPrevious(t), current: buildCurrent(t), runs: map[*Host]edition{}, ids: map[*Host]string{}}
	u.session = bareSession(t)
	for _, h := range u.Hosts {
		u.put(t, h, u.previous)
		u.install(t, h, VipdConfig{Binary: program(h), Detect: detect})
	}
	u.step(t, "the previous version forms a cluster", u.founds)
	u.step(t, "a follower is upgraded", u.upgradesAFollower)
	u.step(t, "one of three is upgraded", u.livesMixed)
	u.step(t, "the other follower is upgraded", u.upgradesAFollower)
	u.step(t, "two of three are upgraded", u.livesMixed)
	u.step(t, "the holder is upgraded last", u.upgradesTheHolder)
	u.step(t, "all are upgraded", u.goesRound)
	u.step(t, "a follower goes back", u.setsBack)
	u.step(t, "one of three has gone back", u.livesMixed)
	u.step(t, "the one that had gone back is upgraded again", u.upgradesTheHolder)
	u.step(t, "never two", u.neverTwo)
}

// step ends the test if the step fails, or does not leave the cluster as it has to be.
func (u *upgrade) step(t *testing.T, name string, happens func(*testing.T)) {
	t.Helper()
	from := u.prober.Now()
	passed := t.Run(name, func(t *testing.T) {
		defer u.oneAtMost(t, from)
		happens(t)
		u.well(t)
		u.whole(t)
	})
	if !passed {
		t.FailNow()
	}
}

func (u *upgrade) oneAtMost(t *testing.T, from time.Duration) {
	t.Helper()
	seen := u.prober.Timeline(from)
	if overlap := seen.Overlap(); overlap != 0 {
		t.Errorf("two hosts answered for %v: %v", overlap, seen.Overlaps())
	}
}

// put installs a version on the host. Its daemon does not notice until it is started again.
func (u *upgrade) put(t *testing.T, h *Host, e edition) {
	t.Helper()
	e.put(t, h)
	u.runs[h] = e
}

func (u *upgrade) founds(t *testing.T) {
	u.forms(t)
	for _, h := range u.Hosts {
		s, err := u.status(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		u.cluster, u.ids[h] = s.Cluster.ID, s.Node.ID
	}
}

// upgradesAFollower installs and restarts, as with a package: the old daemon is cleaned up after by the new program.
func (u *upgrade) upgradesAFollower(t *testing.T) {
	holder := u.whole(t)
	h := u.runningOf(t, u.previous, u.Others(holder))
	u.put(t, h, u.current)
	if err := u.daemons[h].Restart(); err != nil {
		t.Fatal(err)
	}
	u.well(t)
	if now := u.whole(t); now != holder {
		t.Errorf("while the follower %s was upgraded, the address went from %s to %s", h, holder, now)
	}
}

// upgradesTheHolder upgrades the last host of the previous version while it holds.
func (u *upgrade) upgradesTheHolder(t *testing.T) {
	u.heldBy(t, u.previous)
	u.moves(t, func(holder *Host) error {
		u.put(t, holder, u.current)
		return u.daemons[holder].Restart()
	})
	u.well(t)
	if reason := u.known[0].Reason; strings.Contains(reason, "silent") {
		t.Errorf("the holder was to hand over, but its successor says: %s", reason)
	}
	for _, h := range u.Hosts {
		if u.runs[h] != u.current {
			t.Errorf("%s still has the version %s", h, u.runs[h].version)
		}
	}
}

// setsBack stops, replaces and starts, as without a package; the data directory stays as it is.
func (u *upgrade) setsBack(t *testing.T) {
	holder := u.whole(t)
	h := u.runningOf(t, u.current, u.Others(holder))
	if err := u.daemons[h].Stop(); err != nil {
		t.Fatal(err)
	}
	u.put(t, h, u.previous)
	if err := u.daemons[h].Restart(); err != nil {
		t.Fatal(err)
	}
	u.well(t)
	if now := u.whole(t); now != holder {
		t.Errorf("while the follower %s was set back, the address went from %s to %s", h, holder, now)
	}
}

// livesMixed moves the address from each version to the other, and kills the daemon of a holder of each version.
func (u *upgrade) livesMixed(t *testing.T) {
	for _, way := range [][2]edition{{u.previous, u.current}, {u.current, u.previous}} {
		u.heldBy(t, way[0])
		u.transfer(t, u.runningOf(t, way[1], u.Hosts))
		u.moves(t, func(holder *Host) error { return u.daemons[holder].Signal(unix.SIGKILL) })
		u.well(t)
	}
}

// goesRound has each host hold once.
func (u *upgrade) goesRound(t *testing.T) {
	for _, h := range u.Hosts {
		if h != u.whole(t) {
			u.transfer(t, h)
		}
	}
}

// heldBy has a host of that version hold the address.
func (u *upgrade) heldBy(t *testing.T, e edition) {
	t.Helper()
	if u.runs[u.whole(t)] != e {
		u.transfer(t, u.runningOf(t, e, u.Hosts))
	}
}

// runningOf returns the first of the hosts that has that version.
func (u *upgrade) runningOf(t *testing.T, e edition, among []*Host) *Host {
	t.Helper()
	i := slices.IndexFunc(among, func(h *Host) bool { return u.runs[h] == e })
	if i < 0 {
		t.Fatalf("none of %v has the version %s", among, e.version)
	}
	return among[i]
}

// transfer moves the address to the host. It is asked there, so that one version asks the other where the two differ. A
// host that has only just come back may lack the newest entries, and it is asked again, as the docs say.
func (u *upgrade) transfer(t *testing.T, to *Host) {
	t.Helper()
	got := u.moves(t, func(from *Host) error {
		t.Logf("%s# vipd transfer %s: from %s, version %s, to version %s", to, to, from, u.runs[from].version, u.runs[to].version)
		var r Result
		err := WaitFor(20*time.Second, func() (done bool, err error) {
			r, err = to.Vipd(t.Context(), "transfer", to.Name)
			return r.Code == 0, err
		})
		if err != nil {
			return fmt.Errorf("transfer to %s: %w; last: %s", to, err, strings.TrimSpace(r.Stderr))
		}
		return nil
	})
	if got != to {
		t.Fatalf("transfer to %s made %s the holder", to, got)
	}
}

// well waits until `vipd status` on every host shows nothing that is wrong, all members with the versions that they have,
// and one and the same history, which has lost nothing.
func (u *upgrade) well(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last string // not what a question says that the deadline has cut off
	for ctx.Err() == nil {
		history, wrong := u.survey(ctx)
		if wrong == "" {
			u.known = history
			return
		}
		if ctx.Err() == nil {
			last = wrong
		}
		Pause(ctx, 100*time.Millisecond)
	}
	t.Fatalf("waiting for all to be well: %s", last)
}

// survey asks all hosts for their status. It returns the history that they agree on, or what is wrong.
func (u *upgrade) survey(ctx context.Context) (history []control.Change, wrong string) {
	for i, h := range u.Hosts {
		s, err := u.status(ctx, h)
		if err != nil {
			return nil, err.Error()
		}
		if diff := cmp.Diff(u.wanted(), viewOf(s)); diff != "" {
			return nil, fmt.Sprintf("%s# vipd status (-want +got):\n%s", h, diff)
		}
		told := common(s.History)
		if i == 0 {
			history = told
		}
		if diff := cmp.Diff(history, told); diff != "" {
			return nil, fmt.Sprintf("the histories of %s and %s differ:\n%s", u.Hosts[0], h, diff)
		}
	}
	kept := history[max(0, len(history)-len(u.known)):]
	if diff := cmp.Diff(u.known, kept, cmpopts.EquateEmpty()); diff != "" {
		return nil, "the history has changed:\n" + diff
	}
	return history, ""
}

// status reads the page for people, which must be there too, and the one for programs.
func (u *upgrade) status(ctx context.Context, h *Host) (s control.Status, err error) {
	if _, err = h.Run(ctx, h.vipdArgs("status")...); err != nil {
		return s, err
	}
	out, err := h.Run(ctx, h.vipdArgs("status", "-o", "json")...)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf("%s# vipd status -o json: %w\n%s", h, err, out)
	}
	return s, nil
}

// view is what a host says of its cluster, as far as it should not depend on the host.
type view struct {
	Cluster   string
	Members   []string // each in words
	Reachable int
	Held      bool
	Warnings  []string // without that the versions differ
}

func viewOf(s control.Status) view {
	v := view{Cluster: s.Cluster.ID, Held: s.Holder != nil}
	if s.Cluster.Quorum.Reachable != nil {
		v.Reachable = *s.Cluster.Quorum.Reachable
	}
	for _, m := range s.Cluster.Members {
		v.Members = append(v.Members, inWords(m.Name, m.ID, m.Version, m.Voter, m.Healthy))
	}
	for _, w := range s.Warnings {
		if !strings.HasPrefix(w, "the members run different versions") {
			v.Warnings = append(v.Warnings, w)
		}
	}
	return v
}

func (u *upgrade) wanted() view {
	v := view{Cluster: u.cluster, Held: true, Reachable: len(u.Hosts)}
	for _, h := range u.Hosts {
		v.Members = append(v.Members, inWords(h.Name, u.ids[h], u.runs[h].version, true, true))
	}
	return v
}

func inWords(name, id, version string, voter, healthy bool) string {
	return fmt.Sprintf("%s, id %s, version %s, voter %t, healthy %t", name, id, version, voter, healthy)
}

// common leaves what all versions know of the changes.
func common(history []control.Change) []control.Change {
	var changes []control.Change
	for _, c := range history {
		changes = append(changes, control.Change{Time: c.Time, From: c.From, To: c.To, Term: c.Term, Reason: c.Reason})
	}
	return changes
}
