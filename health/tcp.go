package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// TCP is a port that accepts connections. Nothing is sent.
type TCP struct {
	Address netip.AddrPort
}

func (t TCP) try(ctx context.Context) error {
	conn, err := connect(ctx, "tcp", t.Address.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// connect is net.Dialer.DialContext with an error for the operator. Go's dialer sees to it that a port without a listener is
// not reached by a connection to itself (TCP simultaneous open, RFC 9293 §3.5), as happens in the range of the local ports.
func connect(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err // "connect: connection refused" says connect twice
	}
	return nil, fmt.Errorf("connect to %s: %w", address, err)
}
