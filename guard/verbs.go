package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"sync"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/session"
)

// ErrOutside: a verb was called on a request that no guard has judged, so that it denies. Put the handler behind [Guard.Handler].
var ErrOutside = errors.New("guard: the request has not passed a guard: put the handler behind Guard.Handler")

// ErrPermission: what was given as a permission is none: it is empty, or neither a string type nor a fmt.Stringer.
var ErrPermission = errors.New("guard: not a permission")

// A BatchPolicy is a [Policy] that answers several questions at once, say with one query. [PermitsEach] asks it where it can. A type that embeds one and changes Permits
// must change PermitsEach as well: it is asked instead, not on top.
type BatchPolicy interface {
	Policy
	// PermitsEach is Permits for each of permissions, in their order. An error means that none could be checked.
	PermitsEach(ctx context.Context, p gatehouse.Principal, permissions []string, resource any) ([]bool, error)
}

// outsideLog says once a process that a verb was called outside any guard; of a guard, once a guard.
var outsideLog sync.Once

// inside returns the exchange of r. Outside any guard it returns a problem.
func inside(r *http.Request, verb string) (*exchange, error) {
	if x := exchangeOf(r.Context()); x != nil && x.allowed {
		return x, nil
	}
	outsideLog.Do(func() { logOutside(r, slog.Default(), verb) })
	return nil, problem.Wrap(problem.Unavailable, ErrOutside)
}

func logOutside(r *http.Request, logger *slog.Logger, verb string) {
	logger.LogAttrs(r.Context(), slog.LevelError, "a handler asks a guard that has not judged its request, so everything is denied: put it behind Guard.Handler; said once",
		slog.String("verb", verb), slog.String("path", r.URL.Path))
}

// inside returns the exchange of r if g has judged r.
func (g *Guard) inside(r *http.Request, verb string) (*exchange, error) {
	if x := exchangeOf(r.Context()); g != nil && x.passed(g) && x.allowed {
		return x, nil
	}
	if g == nil || g.policy == nil {
		return nil, problem.Wrap(problem.Unavailable, errUnconfigured)
	}
	g.outside.Do(func() { logOutside(r, g.logger, verb) })
	return nil, problem.Wrap(problem.Unavailable, ErrOutside)
}

// Remember signs the sender of r in as id: the first carrier that hands credentials out puts one into the answer, in place of the one that r came with. Call it before the
// first byte of the answer, after you have checked a password or the like, and again after a change of what the caller may do, with the changed identity. For this request the principal stays who it was.
// A handler of GET is taken for one that another site may lead to, as the callbacks of other providers are: let log-in forms send a POST.
// Nothing of the log-in before is taken over but the session's data: its options (carrier.BrowserSession, carrier.MaxAge), AuthTime and ExpiresAt are to be given again, or the session
// lives as long as any.
//
// Errors: id without a value and an option that the carrier cannot honour are mistakes of the program ([session.ErrInvalid], errors.ErrUnsupported). The others are
// of type [*problem.Problem]: a request that another site has made (cross_origin), a store that does not answer (unavailable), and a request that no guard has judged
// ([ErrOutside]). Give it to [Fail], or return it from a [Handle] function.
func Remember(w http.ResponseWriter, r *http.Request, id gatehouse.Identity, opts ...carrier.Option) error {
	x, err := inside(r, "Remember")
	if err != nil {
		return err
	}
	return x.remember(w, r, id, opts)
}

// Remember is the function [Remember] for requests that g has judged.
func (g *Guard) Remember(w http.ResponseWriter, r *http.Request, id gatehouse.Identity, opts ...carrier.Option) error {
	x, err := g.inside(r, "Remember")
	if err != nil {
		return err
	}
	return x.remember(w, r, id, opts)
}

