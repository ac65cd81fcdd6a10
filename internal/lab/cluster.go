package lab

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// FormCluster types what an operator types: init on the first host, join on each other one.
func (l *Lab) FormCluster(ctx context.Context) error {
	first := l.Hosts[0]
	if _, err := first.Run(ctx, first.vipdArgs("init")...); err != nil {
		return err
	}
	for _, h := range l.Hosts[1:] {
		if err := h.Join(ctx, first); err != nil {
			return err
		}
	}
	return nil
}

// Join types what an operator types: on the peer for a token, and on the host to join with it.
func (h *Host) Join(ctx context.Context, peer *Host) error {
	token, err := peer.Run(ctx, peer.vipdArgs("token", "create")...)
	if err != nil {
		return err
	}
	_, err = h.Run(ctx, h.vipdArgs("join", peer.Address.String(), "--token", strings.TrimSpace(token))...)
	return err
}

// Agreed waits until `vipd leader`, asked on every host, names one and the same host, and returns it. At ctx's end the
// error says what each named last.
func (l *Lab) Agreed(ctx context.Context) (*Host, error) {
	for {
		names := make([]string, len(l.Hosts))
		for i, h := range l.Hosts {
			asked, err := h.Vipd(ctx, "leader")
			if err != nil {
				return nil, fmt.Errorf("waiting for all hosts to name one leader: %w; last they named %q", err, names)
			}
			names[i] = strings.TrimSpace(asked.Stdout)
		}
		if leader := l.Host(names[0]); leader != nil && same(names) {
			return leader, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for all hosts to name one leader: %w; last they named %q", context.Cause(ctx), names)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func same(names []string) bool {
	for _, name := range names {
		if name != names[0] {
			return false
		}
	}
	return true
}
