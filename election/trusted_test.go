package election

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vipd/vipd/trust"
	"github.com/vipd/vipd/trust/trusttest"
)

// calls tries to talk to another host as a member.
func (h *host) calls(other *host, protocol string) error {
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Second)
	defer cancel()
	conn, err := h.node.stream.connect(ctx, other.cfg.Address.String(), protocol, h.node.keys())
	if err == nil {
		_ = conn.Close()
	}
	return err
}

func TestARemovedMemberIsRefusedByAllWithItsOldCertificate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		w.isolate(hosts[2].cfg.Address.String(), true) // so that it does not hear of it
		if err := hosts[0].node.Remove(t.Context(), "vm3"); err != nil {
			t.Fatal(err)
		}
		await(t, "the follower knows", func() bool { return len(hosts[1].node.view.voters()) == 2 })
		w.isolate(hosts[2].cfg.Address.String(), false)
		for _, other := range hosts[:2] {
			for _, protocol := range []string{trust.Raft, trust.Members} {
				if err := hosts[2].calls(other, protocol); !errors.Is(err, ErrRemoved) {
					t.Errorf("%s by %s: %v", protocol, other.cfg.Name, err)
				}
			}
		}
		if err := hosts[0].calls(hosts[2], trust.Raft); !errors.Is(err, ErrRemoved) {
			t.Errorf("the leader talks to it: %v", err)
		}
		haltAll(t, hosts)
	})
}

func TestTheConnectionsOfARemovedMemberAreClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		conn, err := hosts[2].node.stream.connect(t.Context(), "10.11.12.5:7600", trust.Raft, hosts[2].node.keys())
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { _, err := conn.Read(make([]byte, 1)); ended <- err }()
		w.part("10.11.12.4:7600", "10.11.12.6:7600", true) // the leader can't tell it
		if err := hosts[0].node.Remove(t.Context(), "vm3"); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("the connection has brought something")
		}
		haltAll(t, hosts)
	})
}

func TestATokenLetsInAsManyHostsAsItSays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 2, half)
		text, token, err := hosts[1].node.CreateToken(t.Context(), Use{TTL: time.Hour, Uses: 1})
		if err != nil || token.By != "vm2" || token.Left != 1 || token.Expires.Sub(token.Created) != time.Hour {
			t.Fatalf("%+v, %v", token, err)
		}
		third, fourth := newHost(t, w, 3, half), newHost(t, w, 4, half)
		for _, h := range []*host{third, fourth} {
			h.start()
		}
		if _, err := third.node.Join(t.Context(), "10.11.12.5", text); err != nil {
			t.Fatal(err)
		}
		if already, err := third.node.Join(t.Context(), "10.11.12.5", text); !already || err != nil {
			t.Errorf("a member that joins again: %v, %v", already, err)
		}
		for _, c := range []struct {
			name, want string
			prepare    func() string
		}{
			{"used up", "is used up: it was good for 1", func() string { return text }},
			{"revoked", "was revoked", func() string {
				text, token, err := hosts[0].node.CreateToken(t.Context(), Use{TTL: time.Hour, Uses: 5})
				if err := errors.Join(err, hosts[1].node.RevokeToken(t.Context(), token.ID)); err != nil {
					t.Fatal(err)
				}
				return text
			}},
			{"over", "has ended at 2000-01-01", func() string {
				text, _, err := hosts[0].node.CreateToken(t.Context(), Use{TTL: time.Minute, Uses: 5})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				return text
			}},
			{"unknown", "the cluster knows no token", func() string { return trust.NewToken(hosts[0].node.machine.get().Authority).Text() }},
		} {
			if _, err := fourth.node.Join(t.Context(), "10.11.12.4", c.prepare()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if err := hosts[0].node.RevokeToken(t.Context(), "nonsense"); err == nil {
			t.Error("a token that there is not was revoked")
		} else if _, ok := errors.AsType[*UnknownError](err); !ok {
			t.Errorf("got %v", err)
		}
		if n := len(hosts[1].node.Tokens()); n != 4 {
			t.Errorf("%d tokens are listed", n)
		}
		haltAll(t, append(hosts, third, fourth))
	})
}

