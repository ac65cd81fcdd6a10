package lab

import (
	"os/exec"
	"strings"
	"testing"
)

func TestHooksOutOfOrderAreSeen(t *testing.T) {
	type call struct{ state, term string }
	tests := []struct {
		name     string
		calls    []call
		together bool
		want     string
	}{
		{name: "in order", calls: []call{{"BACKUP", "1"}, {"MASTER", "2"}, {"BACKUP", "2"}, {"MASTER", "2"}, {"MASTER", "3"}}},
		{name: "MASTER twice", calls: []call{{"MASTER", "2"}, {"MASTER", "2"}}, want: "MASTER twice"},
		{name: "at the same time", calls: []call{{"MASTER", "2"}, {"BACKUP", "2"}}, together: true, want: "another call was running"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := &Host{Name: "vm1", Dir: t.TempDir()}
			script, err := h.InstallNotify()
			if err != nil {
				t.Fatal(err)
			}
			var running []*exec.Cmd
			for _, c := range test.calls {
				cmd := exec.Command(script, "INSTANCE", "vipd", c.state, "100")
				cmd.Env = []string{"PATH=/usr/bin:/bin", "VIPD_TERM=" + c.term}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				if running = append(running, cmd); !test.together {
					_ = cmd.Wait()
				}
			}
			for _, cmd := range running {
				_ = cmd.Wait()
			}
			wrong, err := h.HooksOutOfOrder()
			if got := strings.Join(wrong, "\n"); err != nil || (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}
