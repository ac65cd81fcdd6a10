package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
)

func TestLinesForAPersonHaveTimeAndLevel(t *testing.T) {
	var out bytes.Buffer
	log, lines := openLog(&out, "8:1")
	log.Warn("lease lost", zap.Uint64("term", 7), zap.String("why", "two\nlines"))
	lines.Close()
	want := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\S+ WARN lease lost {"term": 7, "why": "two\\nlines"}\n$`)
	if !want.MatchString(out.String()) {
		t.Errorf("got %q, want %s", out.String(), want)
	}
}

func TestLinesForTheJournalHaveThePriorityAndNoTime(t *testing.T) {
	out, err := os.CreateTemp(t.TempDir(), "journal")
	if err != nil {
		t.Fatal(err)
	}
	log, lines := openLog(out, journalStream(t, out))
	log.Debug("not shown")
	for level := zapcore.InfoLevel; level <= zapcore.DPanicLevel; level++ {
		log.Log(level, "it", zap.Uint64("term", 7))
	}
	lines.Close()
	got, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := `<6>INFO it {"term": 7}
<4>WARN it {"term": 7}
<3>ERROR it {"term": 7}
<2>DPANIC it {"term": 7}
`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// journalStream is what systemd would tell a process whose stderr is f.
func journalStream(t *testing.T, f *os.File) string {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

func TestAJournalStreamThatWasInheritedDoesNotCount(t *testing.T) {
	out, err := os.CreateTemp(t.TempDir(), "terminal")
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"", "8:1", "nonsense", journalStream(t, out) + "0"} {
		if toJournald(out, stream) {
			t.Errorf("JOURNAL_STREAM=%q was taken for ours", stream)
		}
	}
}

// A full pipe that nobody reads must not stop whoever logs: here, the election.
func TestAHungReaderNeverBlocksTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, writer := io.Pipe()
		log, lines := openLog(writer, "")
		const logged = 3 * sinkLines
		for i := range logged {
			log.Info("line", zap.Int("number", i))
		}
		if lost := lines.Dropped(); lost == 0 || lost >= logged-sinkLines+1 {
			t.Errorf("%d of %d lines were lost, want those that did not fit into %d", lost, logged, sinkLines)
		}

		read := make(chan string)
		go func() {
			text, _ := io.ReadAll(reader)
			read <- string(text)
		}()
		lines.Close() // waits for what is left
		_ = writer.Close()
		text := <-read

		if got := uint64(strings.Count(text, " INFO line ")) + lines.Dropped(); got != logged {
			t.Errorf("%d lines were read or counted, want %d", got, logged)
		}
		told := fmt.Sprintf(`WARN log lines were lost: they were not read fast enough {"lines": %d}`, lines.Dropped())
		if strings.Count(text, told) != 1 {
			t.Errorf("the reader was not told once that %d are missing", lines.Dropped())
		}
	})
}

func TestTheEndWaitsOnlyAMomentForAHungReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, writer := io.Pipe()
		log, lines := openLog(writer, "")
		log.Info("nobody reads this")
		lines.Close()
		log.Info("after the end")
		if err := log.Sync(); err != nil {
			t.Error(err)
		}
		_ = reader.Close() // lets the goroutine go
	})
}

func TestAHugeLineIsCut(t *testing.T) {
	var out bytes.Buffer
	lines := newSink(&out, nil)
	_, _ = lines.Write(bytes.Repeat([]byte("x"), 10*sinkLine))
	lines.Close()
	if want := strings.Repeat("x", sinkLine) + "…\n"; out.String() != want {
		t.Errorf("%d bytes came through, want %d", out.Len(), len(want))
	}
}
