package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// browse opens a page in Chromium and returns its document after its scripts have run, and what they wrote to the console.
func browse(t *testing.T, page []byte) (document, console string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, pageName)
	if err := os.WriteFile(file, page, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium-headless-shell", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--enable-logging=stderr", "--window-size=1400,1000",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+file)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium (apt-get install chromium-headless-shell): %v\n%s", err, stderr.String())
	}
	for line := range strings.Lines(stderr.String()) {
		if strings.Contains(line, "CONSOLE") {
			console += line
		}
	}
	return stdout.String(), console
}

func TestTheConsoleOfThePageIsHeard(t *testing.T) {
	_, console := browse(t, []byte(`<!doctype html><script>thereIsNoSuchThing()</script>`))
	if !strings.Contains(console, "thereIsNoSuchThing") {
		t.Errorf("an error in a script would not be noticed: %q", console)
	}
}

// elements counts the elements whose class begins so.
func elements(document, class string) int {
	return len(regexp.MustCompile(`class="`+class+`["\s]`).FindAllString(document, -1))
}

func TestThePageShowsTheRun(t *testing.T) {
	rec, err := load("testdata/run.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Overlap) > 0 || len(rec.Faults) < 10 || len(rec.Rounds) < 3 {
		t.Fatalf("testdata/run.json is not the run that this test needs: %v", rec.figures())
	}
	split := rec
	split.Overlap = []lab.Span{{From: 7 * time.Second, To: 7*time.Second + 3*time.Millisecond, Answered: 5}}
	tests := []struct {
		name     string
		rec      record
		overlaps int
		verdict  string
	}{
		{"never two", rec, 0, "Never two holders"},
		{"two", split, 1, "Two hosts answered at the same time: 3 ms"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			written, err := render(test.rec)
			if err != nil {
				t.Fatal(err)
			}
			document, console := browse(t, written)
			if console != "" {
				t.Errorf("console: %s", console)
			}
			wide, answers := 0, 0
			for _, f := range rec.Faults {
				if len(f.Hosts) == 0 {
					wide++
				}
			}
			for _, s := range rec.Answers {
				answers += s.Answered.Len()
			}
			for _, count := range []struct {
				what      string
				got, want int
			}{
				{"lanes", elements(document, "lane"), len(rec.Hosts) + 1},
				{"faults", elements(document, "fault"), len(rec.Faults)},
				{"answers", elements(document, "answer"), answers},
				{"rounds", elements(document, "round"), len(rec.Rounds)},
				{"lines of the table", strings.Count(document, "<tr data-at="), len(rec.Rounds)},
				{"overlaps", elements(document, "overlap"), test.overlaps},
				{"scripts that ran to their end", strings.Count(document, `data-ready="yes"`), 1},
				{"verdicts", strings.Count(document, test.verdict), 1},
				{"values that the template refused", strings.Count(document, "ZgotmplZ"), 0},
			} {
				if count.got != count.want {
					t.Errorf("%s: %d, want %d", count.what, count.got, count.want)
				}
			}
			_, ruler, _ := strings.Cut(document, `id="ruler"`)
			if ruler, _, _ = strings.Cut(ruler, "</div>"); strings.Count(ruler, "<span") < 3 {
				t.Errorf("the script drew no ruler: %s", ruler)
			}
			if wide == 0 || !strings.Contains(document, `data-lane="all"`) {
				t.Error("faults of the network have no lane")
			}
		})
	}
}

func TestThePageNeedsNoOtherFile(t *testing.T) {
	for _, word := range []string{"http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(pageText, word) {
			t.Errorf("the page contains %q", word)
		}
	}
}

// What a log says is shown as text.
func TestThePageEscapesWhatTheLogSays(t *testing.T) {
	rec := record{
		Hosts: []string{"vm1"}, Length: time.Second,
		Events: []event{{Host: "vm1", Kind: "holder", Text: `"><script>alert(1)</script>`}},
	}
	written, err := render(rec)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(written, []byte("<script>alert")) {
		t.Error("a log line became a script")
	}
}