func (x *exchange) remember(w http.ResponseWriter, r *http.Request, id gatehouse.Identity, opts []carrier.Option) error {
	if id.Value == "" {
		return fmt.Errorf("guard: the identity has no value: %w", session.ErrInvalid)
	}
	if err := x.checkOrigin(r); err != nil { // signing somebody in as somebody else is an attack, too
		return err
	}
	for y := x; y != nil; y = y.outer {
		for _, c := range y.guard.carriers {
			err := remembered(c, w, r, id, opts)
			if !errors.Is(err, carrier.ErrNotHandedOut) {
				return verbProblem(err)
			}
		}
	}
	return fmt.Errorf("guard: no carrier of the guard hands credentials out; give it carrier.Session: %w", carrier.ErrNotHandedOut)
}

func remembered(c namedCarrier, w http.ResponseWriter, r *http.Request, id gatehouse.Identity, opts []carrier.Option) (err error) {
	defer recovered("carrier", &err)
	return c.Remember(w, r, id, opts...)
}

// verbProblem turns what could not be done into a problem, and leaves the program's own mistakes as they are.
func verbProblem(err error) error {
	for _, own := range []error{nil, errors.ErrUnsupported, session.ErrInvalid, session.ErrTooLate, session.ErrTooLarge, session.ErrDetached} {
		if errors.Is(err, own) {
			return err
		}
	}
	return keepProblem(err)
}

// Forget signs the sender of r out: every carrier takes its credential away, and what is behind it is deleted. It is no error if there was none, and nothing is made then.
// An error means that the sender may still be signed in, and must not be answered as a success: it is of type [*problem.Problem] (method_not_allowed for GET and other
// safe methods, since a link, an image or a prefetch must not sign anybody out; unavailable for a store that does not answer), or
// [session.ErrTooLate]. For this request the principal stays who it was.
func Forget(w http.ResponseWriter, r *http.Request) error {
	x, err := inside(r, "Forget")
	if err != nil {
		return err
	}
	return x.forget(w, r)
}

// Forget is the function [Forget] for requests that g has judged.
func (g *Guard) Forget(w http.ResponseWriter, r *http.Request) error {
	x, err := g.inside(r, "Forget")
	if err != nil {
		return err
	}
	return x.forget(w, r)
}

func (x *exchange) forget(w http.ResponseWriter, r *http.Request) error {
	if isSafe(r.Method) {
		return &problem.Problem{Code: problem.MethodNotAllowed, Allow: []string{http.MethodPost},
			Err: fmt.Errorf("guard: Forget in a handler of %s: let the log-out button send a POST", r.Method)}
	}
	if err := x.checkOrigin(r); err != nil {
		return err
	}
	var errs []error
	for y := x; y != nil; y = y.outer {
		for _, c := range y.guard.carriers {
			errs = append(errs, forgotten(c, w, r))
		}
	}
	return verbProblem(errors.Join(errs...))
}

func forgotten(c namedCarrier, w http.ResponseWriter, r *http.Request) (err error) {
	defer recovered("carrier", &err)
	return c.Forget(w, r)
}

// UserID returns the stable id of the caller, and "" for the anonymous one. It costs nothing: the caller was found out once.
func UserID(r *http.Request) string {
	x, err := inside(r, "UserID")
	if err != nil {
		return ""
	}
	return x.verdict.Principal.Subject
}

// UserID is the function [UserID] for requests that g has judged.
func (g *Guard) UserID(r *http.Request) string {
	x, err := g.inside(r, "UserID")
	if err != nil {
		return ""
	}
	return x.verdict.Principal.Subject
}

// IsAnonymous reports whether nobody has been proved to have sent r. A stale or forged credential proves nobody.
func IsAnonymous(r *http.Request) bool {
	x, err := inside(r, "IsAnonymous")
	return err != nil || x.verdict.Principal.IsAnonymous()
}

// IsAnonymous is the function [IsAnonymous] for requests that g has judged.
func (g *Guard) IsAnonymous(r *http.Request) bool {
	x, err := g.inside(r, "IsAnonymous")
	return err != nil || x.verdict.Principal.IsAnonymous()
}

// Permits reports whether the caller, who may be anonymous, has the permission, on resource if that is not nil. A permission is of any string type, or a
// [fmt.Stringer], whose String counts then. An error means that the answer is no because it could not be found out: [ErrPermission] for an empty permission or one of another type, otherwise
// a [*problem.Problem] (unavailable). Where guards are nested, each one that knows the caller must permit.
func Permits(r *http.Request, permission, resource any) (bool, error) {
	x, err := inside(r, "Permits")
	if err != nil {
		return false, err
	}
	return x.permits(r.Context(), permission, resource)
}

