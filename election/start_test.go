package election

import (
	"testing"
	"time"
)

// slowDisk takes a second to say where the log ends, as raft asks when it is built.
type slowDisk struct{ Disk }

func (d slowDisk) LastIndex() (uint64, error) {
	time.Sleep(time.Second)
	return d.Disk.LastIndex()
}

// The simulator found a daemon that crashed when a member called while raft was
// being built.
func TestAMemberThatCallsDuringTheStartIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		if err := hosts[1].halt(); err != nil {
			t.Fatal(err)
		}
		h := hosts[1]
		h.cfg.Listener, h.cfg.Disk = h.net.listen(h.cfg.Address.String()), slowDisk{h.disk()}
		node, err := Open(h.cfg) // the holder calls meanwhile
		if err != nil {
			t.Fatal(err)
		}
		if err := node.Close(); err != nil {
			t.Error(err)
		}
		haltAll(t, []*host{hosts[0], hosts[2]})
	})
}
