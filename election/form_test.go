package election

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const secret = "0123456789abcdef0123456789abcdef"

// formers are hosts that form a cluster by themselves; they are not started.
func formers(t *testing.T, n int) (*network, []*host) {
	w := newNetwork()
	hosts := make([]*host, n)
	for i := range hosts {
		hosts[i] = newHost(t, w, i+1, half)
	}
	for _, h := range hosts {
		h.cfg.Forms = &Formation{Expect: addressesOf(hosts), Secret: func() ([]byte, error) { return []byte(secret), nil }}
	}
	return w, hosts
}

func addressesOf(hosts []*host) []netip.AddrPort {
	addresses := make([]netip.AddrPort, len(hosts))
	for i, h := range hosts {
		addresses[i] = h.cfg.Address
	}
	return addresses
}

// formed waits until all hosts are members of one cluster with votes, and returns its id.
func formed(t *testing.T, hosts []*host) string {
	t.Helper()
	clusters := func() []string {
		var all []string
		for _, h := range hosts {
			all = append(all, h.node.who().Cluster)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	await(t, "all are in one cluster", func() bool {
		return len(clusters()) == 1 && !slices.ContainsFunc(hosts, func(h *host) bool { return len(h.node.view.voters()) != len(hosts) })
	})
	return clusters()[0]
}

// wipe stops a host and empties its disk.
func (h *host) wipe() {
	h.t.Helper()
	if err := h.halt(); err != nil {
		h.t.Fatal(err)
	}
	h.dir = h.t.TempDir()
}

func TestHostsFormOneClusterInWhateverOrderAndHoweverLateTheyStart(t *testing.T) {
	delays := []time.Duration{0, time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 20 * time.Second}
	for seed := range uint64(24) {
		chance := rand.New(rand.NewPCG(seed, 0))
		n := 3 + chance.IntN(3)
		order, restarts := chance.Perm(n), chance.IntN(2*n) // of nobody, half of the times
		bubble(t, func(t *testing.T) {
			_, hosts := formers(t, n)
			for i, which := range order {
				time.Sleep(delays[chance.IntN(len(delays))])
				hosts[which].start()
				if i == restarts { // one that is started again at once
					if err := hosts[which].halt(); err != nil {
						t.Fatal(err)
					}
					hosts[which].start()
				}
				for _, h := range hosts {
					if i < n-1 && h.node != nil && h.node.who().Cluster != "" {
						t.Errorf("seed %d: %s has founded a cluster before all were there", seed, h.cfg.Name)
					}
				}
			}
			formed(t, hosts)
			haltAll(t, hosts)
		})
	}
}

func TestAWipedHostOfALivingClusterJoinsItInPlaceOfItsOldSelf(t *testing.T) {
	for i := range 3 {
		for _, away := range []int{-1, (i + 1) % 3} {
			t.Run(fmt.Sprintf("vm%d, without vm%d", i+1, away+1), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					_, hosts := formers(t, 3)
					for _, h := range hosts {
						h.start()
					}
					cluster, old := formed(t, hosts), hosts[i].node.Status().ID
					hosts[i].wipe()
					if away >= 0 { // the majority is gone until it is back
						if err := hosts[away].halt(); err != nil {
							t.Fatal(err)
						}
					}
					hosts[i].start()
					if away >= 0 {
						time.Sleep(30 * time.Second)
						if c := hosts[i].node.who().Cluster; hosts[i].node.isMember() && c != cluster {
							t.Errorf("it has founded cluster %s", c)
						}
						hosts[away].start()
					}
					if now := formed(t, hosts); now != cluster {
						t.Errorf("the cluster was %s and is %s", cluster, now)
					}
					if slices.ContainsFunc(hosts[i].node.Status().Members, func(m MemberStatus) bool { return m.ID == old }) {
						t.Error("its old self is still a member")
					}
					haltAll(t, hosts)
				})
			})
		}
	}
}

