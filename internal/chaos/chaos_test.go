package main

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

func newTestRig(t *testing.T) *rig {
	t.Helper()
	binary, err := lab.BuildVipd(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRig(t.Context(), binary, 3, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for h, d := range r.daemons {
				t.Logf("log of vipd on %s:\n%s", h, d.Log())
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Each kind by itself, to the holder: it can be done, and undone, and one holder is there again. What each breaks is
// tested in internal/lab.
func TestEveryKindIsMended(t *testing.T) {
	r := newTestRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	for i, k := range kinds() {
		if _, err := r.whole(ctx); err != nil {
			t.Fatal(err)
		}
		p := planned{kind: k, holder: true, lasts: 100 * time.Millisecond, seed: rand.Uint64()}
		if err := r.happen(ctx, i+1, p); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if _, err := r.whole(ctx); err != nil {
		t.Error(err)
	}
	if len(r.faults) != len(kinds()) || len(r.active) != 0 {
		t.Errorf("%d kinds happened, %d are active; want %d, 0", len(r.faults), len(r.active), len(kinds()))
	}
}

func TestAShortRun(t *testing.T) {
	out := t.TempDir()
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{"-seed", "1", "-minutes", "0.25", "-out", out}, &stdout, &stderr)
	t.Log(stdout.String())
	if code != 0 {
		t.Errorf("exit code %d: %s", code, stderr.String())
		for _, host := range []string{"vm1", "vm2", "vm3"} {
			log, _ := os.ReadFile(filepath.Join(out, host+"-vipd.log"))
			t.Logf("log of vipd on %s:\n%s", host, log)
		}
	}
	rec, err := load(filepath.Join(out, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Rounds) == 0 || len(rec.Faults) < 3 || len(rec.Overlap) > 0 {
		t.Errorf("a run of %d rounds with %d faults and %d overlaps", len(rec.Rounds), len(rec.Faults), len(rec.Overlap))
	}
	for _, name := range []string{pageName, "vm1-vipd.log", "vm3-notify.log"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
}
