package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/problem"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// Rights are what a client may do beyond getting tokens for itself.
const (
	MayIntrospect = "introspect" // ask about every token, not only its own
	MayRevoke     = "revoke"     // revoke every token, not only its own
	MayFollow     = "follow"     // read the feed of revocations
)

// A Client is a registered client and what it may do.
type Client struct {
	token.Client
	May []string
}

// may reports whether the client has a right.
func (c Client) may(right string) bool { return slices.Contains(c.May, right) }

// OAuthConfig is what the endpoints below /oauth are made of.
type OAuthConfig struct {
	// Client returns the client called id. The error wraps token.ErrClient if there is none; any other means that it could not be found out. Required.
	Client func(ctx context.Context, id string) (Client, error)
	// Assertions verifies what clients sign. Access mints their tokens. Required.
	Assertions *token.Assertions
	Access     *token.Minter
	// Refresh renews log-ins. Nil: there is no refresh grant.
	Refresh *token.Families
	// Verifiers look at the tokens of every purpose, without using them up. Bearer knows access tokens alone. Required.
	Verifiers []Peeker
	Bearer    *token.Verifier
	// Foreign look at the access tokens that others have made. Their clients are not ours, whatever they are called.
	Foreign []Peeker
	// Revocations takes what is revoked and tells the followers. Required.
	Revocations *revoke.List
	// Feed serves the feed to clients that may follow. Required.
	Feed http.Handler
	// Rings are those whose public keys everybody may know.
	Rings []*keyring.Ring
	// Guard counts and logs refusals. Required.
	Guard *guard.Guard
	// Logger gets which client got, renewed and revoked what, and who was refused, each with the request's id. Nil means the guard's.
	Logger *slog.Logger
	// Now is the clock. Required.
	Now func() time.Time
}

// A Peeker looks at the tokens of one purpose without using them up: a *token.Verifier, or *token.Families.
type Peeker interface {
	// Peek returns what a token says that counts.
	Peek(ctx context.Context, text string) (token.Claims, error)
	// PeekRevoked returns what a token says that may have been revoked.
	PeekRevoked(ctx context.Context, text string) (token.Claims, error)
}

// oauth serves the endpoints.
type oauth struct{ OAuthConfig }

// handlers returns what serves each path below the prefix.
func (c OAuthConfig) handlers(prefix string) map[string]http.Handler {
	o := &oauth{c}
	return map[string]http.Handler{
		prefix + "/oauth/token":           o.form(o.token),
		prefix + "/oauth/introspect":      o.form(o.introspect),
		prefix + "/oauth/revoke":          o.form(o.revoke),
		prefix + "/oauth/revocations":     o.endpoint(o.follow, http.MethodGet, http.MethodHead),
		prefix + "/.well-known/jwks.json": o.endpoint(o.keys(), http.MethodGet, http.MethodHead),
	}
}

// endpoint makes a handler of f, which takes these methods alone. Its error is the answer. Nothing is cached unless f says so (RFC 6749, section 5.1).
func (o *oauth) endpoint(f func(http.ResponseWriter, *http.Request) error, methods ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(methods, r.Method) {
			p := &problem.Problem{Code: problem.MethodNotAllowed, Allow: methods}
			o.Guard.Refuse(r, p)
			o.Guard.Answers().Write(w, r, p)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := f(w, r); err != nil {
			o.fail(w, r, err)
		}
	})
}

// form makes a handler of f, which takes its parameters from a form in the body.
func (o *oauth) form(f func(http.ResponseWriter, *http.Request, url.Values) error) http.Handler {
	return o.endpoint(func(w http.ResponseWriter, r *http.Request) error {
		form, err := readForm(w, r)
		if err != nil {
			return err
		}
		return f(w, r, form)
	}, http.MethodPost)
}
