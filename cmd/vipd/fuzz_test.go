package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vipd/vipd/control"
)

// FuzzTexts prints what a daemon may answer, in which there is what other hosts say of themselves: no terminal obeys it, and a
// status fits its page.
func FuzzTexts(f *testing.F) {
	for _, s := range []control.Status{{}, holding(), lost(), wide(), operated(), witness()} {
		text, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{`{"before":"vm1","after":"\u009b2J","members":[{"name":"\u001b[2J","why":"\n"}]}`, `{"error":"\u001b]0;x\u0007","hint":"\r","code":3}`, `{"cluster":"\u001b[2J","members":["\n"],"leader":"\u009b2J"}`, `{"from":"\u001b[2J","to":"\r"}`, `null`, `{"time":"0000-01-01T00:00:00Z","history":[{"time":"9999-12-31T23:59:59Z","term":18446744073709551615}]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		var s control.Status
		if json.Unmarshal(answer, &s) == nil {
			text := statusText(s, time.UTC, ink{})
			harmless(t, text)
			for line := range strings.SplitSeq(text, "\n") {
				if n := utf8.RuneCountInString(line); n > pageWidth {
					t.Errorf("%d characters in %q", n, line)
				}
			}
		}
		var forecast control.Forecast
		if json.Unmarshal(answer, &forecast) == nil {
			harmless(t, forecastText(forecast))
		}
		var joined control.Joined
		if json.Unmarshal(answer, &joined) == nil {
			harmless(t, joinedText(joined))
		}
		var moved control.Moved
		if json.Unmarshal(answer, &moved) == nil {
			harmless(t, movedText(moved))
		}
		var e control.Error
		if json.Unmarshal(answer, &e) == nil {
			text, code := errorText(&e)
			harmless(t, text)
			if code < control.CodeFailed || code > control.CodeNoLeader {
				t.Errorf("exit code %d", code)
			}
		}
	})
}

func harmless(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		t.Errorf("a terminal would obey %q", text)
	}
}
