package control

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func at(clock string) time.Time {
	t, err := time.Parse(time.RFC3339, "2026-11-23T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return t
}

const ms = Millis(time.Millisecond)

// full has a value in every field, but for what makes a finding: see operated.
func full() Status {
	return Status{
		Time: at("03:00:00"),
		Node: Node{
			Name: "vm1", ID: "8f14e45f", Address: "10.11.12.4:7600", Version: "1.0.0",
			State: StateMaster, Reason: "the lease was gained", Since: at("02:00:00"), Uptime: 3600_000 * ms,
			Priority: 150,
		},
		Cluster: Cluster{
			ID: "3f9c2b7e", Detect: 500 * ms, Quorum: Quorum{Needed: 2, Reachable: new(3)},
			Members: []Member{
				{
					Name: "vm1", ID: "8f14e45f", Address: "10.11.12.4:7600", Voter: true, Leader: true, Self: true, Able: true, Healthy: true, Version: "1.0.0",
					Priority: 150, Base: 200, Checks: []MemberCheck{{Name: "appsvc", Healthy: true}, {Name: "disk", Weight: -50}},
					Why: "holds: vm2 was silent for 500ms (priority 150; vm2 has 200)",
				},
				{
					Name: "vm2", ID: "c9f0f895", Address: "10.11.12.5:7600", Voter: true, Able: true, Healthy: true, Version: "1.0.0", Contact: new(41 * ms),
					Priority: 200, Base: 200, Preempt: true, HoldDown: at("03:00:30"), Why: "ready and better (priority 200): takes over by itself, after its preempt_delay",
				},
				{
					Name: "vm3", ID: "45c48cce", Address: "10.11.12.6:7600", Voter: true, Able: true, Version: "1.0.0", Reason: "appsvc: exit status 1", Contact: new(12 * ms),
					Priority: 100, Base: 100, Checks: []MemberCheck{{Name: "appsvc", Reason: "exit status 1"}}, Why: "unwell: appsvc: exit status 1",
				},
			},
		},
		Holder: &Holder{Name: "vm1", Term: 7, Since: at("02:00:00")},
		Lease:  Lease{Held: true, Term: 7, Remaining: 312 * ms, Length: 375 * ms},
		Fence:  Fence{Armed: true, Open: true, Remaining: 312 * ms},
		VIP:    VIP{Interface: "eth0", Addresses: []string{"42.159.241.126/32"}, Bound: true, Answering: true},
		Checks: []Check{{
			Name: "appsvc", Healthy: true, Known: true, Since: at("01:59:00"), LastRun: at("02:59:59"),
			Took: Millis(12345678), Failures: 0, Output: "ok",
		}},
		Hooks:    Hooks{Configured: true, Last: at("02:00:01"), LastState: StateMaster, LastTook: 900 * ms},
		Trust:    Trust{Authority: strings.Repeat("3f9c2b7e", 8), Ends: at("03:00:00").AddDate(1, 0, 5)},
		History:  []Change{{Time: at("02:00:00"), From: "vm2", To: "vm1", Term: 7, Reason: "vm2 was silent for 500ms"}},
		Warnings: []string{"the disk is slow"},
	}
}

// operated is full after operators have been at work.
func operated() Status {
	s := full()
	s.Node.Paused, s.Cluster.Members[0].Paused = true, true
	s.Node.Witness, s.Cluster.Members[0].Witness = true, true
	s.Cluster.Frozen = &Frozen{By: "vm2", Time: at("02:30:00")}
	s.Cluster.Forming = "it waits for vm4" // of no member, but the form must be seen
	s.Trust.Rotating, s.Trust.Waiting = true, []string{"vm3"}
	return s
}

func TestTheJSONFormOfAStatusIsStable(t *testing.T) {
	for name, s := range map[string]Status{"full": full(), "operated": operated(), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			writeJSON(w, http.StatusOK, s.complete())
			var got bytes.Buffer
			if err := json.Indent(&got, w.Body.Bytes(), "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, "status-"+name+".json", got.String())

			var back Status
			if err := json.Unmarshal(got.Bytes(), &back); err != nil {
				t.Fatal(err)
			}
			want := s.complete()
			for i := range want.Checks {
				want.Checks[i].Took = Millis(want.Checks[i].Took.Duration().Round(time.Microsecond))
			}
			if d := cmp.Diff(want, back); d != "" {
				t.Errorf("read back (-want +got):\n%s", d)
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

func TestMillisKeepMicroseconds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// ±31 years: a float64 has the digits for microseconds of that.
		want := Millis(rapid.Int64Range(-1e15, 1e15).Draw(t, "µs")) * Millis(time.Microsecond)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Millis
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatalf("%v became %s became %v (%v)", want.Duration(), text, got.Duration(), err)
		}
	})
}

func TestMillisAreANumberThatFits(t *testing.T) {
	for _, text := range []string{`"5s"`, `{}`, `1e300`, `-1e13`, `9223372036855`} {
		var d Millis
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s was read as %v", text, d.Duration())
		}
	}
}
