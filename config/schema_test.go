package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const manual = "../docs/configuration.md"

func TestEveryKeyIsReadAndRefusesAWrongValue(t *testing.T) {
	for _, k := range keys() {
		found := refused(t, k.path, "[[{x: 1}]]")
		path := strings.ReplaceAll(k.path, "[]", "[0]")
		if !slices.ContainsFunc(found, func(p Problem) bool { return strings.HasPrefix(p.Message, path) }) {
			t.Errorf("%s may be a list of lists; the problems are %v", k.path, found)
		}
	}
}

func TestEveryExampleInAHintIsRight(t *testing.T) {
	for _, k := range keys() {
		own := strings.ReplaceAll(k.path, "[]", "[0]") + ": "
		for _, p := range refused(t, k.path, k.example) {
			message, isOwn := strings.CutPrefix(p.Message, own)
			elsewhere := message == "is missing" || message == "no interface is given for this address" ||
				strings.HasPrefix(message, "has no effect without ")
			if isOwn && !elsewhere {
				t.Errorf("%s: %s is refused: %s", k.path, k.example, message)
			}
		}
	}
}

func TestTheManualNamesEveryKeyAndNoOther(t *testing.T) {
	var want []string
	for _, k := range keys() {
		section := k.kind == "a mapping" || k.path == "checks"
		if !section && !strings.HasSuffix(k.path, "[]") {
			want = append(want, k.path)
		}
	}
	got := make([]string, 0, len(want))
	for path := range rows(t) {
		got = append(got, path)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-decoder +%s:\n%s", manual, diff)
	}
}

func TestTheManualGivesTheRangesThatAreEnforced(t *testing.T) {
	tests := map[string]string{"a duration": "-1s", "a whole number": "-1000"}
	inHint := regexp.MustCompile(`from (-?\w+ to -?\w+)`)
	manual := rows(t)
	for _, k := range keys() {
		tooSmall, ranged := tests[k.kind]
		if !ranged {
			continue
		}
		for _, p := range refused(t, k.path, tooSmall) {
			if found := inHint.FindStringSubmatch(p.Hint); found != nil && !strings.Contains(manual[k.path], found[1]) {
				t.Errorf("%s must be %s; the manual says %s", k.path, found[1], manual[k.path])
			}
		}
	}
}

func TestTheFilesInTheManualAreAccepted(t *testing.T) {
	files := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readManual(t), -1)
	if len(files) < 2 {
		t.Fatalf("%s shows %d files", manual, len(files))
	}
	for _, file := range files {
		if _, err := parse("vipd.yaml", []byte(file[1]), hostname); err != nil {
			t.Errorf("%s\n%s", err, file[1])
		}
	}
}

// refused returns what is wrong with a file in which only path has a value.
func refused(t *testing.T, path, example string) []Problem {
	t.Helper()
	text := example
	parts := strings.Split(path, ".")
	for _, part := range slices.Backward(parts) {
		if name, item := strings.CutSuffix(part, "[]"); item {
			text = "{" + name + ": [" + text + "]}"
		} else {
			text = "{" + part + ": " + text + "}"
		}
	}
	_, err := parse("vipd.yaml", []byte(text), hostname)
	if err == nil {
		return nil
	}
	return problems(t, err)
}

// rows returns the rows of the manual's tables by the key in the first column.
func rows(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` (\\|.*)$").FindAllStringSubmatch(readManual(t), -1) {
		found[row[1]] = row[2]
	}
	return found
}

func readManual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
