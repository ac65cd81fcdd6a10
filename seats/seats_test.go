package seats

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestWhoHasTheMostPlacesLosesTheOldest(t *testing.T) {
	tests := map[string]struct{ come, stay string }{
		"room for all":          {"abc", "abc"},
		"a flood":               {"aaaaaaaaaa", "aaaa"},
		"one into a flood":      {"aaaab", "aaab"},
		"a flood over one":      {"abbbbbbbbb", "abbb"},
		"two floods":            {"aaaabbbb", "aabb"},
		"as many as places":     {"abcde", "bcde"},
		"the one that has most": {"abbcd", "abcd"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := New[string](4)
			for _, who := range test.come {
				ours, _ := net.Pipe()
				s.Take(ours, string(who))
			}
			var stay string
			for _, o := range s.taken {
				stay += o.whose
			}
			if d := cmp.Diff(test.stay, stay); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Whatever the others do, who has no more than a fair share keeps it.
func TestAFairShareIsNeverLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const users = 4
		s := New[int](8)
		for _, who := range rapid.SliceOf(rapid.IntRange(0, users-1)).Draw(t, "who comes") {
			before := make(map[int]int)
			for _, o := range s.taken {
				before[o.whose]++
			}
			ours, _ := net.Pipe()
			s.Take(ours, who)
			for user, n := range before {
				now := len(slices.DeleteFunc(slices.Clone(s.taken), func(o *Seat[int]) bool { return o.whose != user }))
				if now < n && n <= s.places/users && user != who {
					t.Fatalf("%d comes, and %d has %d places instead of %d", who, user, now, n)
				}
			}
			if len(s.taken) > s.places {
				t.Fatalf("%d places are taken", len(s.taken))
			}
		}
	})
}

func TestAnOriginIsAnAddressOrANetworkOfOne(t *testing.T) {
	tests := map[string]struct{ from, want string }{
		"IPv4":           {"10.11.12.4:5000", "10.11.12.4/32"},
		"IPv4 in IPv6":   {"[::ffff:10.11.12.4]:5000", "10.11.12.4/32"},
		"IPv6":           {"[2001:db8::1:2:3:4]:5000", "2001:db8::/64"},
		"IPv6 of a link": {"[fe80::1%lo]:5000", "fe80::/64"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(test.from))
			if d := cmp.Diff(test.want, Origin(a).String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestWhoLosesThePlaceIsTold(t *testing.T) {
	s := New[string](1)
	first, _ := net.Pipe()
	second, _ := net.Pipe()
	told := 0
	loser := s.Take(first, "a")
	loser.OnEnd(func() { told++ })
	winner := s.Take(second, "b")
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	winner.Leave()
	if _, err := first.Write(nil); !errors.Is(err, io.ErrClosedPipe) || s.Taken() != 0 {
		t.Errorf("the first is still open (%v), or %d places are taken", err, s.Taken())
	}
	if err := second.SetDeadline(time.Time{}); err != nil {
		t.Errorf("the second is closed: %v", err)
	}
}
