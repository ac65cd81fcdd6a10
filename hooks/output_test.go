package hooks

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestOutputIsLoggedLineByLine(t *testing.T) {
	long := strings.Repeat("x", 5*lineLimit)
	tests := map[string]struct {
		script string
		want   []string
	}{
		"both outputs":            {"echo one; echo two >&2", []string{"one", "two"}},
		"silence":                 {":", nil},
		"last line unfinished":    {"printf 'one\\ntwo'", []string{"one", "two"}},
		"empty line":              {"echo one; echo; echo two", []string{"one", "", "two"}},
		"carriage return":         {"printf 'one\\r\\n'", []string{"one"}},
		"a long line is cut":      {"echo " + long + "; echo two", []string{long[:lineLimit] + " ...", "two"}},
		"not UTF-8":               {"printf 'a\\377b\\n'", []string{"a\uFFFDb"}},
		"also of a failed script": {"echo why; exit 1", []string{"why"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := runner(t, "#!/bin/sh\n"+test.script+"\n")
			core, logs := observer.New(zapcore.InfoLevel)
			r.log = zap.New(core)
			_ = r.Run(t.Context(), Event{State: "FAULT"})
			var got []string
			for _, entry := range logs.FilterMessage("hook output").All() {
				if entry.ContextMap()["state"] != "FAULT" {
					t.Errorf("%v does not name the state", entry)
				}
				got = append(got, entry.ContextMap()["line"].(string))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEndlessOutputDoesNotFillTheLog(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	logLines(strings.NewReader(strings.Repeat("again\n", linesLimit+10)), zap.New(core))
	if got := logs.FilterMessage("hook output").Len(); got != linesLimit {
		t.Errorf("%d lines logged, want %d", got, linesLimit)
	}
	if got := logs.FilterMessage("hook output dropped from here on").Len(); got != 1 {
		t.Errorf("told %d times that lines are dropped, want once", got)
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("one\ntwo"))
	f.Add([]byte("\r\n\n\xff\n"))
	f.Add(bytes.Repeat([]byte("x"), 3*lineLimit))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), lineLimit)
		lines := 0
		for {
			line, err := readLine(r)
			if strings.Contains(line, "\n") || !utf8.ValidString(line) || utf8.RuneCountInString(line) > lineLimit+len(" ...") {
				t.Errorf("bad line %q", line)
			}
			if err != nil {
				break
			}
			lines++
		}
		if want := bytes.Count(in, []byte("\n")); lines != want {
			t.Errorf("%d lines, want %d", lines, want)
		}
	})
}
