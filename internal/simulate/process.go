package simulate

import (
	"sync/atomic"
	"time"
)

// process is one life of a daemon. Everything that the daemon does to the world
// outside passes here first, and is held up while the process is stopped: what it
// sends and receives, writes to the disk, reads from the clock and stores to the
// fence. What it merely computes goes on, as the code between two seams cannot be
// stopped; so what it computes of a reading may be carried out any time later.
type process struct {
	chance  *chance
	starved *Starvation // nil: it is not

	dead     atomic.Bool                   // nothing that it does has an effect any more
	stopped  atomic.Pointer[chan struct{}] // closed when it is continued
	stumbles atomic.Int32                  // how many of the next steps take long
	stumble  atomic.Int64                  // up to this long, in nanoseconds
}

// pass holds the calling goroutine up while the process is stopped, and sometimes
// the goroutine alone.
func (p *process) pass() {
	for !p.dead.Load() {
		stopped := p.stopped.Load()
		if stopped == nil {
			break
		}
		<-*stopped
	}
	if p.starved != nil && !p.dead.Load() {
		if d := p.starved.wait(p.chance); d > 0 {
			time.Sleep(d)
		}
	}
	if p.stumbles.Load() > 0 && !p.dead.Load() && p.chance.in(3) && p.stumbles.Add(-1) >= 0 {
		time.Sleep(p.chance.upTo(time.Duration(p.stumble.Load())))
		p.pass() // it may have been stopped meanwhile
	}
}

func (p *process) stop() {
	ch := make(chan struct{})
	p.stopped.CompareAndSwap(nil, &ch)
}

func (p *process) resume() {
	if ch := p.stopped.Swap(nil); ch != nil {
		close(*ch)
	}
}