// Permits is the function [Permits] for requests that g has judged.
func (g *Guard) Permits(r *http.Request, permission, resource any) (bool, error) {
	x, err := g.inside(r, "Permits")
	if err != nil {
		return false, err
	}
	return x.permits(r.Context(), permission, resource)
}

func (x *exchange) permits(ctx context.Context, permission, resource any) (bool, error) {
	name, err := permissionName(permission)
	if err != nil {
		return false, err
	}
	for y := x; y != nil; y = y.outer {
		if y != x && y.verdict.Principal.IsAnonymous() {
			continue // the guard around let anybody in here
		}
		if ok, err := y.guard.permits(ctx, y.verdict.Principal, name, resource); err != nil {
			return false, problem.Wrap(problem.Unavailable, err)
		} else if !ok {
			return false, nil
		}
	}
	return true, nil
}

// PermitsEach is [Permits] for several permissions, answered in their order; a [BatchPolicy] is asked once.
func PermitsEach(r *http.Request, resource any, permissions ...any) ([]bool, error) {
	x, err := inside(r, "PermitsEach")
	if err != nil {
		return make([]bool, len(permissions)), err
	}
	return x.permitsEach(r.Context(), resource, permissions)
}

// PermitsEach is the function [PermitsEach] for requests that g has judged.
func (g *Guard) PermitsEach(r *http.Request, resource any, permissions ...any) ([]bool, error) {
	x, err := g.inside(r, "PermitsEach")
	if err != nil {
		return make([]bool, len(permissions)), err
	}
	return x.permitsEach(r.Context(), resource, permissions)
}

func (x *exchange) permitsEach(ctx context.Context, resource any, permissions []any) ([]bool, error) {
	none, names := make([]bool, len(permissions)), make([]string, len(permissions))
	for i, permission := range permissions {
		name, err := permissionName(permission)
		if err != nil {
			return none, err
		}
		names[i] = name
	}
	answers := make([]bool, len(permissions))
	for i := range answers {
		answers[i] = true
	}
	for y := x; y != nil; y = y.outer {
		if y != x && y.verdict.Principal.IsAnonymous() {
			continue
		}
		given, err := y.guard.permitsEach(ctx, y.verdict.Principal, names, resource)
		if err == nil && len(given) != len(names) {
			err = fmt.Errorf("the policy gave %d answers to %d questions", len(given), len(names))
		}
		if err != nil {
			return none, problem.Wrap(problem.Unavailable, err)
		}
		for i, ok := range given {
			answers[i] = answers[i] && ok
		}
	}
	return answers, nil
}

func (g *Guard) permitsEach(ctx context.Context, p gatehouse.Principal, names []string, resource any) (answers []bool, err error) {
	defer recovered("policy", &err)
	if batch, ok := g.policy.(BatchPolicy); ok {
		return batch.PermitsEach(ctx, p, names, resource)
	}
	for _, name := range names {
		ok, err := g.policy.Permits(ctx, p, name, resource)
		if err != nil {
			return nil, err
		}
		answers = append(answers, ok)
	}
	return answers, nil
}

// permissionName returns the name of a permission. A name that is missing is never an allow.
func permissionName(permission any) (string, error) {
	name, ok := permission.(string)
	if !ok {
		name, ok = stringOf(permission)
	}
	switch {
	case !ok:
		return "", fmt.Errorf("%w: a %T is neither a string type nor a fmt.Stringer", ErrPermission, permission)
	case name == "":
		return "", fmt.Errorf("%w: it is empty", ErrPermission)
	}
	return name, nil
}

func stringOf(v any) (name string, ok bool) {
	defer func() {
		if recover() != nil { // String of a nil pointer
			name, ok = "", false
		}
	}()
	if s, is := v.(fmt.Stringer); is {
		return s.String(), true
	}
	if value := reflect.ValueOf(v); value.Kind() == reflect.String {
		return value.String(), true
	}
	return "", false
}
