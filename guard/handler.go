package guard

import (
	"errors"
	"io"
	"net/http"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// Handler returns the middleware: it judges each request, answers those that may not pass, and hands the others to next with the
// principal in their context. Bodies over the limit are refused after the decision. CORS preflights are answered before it. With a
// carrier that keeps something, such as a session's data, the ResponseWriter is wrapped, so that it is stored before the first byte.
//
// Around a handler that stands behind g already it does nothing, unless g has rules and the request is another one, with a method, host or target of its own, that
// a handler has made from the one that was judged: that one is judged as well. Behind another guard it judges as well, so that both must let the request pass: the caller is
// who the outer guard has found, and a credential that only g finds must stand for the same one.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g == nil || g.policy == nil {
			(&problem.Writer{}).Write(w, r, problem.Wrap(problem.Unavailable, errUnconfigured))
			return
		}
		outer := exchangeOf(r.Context())
		if outer.covers(g, r) {
			next.ServeHTTP(w, r)
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
		x := &exchange{Context: r.Context(), guard: g, outer: outer, judged: r}
		x.kept = newKept(x)
		r = r.WithContext(x)
		g.judge(r, &x.verdict, nil)
		if tooLarge := g.limitBody(w, r, &x.verdict); tooLarge != nil {
			x.verdict.Problem = tooLarge
			x.verdict.step(StageBody, "", "over the limit", nil)
		}
		g.Discard(w, r, &x.verdict)
		if p := x.verdict.Problem; p != nil {
			g.answers.Write(w, r, p)
			return
		}
		x.allowed = true
		x.serve(w, asJudged(r, &x.verdict), next)
	})
}

// asJudged returns r with its path spelled as it was judged: a router that reads the raw path must not find another route than the rules did. r is
// the guard's own copy.
func asJudged(r *http.Request, v *Verdict) *http.Request {
	if path := v.Request.Path; r.URL.RawPath != "" && r.URL.RawPath != path {
		u := *r.URL
		if u.RawPath = ""; u.EscapedPath() != path {
			u.RawPath = path
		}
		r.URL = &u
	}
	return r
}

// Discard takes a credential away that v found to be of no use, such as the cookie of a session that has ended, for fronts that render a verdict by
// themselves. It must be called before the first byte of the answer.
func (g *Guard) Discard(w http.ResponseWriter, r *http.Request, v *Verdict) {
	if g == nil || !errors.Is(v.unknown, gatehouse.ErrSession) {
		return
	}
	for _, c := range g.carriers {
		if d, ok := c.Carrier.(carrier.Discarder); ok {
			d.Discard(w, r)
		}
	}
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
