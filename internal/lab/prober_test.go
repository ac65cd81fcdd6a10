package lab

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hold puts the floating address on a link of the host, as a holder would.
func hold(t *testing.T, h *Host, link string) {
	t.Helper()
	if err := h.IP("addr replace " + h.lab.Floating.String() + "/32 dev " + link); err != nil {
		t.Fatal(err)
	}
}

func drop(t *testing.T, h *Host, link string) {
	t.Helper()
	if err := h.IP("addr del " + h.lab.Floating.String() + "/32 dev " + link); err != nil {
		t.Fatal(err)
	}
}

func startProber(t *testing.T, l *Lab) *Prober {
	t.Helper()
	p, err := l.StartProber()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// settled waits until the host alone answers.
func settled(t *testing.T, p *Prober, want *Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	if _, err := p.Settled(ctx, 50*time.Millisecond, func(h *Host) bool { return h == want }); err != nil {
		t.Fatalf("%s should hold the address: %v", want, err)
	}
}

func TestProberSeesTheHolderWhereverTheAddressIs(t *testing.T) {
	l := newTestLab(t, Config{})
	p := startProber(t, l)
	for i, link := range []string{"eth0", "lo", "eth0"} {
		hold(t, l.Hosts[i], link)
		settled(t, p, l.Hosts[i])
		drop(t, l.Hosts[i], link)
	}
}

func TestProberSeesThatTwoHostsHoldTheAddress(t *testing.T) {
	l := newTestLab(t, Config{})
	p := startProber(t, l)
	hold(t, l.Hosts[0], "eth0")
	settled(t, p, l.Hosts[0])
	hold(t, l.Hosts[2], "lo")
	if err := WaitFor(long, func() (bool, error) { return p.Timeline(0).Overlap() > 20*time.Millisecond, nil }); err != nil {
		t.Fatalf("no overlap of vm1 and vm3 seen: %v; %s", err, p.Timeline(0).Summary())
	}
	drop(t, l.Hosts[0], "eth0")
	settled(t, p, l.Hosts[2])
	all := p.Timeline(0)
	overlaps := all.Overlaps()
	if got, want := all.Names(overlaps[0].Answered), []string{"vm1", "vm3"}; !cmp.Equal(got, want) {
		t.Errorf("hosts that overlapped: %v, want %v", got, want)
	}
	t.Log(all.Summary(), "missed", all.Missed(), "unclear", all.Unclear())
}

func TestProberMeasuresHowLongNobodyAnswers(t *testing.T) {
	l := newTestLab(t, Config{})
	p := startProber(t, l)
	hold(t, l.Hosts[0], "eth0")
	settled(t, p, l.Hosts[0])
	before := p.Now()
	drop(t, l.Hosts[0], "eth0")
	gone := p.Now()
	if err := WaitFor(long, func() (bool, error) { return p.Now() > gone+100*time.Millisecond, nil }); err != nil {
		t.Fatal(err)
	}
	back := p.Now()
	hold(t, l.Hosts[1], "eth0")
	after := p.Now()
	settled(t, p, l.Hosts[1])
	got := p.Timeline(before).Longest()
	if least, most := back-gone, after-before; got < least-2*probeInterval || got > most+2*probeInterval {
		t.Errorf("longest outage %v, want %v … %v", got, least, most)
	}
}

func TestWholeAsksAnewWhoHolds(t *testing.T) {
	l := newTestLab(t, Config{})
	p := startProber(t, l)
	hold(t, l.Hosts[0], "eth0")
	settled(t, p, l.Hosts[0])
	if got := p.Answering(); got != l.Hosts[0] {
		t.Errorf("%v answers, want %v", got, l.Hosts[0])
	}
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	asked := 0
	wrongAtFirst := func(context.Context) (*Host, error) {
		asked++
		return l.Hosts[max(0, 2-asked)], nil
	}
	if got, err := p.Whole(ctx, 50*time.Millisecond, wrongAtFirst); err != nil || got != l.Hosts[0] || asked != 2 {
		t.Errorf("got %v, %v after asking %d times; want %v after 2", got, err, asked, l.Hosts[0])
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Whole(ctx, time.Minute, wrongAtFirst); err == nil || ctx.Err() != nil {
		t.Errorf("got %v, %v of a prober that has stopped", got, err)
	}
}
