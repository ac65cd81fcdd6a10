package lab

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// vipdPort is where vipd listens for its peers.
const vipdPort = 7600

// Nonsense is a caller that does not keep to any protocol, for as long as it is not mended.
type Nonsense struct {
	Calls  atomic.Int64 // connections made
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup
	failed error // to be read when all is done
}

// speech is what one connection is used for; it returns when the connection is to be closed.
type speech func(ctx context.Context, c net.Conn)

// TalkNonsense has a host (or the client) send garbage, frames that claim to be huge, huge frames, words a byte at a time,
// and nothing at all to vipd's port on another one, with several connections each, and begin connections that stay half
// open.
func (h *Host) TalkNonsense(to *Host) *Nonsense {
	address := fmt.Sprintf("%s:%d", to.Address, vipdPort)
	n := startNonsense(func(ctx context.Context) (c net.Conn, err error) {
		err = h.ns.within(func() error {
			c, err = (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
			return err
		})
		return c, err
	}, []speech{garbage, hugeClaim, hugeFrame, slowly("vipd\x00\x00\x10\x00" + strings.Repeat("{", 4096)), silence, silence})
	n.all.Go(func() {
		if err := knock(n.ctx, h.ns, to.Address, vipdPort); err != nil {
			n.failed = err
		}
	})
	return n
}

// TalkNonsenseLocally does the same at vipd's socket for its commands.
func (h *Host) TalkNonsenseLocally() *Nonsense {
	return startNonsense(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(h.Dir, "vipd.sock"))
	}, []speech{
		garbage, say("GET /" + strings.Repeat("x", 1<<20)), say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n"),
		slowly("GET / HTTP/1.1\r\nHost: " + strings.Repeat("x", 4096)), silence, silence,
	})
}

func startNonsense(dial func(context.Context) (net.Conn, error), speeches []speech) *Nonsense {
	ctx, cancel := context.WithCancel(context.Background())
	n := &Nonsense{ctx: ctx, cancel: cancel}
	for _, speak := range speeches {
		for range 3 {
			n.all.Go(func() { n.call(ctx, dial, speak) })
		}
	}
	return n
}

// call calls again and again, some twenty times a second at most.
func (n *Nonsense) call(ctx context.Context, dial func(context.Context) (net.Conn, error), speak speech) {
	for ctx.Err() == nil {
		if c, err := dial(ctx); err == nil {
			n.Calls.Add(1)
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			unblock := context.AfterFunc(ctx, func() { c.Close() })
			speak(ctx, c)
			unblock()
			c.Close()
		}
		Pause(ctx, 50*time.Millisecond)
	}
}

// Mend ends the calls and closes their connections. The error says that not all of them could be made.
func (n *Nonsense) Mend() error {
	n.cancel()
	n.all.Wait()
	return n.failed
}

func garbage(_ context.Context, c net.Conn) {
	var block [1 << 16]byte
	rand.Read(block[:]) // never fails, see its documentation
	_, _ = c.Write(block[:])
}

// hugeClaim begins a frame of 4 GiB.
func hugeClaim(_ context.Context, c net.Conn) {
	_, _ = c.Write(append([]byte("vipd\xff\xff\xff\xff"), make([]byte, 1<<20)...))
}

// hugeFrame sends a frame that is as long as it says, and JSON as far as it goes.
func hugeFrame(_ context.Context, c net.Conn) {
	body := `{"protocol":"` + strings.Repeat("x", 4<<20) + `"}`
	_, _ = c.Write(append(binary.BigEndian.AppendUint32([]byte("vipd"), uint32(len(body))), body...))
}

func say(words string) speech {
	return func(_ context.Context, c net.Conn) { _, _ = c.Write([]byte(words)) }
}

func slowly(words string) speech {
	return func(ctx context.Context, c net.Conn) {
		for i := range words {
			if _, err := c.Write([]byte{words[i]}); err != nil || ctx.Err() != nil {
				return
			}
			Pause(ctx, 100*time.Millisecond)
		}
	}
}

// silence keeps the connection until the other side has had enough.
func silence(_ context.Context, c net.Conn) { _, _ = c.Read(make([]byte, 1)) }
