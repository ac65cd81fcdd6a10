package election

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// This is raft reduced to what the proof rests on (one vote a term, votes of a
// majority, votes survive restarts) under the real rules, with messages that are
// delayed, lost, duplicated and reordered, clocks that drift, and members that
// restart, stand and hand over at any moment.

type message struct {
	kind     string // append, ack, vote?, vote!, takeover
	from, to int
	term     uint64
	sent     Instant
	transfer bool
}

type peer struct {
	rules   *rules
	fence   *memoryFence
	rate    int64 // of its clock, in thousandths
	term    uint64
	voted   int // in term; -1 nobody
	leads   bool
	granted map[int]bool
}

type world struct {
	t     *rapid.T
	time  int64 // the real one
	peers []*peer
	ids   []raft.ServerID
	wire  []message
	opens int
}

func (w *world) clock(i int) Instant { return Instant(w.time * w.peers[i].rate / 1000) }

func newWorld(t *rapid.T, n int) *world {
	w := &world{t: t, time: 1_000_000}
	for i := range n {
		w.ids = append(w.ids, raft.ServerID(fmt.Sprint(i)))
		w.peers = append(w.peers, &peer{rate: rapid.Int64Range(953, 1047).Draw(t, "rate"), fence: &memoryFence{}, voted: -1})
		w.start(i)
	}
	return w
}

// start is also a restart: term and vote are kept, all else is forgotten. What the
// kernel had open is closed.
func (w *world) start(i int) {
	p := w.peers[i]
	p.leads, p.granted = false, nil
	p.rules = newRules(w.ids[i], testDetect, func() Instant { return w.clock(i) }, func(uint64) []raft.ServerID { return w.ids }, p.fence)
	p.rules.setFitness(Ready)
}

func (w *world) send(m message) { w.wire = append(w.wire, m) }

func (w *world) follow(p *peer, term uint64) {
	if term > p.term {
		p.term, p.voted = term, -1
	}
	p.leads, p.granted = false, nil
}

func (w *world) stand(i int, transfer bool) {
	p := w.peers[i]
	p.leads, p.term, p.voted, p.granted = false, p.term+1, i, map[int]bool{i: true}
	for j := range w.peers {
		if j != i && p.rules.stand(p.term, transfer) == nil {
			w.send(message{kind: "vote?", from: i, to: j, term: p.term, transfer: transfer})
		}
	}
}

func (w *world) heartbeat(i int) {
	for j := range w.peers {
		if j != i && !w.peers[i].rules.silent(w.peers[i].term) {
			w.send(message{kind: "append", from: i, to: j, term: w.peers[i].term, sent: w.clock(i)})
		}
	}
}

func (w *world) deliver(m message) {
	p := w.peers[m.to]
	switch m.kind {
	case "append":
		if p.rules.mayFollow(m.term, w.ids[m.from]) != nil || m.term < p.term {
			return
		}
		w.follow(p, m.term)
		if p.rules.promise(m.term, w.ids[m.from]) == nil {
			w.send(message{kind: "ack", from: m.to, to: m.from, term: m.term, sent: m.sent})
		}
	case "ack":
		if p.leads && p.term == m.term || rapid.Bool().Draw(w.t, "late ack reaches the rules") {
			p.rules.acknowledged(m.term, w.ids[m.from], m.sent)
		}
	case "vote?":
		if p.rules.mayVote(m.term, w.ids[m.from], m.transfer) != nil || m.term < p.term {
			return
		}
		if m.term > p.term {
			w.follow(p, m.term)
		}
		if p.voted != -1 && p.voted != m.from {
			return
		}
		p.voted = m.from
		if p.rules.vote(m.term, w.ids[m.from], m.transfer) == nil {
			w.send(message{kind: "vote!", from: m.to, to: m.from, term: m.term})
		}
	case "vote!":
		if p.term != m.term || p.granted == nil {
			return
		}
		if p.granted[m.from] = true; len(p.granted) > len(w.peers)/2 {
			p.leads = true
			w.heartbeat(m.to)
		}
	case "takeover":
		if m.term == p.term && p.rules.obey(m.term, w.ids[m.from]) == nil {
			w.stand(m.to, true)
		}
	}
}

func (w *world) check() {
	open := 0
	for i, p := range w.peers {
		if int64(w.clock(i)) < p.fence.until {
			open++
		}
	}
	w.opens += open
	if open > 1 {
		w.t.Fatalf("%d fences are open at %d", open, w.time)
	}
}

func (w *world) step() {
	i := rapid.IntRange(0, len(w.peers)-1).Draw(w.t, "who")
	p := w.peers[i]
	switch rapid.IntRange(0, 19).Draw(w.t, "what") {
	case 0, 1, 2:
		w.time += rapid.Int64Range(1, 400).Draw(w.t, "time")
	case 3:
		if p.rules.mayStand(p.term+1) == nil {
			w.stand(i, false)
		}
	case 4:
		if rapid.IntRange(0, 3).Draw(w.t, "restart") == 0 {
			w.start(i)
		}
	case 5:
		if p.leads && rapid.Bool().Draw(w.t, "hand over") {
			p.rules.abdicate(p.term)
			w.send(message{kind: "takeover", from: i, to: (i + 1) % len(w.peers), term: p.term})
		}
	case 6, 7, 8:
		if p.leads {
			w.heartbeat(i)
		}
	default:
		w.deliverSome()
	}
}

// deliverSome takes any message from the wire, and keeps it there now and then.
func (w *world) deliverSome() {
	if len(w.wire) == 0 {
		return
	}
	k := rapid.IntRange(max(0, len(w.wire)-6), len(w.wire)-1).Draw(w.t, "message")
	if rapid.IntRange(0, 9).Draw(w.t, "old") == 0 {
		k = rapid.IntRange(0, len(w.wire)-1).Draw(w.t, "old message")
	}
	m := w.wire[k]
	if rapid.IntRange(0, 9).Draw(w.t, "twice") != 0 {
		w.wire = append(w.wire[:k:k], w.wire[k+1:]...)
	}
	if rapid.IntRange(0, 19).Draw(w.t, "lost") != 0 {
		w.deliver(m)
	}
}

func TestNoScheduleOpensTwoFences(t *testing.T) {
	opened := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rapid.SampledFrom([]int{2, 3, 3, 5}).Draw(t, "members"))
		for range rapid.IntRange(50, 400).Draw(t, "steps") {
			w.step()
			w.check()
		}
		opened += w.opens
	})
	if opened == 0 {
		t.Error("no fence was ever open: the test shows nothing")
	}
}
