package control

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// full has a value in every field.
func full() Status {
	return Status{
		Time: at("03:00:00"),
		Node: Node{
			Name: "vm1", ID: "8f14e45f", Address: "10.11.12.4:7600", Version: "1.0.0",
			State: StateMaster, Reason: "lease gained", Since: at("02:00:00"), Uptime: 3600_000 * ms,
		},
		Cluster: Cluster{
			ID: "3f9c2b7e", Detect: 500 * ms, Quorum: Quorum{Needed: 2, Reachable: new(3)},
			Members: []Member{
				{Name: "vm1", ID: "8f14e45f", Address: "10.11.12.4:7600", Voter: true, Leader: true, Self: true, Healthy: true, Version: "1.0.0"},
				{Name: "vm2", ID: "c9f0f895", Address: "10.11.12.5:7600", Voter: true, Healthy: true, Version: "1.0.0", Contact: new(41 * ms)},
				{Name: "vm3", ID: "45c48cce", Address: "10.11.12.6:7600", Voter: true, Version: "1.0.0", Reason: "appsvc: exit status 1", Contact: new(12 * ms)},
			},
		},
		Holder: &Holder{Name: "vm1", Term: 7, Since: at("02:00:00")},
		Lease:  Lease{Held: true, Term: 7, Remaining: 312 * ms, Length: 375 * ms},
		Fence:  Fence{Armed: true, Open: true, Remaining: 312 * ms},
		VIP:    VIP{Interface: "eth0", Addresses: []string{"42.159.241.126/32"}, Bound: true},
		Checks: []Check{{
			Name: "appsvc", Healthy: true, Known: true, Since: at("01:59:00"), LastRun: at("02:59:59"),
			Took: Millis(12345678), Failures: 0, Output: "ok",
		}},
		Hooks:    Hooks{Configured: true, Last: at("02:00:01"), LastState: StateMaster, LastTook: 900 * ms},
		History:  []Change{{Time: at("02:00:00"), From: "vm2", To: "vm1", Term: 7, Reason: "vm2 fell silent"}},
		Warnings: []string{"the disk is slow"},
	}
}

func TestTheJSONFormOfAStatusIsStable(t *testing.T) {
	for name, s := range map[string]Status{"full": full(), "empty": {}} {
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
