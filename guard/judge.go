package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
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
// anonymous caller. A denial does not count against the budget of refused requests.
func (g *Guard) JudgeAs(r *http.Request, id gatehouse.Identity) *Verdict {
	v := &Verdict{}
	g.judge(r, v, &id)
	return v
}

// Refuse returns the verdict of a request that a front refuses by itself with p, before it could be judged or after it may pass, so that it
// is logged, counted and explained like any other. A front that refuses must answer with it.
func (g *Guard) Refuse(r *http.Request, p *problem.Problem) *Verdict {
	v := &Verdict{Problem: p, Principal: gatehouse.Anonymous()}
	v.begin()
	if o := observationOf(r.Context()); o != nil {
		if o.verdict != nil {
			*v = *o.verdict
			v.steps, v.Problem = slices.Clone(o.verdict.steps), p
		}
		o.verdict = v
	}
	v.step(StageFront, "", string(p.Code), p.Err)
	if g == nil || g.answers == nil {
		return v
	}
	g.answers.Log(r, p)
	if x := exchangeOf(r.Context()).of(g); x == nil || !x.verdict.guessed() { // what was guessed on a public path has been counted
		g.countRefused(r, p.Code)
	}
	return v
}

func (g *Guard) judge(r *http.Request, v *Verdict, as *gatehouse.Identity) {
	v.begin()
	if o := observationOf(r.Context()); o != nil {
		o.verdict = v
	}
	v.Problem = g.way(r, v, as)
	g.logOverlooked(r, v)
	if v.Problem == nil {
		if as == nil && v.guessed() {
			g.countRefused(r, problem.UnknownToken)
		}
		return
	}
	v.Principal = forDenied(v.Principal)
	if g == nil || g.answers == nil {
		return
	}
	g.answers.Log(r, v.Problem)
	if as == nil {
		g.countRefused(r, v.Problem.Code)
	}
}

