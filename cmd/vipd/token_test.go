package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/control"
)

func TestTokensText(t *testing.T) {
	now := at("2026-11-23 03:14:15")
	made := at("2026-11-23 03:00:00")
	tokens := []control.Token{
		{ID: "5d41402a", By: "vm1", Created: made, Expires: now.Add(45 * time.Minute), Uses: 10, Left: 8},
		{ID: "7d793037", By: "vm2\x1b[2J", Created: made, Expires: now.Add(29 * 24 * time.Hour), Uses: 1, Left: 1},
		{ID: "a0b92382", By: "vm1", Created: made, Expires: now, Uses: 2, Left: 1},
		{ID: "69ae2f84", By: "vm1", Created: made, Expires: now, Uses: 1},
		{ID: "15ad3e1c", By: "vm1", Created: made, Expires: now.Add(time.Hour), Uses: 1, Left: 1, Revoked: true},
	}
	const want = `TOKEN     MADE ON  AT                   USED     STATE
5d41402a  vm1      2026-11-23 03:00:00  2 of 10  good until 03:59:15 (45 min)
7d793037  vm2?[2J  2026-11-23 03:00:00  0 of 1   good until 2026-12-22 03:14 (29 days)
a0b92382  vm1      2026-11-23 03:00:00  1 of 2   over since 03:14:15
69ae2f84  vm1      2026-11-23 03:00:00  1 of 1   used up
15ad3e1c  vm1      2026-11-23 03:00:00  0 of 1   revoked`
	if d := cmp.Diff(want, tokensText(tokens, now)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
