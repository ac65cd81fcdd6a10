package election

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// zeros is what never ends.
type zeros struct{ read int }

func (z *zeros) Read(b []byte) (int, error) {
	clear(b)
	z.read += len(b)
	return len(b), nil
}

func TestACallOfNoEndIsCutOff(t *testing.T) {
	b, endless := newFollower(t), &zeros{}
	begin := "\x00\x81\xa2ID\xc6\xff\xff\xff\xff" // AppendEntries from a leader whose id has 4 GiB
	if answer := b.hears(io.MultiReader(strings.NewReader(begin), endless)); len(answer) > 0 {
		t.Errorf("it was answered %q", answer)
	}
	if endless.read > maxCall {
		t.Errorf("%d bytes were read, want %d at most", endless.read, maxCall)
	}
	b.isWell()
}

func TestTheRestOfACallIsWaitedForOnlySoLongButTheNextCallForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		here, there := net.Pipe()
		c := &parts{Conn: here, patience: time.Second}
		go func() {
			for range 2 {
				time.Sleep(time.Hour)
				_, _ = there.Write([]byte{1})
				_, _ = there.Read(make([]byte, 1))
			}
		}()
		b := make([]byte, 9)
		for range 2 {
			if _, err := c.Read(b); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			if _, err := c.Write(b[:1]); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestCallsOnWhichRaftWouldPanicAreRefused(t *testing.T) {
	entry := func(index uint64, kind raft.LogType, data string) *raft.AppendEntriesRequest {
		return &raft.AppendEntriesRequest{RPCHeader: from("a", "10.0.0.1:7600"), Term: 7, PrevLogEntry: 4, Entries: []*raft.Log{{Index: index, Term: 7, Type: kind, Data: []byte(data)}}}
	}
	nothing := entry(5, raft.LogCommand, "")
	nothing.Entries = append(nothing.Entries, nil)
	late := entry(5, raft.LogCommand, "")
	late.Entries[0].Term = 8
	for want, command := range map[string]any{
		"refused: entry 5 is of term 8, its le":       late,
		"refused: entry 6 is missing":                 nothing,
		"refused: entry 5 is missing":                 entry(7, raft.LogCommand, ""),
		"refused: entry 5 is of kind 9":               entry(5, 9, ""),
		"refused: entry 5: failed to decode":          entry(5, raft.LogConfiguration, "\xff"),
		"a configuration with a member \"a\" at \"\"": entry(5, raft.LogConfiguration, string(raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "a"}}}))),
		"refused: term 18446744073709551615 is":       &raft.RequestVoteRequest{RPCHeader: from("a", "10.0.0.1:7600"), Term: ^uint64(0)},
		"a snapshot of version 0 and 1 bytes":         &raft.InstallSnapshotRequest{Size: 1},
		"a snapshot of version 1 and -1 bytes":        &raft.InstallSnapshotRequest{SnapshotVersion: 1, Size: -1},
		"refused: failed to decode configuratio":      &raft.InstallSnapshotRequest{SnapshotVersion: 1, Configuration: []byte{1}},
	} {
		g := newGuarded(t, func(any) any { t.Errorf("%s: raft was called", want); return nil })
		if _, err := g.ask(command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A disk that has held for years may give back something else.
func TestAnEntryOfTheDiskThatIsNoneIsToldFromOne(t *testing.T) {
	s := &store{Disk: newMemoryDisk()}
	if err := s.StoreLogs([]*raft.Log{{Index: 1, Type: raft.LogNoop}, {Index: 2, Type: 200, Data: bytes.Repeat([]byte{1}, 9)}}); err != nil {
		t.Fatal(err)
	}
	if err := s.GetLog(1, new(raft.Log)); err != nil {
		t.Error(err)
	}
	if err := s.GetLog(2, new(raft.Log)); err == nil || err.Error() != "entry 2 is of kind 200" {
		t.Errorf("got %v", err)
	}
}