func TestAHostThatIsNoMemberMayOnlyAskHowToJoin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 1, half)
		stranger := newHost(t, w, 2, half)
		stranger.start()
		root := hosts[0].node.Trust().Authority // anybody is shown it
		as := line{stranger.node.stream, trust.Join, trust.Keys{Root: root}}
		for _, path := range []string{
			pathJoin, pathRemove, pathLeave, pathHandOver, pathPrepare, pathFreeze, pathThaw, pathReady, pathReport, pathContacts, pathRemoved, pathToken, pathRevoke, pathRotate,
		} {
			if err := as.call(t.Context(), "10.11.12.4", path, struct{}{}, nil); !errors.Is(err, errUnknownCall) {
				t.Errorf("%s: %v", path, err)
			}
		}
		if err := as.call(t.Context(), "10.11.12.4", pathForming, struct{}{}, nil); err == nil {
			t.Error("it is told who forms a cluster, without the secret")
		}
		if err := as.call(t.Context(), "10.11.12.4", pathEnrol, application{ID: string(stranger.node.rules.self)}, nil); err == nil || err.Error() != errNoToken.Error() {
			t.Errorf("without a token: %v", err)
		}
		for _, protocol := range []string{trust.Raft, trust.Members} {
			if err := stranger.calls(hosts[0], protocol); err == nil {
				t.Errorf("it gets in by %s", protocol)
			}
		}
		haltAll(t, append(hosts, stranger))
	})
}

func TestWhoGuessesTokensHasToWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 1, half)
		guesser, honest := newHost(t, w, 2, half), newHost(t, w, 3, half)
		guesser.start()
		honest.start()
		wrong, _ := trust.ParseToken(hosts[0].token())
		wrong.Secret = strings.Repeat("x", len(wrong.Secret))
		for i := range maxGuesses + 1 {
			_, err := guesser.node.Join(t.Context(), "10.11.12.4", wrong.Text())
			if limited := err != nil && strings.Contains(err.Error(), "too many attempts"); limited != (i == maxGuesses) {
				t.Errorf("attempt %d: %v", i+1, err)
			}
		}
		if _, err := honest.join(hosts[0]); err != nil {
			t.Errorf("another host: %v", err)
		}
		time.Sleep(guessing)
		if _, err := guesser.join(hosts[0]); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		haltAll(t, append(hosts, guesser, honest))
	})
}

func TestATokenGivesNobodyTheCertificateOfAMember(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		token, _ := trust.ParseToken(hosts[0].token())
		request, err := trust.NewRequest()
		if err != nil {
			t.Fatal(err)
		}
		key, err := request.Public()
		if err != nil {
			t.Fatal(err)
		}
		as := line{hosts[2].node.stream, trust.Join, trust.Keys{Root: token.Authority}}
		a := application{ID: string(hosts[1].node.rules.self), Name: "vm9", Key: key, TokenID: token.ID, Secret: []byte(token.Secret)}
		if err := as.callLeader(t.Context(), "10.11.12.4", pathEnrol, a, nil); err == nil || !strings.Contains(err.Error(), "a member has the id of that host") {
			t.Errorf("got %v", err)
		}
		haltAll(t, hosts)
	})
}

func TestWhatNoHostWouldSayIsNotToldToTheLog(t *testing.T) {
	for name, a := range map[string]application{
		"an id of another size": {ID: "ab", Name: "vm9"},
		"no id":                 {ID: strings.Repeat("x", 2*idSize), Name: "vm9"},
		"a long name":           {ID: strings.Repeat("a", 2*idSize), Name: strings.Repeat("x", maxNameSize+1)},
		"a long token":          {ID: strings.Repeat("a", 2*idSize), TokenID: strings.Repeat("x", maxNameSize+1)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				_, hosts := form(t, 2, half)
				core, logs := observer.New(zapcore.InfoLevel)
				hosts[0].node.log = zap.New(core)
				token, _ := trust.ParseToken(hosts[0].token())
				as := line{hosts[1].node.stream, trust.Join, trust.Keys{Root: token.Authority}}
				before := logs.Len()
				for i := range maxGuesses + 1 {
					err := as.callLeader(t.Context(), "10.11.12.4", pathEnrol, a, nil)
					if limited := err != nil && strings.Contains(err.Error(), "too many attempts"); err == nil || limited != (i == maxGuesses) {
						t.Errorf("attempt %d: %v", i+1, err)
					}
				}
				if lines := logs.All()[before:]; len(lines) > 0 {
					t.Errorf("the log was told %v", lines)
				}
				haltAll(t, hosts)
			})
		})
	}
}

