package lab

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheCrowdTriesARefusedConnectOnceMore(t *testing.T) {
	l := newTestLab(t, Config{Hosts: 1})
	hold(t, l.Hosts[0], "eth0")
	c := startCrowd(t, l, 50)
	first := begun(t, c, func(r Request) bool { return r.Err != nil && strings.Contains(r.Err.Error(), "refused") })
	if got, want := first.Err.Error(), "connect: connection refused"; got != want || !first.Retried || first.Took < connectWithin {
		t.Errorf("without httpd: %v, retried %v, after %v; want %q, retried, after %v at least", got, first.Retried, first.Took, want, connectWithin)
	}
	notify, prepare, err := l.Hosts[0].InstallGentleApache()
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range [][]string{{prepare}, {notify, "INSTANCE", "vipd", "MASTER", "100"}} {
		if _, err := l.Hosts[0].Run(t.Context(), script...); err != nil {
			t.Fatal(err)
		}
	}
	begun(t, c, func(r Request) bool { return r.Page == "vm1" })
}

// What a planned move may do to a request is to delay or to fail it. Once the heir has given a page, the former holder gives
// none to those who begin later.
func TestARequestDuringATransferIsAnsweredByOneHostOrAccountedFor(t *testing.T) {
	binary, err := BuildVipd(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := newTestLab(t, Config{})
	prober := startProber(t, l)
	prepares := map[*Host]string{}
	for _, h := range l.Hosts {
		cfg := VipdConfig{Binary: binary, Detect: detect}
		if cfg.Notify, prepares[h], err = h.InstallGentleApache(); err != nil {
			t.Fatal(err)
		}
		if _, err := h.StartVipd(cfg); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.FormCluster(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	holder, err := prober.Whole(ctx, detect, l.Agreed)
	if err != nil {
		t.Fatal(err)
	}
	heir := l.Others(holder)[0]
	c := startCrowd(t, l, 200)
	begun(t, c, func(r Request) bool { return r.Page == holder.Name })
	if _, err := heir.Run(ctx, prepares[heir]); err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Run(ctx, holder.vipdArgs("transfer", heir.Name)...); err != nil {
		t.Fatal(err)
	}
	begun(t, c, func(r Request) bool { return r.Page == heir.Name })
	c.Stop()
	accounted(t, c.Requests(time.Time{}), holder, heir)
}

// accounted checks that each request has a page of one of the two or says why not, and that the holder gave none after the
// heir's first.
func accounted(t *testing.T, requests []Request, holder, heir *Host) {
	t.Helper()
	first := slices.MinFunc(requests, func(a, b Request) int { return ended(a, heir).Compare(ended(b, heir)) })
	for _, r := range requests {
		page, refused := r.Err == nil, r.Err != nil && strings.HasPrefix(r.Err.Error(), "connect: ")
		switch {
		case page != (r.Page == holder.Name || r.Page == heir.Name):
			t.Errorf("page %q, error %v", r.Page, r.Err)
		case refused && !r.Retried:
			t.Errorf("given up after one connect: %v", r.Err)
		case r.Page == holder.Name && r.At.After(ended(first, heir)):
			t.Errorf("%s gave a page %v after %s had", holder, r.At.Sub(ended(first, heir)), heir)
		}
	}
}

// ended is when that host's page was there; late, if the page is none of that host's.
func ended(r Request, h *Host) time.Time {
	if r.Page != h.Name {
		return r.At.Add(time.Hour)
	}
	return r.At.Add(r.Took)
}

func startCrowd(t *testing.T, l *Lab, perSecond int) *Crowd {
	t.Helper()
	c, err := l.StartCrowd(perSecond)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// begun waits for a request that began after the call and is as wanted.
func begun(t *testing.T, c *Crowd, wanted func(Request) bool) Request {
	t.Helper()
	since, found := time.Now(), Request{}
	err := WaitFor(20*time.Second, func() (bool, error) {
		requests := c.Requests(since)
		i := slices.IndexFunc(requests, wanted)
		if i >= 0 {
			found = requests[i]
		}
		return i >= 0, nil
	})
	if err != nil {
		t.Fatalf("no such request: %v; the last ones %v", err, c.Requests(since))
	}
	return found
}

func TestTheConfigurationNamesThePrepareScriptIfThereIsOne(t *testing.T) {
	h := &Host{Name: "vm1", Dir: "/lab/vm1", lab: &Lab{}}
	if got := h.vipdYAML(VipdConfig{Notify: "/n", Prepare: "/p"}); !strings.Contains(got, "hooks:\n  notify: /n\n  prepare: /p\n") {
		t.Errorf("no prepare in:\n%s", got)
	}
	if got := h.vipdYAML(VipdConfig{Notify: "/n"}); strings.Contains(got, "prepare") {
		t.Errorf("prepare without a script:\n%s", got)
	}
}
