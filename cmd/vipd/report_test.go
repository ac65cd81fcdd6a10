package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/control"
)

func TestAnErrorIsOneLineAndAHint(t *testing.T) {
	tests := map[string]struct {
		err  error
		want outcome
	}{
		"none":          {nil, outcome{}},
		"plain":         {errors.New("no"), outcome{Code: 1, Stderr: "vipd: no\n"}},
		"many lines":    {errors.Join(errors.New("no"), errors.New("\x1b[2Jnever")), outcome{Code: 1, Stderr: "vipd: no; ?[2Jnever\n"}},
		"hint and code": {&control.Error{Message: "no", Advice: "wait", Code: 3}, outcome{Code: 3, Stderr: "vipd: no\nhint: wait\n"}},
		"permission":    {fmt.Errorf("open: %w", fs.ErrPermission), outcome{Code: 1, Stderr: "vipd: open: permission denied\nhint: are you root? use sudo\n"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var stderr strings.Builder
			code := report(&stderr, test.err)
			if d := cmp.Diff(test.want, outcome{Code: code, Stderr: stderr.String()}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestAnErrorThatEndsTheDaemonIsAnErrorInTheJournal(t *testing.T) {
	out, err := os.CreateTemp(t.TempDir(), "journal")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("JOURNAL_STREAM", journalStream(t, out))
	report(out, &control.Error{Message: "no", Advice: "wait", Code: 1})
	got, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("<3>vipd: no\n<3>hint: wait\n", string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
