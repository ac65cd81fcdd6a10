package election

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestEachKindOfValueIsReadWhole(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, value := range map[string]string{
		"small numbers": "\x92\x7f\xe0", "nil, false, true": "\x93\xc0\xc2\xc3",
		"unsigned numbers": "\x94\xcc1\xcd12\xce1234\xcf12345678", "signed numbers": "\x94\xd01\xd112\xd21234\xd312345678", "floats": "\x92\xca1234\xcb12345678",
		"short text": "\xa3abc", "texts": "\x93\xd9\x03abc\xda\x01\x2c" + long + "\xdb\x00\x00\x01\x2c" + long, "bytes": "\x93\xc4\x03abc\xc5\x01\x2c" + long + "\xc6\x00\x00\x01\x2c" + long,
		"fixed bytes of a type": "\x95\xd4t1\xd5t12\xd6t1234\xd7t12345678\xd8t1234567812345678", "bytes of a type": "\x93\xc7\x03tabc\xc8\x00\x03tabc\xc9\x00\x00\x00\x03tabc",
		"lists": "\x92\xdc\x00\x02\x01\x02\xdd\x00\x00\x00\x02\x01\x02", "maps": "\x93\x81\x01\x02\xde\x00\x01\x01\x02\xdf\x00\x00\x00\x01\x01\x02",
		"nothing in lists, maps and texts": "\x93\x90\x80\xa0",
	} {
		t.Run(name, func(t *testing.T) {
			s := &skimmer{in: bufio.NewReader(strings.NewReader(value + "rest")), seen: new(bytes.Buffer)}
			if err := s.value(0); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(s.in); string(rest) != "rest" || s.seen.String() != value || err != nil {
				t.Errorf("%q was read, %q is left, %v", s.seen, rest, err)
			}
			if err := skim([]byte(value[:len(value)-1])); err == nil {
				t.Error("without its last byte it is taken for whole")
			}
		})
	}
	for name, value := range map[string]string{"too many": "\xdd\x00\x00\xff\xff" + strings.Repeat("\xc0", 0xffff), "too deep": strings.Repeat("\x91", 99) + "\xc0"} {
		if err := skim([]byte(value)); err == nil || !strings.Contains(err.Error(), "values") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
