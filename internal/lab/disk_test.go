package lab

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newDisk(t *testing.T) (*Disk, string) {
	t.Helper()
	l := newTestLab(t, Config{Hosts: 1})
	d, err := l.Hosts[0].InstallDisk("data", 8)
	if err != nil {
		t.Fatal(err)
	}
	return d, filepath.Join(l.Hosts[0].Dir, "data")
}

// putter returns a function that makes one durable change to a file. It maps no file of the disk into memory, as bbolt
// does: this process serves the disk itself, and a collection of garbage would wait for a page fault that waits for it.
// That a daemon's database can be on such a disk, TestTheHolderMakesWayWhenItsDiskHangs shows.
func putter(t *testing.T, dir string) func() error {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return func() error {
		_, err := f.WriteAt([]byte("a change"), 0)
		return errors.Join(err, f.Sync())
	}
}

func TestDiskFaultsBreakWhatTheyName(t *testing.T) {
	d, dir := newDisk(t)
	put := putter(t, dir)
	timed := func() (time.Duration, error) {
		began := time.Now()
		err := put()
		return time.Since(began), err
	}
	if _, err := timed(); err != nil {
		t.Fatalf("a disk without faults: %v", err)
	}
	d.Slow(100 * time.Millisecond)
	if took, err := timed(); err != nil || took < 200*time.Millisecond { // write and fsync
		t.Errorf("slow: a write took %v, %v; want 200 ms at least", took, err)
	}
	d.Fail()
	if _, err := timed(); !errors.Is(err, unix.EIO) {
		t.Errorf("failing: %v, want EIO", err)
	}
	d.Mend()
	if _, err := timed(); err != nil {
		t.Errorf("mended: %v", err)
	}
}

func TestAHangingDiskHoldsWritesUntilItIsMended(t *testing.T) {
	d, dir := newDisk(t)
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, test := range []struct {
		name string
		op   func() error
	}{
		{"write", func() error { _, err := f.Write([]byte("x")); return err }},
		{"fsync", f.Sync},
	} {
		t.Run(test.name, func(t *testing.T) {
			d.Hang()
			done := make(chan error, 1)
			go func() { done <- test.op() }()
			select {
			case err := <-done:
				t.Errorf("it came back while the disk hung: %v", err)
			case <-time.After(200 * time.Millisecond):
			}
			d.Mend()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAFullDiskHasNoRoomUntilItIsEmptied(t *testing.T) {
	d, dir := newDisk(t)
	file := filepath.Join(dir, "file")
	if err := d.Fill(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, make([]byte, 1<<16), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("writing to a full disk: %v, want ENOSPC", err)
	}
	if err := d.Empty(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, make([]byte, 1<<16), 0o600); err != nil {
		t.Error(err)
	}
}

// A lab that is closed while a disk hangs, with a program that waits for it, still leaves nothing; newTestLab looks.
func TestCloseMendsAHangingDisk(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 1})
	h := l.Hosts[0]
	d, err := h.InstallDisk("data", 8)
	if err != nil {
		t.Fatal(err)
	}
	d.Hang()
	if _, err := h.StartService(Service{Name: "writer", Start: []string{"/bin/sh", "-c", "echo x >data/file; sleep 1000"}}); err != nil {
		t.Fatal(err)
	}
	waits := func() (bool, error) { _, err := os.Stat(filepath.Join(h.Dir, "data", "file")); return err == nil, nil }
	if err := WaitFor(long, waits); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
