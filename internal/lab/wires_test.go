package lab

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRulesNameTheFaultsOfEachPort(t *testing.T) {
	ports := []string{"vm1", "vm2"}
	tests := []struct {
		name   string
		faults map[string]fault
		loss   int
		pieces []*piece
		want   []string
	}{
		{name: "none"},
		{name: "down", faults: map[string]fault{"vm2": {down: true}}, want: []string{`iifname "vm2" drop`, `oifname "vm2" drop`}},
		{
			name: "cut", faults: map[string]fault{"vm1": {cutIn: true}, "vm2": {cutOut: true}},
			want: []string{
				`ether type { ip, ip6 } oifname "vm1" iifname { "vm1", "vm2" } drop`,
				`ether type { ip, ip6 } iifname "vm2" oifname { "vm1", "vm2" } drop`,
			},
		},
		{
			name: "loss", loss: 33,
			want: []string{`ether type { ip, ip6 } iifname { "vm1", "vm2" } oifname { "vm1", "vm2" } numgen random mod 100 <= 32 drop`},
		},
		{
			name: "pieces add up", pieces: []*piece{
				{on: []path{{"vm1", "vm2"}}, how: Impairment{Loss: 40}},
				{on: []path{{"vm1", "vm2"}}, how: Impairment{Delay: 1}},
			},
			want: []string{
				`ether type { ip, ip6 } iifname "vm1" oifname "vm2" numgen random mod 100 <= 39 drop`,
				`ether type { ip, ip6 } iifname "vm1" oifname "vm2" numgen random mod 100 <= 99 drop`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for line := range strings.Lines(rules(ports, test.faults, test.loss, test.pieces)) {
				if strings.HasSuffix(line, " drop\n") {
					got = append(got, strings.TrimSpace(line))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
