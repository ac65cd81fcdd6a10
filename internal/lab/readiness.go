package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// readiness is the socket on which a daemon says that it is ready (sd_notify(3)). It is there only while a start is
// waited for; what a daemon says later meets nobody, which is no error for it.
type readiness struct{ conn *net.UnixConn }

func listenReady(path string) (*readiness, error) {
	_ = os.Remove(path) // of an earlier start; what can't be removed makes the next step fail
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listen for readiness: %w", err)
	}
	return &readiness{conn: conn}, nil
}

// wait waits for READY=1, for at most startTimeout, or until the service has ended for good.
func (r *readiness) wait(ended <-chan struct{}) error {
	ready := make(chan error, 1)
	go func() { ready <- r.read() }()
	select {
	case err := <-ready:
		return err
	case <-ended:
		return errors.New("it ended before it was ready")
	}
}

func (r *readiness) read() error {
	if err := r.conn.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	var message [4096]byte
	for {
		n, err := r.conn.Read(message[:])
		if err != nil {
			return fmt.Errorf("it did not say that it is ready: %w", err)
		}
		for line := range strings.Lines(string(message[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				return nil
			}
		}
	}
}

func (r *readiness) close() { r.conn.Close() }
