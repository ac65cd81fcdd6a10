package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vipd/vipd/control"
	"pgregory.net/rapid"
)

const ms = control.Millis(time.Millisecond)

func at(text string) time.Time {
	t, err := time.Parse(time.DateTime, text)
	if err != nil {
		panic(err)
	}
	return t
}

// holding is the status of a holder that has been well for an hour.
func holding() control.Status {
	return control.Status{
		Time: at("2026-11-23 03:14:15"),
		Node: control.Node{
			Name: "vm1", ID: "8f14e45f", Address: "10.11.12.4:7600", Version: "1.0.0",
			State: control.StateMaster, Reason: "the lease was gained", Since: at("2026-11-23 02:12:05"), Uptime: 200 * 3600_000 * ms,
		},
		Cluster: control.Cluster{
			ID: "3f9c2b7e", Detect: 500 * ms, Quorum: control.Quorum{Needed: 2, Reachable: new(3)},
			Members: []control.Member{
				{Name: "vm1", Address: "10.11.12.4:7600", Voter: true, Leader: true, Self: true, Able: true, Healthy: true, Version: "1.0.0", Priority: 150, Why: "holds: vm2 was silent for 500ms (priority 150)"},
				{Name: "vm2", Address: "10.11.12.5:7600", Voter: true, Able: true, Healthy: true, Version: "1.0.0", Contact: new(41 * ms), Priority: 100, Why: "ready; priority 100, vm1 has 150"},
				{Name: "vm3", Address: "10.11.12.6:7600", Voter: true, Able: true, Healthy: true, Version: "1.0.0", Contact: new(12 * ms), Priority: 100, Why: "ready; priority 100, vm1 has 150"},
			},
		},
		Holder: &control.Holder{Name: "vm1", Term: 7, Since: at("2026-11-23 02:12:05")},
		Lease:  control.Lease{Held: true, Term: 7, Remaining: 312 * ms, Length: 375 * ms},
		Fence:  control.Fence{Armed: true, Open: true, Remaining: 312 * ms},
		VIP:    control.VIP{Interface: "eth0", Addresses: []string{"42.159.241.126/32"}, Bound: true},
		Checks: []control.Check{{
			Name: "appsvc", Healthy: true, Known: true, Since: at("2026-11-20 11:00:00"),
			LastRun: at("2026-11-23 03:14:14"), Took: 12 * ms,
		}},
		Hooks: control.Hooks{Configured: true, Last: at("2026-11-23 02:12:06"), LastState: control.StateMaster, LastTook: 932 * ms},
		Trust: control.Trust{Authority: strings.Repeat("3f9c2b7e81a05d64", 4), Ends: at("2027-11-28 11:00:00")},
		History: []control.Change{
			{Time: at("2026-11-23 02:12:05"), From: "vm2", To: "vm1", Term: 7, Reason: "vm2 was silent for 500ms"},
			{Time: at("2026-11-20 11:05:00"), From: "vm1", To: "vm2", Term: 6, Reason: "asked for by an operator"},
			{Time: at("2026-11-20 11:00:00"), From: "", To: "vm1", Term: 5, Reason: "the first holder"},
		},
	}
}

