package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

var errUnconfigured = errors.New("the guard is not configured: make it with guard.New")

// Judge decides about r and returns the verdict with every step that led to it. It does not touch r's body and writes no answer: that is
// for the front. r is a request as a server received it; fronts that are asked about a request elsewhere build one.
func (g *Guard) Judge(r *http.Request) *Verdict {
	v := &Verdict{}
	g.judge(r, v, nil)
	return v
}

// JudgeAs decides about r as if the carriers had found id, for explanations and policy tests. An id without a value stands for the
// anonymous caller.
func (g *Guard) JudgeAs(r *http.Request, id gatehouse.Identity) *Verdict {
	v := &Verdict{}
	g.judge(r, v, &id)
	return v
}

func (g *Guard) judge(r *http.Request, v *Verdict, as *gatehouse.Identity) {
	v.begin()
	if o := observationOf(r.Context()); o != nil {
		o.verdict = v
	}
	v.Problem = g.way(r, v, as)
	if v.Problem == nil {
		return
	}
	v.Principal = forDenied(v.Principal)
	if g.answers == nil {
		return
	}
	g.answers.Log(r, v.Problem)
	if g.limiter != nil && countsAsRefused(v.Problem.Code) {
		if addr := g.client(r); addr.IsValid() {
			g.limiter.Refused(addr)
		}
	}
}

// way leads the request through the house. It returns nil exactly if the request may pass.
func (g *Guard) way(r *http.Request, v *Verdict, as *gatehouse.Identity) *problem.Problem {
	v.Principal = gatehouse.Anonymous()
	if g == nil || g.policy == nil {
		return problem.Wrap(problem.Unavailable, errUnconfigured)
	}
	match, p := g.findRule(r, v)
	if p != nil {
		return p
	}
	if p := g.limit(r, v); p != nil {
		return p
	}
	unknown, p := g.findPrincipal(r, v, match, as)
	if p != nil {
		return p
	}
	return g.decide(r, v, match, unknown)
}

// findRule brings the request into its canonical form and finds the rule that judges it.
func (g *Guard) findRule(r *http.Request, v *Verdict) (policy.Match, *problem.Problem) {
	if !g.supports(r.Method) {
		v.step(StageTarget, "method", "never let through", nil)
		return policy.Match{}, &problem.Problem{Code: problem.MethodNotAllowed, Allow: g.rules.Methods()}
	}
	var err error
	v.Request, err = policy.Canonical(r)
	if err != nil {
		v.step(StageTarget, "", "refused", err)
		return policy.Match{}, problem.Wrap(problem.BadTarget, err)
	}
	v.step(StageTarget, v.Request.Path, "canonical", nil)
	if g.open {
		v.step(StageRule, "", "no rules: the handler decides", nil)
		return policy.Match{Allow: policy.Anyone()}, nil
	}
	match, err := g.rules.Lookup(v.Request)
	if err != nil {
		v.step(StageRule, "", "refused", err)
		return policy.Match{}, problem.Wrap(problem.BadTarget, err)
	}
	v.match = match
	if v.Rule = match.Rule; v.Rule != nil {
		v.step(StageRule, v.Rule.Name, "most specific", nil)
	} else {
		v.step(StageRule, "", "none matches", nil)
	}
	return match, nil
}

// supports reports whether requests with the method are judged at all. Without rules the handlers know their methods.
func (g *Guard) supports(method string) bool {
	if g.open {
		return method != http.MethodTrace && method != http.MethodConnect
	}
	return g.rules.Supports(method)
}

func (g *Guard) limit(r *http.Request, v *Verdict) *problem.Problem {
	if g.limiter == nil {
		return nil
	}
	addr := g.client(r)
	if !addr.IsValid() {
		return nil
	}
	wait, blocked := g.limiter.Blocked(addr)
	if !blocked {
		return nil
	}
	v.step(StageLimit, "refused requests", "budget used up", nil)
	return &problem.Problem{Code: problem.TooManyRequests, RetryAfter: wait}
}

// countsAsRefused: what a client is refused for its own doing. Unknown paths do not count, or a page with broken links would lock itself out.
func countsAsRefused(code problem.Code) bool {
	switch code {
	case problem.NotFound, problem.MethodNotAllowed, problem.Unavailable, problem.TooManyRequests, problem.Internal:
		return false
	}
	return true
}

// findPrincipal finds out who is calling. Where the caller stays unknown it returns why: gatehouse.ErrAnonymous or ErrScheme.
func (g *Guard) findPrincipal(r *http.Request, v *Verdict, match policy.Match, as *gatehouse.Identity) (unknown error, p *problem.Problem) {
	id, err := g.identify(r, v, as)
	if err == nil {
		v.Principal, err = g.resolve(r.Context(), id)
		v.step(StagePolicy, v.Principal.Subject, "resolved", err)
		if err == nil {
			v.Carrier, v.TokenID = id.Carrier, id.TokenID
			return nil, nil
		}
		v.Principal = gatehouse.Anonymous()
	}
	switch {
	case errors.Is(err, gatehouse.ErrDuplicate):
		return nil, credentialProblem(err)
	case errors.Is(err, gatehouse.ErrAnonymous):
		return err, nil
	case match.IsPublic() && !match.Strict:
		v.step(StageCredential, "", "unusable: taken for anonymous on a public path", nil)
		v.unusable = err
		return err, nil
	}
	return nil, credentialProblem(err)
}

