package election

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/hashicorp/raft"
)

// soundCall says what is wrong with a call on which raft would panic, or go on for ever
// with what no member can have.
func soundCall(command any) error {
	switch c := command.(type) {
	case *raft.RequestVoteRequest:
		return soundTerm(c.Term)
	case *raft.RequestPreVoteRequest:
		return soundTerm(c.Term)
	case *raft.AppendEntriesRequest:
		for i, entry := range c.Entries {
			if err := soundEntry(entry, c.PrevLogEntry+1+uint64(i)); err != nil {
				return err
			}
			if entry.Term > c.Term {
				return fmt.Errorf("entry %d is of term %d, its leader of term %d", entry.Index, entry.Term, c.Term)
			}
		}
		return soundTerm(c.Term)
	case *raft.InstallSnapshotRequest:
		if c.SnapshotVersion != raft.SnapshotVersionMax || c.Size < 0 || c.Size > maxCall {
			return fmt.Errorf("a snapshot of version %d and %d bytes", c.SnapshotVersion, c.Size)
		}
		if err := soundTerm(max(c.Term, c.LastLogIndex, c.LastLogTerm)); err != nil {
			return err
		}
		return soundConfiguration(c.Configuration)
	}
	return nil
}

// maxTerm is far beyond what elections can reach. Raft takes over whatever term it is
// told, for ever, and the one after the greatest of all is 0.
const maxTerm = 1 << 62

func soundTerm(term uint64) error {
	if term > maxTerm {
		return fmt.Errorf("term %d is none", term)
	}
	return nil
}

// soundEntry says what is wrong with an entry of the log, from a peer or from the disk,
// that stands where the entry of an index should.
func soundEntry(entry *raft.Log, index uint64) error {
	if entry == nil || entry.Index != index || index == 0 {
		return fmt.Errorf("entry %d is missing", index)
	}
	switch entry.Type {
	case raft.LogCommand, raft.LogNoop, raft.LogBarrier:
		return nil
	case raft.LogConfiguration:
		if err := soundConfiguration(entry.Data); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		return nil
	default:
		return fmt.Errorf("entry %d is of kind %d", index, entry.Type)
	}
}

func soundConfiguration(encoded []byte) error {
	if err := skim(encoded); err != nil {
		return fmt.Errorf("a configuration: %w", err)
	}
	var c raft.Configuration
	if err := contained(func() error { c = raft.DecodeConfiguration(encoded); return nil }); err != nil {
		return err
	}
	for _, s := range c.Servers {
		if !isWord(string(s.ID)) || !isAddress(string(s.Address)) {
			return fmt.Errorf("a configuration with a member %.300q at %.300q", s.ID, s.Address)
		}
	}
	return nil
}

// maxWord is how long an id, a name or a version may be, in bytes.
const maxWord = 255

// isWord reports whether others could tell text from another, and show it.
func isWord(text string) bool {
	odd := func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	return text != "" && len(text) <= maxWord && !strings.ContainsFunc(text, odd)
}

func isAddress(text string) bool {
	a, err := netip.ParseAddrPort(text)
	return err == nil && a.String() == text
}

// check refuses a member that the others could not tell from others, reach or show.
func (m Member) check() error {
	for _, word := range []string{m.ID, m.Name, m.Version} {
		if !isWord(word) {
			return fmt.Errorf("%.300q is no id, name or version of a member", word)
		}
	}
	if !isAddress(m.Address) {
		return fmt.Errorf("%.300q is no address of a member", m.Address)
	}
	return nil
}