func TestWhoHasBegunToJoinLosesThatWithTheToken(t *testing.T) {
	for name, end := range map[string]func(s state) state{
		"revoked": func(s state) state { return s.apply(command{Revoke: "t"}) },
		"rotated": func(s state) state {
			next, err := s.Authority.Next("c", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return s.apply(command{Authority: &next})
		},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			authority, err := trust.NewAuthority("c", now)
			if err != nil {
				t.Fatal(err)
			}
			s := state{Authority: authority, Tokens: []Token{{ID: "t", Expires: now.Add(time.Hour), Uses: 2, Left: 2}}}
			s = s.enrol(enrolment{ID: "a", Token: "t", Time: now, Expires: now.Add(time.Hour)})
			if s = end(s); len(s.Enrolled) > 0 {
				t.Errorf("enrolled are %v", s.Enrolled)
			}
		})
	}
}

func TestAnEnrolmentThatIsRepeatedUsesTheTokenOnce(t *testing.T) {
	now := time.Now()
	s := state{Tokens: []Token{{ID: "t", Expires: now.Add(time.Hour), Uses: 1, Left: 1}}}
	e := enrolment{ID: "a", Token: "t", Time: now, Expires: now.Add(time.Hour)}
	for range 3 { // the answer was lost with the leader
		if err := s.mayEnrol(e); err != nil {
			t.Fatal(err)
		}
		s = s.enrol(e)
	}
	if s.Tokens[0].Left != 0 || len(s.Enrolled) != 1 {
		t.Errorf("left %d, enrolled %v", s.Tokens[0].Left, s.Enrolled)
	}
	if err := s.apply(command{Member: &Member{ID: "a"}}).mayEnrol(e); err == nil {
		t.Error("who finds the token gets a certificate of the host that has joined with it")
	}
}

func TestAHostWithACertificateThatDoesNotJoinInTimeIsAStrangerAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 1, half)
		late := newHost(t, w, 2, half)
		late.start()
		token, _ := trust.ParseToken(hosts[0].token())
		as := line{late.node.stream, trust.Join, trust.Keys{Root: token.Authority}}
		if err := late.node.apply(t.Context(), as, "10.11.12.4", application{TokenID: token.ID, Secret: []byte(token.Secret)}); err != nil {
			t.Fatal(err)
		}
		if err := late.calls(hosts[0], trust.Members); err != nil {
			t.Errorf("in time: %v", err)
		}
		if err := late.calls(hosts[0], trust.Raft); err == nil {
			t.Error("it gets at raft before it is a member")
		}
		if ends := late.node.Trust().Ends; time.Until(ends) > 48*time.Hour {
			t.Errorf("its certificate is good until %v", ends)
		}
		time.Sleep(enrolmentLast)
		if _, err := late.node.Join(t.Context(), "10.11.12.4", ""); err == nil || !strings.Contains(err.Error(), "did not join in time") {
			t.Errorf("too late: %v", err)
		}
		if _, err := late.join(hosts[0]); err != nil {
			t.Errorf("with a new token: %v", err)
		}
		await(t, "it has the certificate of a member", func() bool { return time.Until(late.node.Trust().Ends) > 300*24*time.Hour })
		haltAll(t, append(hosts, late))
	})
}

