package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// question answers with what ask returns.
func question[A any](g *guard, ask func(context.Context) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, questionLimit, inTurn(g, ask))
	})
}

// inTurn is ask, once g lets the asker have its turn.
func inTurn[A any](g *guard, ask func(context.Context) (A, error)) func(context.Context) (A, error) {
	return func(ctx context.Context) (a A, err error) {
		over, err := g.await(ctx)
		if err != nil {
			return a, err
		}
		defer over()
		return ask(ctx)
	}
}

// order reads the arguments from the body, answers with what do returns, and logs
// who gives the order and what becomes of it. g decides who may.
func order[Q arguments, A any](g *guard, do func(context.Context, Q) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.admit(r.Context(), r.URL.Path); err != nil {
			writeJSON(w, http.StatusForbidden, ErrorOf(err))
			return
		}
		q, err := readArguments[Q](w, r)
		if err != nil {
			writeError(w, err)
			return
		}
		log := g.log.With(append(askerFields(r.Context()), zap.String("order", r.URL.Path), zap.Any("arguments", q))...)
		log.Info("an operator gives an order")
		began := time.Now()
		answer(w, r, orderLimit, func(ctx context.Context) (A, error) {
			a, err := do(ctx, q)
			took := zap.Duration("took", time.Since(began))
			if err != nil {
				log.Warn("the order was not carried out", took, zap.Error(err))
			} else {
				log.Info("the order was carried out", took)
			}
			return a, err
		})
	})
}

func answer[A any](w http.ResponseWriter, r *http.Request, limit time.Duration, ask func(context.Context) (A, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	a, err := ask(ctx)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(slowAsker)) // what is no connection has none
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, a)
}

// readArguments reads the body: nothing, or one JSON object that has no keys
// but those of Q.
func readArguments[Q arguments](w http.ResponseWriter, r *http.Request) (Q, error) {
	var q Q
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return q, usagef("the request is longer than %d bytes", tooLong.Limit)
	}
	if err != nil {
		return q, usagef("read the request: %v", err)
	}
	if len(body) > 0 {
		if err := decodeStrictly(body, &q); err != nil {
			return q, usagef("read the request: %v", err)
		}
	}
	return q, q.check()
}

func decodeStrictly(body []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

func writeError(w http.ResponseWriter, err error) {
	e := ErrorOf(err)
	if errors.Is(err, context.DeadlineExceeded) && e.Advice == "" {
		e.Message, e.Advice = "not done in time: "+e.Message, "it may still happen: see `vipd status`"
	}
	writeJSON(w, httpStatus(e.Code), e)
}

// httpStatus is for those who ask with something else than our client.
func httpStatus(code int) int {
	switch code {
	case CodeUsage:
		return http.StatusBadRequest
	case CodeNoLeader:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // "join <peer>" is for people
	_ = e.Encode(v)        // an asker who has hung up is nobody's error
}
