package control

import (
	"context"
	"net/http"

	"go.uber.org/zap"
)

// done is the answer to an order that has nothing more to say.
type done struct{}

// routes returns the API: what it answers is documented in docs/operations.md.
func routes(d Daemon, log *zap.Logger) http.Handler {
	g := newGuard(log)
	mux := http.NewServeMux()
	mux.Handle("GET /v1/status", question(g, func(ctx context.Context) (Status, error) {
		return status(ctx, d)
	}))
	mux.Handle("GET /v1/leader", question(g, func(ctx context.Context) (Leader, error) {
		return d.Leader(ctx)
	}))
	mux.HandleFunc("GET /v1/simulate", func(w http.ResponseWriter, r *http.Request) {
		s, err := readSuppose(r.URL.RawQuery)
		if err != nil {
			writeError(w, err)
			return
		}
		answer(w, r, questionLimit, inTurn(g, func(ctx context.Context) (Forecast, error) { return simulate(ctx, d, s) }))
	})
	mux.Handle("GET /v1/tokens", question(g, func(ctx context.Context) ([]Token, error) {
		tokens, err := d.Tokens(ctx)
		return listed(tokens), err
	}))
	mux.Handle("POST /v1/init", order(g, func(ctx context.Context, _ noArguments) (Formed, error) {
		return d.Init(ctx)
	}))
	mux.Handle("POST /v1/join", order(g, func(ctx context.Context, a joinArguments) (Joined, error) {
		return d.Join(ctx, a.Peer, a.Token)
	}))
	mux.Handle("POST /v1/remove", order(g, func(ctx context.Context, a removeArguments) (done, error) {
		return done{}, d.Remove(ctx, a.Node)
	}))
	mux.Handle("POST /v1/transfer", order(g, d.Transfer))
	mux.Handle("POST /v1/token/create", order(g, d.CreateToken))
	mux.Handle("POST /v1/token/revoke", order(g, func(ctx context.Context, a revokeArguments) (done, error) {
		return done{}, d.RevokeToken(ctx, a.ID)
	}))
	for name, do := range map[string]func(context.Context) error{
		"leave": d.Leave, "pause": d.Pause, "resume": d.Resume, "freeze": d.Freeze, "thaw": d.Thaw, "rotate": d.Rotate,
	} {
		mux.Handle("POST /v1/"+name, order(g, func(ctx context.Context, _ noArguments) (done, error) {
			return done{}, do(ctx)
		}))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, usagef("vipd has no %s %s", r.Method, r.URL.Path))
	})
	return mux
}

func simulate(ctx context.Context, d Daemon, s Suppose) (Forecast, error) {
	f, err := d.Simulate(ctx, s)
	f.Members = listed(f.Members)
	return f, err
}

func status(ctx context.Context, d Daemon) (Status, error) {
	s, err := d.Status(ctx)
	if err != nil {
		return Status{}, err
	}
	return s.complete(), nil
}