func TestTheCAIsReplacedUnderALivingHolder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hosts := form(t, 3, half)
		term, before, old := hosts[0].node.Lease().Term, hosts[0].node.Trust().Authority, hosts[0].token()
		if err := hosts[2].halt(); err != nil { // it knows nothing of it
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := hosts[1].node.Rotate(ctx); err == nil || !strings.Contains(err.Error(), "waits for vm3") {
			t.Fatalf("without vm3: %v", err)
		}
		if tr := hosts[0].node.Trust(); !tr.Rotating || tr.Authority == before {
			t.Errorf("%+v", tr)
		}
		hosts[2].start()
		if err := hosts[1].node.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, h := range hosts {
			await(t, h.cfg.Name+" knows", func() bool { return !h.node.Trust().Rotating })
			if tr := h.node.Trust(); tr.Authority == before || tr.Authority != hosts[0].node.Trust().Authority {
				t.Errorf("%s: %+v", h.cfg.Name, tr)
			}
		}
		time.Sleep(10 * half)
		if l := hosts[0].node.Lease(); !l.Held || l.Term != term {
			t.Errorf("the holder was disturbed: %+v", l)
		}
		fourth := newHost(t, w, 4, half)
		fourth.start()
		if _, err := fourth.node.Join(t.Context(), "10.11.12.4", old); err == nil {
			t.Error("a token from before lets a host in")
		}
		if _, err := fourth.join(hosts[1]); err != nil {
			t.Error(err)
		}
		haltAll(t, append(hosts, fourth))
		for _, h := range hosts {
			h.start()
		}
		await(t, "they understand each other after a restart", func() bool { return holder(hosts) != nil })
		haltAll(t, hosts)
	})
}

func TestARotationEndsUnderANewLeaderAndWithoutAMemberThatIsRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 4, half)
		if err := hosts[3].halt(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * half)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := hosts[1].node.Rotate(ctx); err == nil {
			t.Fatal("it has ended without vm4")
		}
		if err := hosts[0].node.Move(t.Context(), Move{Target: "vm2", Cause: ByOperator}); err != nil {
			t.Fatal(err)
		}
		await(t, "vm2 leads", func() bool { return hosts[1].node.Lease().Held })
		if err := hosts[1].node.Remove(t.Context(), "vm4"); err != nil {
			t.Fatal(err)
		}
		for _, h := range hosts[:3] {
			await(t, h.cfg.Name+" is through", func() bool { return !h.node.Trust().Rotating })
		}
		haltAll(t, hosts[:3])
	})
}

func TestAHostOfARetiredCAIsNotTrusted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 2, half)
		old := hosts[1].node.keys()
		if err := hosts[0].node.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, "it is over", func() bool { return !hosts[0].node.Trust().Rotating && !hosts[1].node.Trust().Rotating })
		_, err := hosts[1].node.stream.connect(t.Context(), "10.11.12.4:7600", trust.Raft, old)
		if err == nil || !strings.Contains(err.Error(), "not of this cluster") {
			t.Errorf("got %v", err)
		}
		haltAll(t, hosts)
	})
}

func TestAFounderThatDiedBeforeItsCAWasOnRecordMakesAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newNetwork()
		first, second := newHost(t, w, 1, half), newHost(t, w, 2, half)
		first.start()
		authority, err := trust.NewAuthority("c", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		credentials, err := trust.Issue(authority, "c", string(first.node.rules.self), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		only := raft.Configuration{Servers: []raft.Server{{ID: first.node.rules.self, Address: "10.11.12.4:7600"}}}
		if err := errors.Join(first.node.adopt("c", credentials), first.node.raft.BootstrapCluster(only).Error(), first.halt()); err != nil {
			t.Fatal(err)
		}
		first.start()
		await(t, "the cluster is on record", func() bool { return first.node.machine.get().Cluster != "" })
		second.start()
		if _, err := second.join(first); err != nil {
			t.Error(err)
		}
		haltAll(t, []*host{first, second})
	})
}

func TestADataDirectoryFromBeforeTLSIsRefusedWithTheWayOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, newNetwork(), 1, half)
		disk := h.disk()
		st := &store{Disk: disk}
		if err := errors.Join(st.put(keyIdentity, identity{ID: "a", Machine: "m", Cluster: "c", Detect: half}), disk.Close()); err != nil {
			t.Fatal(err)
		}
		cfg := h.cfg
		cfg.Disk = h.disk()
		_, err := Open(cfg)
		var hint interface{ Hint() string }
		if err == nil || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "form the cluster anew") {
			t.Errorf("got %v", err)
		}
	})
}

