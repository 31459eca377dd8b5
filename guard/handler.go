package guard

import (
	"errors"
	"io"
	"net/http"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// Handler returns the middleware: it judges each request, answers those that may not pass, and hands the others to next with the
// principal in their context. Bodies over the limit are refused after the decision. CORS preflights are answered before it.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g == nil || g.policy == nil {
			(&problem.Writer{}).Write(w, r, problem.Wrap(problem.Unavailable, errUnconfigured))
			return
		}
		if v := g.Preflight(r); v != nil {
			if o := observationOf(r.Context()); o != nil {
				o.verdict = v
			}
			g.cors.answer(w, r, g.rules.Methods())
			return
		}
		g.cors.allow(w.Header(), r)
		if g.vary != nil {
			w.Header()["Vary"] = append(w.Header()["Vary"], g.vary...)
		}
		ctx := &verdictContext{Context: r.Context()}
		g.judge(r, &ctx.verdict, nil)
		p := ctx.verdict.Problem
		if tooLarge := g.limitBody(w, r, &ctx.verdict); tooLarge != nil {
			ctx.verdict.Problem, p = tooLarge, tooLarge
			ctx.verdict.step(StageBody, "", "over the limit", nil)
		}
		if p != nil {
			g.answers.Write(w, r, p)
			return
		}
		next.ServeHTTP(w, asJudged(r, ctx))
	})
}

// asJudged returns r with the verdict in its context and its path spelled as it was judged: a router that reads the raw path must not
// find another route than the rules did.
func asJudged(r *http.Request, ctx *verdictContext) *http.Request {
	judged := r.WithContext(ctx)
	if path := ctx.verdict.Request.Path; r.URL.RawPath != "" && r.URL.RawPath != path {
		u := *r.URL
		if u.RawPath = ""; u.EscapedPath() != path {
			u.RawPath = path
		}
		judged.URL = &u
	}
	return judged
}

// Preflight returns the verdict of a CORS preflight with a canonical target, which Handler answers itself, and nil for every other request.
// Forward-auth does not know preflights: there they are requests like any other.
func (g *Guard) Preflight(r *http.Request) *Verdict {
	if g == nil || g.policy == nil || !g.cors.isPreflight(r) {
		return nil
	}
	q, err := policy.Canonical(r)
	if err != nil {
		return nil
	}
	v := &Verdict{Principal: gatehouse.Anonymous(), Request: q}
	v.begin()
	v.step(StageTarget, "preflight", "answered here", nil)
	return v
}

// limitBody enforces the size limit. It comes after the decision, so that strangers learn nothing and send nothing, and before routing: a body that
// is too large is 413 whether or not there is anything at its path.
func (g *Guard) limitBody(w http.ResponseWriter, r *http.Request, v *Verdict) *problem.Problem {
	code := v.Reason()
	unrouted := (code == problem.NotFound || code == problem.MethodNotAllowed) && !v.Principal.IsAnonymous()
	switch {
	case g.maxBody <= 0 || r.Body == nil || r.Body == http.NoBody || code != "" && !unrouted:
		return nil
	case r.ContentLength > g.maxBody:
		return problem.New(problem.BodyTooLarge)
	}
	r.Body = http.MaxBytesReader(w, r.Body, g.maxBody)
	if unrouted && r.ContentLength < 0 {
		// Nobody behind us will read it, so find out here.
		_, err := io.Copy(io.Discard, r.Body)
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return problem.New(problem.BodyTooLarge)
		}
	}
	return nil
}
