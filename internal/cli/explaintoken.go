package cli

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/token"
)

// lookIntoStore lets h verify the signed token that r carries, if it carries one and there is a store, and returns how to let go of it. Nothing is used up, and
// no database is made.
func (h *house) lookIntoStore(p *program, r *http.Request) (done func(), err error) {
	nothing := func() {}
	if h.plan == nil || r.Header.Get("Authorization") == "" {
		return nothing, nil
	}
	if _, none := noDatabase(h.cfg); none {
		return nothing, nil
	}
	v, err := openBeside(p, h.cfg)
	if err != nil {
		return nothing, err
	}
	v.tokens = unused{v.tokens}
	made, err := issuing{plan: h.plan, vault: v, cfg: h.cfg, logger: slog.New(slog.DiscardHandler), now: p.now, beside: true}.open(p.ctx)
	if err != nil {
		return nothing, exit{exitFail, err}
	}
	h.desk.set = made.bearer
	return func() { v.close() }, nil
}

// unused is a store in which looking at a token does not use it.
type unused struct{ token.Store }

// Use returns the record under key as a use would find it.
func (u unused) Use(ctx context.Context, key token.Key) (token.Record, error) {
	rec, err := u.Get(ctx, key)
	if err == nil && rec.Left == 0 {
		return token.Record{}, token.ErrSpent
	}
	return rec, err
}
