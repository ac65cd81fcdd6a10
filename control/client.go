package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

// maxAnswer is the longest answer that the client reads, in bytes.
const maxAnswer = 4 << 20

// Client asks a daemon through its socket. It has the methods of [Daemon]; all
// errors that they return are an [Error], or caused by the end of their ctx.
// A question is given up after some seconds, an order after some minutes.
type Client struct {
	socket, unit string
	http         http.Client
}

var _ Daemon = (*Client)(nil)

// NewClient returns a client of the daemon that listens on socket and runs as
// the systemd unit of that name, which is named in hints only. It does not
// connect yet.
func NewClient(socket, unit string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{
		socket: socket, unit: unit,
		http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
	}
}

// Status implements [Daemon].
func (c *Client) Status(ctx context.Context) (Status, error) {
	return exchange[Status](ctx, c, http.MethodGet, "status", nil)
}

// Leader implements [Daemon].
func (c *Client) Leader(ctx context.Context) (Leader, error) {
	return exchange[Leader](ctx, c, http.MethodGet, "leader", nil)
}

// Simulate implements [Daemon].
func (c *Client) Simulate(ctx context.Context, s Suppose) (Forecast, error) {
	return exchange[Forecast](ctx, c, http.MethodGet, "simulate?"+s.query(), nil)
}

// Init implements [Daemon].
func (c *Client) Init(ctx context.Context) (Formed, error) {
	return exchange[Formed](ctx, c, http.MethodPost, "init", noArguments{})
}

// Join implements [Daemon].
func (c *Client) Join(ctx context.Context, peer, token string) (Joined, error) {
	return exchange[Joined](ctx, c, http.MethodPost, "join", joinArguments{Peer: peer, Token: token})
}

// Leave implements [Daemon].
func (c *Client) Leave(ctx context.Context) error { return c.order(ctx, "leave") }

// Remove implements [Daemon].
func (c *Client) Remove(ctx context.Context, node string) error {
	_, err := exchange[done](ctx, c, http.MethodPost, "remove", removeArguments{Node: node})
	return err
}

// Transfer implements [Daemon].
func (c *Client) Transfer(ctx context.Context, t Transfer) (Moved, error) {
	return exchange[Moved](ctx, c, http.MethodPost, "transfer", t)
}

// Pause implements [Daemon].
func (c *Client) Pause(ctx context.Context) error { return c.order(ctx, "pause") }

// Resume implements [Daemon].
func (c *Client) Resume(ctx context.Context) error { return c.order(ctx, "resume") }

// Freeze implements [Daemon].
func (c *Client) Freeze(ctx context.Context) error { return c.order(ctx, "freeze") }

// Thaw implements [Daemon].
func (c *Client) Thaw(ctx context.Context) error { return c.order(ctx, "thaw") }

// CreateToken implements [Daemon].
func (c *Client) CreateToken(ctx context.Context, use TokenUse) (NewToken, error) {
	return exchange[NewToken](ctx, c, http.MethodPost, "token/create", use)
}

// Tokens implements [Daemon].
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return exchange[[]Token](ctx, c, http.MethodGet, "tokens", nil)
}

// RevokeToken implements [Daemon].
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := exchange[done](ctx, c, http.MethodPost, "token/revoke", revokeArguments{ID: id})
	return err
}

// Rotate implements [Daemon].
func (c *Client) Rotate(ctx context.Context) error { return c.order(ctx, "rotate") }

// order gives an order that has no arguments and nothing to answer.
func (c *Client) order(ctx context.Context, name string) error {
	_, err := exchange[done](ctx, c, http.MethodPost, name, noArguments{})
	return err
}

// exchange sends one request and reads its answer.
func exchange[A any](ctx context.Context, c *Client, method, name string, arguments any) (A, error) {
	var a A
	ctx, cancel := context.WithTimeoutCause(ctx, patience(method), errNoAnswer)
	defer cancel()
	request, err := newRequest(ctx, method, name, arguments)
	if err != nil {
		return a, fmt.Errorf("ask for %s: %w", name, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return a, c.explain(ctx, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return a, c.explain(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		return a, refusal(response.Status, text)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, &Error{Message: fmt.Sprintf("read the daemon's answer to %s: %v", name, err), Code: CodeFailed}
	}
	return a, nil
}

func newRequest(ctx context.Context, method, name string, arguments any) (*http.Request, error) {
	var body bytes.Buffer
	if arguments != nil {
		if err := json.NewEncoder(&body).Encode(arguments); err != nil {
			return nil, err
		}
	}
	// HTTP wants the name of a host; here it means nothing.
	return http.NewRequestWithContext(ctx, method, "http://vipd/v1/"+name, &body)
}

var errNoAnswer = errors.New("the daemon took too long")

// patience is a little more than what the server allows itself.
func patience(method string) time.Duration {
	if method == http.MethodGet {
		return questionLimit + time.Second
	}
	return orderLimit + time.Second
}

// refusal returns the error that the daemon answered with.
func refusal(status string, text []byte) error {
	var e Error
	if err := json.Unmarshal(text, &e); err != nil || e.Message == "" {
		return &Error{Message: "the daemon answered " + status, Code: CodeFailed}
	}
	return &e
}

// explain returns an error of the connection in the operator's terms.
func (c *Client) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return &Error{
			Message: "the daemon is not running: nobody listens on " + c.socket,
			Advice:  "systemctl start " + c.unit, Code: CodeFailed,
		}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Message: "no permission to use " + c.socket, Advice: "use sudo; who is in the group " + askers + " may look without", Code: CodeFailed}
	case errors.Is(context.Cause(ctx), errNoAnswer):
		return &Error{
			Message: "the daemon does not answer on " + c.socket,
			Advice:  "is it stopped, or the host overloaded? systemctl status " + c.unit, Code: CodeFailed,
		}
	case ctx.Err() != nil:
		return fmt.Errorf("given up, though it may still happen: %w", context.Cause(ctx))
	default:
		return &Error{Message: fmt.Sprintf("the daemon on %s went away before it answered: %v", c.socket, err), Code: CodeFailed}
	}
}
