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

// guard turns away who may ask and not order.
type guard struct {
	log *zap.Logger

	mu   sync.Mutex
	told map[uint32]time.Time // by user, when the log was told last; none older than refusalPause
}

func newGuard(log *zap.Logger) *guard { return &guard{log: log, told: make(map[uint32]time.Time)} }

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
