package control

import (
	"context"
	"net"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

type askerKey struct{}

// withAsker keeps with a connection who opened it, as the kernel tells it
// (SO_PEERCRED, unix(7)).
func withAsker(ctx context.Context, c net.Conn) context.Context {
	if inner, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = inner.NetConn()
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return ctx
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			ctx = context.WithValue(ctx, askerKey{}, *cred)
		}
	})
	return ctx
}

// askerOf returns the fields that say who asks, none where that is not known.
func askerOf(ctx context.Context) []zap.Field {
	cred, ok := ctx.Value(askerKey{}).(unix.Ucred)
	if !ok {
		return nil
	}
	return []zap.Field{zap.Uint32("uid", cred.Uid), zap.Int32("pid", cred.Pid)}
}
