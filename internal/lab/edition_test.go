//go:build upgrade

package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// previousVersion is the commit that hosts are upgraded from; who releases a version writes it here.
const previousVersion = "d978520bcdd1de092bc5c1992ff63e458e99099e"

// edition is a program vipd of one version.
type edition struct{ version, path string }

// buildPrevious builds the previous version from the history of the checkout that the test runs in.
func buildPrevious(t *testing.T) edition {
	t.Helper()
	dir := t.TempDir()
	archive := filepath.Join(dir, "vipd.tar")
	git := exec.CommandContext(t.Context(), "git", "-C", "../..", "archive", "--output", archive, previousVersion)
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("take the previous version, %s, out of the git history: %v\n%s"+
			"hint: this test needs a checkout with its history: in a shallow clone, run `git fetch --unshallow`; without git, run "+
			"`make upgrade` in a clone. If git speaks of dubious ownership, do what it says", previousVersion, err, out)
	}
	if err := run("tar", "-C", dir, "-xf", archive); err != nil {
		t.Fatal(err)
	}
	return build(t, dir, "previous-"+previousVersion[:7])
}

// buildCurrent builds the source that the test is part of.
func buildCurrent(t *testing.T) edition {
	t.Helper()
	return build(t, "../..", "current")
}

func build(t *testing.T, source, version string) edition {
	t.Helper()
	e := edition{version, filepath.Join(t.TempDir(), "vipd")}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags", "-X main.version="+version, "-o", e.path, "./cmd/vipd")
	cmd.Dir = source
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build vipd, version %s: %v\n%s", version, err, out)
	}
	return e
}

// program is where the host has its vipd.
func program(h *Host) string { return filepath.Join(h.Dir, "vipd-program") }

// put replaces the host's vipd as a package manager does, also while it runs: what runs keeps the old file.
func (e edition) put(t *testing.T, h *Host) {
	t.Helper()
	binary, err := os.ReadFile(e.path)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := h.WriteFile("vipd-program.new", string(binary), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, program(h)); err != nil {
		t.Fatal(err)
	}
}
