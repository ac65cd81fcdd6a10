package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

const (
	crowdSize = 200                    // clients that begin in a second
	undimmed  = 20                     // so many pages in a row, each at the first connect, show that all is well
	prelude   = 250 * time.Millisecond // for so long the crowd is watched before the move
)

// webTrial is what became of a crowd's requests around one planned move.
type webTrial struct {
	Requests int            `json:"requests"`
	Retried  int            `json:"retried"`    // those whose first connect failed
	Slowest  time.Duration  `json:"slowest_ns"` // of those that got their page, a second connect included
	Failed   map[string]int `json:"failed"`     // those that got none, by reason
}

// count says what became of the requests.
func count(requests []lab.Request) webTrial {
	t := webTrial{Requests: len(requests), Failed: map[string]int{}}
	for _, r := range requests {
		if r.Retried {
			t.Retried++
		}
		if r.Err != nil {
			t.Failed[r.Err.Error()]++
			continue
		}
		t.Slowest = max(t.Slowest, r.Took)
	}
	return t
}

// together adds trials up; the slowest is that of all.
func together(trials []webTrial) webTrial {
	sum := webTrial{Failed: map[string]int{}}
	for _, t := range trials {
		sum.Requests += t.Requests
		sum.Retried += t.Retried
		sum.Slowest = max(sum.Slowest, t.Slowest)
		for why, n := range t.Failed {
			sum.Failed[why] += n
		}
	}
	return sum
}

func (t webTrial) failed() int {
	sum := 0
	for _, n := range t.Failed {
		sum += n
	}
	return sum
}

// apache is httpd as people run it beside keepalived: the notify script starts it on the master and stops it elsewhere.
func apache(h *lab.Host) (s scripts, err error) {
	if s, err = onlyCheck(h); err == nil {
		s.notify, err = h.InstallApache()
	}
	return s, err
}

// gentleApache is httpd that is stopped when it has answered everybody, and that vipd starts on the next holder before the
// address moves. The notify script is the same for keepalived, which has no such hook.
func gentleApache(h *lab.Host) (s scripts, err error) {
	if s, err = onlyCheck(h); err == nil {
		s.notify, s.prepare, err = h.InstallGentleApache()
	}
	return s, err
}

// watched is how often the crowd watches that scenario.
func (c contestant) watched(s scenario) int {
	if !s.web || s.id == "transfer" && c.transfer == nil {
		return 0
	}
	return c.runs
}

// watch moves the address before the eyes of a crowd.
func (a *arena) watch(ctx context.Context, s scenario) (webTrial, error) {
	holder, err := a.settle(ctx)
	if err != nil {
		return webTrial{}, err
	}
	crowd, err := a.StartCrowd(crowdSize)
	if err != nil {
		return webTrial{}, err
	}
	defer crowd.Stop()
	if err := a.served(crowd, func(page string) bool { return page == holder.Name }); err != nil {
		return webTrial{}, err
	}
	began, from := time.Now(), a.prober.Now()
	lab.Pause(ctx, prelude)
	if err := s.fault(ctx, a, holder); err != nil {
		return webTrial{}, err
	}
	if !a.awaitOther(ctx, holder, from, s.lasts) {
		return webTrial{}, errors.New("the address did not move")
	}
	if err := a.served(crowd, func(page string) bool { return page != holder.Name }); err != nil {
		return webTrial{}, err
	}
	crowd.Stop()
	if err := s.mend(ctx, a, holder); err != nil {
		return webTrial{}, err
	}
	return count(crowd.Requests(began)), nil
}

// served waits until the last requests have all got a page of a host that is wanted, without a second connect.
func (a *arena) served(crowd *lab.Crowd, wanted func(page string) bool) error {
	began := time.Now()
	err := lab.WaitFor(a.c.patience, func() (bool, error) {
		requests := crowd.Requests(began)
		last := requests[max(0, len(requests)-undimmed):]
		dim := func(r lab.Request) bool { return r.Err != nil || r.Retried || !wanted(r.Page) }
		return len(last) == undimmed && !slices.ContainsFunc(last, dim), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for pages, %v since: %w", count(crowd.Requests(began)), err)
	}
	return nil
}

// writeWeb writes what became of the requests, a line for each contestant and move, and why requests failed.
func writeWeb(w io.Writer, columns []column) {
	fmt.Fprintf(w, "%-*s | runs requests retried failed slowest, ms\n", webTitleWidth, fmt.Sprintf("%d requests a second", crowdSize))
	eachWeb(columns, func(c column, s scenario, runs int, t webTrial) {
		title := fmt.Sprintf("%s, %s: %s", c.Name, c.Detail, s.title)
		fmt.Fprintf(w, "%-*s | %4d %8d %7d %6d %11d\n", webTitleWidth, title, runs, t.Requests, t.Retried, t.failed(), t.Slowest.Milliseconds())
		for _, why := range slices.SortedFunc(maps.Keys(t.Failed), func(a, b string) int { return cmp.Or(t.Failed[b]-t.Failed[a], cmp.Compare(a, b)) }) {
			fmt.Fprintf(w, "  %d × %s\n", t.Failed[why], why)
		}
	})
}

const webTitleWidth = 60

// eachWeb calls do for each contestant and move that was watched, in the order of the table.
func eachWeb(columns []column, do func(c column, s scenario, runs int, all webTrial)) {
	for _, c := range columns {
		for _, s := range scenarios() {
			if trials := c.Web[s.id]; len(trials) > 0 {
				do(c, s, len(trials), together(trials))
			}
		}
	}
}

// anyWeb reports whether a crowd watched anything.
func anyWeb(columns []column) bool {
	return slices.ContainsFunc(columns, func(c column) bool { return len(c.Web) > 0 })
}