// lost is a follower whose cluster has no holder, on a bad night.
func lost() control.Status {
	s := holding()
	const broken = "fence on eth0: the ingress filter was replaced: program 37, ours is 31"
	s.Node.State, s.Node.Reason, s.Node.Since = control.StateFault, "the fence is not armed: "+broken, at("2026-11-23 03:14:03")
	s.Holder, s.Lease, s.VIP.Bound = nil, control.Lease{Length: 375 * ms}, false
	s.Fence = control.Fence{Error: broken}
	s.Cluster.Quorum.Reachable = nil
	s.Cluster.Members[0].Leader, s.Cluster.Members[0].Healthy = false, false
	s.Cluster.Members[1].Contact, s.Cluster.Members[2].Contact = nil, new(75_000*ms)
	s.Cluster.Members[2].Voter = false
	s.Cluster.Members[0].Able, s.Cluster.Members[0].Reason = false, s.Node.Reason
	for i, why := range []string{"not able: " + s.Node.Reason, "nobody leads now", "silent for longer than 500ms"} {
		s.Cluster.Members[i].Why = why
	}
	s.Checks = append(s.Checks, control.Check{Name: "disk"})
	s.Checks[0] = control.Check{
		Name: "appsvc", Known: true, Since: at("2026-11-23 03:14:03"), LastRun: at("2026-11-23 03:14:14"), Took: 1000 * ms,
		Failures: 11, Reason: "exit status 1", Output: "curl: (7) Failed to connect to 127.0.0.1 port 80:\n\x1b[31mConnection refused\x1b[0m\n",
	}
	s.Hooks.Running, s.Hooks.LastError = control.StateFault, "still running after 30s, killed (/etc/vipd/notify.sh INSTANCE vipd FAULT 150)"
	s.Warnings = []string{
		"no leader is known here: too few members reach each other, or an election is under way; members that this host does not hear may have one",
		"the fence is not armed, so this host does not stand for election: " + broken,
	}
	return s
}

// operated is the status of a holder whose operators have been at work.
func operated() control.Status {
	s := holding()
	s.Cluster.Frozen = &control.Frozen{By: "vm1", Time: at("2026-11-23 03:04:05")}
	s.Cluster.Quorum = control.Quorum{Needed: 3, Reachable: new(5)}
	paused, witness := &s.Cluster.Members[1], &s.Cluster.Members[2]
	paused.Paused, paused.Able, paused.Healthy, paused.Reason, paused.Why = true, false, false, "paused by an operator", "paused by an operator"
	witness.Witness, witness.Able, witness.Healthy, witness.Reason, witness.Why = true, false, false, "a witness", "a witness, which votes and never holds"
	s.Cluster.Members[0].Why = "holds: vm2 was silent for 500ms (priority 150; vm4 has 200)"
	s.Cluster.Members = append(s.Cluster.Members,
		control.Member{
			Name: "vm4", Address: "10.11.12.7:7600", Voter: true, Able: true, Healthy: true, Version: "1.0.0", Contact: new(30 * ms), Priority: 200,
			Preempt: true, HoldDown: at("2026-11-23 03:14:35"), Why: "ready and better (priority 200), but the cluster is frozen",
		},
		control.Member{
			Name: "vm5", Address: "10.11.12.8:7600", Voter: true, Able: true, Healthy: true, Version: "1.0.0", Contact: new(30 * ms), Priority: 200,
			Preempt: true, HoldDown: at("2026-11-23 03:14:45"), Why: "ready and better (priority 200), but the cluster is frozen",
		})
	s.Trust.Rotating, s.Trust.Waiting = true, []string{"vm2"}
	s.Warnings = []string{
		"vm1 has frozen the cluster, 10 min ago: the addresses do not move unless their holder is lost, stopped, or not able to hold at all; `vipd thaw` ends it",
		"vm2 is paused and does not take the addresses over",
	}
	return s
}

// witness is the status of a witness whose cluster is well.
func witness() control.Status {
	s := holding()
	s.Node.State, s.Node.Reason, s.Node.Witness, s.VIP, s.Lease, s.Checks = control.StateBackup, "a witness", true, control.VIP{}, control.Lease{Length: 375 * ms}, nil
	s.Node.Name, s.Node.Address, s.Node.Priority, s.Hooks = "vm3", "10.11.12.6:7600", 100, control.Hooks{}
	s.Fence.Open, s.Fence.Remaining = false, 0
	m := &s.Cluster.Members[2]
	m.Self, m.Witness, m.Able, m.Healthy, m.Reason, m.Why = true, true, false, false, "a witness", "a witness, which votes and never holds"
	s.Cluster.Members[0].Self, s.Cluster.Members[0].Contact, m.Contact = false, new(12*ms), new(control.Millis(0))
	return s
}

