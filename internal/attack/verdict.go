package main

import (
	"fmt"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// The bounds. Sizes count from what the daemon had before the first attack, so that what leaks adds up.
const (
	memoryLimit  = 64 << 20         // bytes more
	filesLimit   = 300              // descriptors more
	answerLimit  = time.Second      // for the probe, as the load balancer asks it
	statusLimit  = 5 * time.Second  // for `vipd status`
	lifeLimit    = 11 * time.Second // of a connection over the network without a certificate
	logLimit     = 64 << 10         // bytes logged by all daemons in one attack
	filesLeft    = 16               // descriptors more that are no sign of a leak
	shrinkLimit  = 15 * time.Second // until there are no more than those
	memoryAtLast = 32 << 20         // bytes more after all attacks
)

// row is what came of one attack.
type row struct {
	attack  attack
	from    time.Duration // on the prober's clock
	done    tally
	seen    map[*lab.Host]sight
	shrunk  time.Duration // how long until the descriptors were closed; negative: they were not
	silence time.Duration // the longest in which the floating address did not answer
	logged  int64         // bytes
	lines   []string      // the last that were logged
	most    size          // more than before, of the daemon that had the most
	faults  []string      // the bounds that were broken
	late    []string      // those of time, which a machine that is too busy breaks as well
}

func (r row) broken() bool { return len(r.faults)+len(r.late) > 0 }

func (r *row) breaks(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *row) lags(format string, args ...any) {
	r.late = append(r.late, fmt.Sprintf(format, args...))
}

// judge says which bounds an attack has broken.
func (s *stage) judge(r *row) {
	for _, h := range s.Hosts {
		s.judgeOne(r, h)
	}
	if r.done.Connections == 0 && r.attack.callers > 0 {
		r.breaks("not one connection was made: %s", r.done.Error)
	}
	if r.done.Longest > lifeLimit && r.attack.at != socket && !r.attack.smallBuffer { // who takes nothing learns late that it was closed
		r.lags("a connection was open for %v", r.done.Longest.Round(time.Millisecond))
	}
	if r.shrunk < 0 {
		r.lags("%v later more than %d descriptors were still open", shrinkLimit, filesLeft)
	}
	if r.silence >= detect {
		r.lags("the floating address was silent for %v", r.silence)
	}
	if r.logged > logLimit {
		r.breaks("%d KiB were logged", r.logged>>10)
	}
	if overlap := s.prober.Timeline(r.from).Overlap(); overlap > 0 {
		r.breaks("two hosts answered for %v", overlap)
	}
}

func (s *stage) judgeOne(r *row, h *lab.Host) {
	v := r.seen[h]
	more := size{memory: v.most.memory - s.idle[h].memory, files: v.most.files - s.idle[h].files}
	r.most = r.most.most(more)
	if more.memory > memoryLimit {
		r.breaks("%s: %d MiB more", h, more.memory>>20)
	}
	if more.files > filesLimit {
		r.breaks("%s: %d descriptors more", h, more.files)
	}
	if v.lives > 0 {
		r.breaks("%s: its daemon ended", h)
	}
	r.judgeAnswers(h, "probe", v.probe, answerLimit)
	r.judgeAnswers(h, "status", v.status, statusLimit)
	if n := s.changes(v); n > 0 {
		r.lags("%s: the holder changed %d times, to %s in term %d", h, n, v.holder.Name, v.holder.Term)
		s.holder, s.term = s.Host(v.holder.Name), v.holder.Term
	}
}

func (r *row) judgeAnswers(h *lab.Host, what string, a answers, limit time.Duration) {
	switch {
	case a.failed > 0:
		r.lags("%s: %s failed %d of %d times: %v", h, what, a.failed, a.asked, a.last)
	case a.slowest > limit:
		r.lags("%s: %s took %v", h, what, a.slowest.Round(time.Millisecond))
	}
}

// changes counts how often the holder or the term changed, since the attack before included.
func (s *stage) changes(v sight) int {
	if v.changes == 0 && v.holder != nil && v.holder.Term != s.term {
		return 1
	}
	return v.changes
}

// judgeAll judges the whole run.
func (s *stage) judgeAll(r *row) {
	for h, v := range r.seen {
		more := size{memory: v.most.memory - s.idle[h].memory, files: v.most.files - s.idle[h].files}
		r.most = r.most.most(more)
		if more.memory > memoryAtLast || more.files > filesLeft {
			r.breaks("%s has %d MiB and %d descriptors more than before all attacks", h, more.memory>>20, more.files)
		}
		if starts := len(s.daemons[h].Starts()); starts > 1 {
			r.breaks("%s: its daemon was started %d times", h, starts)
		}
	}
	r.silence = s.silence(s.began)
	if overlap := s.prober.Timeline(s.began).Overlap(); overlap > 0 {
		r.breaks("two hosts answered for %v", overlap)
	}
}
