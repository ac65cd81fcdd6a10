package control

import (
	"context"
	"net"
	"os"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/seats"
)

type askerKey struct{}

// withAsker keeps with a connection who opened it. What is done for one that has lost its
// place ends: the server of HTTP does not notice while there are requests to be read.
func withAsker(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(*seats.Seat[uint32]); ok {
		var end context.CancelFunc
		ctx, end = context.WithCancel(ctx)
		s.OnEnd(end)
	}
	if who, known := peer(c); known {
		return context.WithValue(ctx, askerKey{}, who)
	}
	return ctx
}

// peer returns who opened a connection, as the kernel tells it (SO_PEERCRED, unix(7)):
// what that process was at connect(2), in terms of our own user namespace.
func peer(c net.Conn) (who unix.Ucred, known bool) {
	for {
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = inner.NetConn()
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return who, false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return who, false
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			who, known = *cred, true
		}
	})
	return who, known
}

// askerOf returns who asks.
func askerOf(ctx context.Context) (who unix.Ucred, known bool) {
	who, known = ctx.Value(askerKey{}).(unix.Ucred)
	return who, known
}

// askerFields says in a log who asks, nothing where that is not known.
func askerFields(ctx context.Context) []zap.Field {
	who, known := askerOf(ctx)
	if !known {
		return nil
	}
	return []zap.Field{zap.Uint32("uid", who.Uid), zap.Int32("pid", who.Pid)}
}

// mayOrder says whether a user may give orders: root, and whom the daemon runs as.
func mayOrder(who unix.Ucred) bool { return who.Uid == 0 || int(who.Uid) == os.Geteuid() }
