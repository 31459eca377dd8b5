package guard

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/session"
)

// An exchange is a request that a guard judges, and its answer. It is the request's context as well, which knows the verdict, the principal and the
// session: one allocation for all of them. A nil exchange is a request that no guard has judged.
type exchange struct {
	context.Context
	guard    *Guard
	outer    *exchange // of the guard around, or nil
	verdict  Verdict
	identity gatehouse.Identity // what the carriers found; its Value is empty for the anonymous caller
	allowed  bool               // the verdict is complete, and the request may pass
	kept     *kept              // nil without a carrier that keeps something
	judged   *http.Request      // as it came
}

// kept is what is stored before the answer begins.
type kept struct {
	session session.Session
	opens   bool             // the guard has a session carrier of its own, so that session is the request's
	keepers []carrier.Keeper // those that no guard around has
	writer  keptWriter
}

// newKept returns what x keeps, or nil if it keeps nothing. What a guard around keeps, that one keeps.
func newKept(x *exchange) *kept {
	g := x.guard
	if g.keepers == nil {
		return nil
	}
	if x.outer == nil {
		return &kept{opens: g.sessions != nil, keepers: g.keepers}
	}
	k := &kept{opens: g.sessions != nil && !x.inherits(g.sessions)}
	for _, c := range g.carriers {
		if keeper, ok := c.Carrier.(carrier.Keeper); ok && !x.inherits(c.Carrier) {
			k.keepers = append(k.keepers, keeper)
		}
	}
	if k.keepers == nil {
		return nil
	}
	return k
}

// Value implements [context.Context].
func (x *exchange) Value(key any) any {
	switch key {
	case exchangeKey:
		return x
	case verdictKey:
		if x.allowed { // hooks that are asked while the verdict is made must not find it
			return &x.verdict
		}
		return nil
	case gatehouse.PrincipalKey:
		return &x.verdict.Principal
	}
	if x.kept != nil && x.kept.opens && x.kept.session.Answers(key) {
		return &x.kept.session
	}
	return x.Context.Value(key)
}

// exchangeOf returns the exchange of the innermost guard that ctx has passed, or nil.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey).(*exchange)
	return x
}

// exchangeFor returns the exchange of r that v is the verdict of, or nil if v is made for a front.
func exchangeFor(r *http.Request, v *Verdict) *exchange {
	if x := exchangeOf(r.Context()); x != nil && &x.verdict == v {
		return x
	}
	return nil
}

// passed reports whether the request has been judged by g.
func (x *exchange) passed(g *Guard) bool { return x.of(g) != nil }

// of returns the exchange of g, or nil.
func (x *exchange) of(g *Guard) *exchange {
	for ; x != nil; x = x.outer {
		if x.guard == g {
			return x
		}
	}
	return nil
}

// covers reports whether g has judged r, and has not to judge it again. A request that a handler has made, with the context of its own, is another one, which rules may
// refuse. One whose path a mux has cut is not.
func (x *exchange) covers(g *Guard, r *http.Request) bool {
	x = x.of(g)
	if x == nil {
		return false
	}
	return g.open || x.judged.Method == r.Method && x.judged.Host == r.Host && x.judged.RequestURI == r.RequestURI
}

// principal returns who the exchange's guard has found, the anonymous principal of a nil exchange.
func (x *exchange) principal() gatehouse.Principal {
	if x == nil {
		return gatehouse.Anonymous()
	}
	return x.verdict.Principal
}

// inherited returns the identity that a guard around has found, and whether there is one.
func (x *exchange) inherited() (gatehouse.Identity, bool) {
	if x == nil || x.outer == nil {
		return gatehouse.Identity{}, false
	}
	return x.outer.identity, x.outer.identity.Value != ""
}

// inherits reports whether a guard around has asked c already.
func (x *exchange) inherits(c carrier.Carrier) bool {
	if x == nil || x.outer == nil || !reflect.TypeOf(c).Comparable() {
		return false
	}
	for outer := x.outer; outer != nil; outer = outer.outer {
		for _, other := range outer.guard.carriers {
			if reflect.TypeOf(other.Carrier).Comparable() && other.Carrier == c {
				return true
			}
		}
	}
	return false
}

// unknown returns why the guards around do not know the caller, if it is for another reason than that there is no credential.
func (x *exchange) unknown() error {
	for y := x.outer; y != nil; y = y.outer {
		if err := y.verdict.unknown; err != nil && !errors.Is(err, gatehouse.ErrAnonymous) {
			return err
		}
	}
	return nil
}

// serve lets next answer a request that may pass.
func (x *exchange) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if x.kept == nil {
		next.ServeHTTP(w, r)
		return
	}
	x.kept.writer = keptWriter{ResponseWriter: w, exchange: x, request: r}
	next.ServeHTTP(&x.kept.writer, r)
	x.kept.writer.finish()
}
