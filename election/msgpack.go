package election

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// skimmer reads values of MessagePack
// (https://github.com/msgpack/msgpack/blob/master/spec.md) that nobody makes anything of
// yet: they are only looked at for being there, as long as they say and not too many.
type skimmer struct {
	in     *bufio.Reader
	seen   *bytes.Buffer // what was read
	values int
}

// skim looks at a value that is all there.
func skim(value []byte) error {
	s := &skimmer{in: bufio.NewReader(bytes.NewReader(value)), seen: new(bytes.Buffer)}
	if err := s.value(0); !errors.Is(err, io.EOF) {
		return err
	}
	return io.ErrUnexpectedEOF
}

// Raft puts 64 entries into a call, each of 13 values, and nothing into one another deeper than this.
const (
	maxValues = 4096
	maxDepth  = 16
)

func (s *skimmer) value(depth int) error {
	if s.values++; s.values > maxValues || depth > maxDepth {
		return fmt.Errorf("a call or an answer has more than %d values, or more than %d in one another", maxValues, maxDepth)
	}
	kind, err := s.number(1)
	switch {
	case err != nil:
		return err
	case kind <= 0x7f, kind >= 0xe0: // a small number
		return nil
	case kind <= 0x8f: // a small map
		return s.list(2*(kind&0x0f), depth)
	case kind <= 0x9f: // a small list
		return s.list(kind&0x0f, depth)
	case kind <= 0xbf: // a short text
		return s.skip(kind & 0x1f)
	case kind <= 0xc3: // nil, false, true
		return nil
	}
	return s.long(kind, depth)
}

// long reads the rest of a value whose length does not stand in its first byte.
func (s *skimmer) long(kind int64, depth int) error {
	switch kind {
	case 0xcc, 0xd0: // numbers
		return s.skip(1)
	case 0xcd, 0xd1:
		return s.skip(2)
	case 0xca, 0xce, 0xd2:
		return s.skip(4)
	case 0xcb, 0xcf, 0xd3:
		return s.skip(8)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8: // 1 to 16 bytes of some type
		return s.skip(1 + 1<<(kind-0xd4))
	}
	width := map[int64]int{0xc5: 2, 0xc6: 4, 0xc8: 2, 0xc9: 4, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4}[kind]
	n, err := s.number(max(1, width))
	switch {
	case err != nil:
		return err
	case kind >= 0xde:
		return s.list(2*n, depth)
	case kind >= 0xdc:
		return s.list(n, depth)
	case kind >= 0xc7 && kind <= 0xc9: // bytes of some type
		return s.skip(1 + n)
	}
	return s.skip(n)
}

func (s *skimmer) list(n int64, depth int) error {
	for range n {
		if err := s.value(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// number reads a big-endian number of up to four bytes.
func (s *skimmer) number(width int) (n int64, err error) {
	for range width {
		b, err := s.in.ReadByte()
		if err != nil {
			return 0, err
		}
		s.seen.WriteByte(b)
		n = n<<8 | int64(b)
	}
	return n, nil
}

func (s *skimmer) skip(n int64) error {
	_, err := io.CopyN(s.seen, s.in, n)
	return err
}