// wide has long names, and two addresses of IPv6.
func wide() control.Status {
	s := holding()
	long := strings.Repeat("machine-", 7) + "1"
	s.Node.Name, s.Holder.Name, s.Cluster.Members[0].Name = long, long, long
	s.Node.Reason = "the MASTER hook failed: exit status 1 (/etc/vipd/notify.sh INSTANCE vipd MASTER 100)"
	s.Cluster.Members[0].Address = "[2001:db8:1234:5678:9abc:def0:1234:5678]:7600"
	s.Cluster.Members[1].Version = "1.0.0-rc1-40-gdeadbeef"
	s.VIP.Addresses = []string{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128", "10.0.0.0/24"}
	s.History[0].To = long
	for i := range s.Cluster.Members {
		s.Cluster.Members[i].Why = strings.ReplaceAll(s.Cluster.Members[i].Why, "vm1", long)
	}
	return s
}

func TestStatusText(t *testing.T) {
	for name, s := range map[string]control.Status{"holding": holding(), "lost": lost(), "wide": wide(), "operated": operated(), "witness": witness(), "nothing": {}} {
		t.Run(name, func(t *testing.T) {
			golden(t, filepath.Join("testdata", "status", name+".txt"), statusText(s, time.UTC, ink{})+"\n")
		})
	}
}

func TestStatusTextIsColouredForATerminalOnly(t *testing.T) {
	tests := map[string]struct {
		status control.Status
		want   string
	}{
		"well":     {holding(), "\x1b[1;32mvm1 (this host) holds 42.159.241.126 since 02:12:05 (1 h 2 min); all is well\x1b[0m"},
		"warnings": {func() control.Status { s := holding(); s.Warnings = []string{"x"}; return s }(), "\x1b[33mvm1 (this host) holds 42.159.241.126 since 02:12:05 (1 h 2 min); 1 warning\x1b[0m"},
		"lost":     {lost(), "\x1b[1;31mthis host knows of no holder of 42.159.241.126; 2 warnings\x1b[0m"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, _ := strings.Cut(statusText(test.status, time.UTC, ink{on: true}), "\n")
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// What other hosts, scripts and errors say gets into the text: it must neither
// break the page nor reach the terminal as commands.
func TestStatusTextIsHarmlessAndFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z ]{0,120}`), rapid.Just("\x1b[2J\n"))
		s := lost()
		s.Node.Name, s.Node.Reason, s.Node.ID = word.Draw(t, "name"), word.Draw(t, "reason"), word.Draw(t, "id")
		if rapid.Bool().Draw(t, "held") {
			s.Holder = &control.Holder{Name: word.Draw(t, "holder"), Since: at("2026-11-23 02:12:05")}
		}
		s.Cluster.ID = "c" + word.Draw(t, "cluster")
		for i := range s.Cluster.Members {
			m := &s.Cluster.Members[i]
			m.Name, m.Address, m.Version = word.Draw(t, "member"), word.Draw(t, "address"), word.Draw(t, "version")
			m.Why, m.Priority = word.Draw(t, "why"), rapid.Int().Draw(t, "priority")
			m.HoldDown = s.Time.Add(time.Duration(rapid.Int64().Draw(t, "hold down")))
		}
		s.VIP.Interface, s.VIP.Addresses = word.Draw(t, "link"), []string{word.Draw(t, "vip")}
		s.Fence.Error, s.Hooks.LastError = word.Draw(t, "fence"), word.Draw(t, "hook")
		s.Checks[0].Name, s.Checks[0].Output = word.Draw(t, "check"), word.Draw(t, "output")
		s.History[0].Reason, s.History[0].From = word.Draw(t, "change"), word.Draw(t, "from")
		s.Warnings = []string{word.Draw(t, "warning")}
		s.Trust.Authority, s.Trust.Ends = word.Draw(t, "authority"), s.Time.Add(time.Duration(rapid.Int64().Draw(t, "ends")))
		s.Cluster.Frozen = &control.Frozen{By: word.Draw(t, "by")}

		for line := range strings.SplitSeq(statusText(s, time.UTC, ink{}), "\n") {
			if n := utf8.RuneCountInString(line); n > pageWidth {
				t.Fatalf("%d characters in %q", n, line)
			}
			if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("a terminal would obey %q", line)
			}
		}
	})
}