func TestTwoWipedHostsDoNotFoundASecondClusterBesideTheThird(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := formers(t, 3)
		for _, h := range hosts {
			h.start()
		}
		formed(t, hosts)
		w.isolate(hosts[2].cfg.Address.String(), true)
		hosts[0].wipe()
		hosts[1].wipe()
		hosts[0].start()
		hosts[1].start()
		for _, cut := range []bool{true, false} {
			w.isolate(hosts[2].cfg.Address.String(), cut)
			time.Sleep(time.Minute)
			for _, h := range hosts[:2] {
				if h.node.isMember() && len(h.node.view.voters()) > 0 && h.node.who().Cluster != hosts[2].node.who().Cluster {
					t.Errorf("%s is in another cluster", h.cfg.Name)
				}
				if h.node.Lease().Held {
					t.Errorf("%s holds", h.cfg.Name)
				}
			}
		}
		haltAll(t, hosts)
	})
}

func TestWhatKeepsHostsFromFormingIsSaid(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(hosts []*host)
		want   string
	}{
		{"one is missing", func([]*host) {}, "it waits for 10.11.12.6:7600 ("},
		{"another secret", func(hosts []*host) {
			hosts[2].cfg.Forms.Secret = func() ([]byte, error) { return []byte(strings.Repeat("x", 32)), nil }
			hosts[2].start()
		}, "it waits for 10.11.12.6:7600 (the host that answers has another secret to form a cluster with)"},
		{"other hosts are expected", func(hosts []*host) {
			hosts[2].cfg.Forms.Expect = hosts[2].cfg.Forms.Expect[1:]
			hosts[2].start()
		}, "its cluster.expect names other hosts"},
		{"no secret", func(hosts []*host) {
			hosts[0].cfg.Forms.Secret = func() ([]byte, error) { return nil, errors.New("the secret can't be read") }
			hosts[2].start()
		}, "the secret can't be read"},
		{"another has left", func(hosts []*host) {
			hosts[2].cfg.Left = true
			hosts[2].start()
		}, "it has left a cluster, and joins one only on order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				_, hosts := formers(t, 3)
				c.change(hosts)
				hosts[1].start()
				hosts[0].start()
				time.Sleep(10 * time.Second)
				if got := hosts[0].node.Formation(); !strings.Contains(got, c.want) {
					t.Errorf("got %q, want %q", got, c.want)
				}
				for _, h := range hosts {
					if h.node != nil && h.node.isMember() {
						t.Errorf("%s is in a cluster", h.cfg.Name)
					}
				}
				running := slices.DeleteFunc(slices.Clone(hosts), func(h *host) bool { return h.node == nil })
				haltAll(t, running)
			})
		})
	}
}

func TestAHostThatHasLeftDoesNotJoinByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := formers(t, 3)
		for _, h := range hosts {
			h.start()
		}
		formed(t, hosts)
		leaver := hosts[2]
		if err := leaver.node.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-leaver.done; !errors.Is(err, ErrLeft) {
			t.Fatal(err)
		}
		if err := leaver.node.Close(); err != nil {
			t.Fatal(err)
		}
		leaver.cfg.Left = true // the daemon goes on
		leaver.start()
		if err := leaver.halt(); err != nil {
			t.Fatal(err)
		}
		leaver.cfg.Left = false // another daemon
		leaver.start()
		time.Sleep(time.Minute)
		if leaver.node.who().Cluster != "" {
			t.Error("it has joined again by itself")
		}
		if _, err := leaver.join(hosts[0]); err != nil {
			t.Errorf("on order: %v", err)
		}
		haltAll(t, hosts)
	})
}

func TestAHostThatFormsTakesNoOrders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := formers(t, 3)
		hosts[0].start()
		_, founding := hosts[0].node.Init(t.Context())
		_, joining := hosts[0].node.Join(t.Context(), "10.11.12.5", "")
		for _, err := range []error{founding, joining} {
			if err == nil || !strings.Contains(err.Error(), "cluster.expect") {
				t.Errorf("got %v", err)
			}
		}
		haltAll(t, hosts[:1])
	})
}
