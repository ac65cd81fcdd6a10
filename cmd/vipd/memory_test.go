package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheMemoryIsClosedAndThatOfProgramsIsNot(t *testing.T) {
	defer func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }()
	if err := closeMemory(); err != nil {
		t.Fatal(err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); dumpable != 0 || err != nil {
		t.Errorf("dumpable is %d, %v", dumpable, err)
	}
	owner := exec.Command("stat", "--format=%u", "/proc/self/environ") // is root for a user's program whose memory is closed
	owner.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := owner.CombinedOutput(); strings.TrimSpace(string(out)) != "65534" {
		t.Errorf("a script's /proc/self/environ belongs to %s, %v", out, err)
	}
}
