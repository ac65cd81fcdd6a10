package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Disk is a small file system of a host's own, whose writes can be made slow, fail or hang. It is a tmpfs of limited size,
// seen through a FUSE file system that this process serves. A program that waits for a hanging disk can't be killed until
// the disk is mended, as is usual; when this process dies its calls fail.
type Disk struct {
	dir string // of the tmpfs

	mu      sync.Mutex
	fault   diskFault
	changed chan struct{} // closed when fault changes
}

// diskFault is what happens to write and fsync; the zero value is nothing.
type diskFault struct {
	hangs bool
	fails bool
	delay time.Duration
}

// InstallDisk mounts a disk of that size at the directory of that name in the host's own. It is empty, survives a reboot,
// and goes with the lab.
func (h *Host) InstallDisk(name string, mebibytes int) (*Disk, error) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return nil, &noFuseError{err}
	}
	d := &Disk{dir: filepath.Join(h.Dir, name+".disk"), changed: make(chan struct{})}
	files, at := filepath.Join(d.dir, "files"), filepath.Join(h.Dir, name)
	err := errors.Join(os.Mkdir(d.dir, 0o755), os.Mkdir(at, 0o755),
		unix.Mount("vipdlab", d.dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%dm", mebibytes)))
	if err == nil {
		err = os.Mkdir(files, 0o700)
	}
	if err == nil {
		err = d.serve(files, at)
	}
	if err != nil {
		return nil, fmt.Errorf("install a disk on %s: %w", h.Name, err)
	}
	h.lab.onClose(d.Mend) // the reaper unmounts it, after the programs that use it
	return d, nil
}

type noFuseError struct{ error }

// Hint says what is needed.
func (*noFuseError) Hint() string { return "disks of the lab need FUSE: modprobe fuse" }

// serve mounts the FUSE file system, which ends when it is unmounted.
func (d *Disk) serve(files, at string) error {
	loopback, err := fusefs.NewLoopbackRoot(files)
	if err != nil {
		return err
	}
	root := &diskNode{LoopbackNode: loopback.(*fusefs.LoopbackNode), disk: d}
	root.RootData.RootNode = root
	_, err = fusefs.Mount(at, root, &fusefs.Options{MountOptions: fuse.MountOptions{
		FsName: "vipdlab", Name: "lab", DirectMountStrict: true, DisableXAttrs: true,
	}})
	return err
}

// Slow makes each write and each fsync take that much longer.
func (d *Disk) Slow(delay time.Duration) { d.set(diskFault{delay: delay}) }

// Fail makes each write and each fsync fail with EIO.
func (d *Disk) Fail() { d.set(diskFault{fails: true}) }

// Hang makes each write and each fsync wait until the disk is mended.
func (d *Disk) Hang() { d.set(diskFault{hangs: true}) }

// Mend makes the disk quick and reliable again; what waits for it goes on at once. It does not make room on a full one.
func (d *Disk) Mend() { d.set(diskFault{}) }

func (d *Disk) set(f diskFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
	close(d.changed)
	d.changed = make(chan struct{})
}

// Fill leaves no room on the disk.
func (d *Disk) Fill() error {
	f, err := os.Create(d.filler())
	if err != nil {
		return fmt.Errorf("fill a disk: %w", err)
	}
	defer f.Close()
	for block := make([]byte, 1<<16); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("fill a disk: %w", err)
	}
	return nil
}

// Empty undoes Fill.
func (d *Disk) Empty() error {
	if err := os.Remove(d.filler()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make room on a disk: %w", err)
	}
	return nil
}

func (d *Disk) filler() string { return filepath.Join(d.dir, "filler") }

// wait is what every write and fsync goes through first.
func (d *Disk) wait() syscall.Errno {
	for {
		d.mu.Lock()
		f, changed := d.fault, d.changed
		d.mu.Unlock()
		switch {
		case f.fails:
			return syscall.EIO
		case f.hangs:
			<-changed
		case f.delay > 0:
			select {
			case <-changed:
			case <-time.After(f.delay):
			}
			return fusefs.OK
		default:
			return fusefs.OK
		}
	}
}

// diskNode is a file or directory of the disk.
type diskNode struct {
	*fusefs.LoopbackNode
	disk *Disk
}

func (n *diskNode) WrapChild(_ context.Context, child fusefs.InodeEmbedder) fusefs.InodeEmbedder {
	return &diskNode{LoopbackNode: child.(*fusefs.LoopbackNode), disk: n.disk}
}

func (n *diskNode) Open(ctx context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	handle, kept, errno := n.LoopbackNode.Open(ctx, flags)
	return n.file(handle), kept, errno
}

func (n *diskNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (
	*fusefs.Inode, fusefs.FileHandle, uint32, syscall.Errno,
) {
	child, handle, kept, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return child, n.file(handle), kept, errno
}

func (n *diskNode) file(handle fusefs.FileHandle) fusefs.FileHandle {
	if f, ok := handle.(*fusefs.LoopbackFile); ok {
		return &diskFile{LoopbackFile: f, disk: n.disk}
	}
	return nil // it could not be opened
}

// diskFile is an open file of the disk.
type diskFile struct {
	*fusefs.LoopbackFile
	disk *Disk
}

func (f *diskFile) Write(ctx context.Context, data []byte, at int64) (uint32, syscall.Errno) {
	if errno := f.disk.wait(); errno != fusefs.OK {
		return 0, errno
	}
	return f.LoopbackFile.Write(ctx, data, at)
}

func (f *diskFile) Writev(ctx context.Context, data [][]byte, at int64) (uint32, syscall.Errno) {
	if errno := f.disk.wait(); errno != fusefs.OK {
		return 0, errno
	}
	return f.LoopbackFile.Writev(ctx, data, at)
}

func (f *diskFile) Fsync(ctx context.Context, flags uint32) syscall.Errno {
	if errno := f.disk.wait(); errno != fusefs.OK {
		return errno
	}
	return f.LoopbackFile.Fsync(ctx, flags)
}

// PassthroughFd says that the kernel may not go past Write.
func (f *diskFile) PassthroughFd() (int, bool) { return 0, false }
