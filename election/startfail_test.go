package election

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"
)

type termless struct{ Disk }

func (d termless) SetUint64(key []byte, v uint64) error {
	if string(key) == "CurrentTerm" {
		return errors.New("input/output error")
	}
	return d.Disk.SetUint64(key, v)
}

type noFence struct{}

func (noFence) SetDeadline(int64) {}

func TestStartWithADiskThatFailsTheTerm(t *testing.T) {
	disk, err := OpenDataDir(t.TempDir(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	result := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := Open(Config{
			Name: "vm1", Address: netip.MustParseAddrPort(l.Addr().String()), Version: "x", Detect: time.Second, Disk: termless{disk},
			Machine: "m", Listener: l, Dial: nil, Fence: noFence{}, Now: func() Instant { return Instant(time.Now().UnixNano()) }, Log: zap.NewNop(),
		})
		result <- err
	}()
	<-ended
	select {
	case err := <-result:
		t.Logf("Open returned: %v", err)
	default:
		t.Error("Open did not return: its goroutine was ended by Goexit")
	}
}
