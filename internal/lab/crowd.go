package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	connectWithin = 30 * time.Millisecond // each of the two connects of a request
	answerWithin  = time.Second           // from then until the page is there
)

// Request is one request of a Crowd.
type Request struct {
	At      time.Time     // when it began
	Took    time.Duration // until the page was there or the request had failed, a second connect included
	Retried bool          // the first connect failed
	Page    string        // the first line of the page: the name of the host that gave it
	Err     error         // why there is no page, in few words and without port numbers, so that equal failures can be counted
}

// Crowd is many clients, each with one request for the page at the floating address and a connection of its own.
//
// They are on the hosts' subnet and ask ARP where the address is, as a router does. So what they see is the move itself,
// and not how often a load balancer looks. A connect is given 30 ms; one that was refused or not answered is tried once
// more, 30 ms after it began. A request that was sent is not sent again.
type Crowd struct {
	client  *Host
	address string
	stop    func()
	running sync.WaitGroup

	mu       sync.Mutex
	requests []Request
}

// StartCrowd lets that many clients a second begin, whether those before have got their page or not. It ends with Stop or
// with the lab. From now on Visitors, too, reach the floating address without the balancer.
func (l *Lab) StartCrowd(perSecond int) (*Crowd, error) {
	if err := l.Client.IP("route replace " + l.Floating.String() + "/32 dev eth0"); err != nil {
		return nil, fmt.Errorf("start the crowd: %w", err)
	}
	stopping := make(chan struct{})
	c := &Crowd{
		client: l.Client, address: net.JoinHostPort(l.Floating.String(), "80"),
		stop: sync.OnceFunc(func() { close(stopping) }),
	}
	c.running.Go(func() {
		ticker := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticker.Stop()
		for {
			select {
			case <-stopping:
				return
			case <-ticker.C:
				c.running.Go(c.ask)
			}
		}
	})
	l.onClose(c.Stop)
	return c, nil
}

// ask is the life of one client.
func (c *Crowd) ask() {
	r := Request{At: time.Now()}
	conn, err := c.connect()
	if err != nil {
		r.Retried = true
		time.Sleep(time.Until(r.At.Add(connectWithin)))
		conn, err = c.connect()
	}
	if err == nil {
		r.Page, err = ask(conn, c.address)
		conn.Close()
	}
	r.Took, r.Err = time.Since(r.At), err
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
}

func (c *Crowd) connect() (conn net.Conn, err error) {
	err = c.client.ns.within(func() error {
		conn, err = net.DialTimeout("tcp", c.address, connectWithin)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", cause(err))
	}
	return conn, nil
}

// ask sends one request and returns the first line of the page.
func ask(conn net.Conn, host string) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return "", fmt.Errorf("send: %w", cause(err))
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", fmt.Errorf("answer: %w", cause(err))
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return "", fmt.Errorf("page: %w", cause(err))
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("status %s", response.Status)
	}
	line, _, _ := strings.Cut(string(page), "\n")
	return line, nil
}

// cause is what the kernel said, without the addresses that package net puts around it.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Requests lists those that are over and began at or after that instant, in the order in which they began.
func (c *Crowd) Requests(since time.Time) []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests := slices.DeleteFunc(slices.Clone(c.requests), func(r Request) bool { return r.At.Before(since) })
	slices.SortFunc(requests, func(a, b Request) int { return a.At.Compare(b.At) })
	return requests
}

// Stop lets no more clients begin and waits until the last has its page or has failed. It may be called more than once.
func (c *Crowd) Stop() {
	c.stop()
	c.running.Wait()
}
