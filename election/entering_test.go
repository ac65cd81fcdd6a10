package election

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vipd/vipd/trust"
)

func TestAHostThatFoundsAndJoinsAtOnceDoesOneOfThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 2, half)
		torn := newHost(t, w, 3, half)
		near := torn.cfg.Dial
		torn.cfg.Dial = func(ctx context.Context, to string) (net.Conn, error) {
			time.Sleep(100 * time.Millisecond)
			return near(ctx, to)
		}
		torn.start()
		token, joined := hosts[0].token(), make(chan error, 1)
		go func() {
			_, err := torn.node.Join(t.Context(), "10.11.12.4", token)
			joined <- err
		}()
		time.Sleep(50 * time.Millisecond)
		if already, err := torn.node.Init(t.Context()); !already || err != nil {
			t.Errorf("init while it joins: already %v, %v", already, err)
		}
		if err := <-joined; err != nil {
			t.Errorf("join: %v", err)
		}
		time.Sleep(10 * half)
		if got, want := torn.node.machine.get().Cluster, hosts[0].node.who().Cluster; got != want || torn.node.who().Cluster != want {
			t.Errorf("it knows the state of cluster %s, and is in %s; the cluster is %s", got, torn.node.who().Cluster, want)
		}
		haltAll(t, append(hosts, torn))
	})
}

// rewrite changes the identity on the disk of a host that is not running.
func (h *host) rewrite(change func(*identity)) {
	h.t.Helper()
	disk := h.disk()
	defer disk.Close()
	st := &store{Disk: disk}
	id, err := st.identify(h.cfg.Machine)
	if err == nil {
		change(&id)
		err = st.put(keyIdentity, id)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// recoverHalfway does to the disk of a host that is not running what a recovery does that
// is broken off: a new identity, and the old log.
func (h *host) recoverHalfway() {
	h.t.Helper()
	authority, err := trust.NewAuthority("z", time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	h.rewrite(func(id *identity) {
		id.ID, id.Cluster = randomID(), "z"
		if id.Credentials, err = trust.Issue(authority, "z", id.ID, time.Now()); err != nil {
			h.t.Fatal(err)
		}
	})
}

func TestALogOfOneClusterIsNotTakenIntoAnother(t *testing.T) {
	for _, first := range []int{0, 2} {
		bubble(t, func(t *testing.T) {
			_, hosts := formers(t, 3)
			for _, h := range hosts {
				h.start()
			}
			formed(t, hosts)
			for i, h := range hosts {
				if i == first {
					if err := h.halt(); err != nil {
						t.Fatal(err)
					}
					h.recoverHalfway()
				} else {
					h.wipe()
				}
			}
			for _, h := range hosts {
				h.start()
			}
			time.Sleep(time.Minute)
			last := hosts[first].node
			if last.who().Cluster != "z" || last.isMember() || last.machine.get().Cluster != "" {
				t.Errorf("it is in cluster %s, with the state of %s", last.who().Cluster, last.machine.get().Cluster)
			}
			if !strings.Contains(last.Formation(), "the log of another cluster") {
				t.Errorf("it says %q", last.Formation())
			}
			haltAll(t, hosts)
		})
	}
}

func TestAHostThatHasLeftAndJoinsOnOrderFoundsNothingMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, old := form(t, 1, half)
		hosts := make([]*host, 3)
		for i := range hosts {
			hosts[i] = newHost(t, w, i+2, half)
		}
		for _, h := range hosts {
			h.cfg.Forms = &Formation{Expect: addressesOf(hosts), Secret: func() ([]byte, error) { return []byte(secret), nil }}
		}
		hosts[0].cfg.Left = true
		for _, h := range hosts {
			h.start()
		}
		token, _ := trust.ParseToken(old[0].token())
		as := line{hosts[0].node.stream, trust.Join, trust.Keys{Root: token.Authority}}
		if err := hosts[0].node.apply(t.Context(), as, "10.11.12.4", application{TokenID: token.ID, Secret: []byte(token.Secret)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // the join is broken off here
		for _, h := range hosts {
			if h.node.isMember() {
				t.Errorf("%s is in a cluster", h.cfg.Name)
			}
		}
		if _, err := hosts[0].node.Join(t.Context(), "10.11.12.4", ""); err != nil {
			t.Errorf("it can't go on with its join: %v", err)
		}
		haltAll(t, hosts)
		haltAll(t, old)
	})
}

func TestAJoinThatIsBrokenOffMayGoOnLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 2, 5*time.Second)
		late := newHost(t, w, 3, 5*time.Second)
		late.start()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // less than the rest between two changes
		defer cancel()
		if _, err := late.node.Join(ctx, "10.11.12.4", hosts[0].token()); err == nil {
			t.Fatal("it has joined at once")
		}
		time.Sleep(time.Minute)
		if _, err := late.node.Join(t.Context(), "10.11.12.4", ""); err != nil {
			t.Errorf("again: %v", err)
		}
		haltAll(t, append(hosts, late))
	})
}

func TestWhoIsEnrolledMayJoinAndNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 2, half)
		late := newHost(t, w, 3, half)
		late.start()
		token, _ := trust.ParseToken(hosts[0].token())
		as := line{late.node.stream, trust.Join, trust.Keys{Root: token.Authority}}
		if err := late.node.apply(t.Context(), as, "10.11.12.4", application{TokenID: token.ID, Secret: []byte(token.Secret)}); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(late.node.who().Credentials.Ends()); left > 49*time.Hour {
			t.Errorf("its certificate is good for %s with those who do not know that it never joined", left)
		}
		for path, in := range map[string]any{
			pathToken: wish{Use{TTL: time.Hour, Uses: 1}, "vm3"}, pathRotate: "", pathRemove: "vm2", pathFreeze: Freeze{}, pathReport: Member{ID: "x"}, pathContacts: struct{}{},
			pathHandOver: Move{Target: "vm2"}, pathLeave: string(hosts[1].node.rules.self), pathRevoke: token.ID, pathThaw: struct{}{}, pathRemoved: hosts[0].node.rules.self,
		} {
			if err := late.node.call(t.Context(), "10.11.12.4", path, in, nil); err == nil || err.Error() != errNoMember.Error() {
				t.Errorf("%s: %v", path, err)
			}
		}
		other := late.node.reported()
		other.ID = randomID()
		if err := late.node.call(t.Context(), "10.11.12.4", pathJoin, other, nil); err == nil {
			t.Error("it joins under an id that it has no certificate for")
		}
		if _, err := late.node.Join(t.Context(), "10.11.12.4", ""); err != nil {
			t.Error(err)
		}
		await(t, "as a member it makes itself another", func() bool {
			return time.Until(late.node.who().Credentials.Ends()) > 300*24*time.Hour
		})
		haltAll(t, append(hosts, late))
	})
}

// All clocks were ahead by two years for a while, the hosts made themselves certificates
// of then, and were all started again when the clocks were right: none understands another,
// none leads, and so none gets to know which entries of its log are final.
func TestAClusterWithCertificatesOfTheFutureComesBack(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 2 * 365 * 24 * time.Hour, "off for years": -2 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				_, hosts := form(t, 3, half)
				time.Sleep(2 * trustEvery)
				for _, h := range hosts {
					me, a := h.node.who(), h.node.machine.get().Authority
					then, err := trust.Issue(a, me.Cluster, me.ID, time.Now().Add(off))
					if err != nil {
						t.Fatal(err)
					}
					if err := h.halt(); err != nil {
						t.Fatal(err)
					}
					h.rewrite(func(id *identity) { id.Credentials = then })
				}
				for _, h := range hosts {
					h.start()
				}
				await(t, "a holder", func() bool { return holder(hosts) != nil })
				haltAll(t, hosts)
			})
		})
	}
}

// dying is a connection to a host whose machine dies when it is asked for a certificate:
// nothing comes any more, not even an end.
type dying struct {
	net.Conn
	died   *atomic.Bool // the machine; only once
	dead   atomic.Bool
	closed context.Context
	close  context.CancelFunc
}

func (c *dying) Write(b []byte) (int, error) {
	if strings.Contains(string(b), pathEnrol) && !c.died.Swap(true) {
		c.dead.Store(true)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *dying) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.dead.Load() {
		<-c.closed.Done()
	}
	return n, err
}

func (c *dying) Close() error {
	c.close()
	return c.Conn.Close()
}

func TestAHostThatFormsDoesNotWaitForEverForAnAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := formers(t, 3)
		near, died := hosts[2].cfg.Dial, new(atomic.Bool)
		hosts[2].cfg.Dial = func(ctx context.Context, to string) (net.Conn, error) {
			conn, err := near(ctx, to)
			if err != nil {
				return nil, err
			}
			closed, cancel := context.WithCancel(context.Background())
			return &dying{Conn: conn, died: died, closed: closed, close: cancel}, nil
		}
		for _, h := range hosts {
			h.start()
		}
		time.Sleep(5 * time.Minute)
		if !died.Load() || !hosts[2].node.isMember() {
			t.Errorf("it is no member after minutes: %q", hosts[2].node.Formation())
		}
		haltAll(t, hosts)
	})
}

func TestAMemberWhoseDiskHangsAtARenewalCanBeStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 2, half)
		last := hosts[1]
		old, err := trust.Issue(last.node.machine.get().Authority, last.node.who().Cluster, last.node.who().ID, time.Now().Add(-200*24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * trustEvery)
		if err := last.node.changeIdentity(func(id *identity) error { id.Credentials = old; return nil }); err != nil {
			t.Fatal(err)
		}
		last.drive.hang(keyIdentity)
		await(t, "it hangs", last.drive.hangs)
		last.stop()
		select {
		case <-last.done:
		case <-time.After(time.Minute):
			t.Error("it does not stop")
		}
		if err := last.node.Close(); err == nil || !strings.Contains(err.Error(), "stopped without closing the files") {
			t.Errorf("got %v", err)
		}
		last.drive.mend()
		haltAll(t, hosts[:1])
	})
}

func TestASecretThatCannotBeReadKeepsMembersFromNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := formers(t, 3)
		hung, released := new(atomic.Bool), make(chan struct{})
		for _, h := range hosts {
			h.cfg.Forms.Secret = func() ([]byte, error) {
				if hung.Load() {
					<-released
				}
				return []byte(secret), nil
			}
			h.start()
		}
		formed(t, hosts)
		hung.Store(true)
		time.Sleep(2 * formEvery)
		for _, protocol := range []string{trust.Raft, trust.Members} {
			done := make(chan error, 1)
			go func() { done <- hosts[0].calls(hosts[1], protocol) }()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("%s: %v", protocol, err)
				}
			case <-time.After(time.Minute):
				t.Errorf("%s: it waits for the disk", protocol)
			}
		}
		hung.Store(false)
		close(released)
		haltAll(t, hosts)
	})
}
