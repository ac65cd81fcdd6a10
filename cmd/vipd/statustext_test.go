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
			State: control.StateMaster, Reason: "vm2 fell silent", Since: at("2026-11-23 02:12:05"), Uptime: 200 * 3600_000 * ms,
		},
		Cluster: control.Cluster{
			ID: "3f9c2b7e", Detect: 500 * ms, Quorum: control.Quorum{Needed: 2, Reachable: new(3)},
			Members: []control.Member{
				{Name: "vm1", Address: "10.11.12.4:7600", Voter: true, Leader: true, Self: true, Healthy: true, Version: "1.0.0", Priority: 150, Why: "it has the highest priority"},
				{Name: "vm2", Address: "10.11.12.5:7600", Voter: true, Healthy: true, Version: "1.0.0", Contact: new(41 * ms), Priority: 100, Why: "lower priority (100; the holder has 150)"},
				{Name: "vm3", Address: "10.11.12.6:7600", Voter: true, Healthy: true, Version: "1.0.0", Contact: new(12 * ms), Priority: 100, Why: "lower priority (100; the holder has 150)"},
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
		History: []control.Change{
			{Time: at("2026-11-23 02:12:05"), From: "vm2", To: "vm1", Term: 7, Reason: "vm2 fell silent"},
			{Time: at("2026-11-20 11:05:00"), From: "vm1", To: "vm2", Term: 6, Reason: "an operator asked for it"},
			{Time: at("2026-11-20 11:00:00"), From: "", To: "vm1", Term: 5, Reason: "the cluster was founded"},
		},
	}
}

// lost is a follower whose cluster has no holder, on a bad night.
func lost() control.Status {
	s := holding()
	s.Node.State, s.Node.Reason, s.Node.Since = control.StateFault, "appsvc: exit status 1", at("2026-11-23 03:14:03")
	s.Holder, s.Lease, s.VIP.Bound = nil, control.Lease{Length: 375 * ms}, false
	s.Fence = control.Fence{Armed: true, Error: "the filter on eth0 was replaced by somebody else's"}
	s.Cluster.Quorum.Reachable = nil
	s.Cluster.Members[0].Leader, s.Cluster.Members[0].Healthy = false, false
	s.Cluster.Members[1].Contact, s.Cluster.Members[2].Contact = nil, new(75_000*ms)
	s.Cluster.Members[2].Voter = false
	for i := range s.Cluster.Members {
		s.Cluster.Members[i].Why = ""
	}
	s.Checks = append(s.Checks, control.Check{Name: "disk"})
	s.Checks[0] = control.Check{
		Name: "appsvc", Known: true, Since: at("2026-11-23 03:14:03"), LastRun: at("2026-11-23 03:14:14"), Took: 1000 * ms,
		Failures: 11, Reason: "exit status 1", Output: "curl: (7) Failed to connect to 127.0.0.1 port 80:\n\x1b[31mConnection refused\x1b[0m\n",
	}
	s.Hooks.Running, s.Hooks.LastError = control.StateFault, "killed after 30s"
	s.Warnings = []string{
		"nobody holds the addresses, as far as this host knows",
		"something is wrong with the fence: the filter on eth0 was replaced by somebody else's, which is not at all what we like to see",
	}
	return s
}

// operated is the status of a holder whose operators have been at work.
func operated() control.Status {
	s := holding()
	s.Cluster.Frozen = &control.Frozen{By: "vm1", Time: at("2026-11-23 03:04:05")}
	s.Cluster.Quorum = control.Quorum{Needed: 3, Reachable: new(5)}
	s.Cluster.Members[1].Paused, s.Cluster.Members[1].Why = true, "it is paused"
	s.Cluster.Members[2].Witness, s.Cluster.Members[2].Priority, s.Cluster.Members[2].Why = true, 0, ""
	s.Cluster.Members = append(s.Cluster.Members,
		control.Member{
			Name: "vm4", Address: "10.11.12.7:7600", Voter: true, Healthy: true, Version: "1.0.0", Contact: new(30 * ms), Priority: 200,
			HoldDown: at("2026-11-23 03:14:35"), Why: "higher priority (200; the holder has 150), but not well for long enough yet, and the cluster is frozen",
		},
		control.Member{
			Name: "vm5", Address: "10.11.12.8:7600", Voter: true, Healthy: true, Version: "1.0.0", Contact: new(30 * ms), Priority: 200,
			HoldDown: at("2026-11-23 03:14:45"),
		})
	s.Warnings = []string{"vm1 has frozen the cluster, 10m10s ago: …", "vm2 is paused and does not take the addresses over"}
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
	return s
}

func TestStatusText(t *testing.T) {
	for name, s := range map[string]control.Status{"holding": holding(), "lost": lost(), "wide": wide(), "operated": operated(), "nothing": {}} {
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

func TestSpan(t *testing.T) {
	tests := map[time.Duration]string{
		-time.Second:                    "0 ms",
		999 * time.Millisecond:          "999 ms",
		time.Second:                     "1.0 s",
		9990 * time.Millisecond:         "9.9 s",
		59*time.Second + 999999999:      "59 s",
		59*time.Minute + 59*time.Second: "59 min",
		time.Hour:                       "1 h 0 min",
		47*time.Hour + 59*time.Minute:   "47 h 59 min",
		48 * time.Hour:                  "2 days",
	}
	for d, want := range tests {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