// way leads the request through the house. It returns nil exactly if the request may pass.
func (g *Guard) way(r *http.Request, v *Verdict, as *gatehouse.Identity) (p *problem.Problem) {
	v.Principal = gatehouse.Anonymous()
	if g == nil || g.policy == nil {
		return problem.Wrap(problem.Unavailable, errUnconfigured)
	}
	defer func() {
		if value := recover(); value != nil { // the clock, the limiter or the address of the client
			p = problem.Wrap(problem.Unavailable, panicked("hook", value))
		}
	}()
	match, p := g.findRule(r, v)
	if p != nil {
		return p
	}
	if p := g.limit(r, v); p != nil {
		return p
	}
	if p := g.findPrincipal(r, v, match, as); p != nil {
		return p
	}
	if p := g.checkOrigin(r, v); p != nil {
		return p
	}
	return g.decide(r, v, match)
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
	match, err := g.rules.Lookup(v.Request) // without rules too: it refuses what no rule allows, such as %2F
	if err != nil {
		v.step(StageRule, "", "refused", err)
		return policy.Match{}, problem.Wrap(problem.BadTarget, err)
	}
	if g.open {
		v.step(StageRule, "", "no rules: the handler decides", nil)
		v.match = policy.Match{Allow: policy.Anyone()}
		return v.match, nil
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

// countRefused takes one request off the budget of its client. A limiter that panics must not undo the denial.
func (g *Guard) countRefused(r *http.Request, code problem.Code) {
	if g.limiter == nil || !countsAsRefused(code) {
		return
	}
	if err := g.refused(r); err != nil {
		g.logger.LogAttrs(r.Context(), slog.LevelError, "a refused request could not be counted", slog.Any("error", err))
	}
}

func (g *Guard) refused(r *http.Request) (err error) {
	defer recovered("limiter", &err)
	if addr := g.client(r); addr.IsValid() {
		g.limiter.Refused(addr)
	}
	return nil
}

// countsAsRefused: what a client is refused for its own doing. Unknown paths do not count, or a page with broken links would lock itself out.
func countsAsRefused(code problem.Code) bool {
	switch code {
	case problem.NotFound, problem.MethodNotAllowed, problem.TooManyRequests, problem.BrokenBody:
		return false
	case problem.SessionInvalid, problem.SessionConflict, problem.CrossOrigin:
		return false // nobody guesses a session; a page left open over night, or a hostile one, must not lock its owner out
	case problem.Unavailable, problem.Internal, problem.UpstreamUnreachable, problem.UpstreamTimeout, problem.BadForward:
		return false // ours, the application's or the proxy's
	}
	return true
}

// findPrincipal finds out who is calling. Where the caller stays unknown and that is no problem yet, v.unknown says why: the error wraps
// gatehouse.ErrAnonymous, or it is what a public path overlooks.
func (g *Guard) findPrincipal(r *http.Request, v *Verdict, match policy.Match, as *gatehouse.Identity) *problem.Problem {
	id, err := g.identify(r, v, as)
	if err == nil {
		v.Principal, err = g.resolve(r.Context(), id)
		if id.Session != "" && id.Purpose == "" && errors.Is(err, gatehouse.ErrCredential) {
			err = fmt.Errorf("%w: %w", gatehouse.ErrSession, err) // nobody sees from the answer whether the account or the session is gone
		}
		if err == nil {
			g.known(r, v, id)
			return nil
		}
		v.step(StagePolicy, "", "not resolved", err)
		v.Principal = gatehouse.Anonymous()
	}
	v.unknown, v.ambient, v.unsaid = err, false, false
	switch {
	case errors.Is(err, gatehouse.ErrDuplicate), errors.Is(err, gatehouse.ErrForbidden):
		return credentialProblem(err) // on a public path, too
	case errors.Is(err, gatehouse.ErrAnonymous):
		return nil
	case g.open && isUnchecked(err):
		return credentialProblem(err) // nobody has said that the path is public
	case match.IsPublic() && !match.Strict:
		v.step(StageCredential, "", "unusable: taken for anonymous on a public path", nil)
		v.overlooked = err
		return nil
	}
	return credentialProblem(err)
}

// known writes down who is calling. Behind another guard the caller has no more roles and scopes than there.
func (g *Guard) known(r *http.Request, v *Verdict, id gatehouse.Identity) {
	v.Carrier, v.TokenID = id.Carrier, id.TokenID
	if x := exchangeFor(r, v); x != nil {
		x.identity = id
		if outer := x.outer.principal(); !outer.IsAnonymous() {
			v.Principal.Roles = common(v.Principal.Roles, outer.Roles)
			v.Principal.Scopes = common(v.Principal.Scopes, outer.Scopes)
		}
	}
	v.step(StagePolicy, v.Principal.Subject, "resolved", nil)
}

// common returns those of a that are also in b.
func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

// identify asks all carriers. The error wraps gatehouse.ErrAnonymous if none finds a credential.
func (g *Guard) identify(r *http.Request, v *Verdict, as *gatehouse.Identity) (gatehouse.Identity, error) {
	if as != nil {
		return g.given(*as, v)
	}
	if len(r.Header["Authorization"]) > 1 {
		// Whoever is meant to read it: two of them are read differently by different hops.
		v.step(StageCredential, "Authorization", "sent twice", nil)
		return gatehouse.Identity{}, gatehouse.ErrDuplicate
	}
	var f findings
	x, inherits, accepted := exchangeFor(r, v), false, -1
	if purpose := v.match.Purpose; purpose != "" {
		r = r.WithContext(gatehouse.NewPurposeContext(r.Context(), purpose))
	}
	for i := range g.carriers {
		if x.inherits(g.carriers[i].Carrier) {
			inherits = true
			continue // an outer guard has asked it
		}
		id, err := g.ask(r, i)
		if stale := tolerated(err, v.match); stale != nil {
			v.step(StageCredential, g.carriers[i].name, tolerates(stale, v.match), nil)
			id, err, v.stale, accepted = stale.Identity, nil, stale, i
		}
		id.Carrier = g.carriers[i].name
		if err == nil {
			v.ambient, v.unsaid, v.secure = g.carriers[i].ambient, g.carriers[i].unsaid, g.carriers[i].secure
		}
		v.step(StageCarrier, id.Carrier, f.add(id, err), err)
	}
	if id, ok := x.inherited(); ok {
		v.step(StageCarrier, id.Carrier, "found by the guard around", nil)
		return g.inherit(id, x.outer.verdict.stale, &f, v)
	}
	if err := f.sum(); err != nil {
		if inherits && errors.Is(err, gatehouse.ErrAnonymous) && x.unknown() != nil {
			v.step(StageCredential, "", "unusable, as the guard around has found", nil)
			return gatehouse.Identity{}, x.unknown()
		}
		if f.found > 1 {
			v.step(StageCredential, "", "more than one carrier found one", nil)
		}
		v.overlooked = f.unchecked
		return gatehouse.Identity{}, err
	}
	err := g.checkIdentity(f.id, v)
	if err == nil && accepted >= 0 {
		err = g.acceptStale(r, accepted)
	}
	return f.id, err
}

// tolerated returns what err says of a credential of which it has not been known for a while whether it was revoked, if the rule allows it for so long, and else nil.
func tolerated(err error, match policy.Match) *gatehouse.StaleError {
	if err == nil || match.OnStoreLoss == 0 || !isUnchecked(err) {
		return nil
	}
	stale, ok := errors.AsType[*gatehouse.StaleError](err)
	if !ok || stale.Age > match.OnStoreLoss || stale.Identity.Value == "" {
		return nil
	}
	return stale
}

func tolerates(stale *gatehouse.StaleError, match policy.Match) string {
	return fmt.Sprintf("revocations unknown for %v: the rule allows %v", stale.Age.Round(time.Millisecond), match.OnStoreLoss)
}

// acceptStale tells carrier i that what it could not check is accepted.
func (g *Guard) acceptStale(r *http.Request, i int) (err error) {
	defer recovered("carrier", &err)
	if a, ok := g.carriers[i].Carrier.(carrier.StaleAccepter); ok {
		a.AcceptStale(r)
	}
	return nil
}

// inherit returns the identity that the guard around has found, unless the carriers of this one found something that does not go with it.
// stale says what that one tolerated, if it did: only its rule and this one's together decide.
func (g *Guard) inherit(id gatehouse.Identity, stale *gatehouse.StaleError, f *findings, v *Verdict) (gatehouse.Identity, error) {
	err := f.sum()
	switch {
	case errors.Is(err, gatehouse.ErrAnonymous):
	case err != nil:
		return gatehouse.Identity{}, err
	case f.id.Value != id.Value:
		v.step(StageCredential, "", "another caller than the guard around has found", nil)
		return gatehouse.Identity{}, gatehouse.ErrDuplicate
	}
	if stale != nil && !g.open && stale.Age > v.match.OnStoreLoss {
		v.step(StageCredential, "", "revocations unknown, which the rule around allows, and this one not", nil)
		return gatehouse.Identity{}, stale
	}
	v.stale = stale
	return id, g.checkIdentity(id, v)
}

// checkIdentity checks what a carrier has found: that it proves somebody, still does, and is for what the rule wants.
func (g *Guard) checkIdentity(id gatehouse.Identity, v *Verdict) error {
	want := v.match.Purpose
	if id.Purpose == want || want == "" && id.Purpose == accessPurpose {
		return g.checkTimes(id, v)
	}
	v.step(StageCredential, id.Carrier, "good for another purpose", nil)
	return errPurpose
}

// accessPurpose is what tokens are good for where a rule does not say otherwise.
const accessPurpose = "access"

var errPurpose = fmt.Errorf("%w: good for another purpose", gatehouse.ErrCredential)

// findings are what the carriers have to say about one request.
type findings struct {
	id          gatehouse.Identity // of the good credential
	found       int                // credentials, good and bad
	ended       error              // a session that has ended is one of them
	bad         error              // what is wrong with one of them
	unchecked   error              // why a carrier could not say anything
	otherScheme bool
}

// add takes the answer of one carrier and returns a word for it.
func (f *findings) add(id gatehouse.Identity, err error) string {
	switch {
	case err == nil:
		f.found, f.id = f.found+1, id
		return "found a credential"
	case errors.Is(err, gatehouse.ErrAnonymous):
		f.otherScheme = f.otherScheme || errors.Is(err, gatehouse.ErrScheme)
		return "nothing"
	case isUnchecked(err):
		f.unchecked = err
		return "could not be checked"
	}
	if errors.Is(err, gatehouse.ErrSession) {
		f.ended = err
	}
	f.found, f.bad = f.found+1, err
	return "refused"
}

// sum returns nil if there is exactly one credential, and it is good. What is certain comes before what could not be checked.
func (f *findings) sum() error {
	switch {
	case f.found > 1 && f.ended != nil:
		return fmt.Errorf("%w, besides: %w", gatehouse.ErrDuplicate, f.ended) // whose cookie is taken away: scripts cannot leave it out
	case f.found > 1:
		return gatehouse.ErrDuplicate
	case f.unchecked != nil && !errors.Is(f.bad, gatehouse.ErrDuplicate):
		return f.unchecked
	case f.bad != nil:
		return f.bad
	case f.found == 0 && f.otherScheme:
		return gatehouse.ErrScheme
	case f.found == 0:
		return gatehouse.ErrAnonymous
	}
	return nil
}

// isUnchecked reports whether err says nothing about the caller, only that somebody could not find out.
func isUnchecked(err error) bool {
	return err != nil && !errors.Is(err, gatehouse.ErrAnonymous) && !errors.Is(err, gatehouse.ErrCredential) && !errors.Is(err, gatehouse.ErrForbidden)
}

// given takes an identity that an explanation or a policy test names.
func (g *Guard) given(id gatehouse.Identity, v *Verdict) (gatehouse.Identity, error) {
	if id.Value == "" {
		v.step(StageCarrier, "given", "anonymous", nil)
		return id, gatehouse.ErrAnonymous
	}
	id.Carrier = "given"
	v.step(StageCarrier, "given", "the identity of the question", nil)
	if id.Purpose == "" && id.TokenID == "" && id.Session == "" {
		return id, g.checkTimes(id, v) // it does not say what it was found by: by what is due here
	}
	return id, g.checkIdentity(id, v)
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
	defer recovered("carrier", &err)
	return g.carriers[i].Identify(r)
}

// resolve asks the policy. A principal without a subject is nobody: never somebody who may pass.
func (g *Guard) resolve(ctx context.Context, id gatehouse.Identity) (p gatehouse.Principal, err error) {
	defer recovered("policy", &err)
	p, err = g.policy.Resolve(ctx, id)
	if err == nil && p.IsAnonymous() || errors.Is(err, gatehouse.ErrAnonymous) {
		return p, gatehouse.ErrCredential
	}
	return p, err
}

func (g *Guard) permits(ctx context.Context, p gatehouse.Principal, permission string, resource any) (ok bool, err error) {
	defer recovered("policy", &err)
	return g.policy.Permits(ctx, p, permission, resource)
}

// recovered turns a panic of a hook into an error. Defer it.
func recovered(hook string, err *error) {
	if value := recover(); value != nil {
		*err = panicked(hook, value)
	}
}

// panicked says that a hook panicked. The panic's value stays out of it, and so of the log: it may hold a credential.
func panicked(hook string, value any) error { return fmt.Errorf("the %s panicked (%T)", hook, value) }

// logOverlooked logs what could not be checked and did not matter for the answer: on a public path, beside a certain no, or where another
// way in was open. Somebody should mend it before it matters. What did matter is logged with the answer.
func (g *Guard) logOverlooked(r *http.Request, v *Verdict) {
	if v.overlooked != nil && isUnchecked(v.overlooked) && v.Reason() != problem.Unavailable {
		g.logger.LogAttrs(r.Context(), slog.LevelError, "a check could not be made, and the request did not depend on it", slog.Any("error", v.overlooked))
	}
}

func (g *Guard) decide(r *http.Request, v *Verdict, match policy.Match) *problem.Problem {
	d := g.rules.Decide(match, v.Principal, func(permission string) (ok bool, err error) {
		if ok, err = g.permits(r.Context(), v.Principal, permission, nil); err != nil {
			v.overlooked = err
		}
		return ok, err
	})
	v.step(StageDecision, "", d.Outcome.String(), d.Err)
	switch d.Outcome {
	case policy.Allow:
		return nil
	case policy.Unauthorized:
		return credentialProblem(v.unknown)
	case policy.Forbidden:
		if len(d.Scopes) > 0 && !v.ambient { // who has a cookie cannot get a token with a wider scope
			return &problem.Problem{Code: problem.InsufficientScope, Scopes: d.Scopes}
		}
		return &problem.Problem{Code: problem.Forbidden, Plain: v.ambient}
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
	case err == nil:
		code = problem.NoCredential // nobody has looked for one: as in explanations for the anonymous caller
	case errors.Is(err, gatehouse.ErrScheme):
		code = problem.UnsupportedScheme
	case errors.Is(err, gatehouse.ErrAnonymous):
		code = problem.NoCredential
	case errors.Is(err, gatehouse.ErrForbidden):
		code = problem.Forbidden
	case errors.Is(err, gatehouse.ErrDuplicate):
		code = problem.DuplicateCredential
	case errors.Is(err, gatehouse.ErrSession):
		code = problem.SessionInvalid
	case errors.Is(err, gatehouse.ErrLogin):
		code = problem.InvalidCredentials
	case errors.Is(err, gatehouse.ErrMalformed):
		code = problem.MalformedCredential
	case errors.Is(err, gatehouse.ErrExpired):
		code = problem.ExpiredToken
	case errors.Is(err, gatehouse.ErrCredential):
		code = problem.UnknownToken
	}
	return problem.Wrap(code, err)
}