// With real handshakes the clock counts.
func TestAJoinerWithAWrongClockIsToldSo(t *testing.T) {
	for name, off := range map[string]time.Duration{"behind": -48 * time.Hour, "ahead": 2 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newNetwork()
				first, second := newHost(t, w, 1, half), newHost(t, w, 2, half)
				second.cfg.Wire = trusttest.Plain{Now: func() time.Time { return time.Now().Add(off) }}
				first.start()
				second.start()
				if _, err := first.node.Init(t.Context()); err != nil {
					t.Fatal(err)
				}
				_, err := second.join(first)
				var hint interface{ Hint() string }
				if err == nil || !strings.Contains(err.Error(), "has ended, or is of the future") || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "timedatectl") {
					t.Errorf("got %v (%v)", err, hint)
				}
				haltAll(t, []*host{first, second})
			})
		})
	}
}

func TestTheReplicatedStateForgetsTokensAndIDsInTheEnd(t *testing.T) {
	s, now := state{}, time.Now()
	for i := range 2 * maxTokens {
		s = s.apply(command{Token: &Token{ID: fmt.Sprint(i), Created: now, Expires: now.Add(time.Minute)}})
	}
	if len(s.Tokens) != maxTokens || s.Tokens[0].ID != fmt.Sprint(maxTokens) {
		t.Errorf("%d tokens, the first %v", len(s.Tokens), s.Tokens[0])
	}
	s = s.apply(command{Token: &Token{ID: "new", Created: now.Add(2 * keptAfter)}})
	if len(s.Tokens) != 1 {
		t.Errorf("%d tokens are kept", len(s.Tokens))
	}
	for i := range 2 * maxRemoved {
		s = s.apply(command{Forget: fmt.Sprint(i)})
	}
	if len(s.Removed) != maxRemoved {
		t.Errorf("%d ids are kept", len(s.Removed))
	}
}

func TestACertificateIsRenewedByItselfLongBeforeItEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, hosts := form(t, 3, half)
		aged := hosts[2]
		old, err := trust.Issue(aged.node.machine.get().Authority, aged.node.who().Cluster, string(aged.node.rules.self), time.Now().Add(-130*24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := aged.node.changeIdentity(func(id *identity) error { id.Credentials = old; return nil }); err != nil {
			t.Fatal(err)
		}
		await(t, "it has another certificate", func() bool { return time.Until(aged.node.Trust().Ends) > 364*24*time.Hour })
		if err := aged.halt(); err != nil {
			t.Fatal(err)
		}
		aged.start()
		if left := time.Until(aged.node.Trust().Ends); left < 364*24*time.Hour {
			t.Errorf("after a restart its certificate is good for %s", left)
		}
		await(t, "it follows", func() bool { return aged.node.Status().Leader.Name == "vm1" })
		haltAll(t, hosts)
	})
}

func TestTheCAIsReplacedByItselfLongBeforeItEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, newNetwork(), 1, half)
		h.start()
		aged, err := trust.NewAuthority("c", time.Now().Add(-9*365*24*time.Hour-24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		credentials, err := trust.Issue(aged, "c", string(h.node.rules.self), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		only := raft.Configuration{Servers: []raft.Server{{ID: h.node.rules.self, Address: "10.11.12.4:7600"}}}
		err = errors.Join(h.node.adopt("c", credentials), h.node.raft.BootstrapCluster(only).Error(), h.node.awaitLeader(t.Context()))
		if err == nil {
			err = h.node.establish(t.Context(), "c", aged)
		}
		if err != nil {
			t.Fatal(err)
		}
		await(t, "there is another CA", func() bool {
			tr := h.node.Trust()
			return !tr.Rotating && tr.Authority != aged.Fingerprint() && time.Until(h.node.machine.get().Authority.Ends()) > rootWarning
		})
		haltAll(t, []*host{h})
	})
}
