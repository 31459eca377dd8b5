package guard

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// Require returns the caller, who is not the anonymous one. The error is the answer to give, a [*problem.Problem]: 401, or 503 if the caller could not be found out.
// Hand it to [Fail], or return it from a [Handle] function.
func Require(r *http.Request) (gatehouse.Principal, error) {
	x, err := inside(r, "Require")
	if err != nil {
		return gatehouse.Anonymous(), err
	}
	return x.require()
}

func (x *exchange) require() (gatehouse.Principal, error) {
	if p := x.verdict.Principal; !p.IsAnonymous() {
		return p, nil
	}
	return gatehouse.Anonymous(), credentialProblem(x.verdict.unknown)
}

// RequireRole returns the caller, who has at least the level of the role. The error is the answer to give, as of [Require], or 403. A role that the guard
// does not know is had by nobody.
func RequireRole(r *http.Request, role string) (gatehouse.Principal, error) {
	x, err := inside(r, "RequireRole")
	if err != nil {
		return gatehouse.Anonymous(), err
	}
	return x.requireRole(role)
}

func (x *exchange) requireRole(role string) (gatehouse.Principal, error) {
	p, err := x.require()
	if err != nil {
		return p, err
	}
	if !x.hasRole(role) {
		return gatehouse.Anonymous(), x.forbidden(fmt.Errorf("the role %q is needed", role))
	}
	return p, nil
}

// hasRole asks every guard around that knows the role and the caller; at least one must.
func (x *exchange) hasRole(role string) bool {
	asked := false
	for y := x; y != nil; y = y.outer {
		if _, known := y.guard.rules.Roles()[role]; !known || y.verdict.Principal.IsAnonymous() {
			continue
		}
		asked = true
		if !y.guard.rules.HasRole(y.verdict.Principal, role) {
			return false
		}
	}
	return asked
}

// RequirePermission returns the caller, who has the permission, on resource if that is not nil; see [Permits]. It may be the anonymous one, if the policy permits it to
// everybody. The error is the answer to give, as of [Require], or 403, or [ErrPermission] for what is no permission.
func RequirePermission(r *http.Request, permission, resource any) (gatehouse.Principal, error) {
	x, err := inside(r, "RequirePermission")
	if err != nil {
		return gatehouse.Anonymous(), err
	}
	return x.requirePermission(r, permission, resource)
}

func (x *exchange) requirePermission(r *http.Request, permission, resource any) (gatehouse.Principal, error) {
	ok, err := x.permits(r.Context(), permission, resource)
	switch {
	case err != nil:
		return gatehouse.Anonymous(), err
	case ok:
		return x.verdict.Principal, nil
	}
	if _, err := x.require(); err != nil {
		return gatehouse.Anonymous(), err
	}
	return gatehouse.Anonymous(), x.forbidden(fmt.Errorf("the permission %v is needed", permission))
}

// forbidden is the answer to a caller who is known. What was needed is for the log, not for the caller.
func (x *exchange) forbidden(why error) *problem.Problem {
	return &problem.Problem{Code: problem.Forbidden, Plain: x.verdict.ambient, Err: why}
}

// Require returns next behind the requirement that the caller is known: others get 401. Put it behind [Guard.Handler].
func (g *Guard) Require(next http.HandlerFunc) http.Handler {
	return g.behind("Require", next, func(x *exchange, _ *http.Request) error {
		_, err := x.require()
		return err
	})
}

// RequireRole returns next behind the requirement that the caller has at least the level of the role: others get 401 or 403. It panics if the guard does not know the role: a
// mistake in a program, which would lock everybody out. Put it behind [Guard.Handler].
func (g *Guard) RequireRole(role string, next http.HandlerFunc) http.Handler {
	if g != nil && g.rules != nil {
		if _, ok := g.rules.Roles()[role]; !ok {
			panic(fmt.Sprintf("guard: there is no role %q: name it in the rules or in Config.Roles", role))
		}
	}
	return g.behind("RequireRole", next, func(x *exchange, _ *http.Request) error {
		_, err := x.requireRole(role)
		return err
	})
}

// RequirePermission returns next behind the requirement that the caller has the permission: others get 401 or 403. It panics if permission is none, see [Permits]: a mistake
// in a program. Where the answer depends on a resource, use the function [RequirePermission] in the handler. Put it behind [Guard.Handler].
func (g *Guard) RequirePermission(permission any, next http.HandlerFunc) http.Handler {
	name, err := permissionName(permission)
	if err != nil {
		panic(err.Error())
	}
	return g.behind("RequirePermission", next, func(x *exchange, r *http.Request) error {
		_, err := x.requirePermission(r, name, nil)
		return err
	})
}

// behind returns next behind a check of the request's exchange, which g must have judged.
func (g *Guard) behind(verb string, next http.HandlerFunc, check func(*exchange, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x, err := g.inside(r, verb)
		if err == nil {
			err = check(x, r)
		}
		if err != nil {
			Fail(w, r, err)
			return
		}
		next(w, r)
	})
}

// Fail answers r with err, which is not nil, in the way of the guard that has judged r: a [*problem.Problem] in err's chain as such; the errors of package gatehouse as a guard
// answers them, [gatehouse.ErrLogin] with 401 and [gatehouse.ErrUnavailable] with 503; anything else with 500, without a word of it to the caller. Call it before the first
// byte of the answer.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	x := exchangeOf(r.Context())
	switch {
	case x != nil && p != nil:
		x.guard.Refuse(r, p)
		x.guard.answers.Write(w, r, p)
	case x != nil:
		x.guard.answers.Fail(w, r, err)
	case p != nil:
		(&problem.Writer{}).Fail(w, r, p)
	default:
		(&problem.Writer{}).Fail(w, r, err)
	}
}

// problemOf returns the problem that err is or stands for, or nil if it says nothing to the caller.
func problemOf(err error) *problem.Problem {
	p, ok := errors.AsType[*problem.Problem](err)
	switch {
	case ok:
		return p // nil if somebody returned a nil *Problem: then it is 500
	case errors.Is(err, gatehouse.ErrUnavailable):
		return problem.Wrap(problem.Unavailable, err)
	case !isUnchecked(err):
		return credentialProblem(err)
	}
	return nil
}

// Handle returns a handler that answers with [Fail] what f returns as an error. f must not have written anything then.
func Handle(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			Fail(w, r, err)
		}
	})
}
