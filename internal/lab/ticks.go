package lab

import (
	"sync/atomic"
	"time"
)

const blockSize = 1024

// ticks is a growing list of rounds with one writer, the prober's thread, and any number of readers. Nobody waits for
// anybody.
type ticks struct {
	blocks atomic.Pointer[[]*[blockSize]cell]
	length atomic.Int64
}

// cell is a Tick under way. All is 0 until it is sent, so that rounds left out need no writing.
type cell struct {
	sent     atomic.Int64 // ns since the prober's start, plus 1
	took     atomic.Int64
	answered atomic.Uint32
}

// begin notes that the round leaves now. Rounds begin in rising order.
func (t *ticks) begin(tick int, now time.Duration) {
	for tick >= len(t.list())*blockSize {
		longer := append(t.list(), new([blockSize]cell))
		t.blocks.Store(&longer)
	}
	t.cell(tick).sent.Store(int64(now) + 1)
	t.length.Store(int64(tick) + 1)
}

// note adds to what is known of a round that has begun.
func (t *ticks) note(tick int, now time.Duration, who Answers) {
	if tick < 0 || tick >= int(t.length.Load()) {
		return
	}
	c := t.cell(tick)
	c.took.Store(int64(now) + 1 - c.sent.Load())
	c.answered.Or(uint32(who))
}

// from copies the rounds from that one on.
func (t *ticks) from(first int) []Tick {
	var copied []Tick
	for i := first; i < int(t.length.Load()); i++ {
		c := t.cell(i)
		copied = append(copied, Tick{
			Sent:     time.Duration(c.sent.Load() - 1),
			Took:     time.Duration(c.took.Load()),
			Answered: Answers(c.answered.Load()),
		})
	}
	return copied
}

func (t *ticks) cell(tick int) *cell { return &t.list()[tick/blockSize][tick%blockSize] }

func (t *ticks) list() []*[blockSize]cell {
	if blocks := t.blocks.Load(); blocks != nil {
		return *blocks
	}
	return nil
}
