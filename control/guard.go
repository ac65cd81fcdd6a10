package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// refusalPause lies between two lines of the log about one user whose orders are refused.
const refusalPause = time.Minute

// othersAtOnce is how many questions of users who may not order are answered at the same time.
const othersAtOnce = 2

// guard turns away who may ask and not order, and lets them wait for their turn to ask.
type guard struct {
	log   *zap.Logger
	turns chan struct{}

	mu   sync.Mutex
	told map[uint32]time.Time // by user, when the log was told last; none older than refusalPause
}

func newGuard(log *zap.Logger) *guard {
	return &guard{log: log, turns: make(chan struct{}, othersAtOnce), told: make(map[uint32]time.Time)}
}

// await waits until the asker may ask. Over must be called when the question is answered.
func (g *guard) await(ctx context.Context) (over func(), err error) {
	if who, known := askerOf(ctx); known && mayOrder(who) {
		return func() {}, nil
	}
	select {
	case g.turns <- struct{}{}:
		return func() { <-g.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// admit returns why the asker may not give the order of that path, nil if it may.
func (g *guard) admit(ctx context.Context, path string) error {
	who, known := askerOf(ctx)
	if known && mayOrder(who) {
		return nil
	}
	if g.isNews(who.Uid) {
		g.log.Warn("an order was refused: only root may give one", append(askerFields(ctx), zap.String("order", path))...)
	}
	e := &Error{Message: "only root may order this, and the kernel does not tell who you are", Advice: "use sudo", Code: CodeFailed}
	if known {
		e.Message = fmt.Sprintf("only root may order this; you are uid %d", who.Uid)
	}
	return e
}

// isNews says whether the log has not been told of that user for a while, and takes it that it is told now.
func (g *guard) isNews(uid uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for u, at := range g.told {
		if now.Sub(at) >= refusalPause {
			delete(g.told, u)
		}
	}
	if _, told := g.told[uid]; told {
		return false
	}
	g.told[uid] = now
	return true
}