// identify asks all carriers. The error wraps gatehouse.ErrAnonymous if none finds a credential.
func (g *Guard) identify(r *http.Request, v *Verdict, as *gatehouse.Identity) (gatehouse.Identity, error) {
	if as != nil {
		return g.given(*as, v)
	}
	var id gatehouse.Identity
	var failure error
	found, otherScheme := 0, false
	if len(r.Header["Authorization"]) > 1 {
		// Whoever is meant to read it: two of them are read differently by different hops.
		v.step(StageCredential, "Authorization", "sent twice", nil)
		return id, gatehouse.ErrDuplicate
	}
	for i := range g.carriers {
		got, err := g.ask(r, i)
		switch {
		case err == nil:
			found++
			id, id.Carrier = got, g.carriers[i].name
			v.step(StageCarrier, g.carriers[i].name, "found a credential", nil)
		case errors.Is(err, gatehouse.ErrAnonymous):
			otherScheme = otherScheme || errors.Is(err, gatehouse.ErrScheme)
			v.step(StageCarrier, g.carriers[i].name, "nothing", err)
		default:
			found++
			failure = err
			v.step(StageCarrier, g.carriers[i].name, "refused", err)
		}
	}
	switch {
	case found > 1:
		v.step(StageCredential, "", "more than one carrier found one", nil)
		return gatehouse.Identity{}, gatehouse.ErrDuplicate
	case failure != nil:
		return gatehouse.Identity{}, failure
	case found == 0 && otherScheme:
		return id, gatehouse.ErrScheme
	case found == 0:
		return id, gatehouse.ErrAnonymous
	}
	return id, g.checkTimes(id, v)
}

// given takes an identity that an explanation or a policy test names.
func (g *Guard) given(id gatehouse.Identity, v *Verdict) (gatehouse.Identity, error) {
	if id.Value == "" {
		v.step(StageCarrier, "given", "anonymous", nil)
		return id, gatehouse.ErrAnonymous
	}
	id.Carrier = "given"
	v.step(StageCarrier, "given", "the identity of the question", nil)
	return id, g.checkTimes(id, v)
}

func (g *Guard) checkTimes(id gatehouse.Identity, v *Verdict) error {
	if id.Value == "" {
		v.step(StageCredential, id.Carrier, "proves nobody", nil)
		return gatehouse.ErrCredential
	}
	if !id.ExpiresAt.IsZero() && !g.now().Before(id.ExpiresAt) {
		v.step(StageCredential, id.Carrier, "expired", nil)
		return gatehouse.ErrExpired
	}
	return nil
}

// ask asks carrier i. A panic is an error like any other that is nobody's fault but ours.
func (g *Guard) ask(r *http.Request, i int) (id gatehouse.Identity, err error) {
	defer g.recovered(r.Context(), "carrier", &err)
	return g.carriers[i].Identify(r)
}

// resolve asks the policy. A principal without a subject is nobody: never somebody who may pass.
func (g *Guard) resolve(ctx context.Context, id gatehouse.Identity) (p gatehouse.Principal, err error) {
	defer g.recovered(ctx, "policy", &err)
	p, err = g.policy.Resolve(ctx, id)
	if err == nil && p.IsAnonymous() {
		return p, gatehouse.ErrCredential
	}
	return p, err
}

// recovered turns a panic of a hook into an error. The panic's value stays out of the log: it may hold a credential.
func (g *Guard) recovered(ctx context.Context, hook string, err *error) {
	if value := recover(); value != nil {
		*err = fmt.Errorf("the %s panicked (%T)", hook, value)
		g.logger.LogAttrs(ctx, slog.LevelError, "a hook panicked: the request is denied", slog.String("hook", hook), slog.String("type", fmt.Sprintf("%T", value)))
	}
}

func (g *Guard) decide(r *http.Request, v *Verdict, match policy.Match, unknown error) *problem.Problem {
	d := g.rules.Decide(match, v.Principal, func(permission string) (ok bool, err error) {
		defer g.recovered(r.Context(), "policy", &err)
		return g.policy.Permits(r.Context(), v.Principal, permission, nil)
	})
	v.step(StageDecision, "", d.Outcome.String(), d.Err)
	switch d.Outcome {
	case policy.Allow:
		return nil
	case policy.Unauthorized:
		return credentialProblem(unknown)
	case policy.Forbidden:
		if len(d.Scopes) > 0 {
			return &problem.Problem{Code: problem.InsufficientScope, Scopes: d.Scopes}
		}
		return problem.New(problem.Forbidden)
	case policy.NoRule:
		return problem.New(problem.NotFound)
	case policy.MethodNotFound:
		return &problem.Problem{Code: problem.MethodNotAllowed, Allow: d.Allowed}
	}
	return problem.Wrap(problem.Unavailable, d.Err)
}

// credentialProblem is the answer to a credential that is missing or bad. What is neither could not be checked.
func credentialProblem(err error) *problem.Problem {
	code := problem.Unavailable
	switch {
	case errors.Is(err, gatehouse.ErrScheme):
		code = problem.UnsupportedScheme
	case errors.Is(err, gatehouse.ErrAnonymous):
		code = problem.NoCredential
	case errors.Is(err, gatehouse.ErrForbidden):
		code = problem.Forbidden
	case errors.Is(err, gatehouse.ErrDuplicate):
		code = problem.DuplicateCredential
	case errors.Is(err, gatehouse.ErrMalformed):
		code = problem.MalformedCredential
	case errors.Is(err, gatehouse.ErrExpired):
		code = problem.ExpiredToken
	case errors.Is(err, gatehouse.ErrCredential):
		code = problem.UnknownToken
	}
	return problem.Wrap(code, err)
}
