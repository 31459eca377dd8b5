// Package api is the HTTP surface of the main listener: Gatehouse's own paths, forward-auth, and the application behind.
//
//	GET  /ping                   only without an upstream; guarded by rules of its own
//	     /authz/{dialect}        forward-auth
//	POST /oauth/token            tokens for clients, renewed log-ins (RFC 6749, RFC 7523)
//	POST /oauth/introspect       what a token says, if it counts (RFC 7662)
//	POST /oauth/revoke           ends a token, or a log-in (RFC 7009)
//	GET  /oauth/revocations      the feed of what is revoked, for revoke.Follow
//	GET  /.well-known/jwks.json  the public keys
//	     everything else         the application behind the gate, or nothing
//
// A prefix moves all but the last. Their rules stand apart from the application's, so that neither can open the other.
//
// What stands below /oauth is for programs, and answers errors as OAuth does: {"error": …, "error_description": …} (RFC 6749, section 5.2), where error is a code that stays. What the
// guard in front refuses (a target that is not canonical, an address that was refused too often, the method) is a problem, as everywhere.
package api

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// OwnRules are the rules of the server's own paths below prefix. Those of tokens let everybody pass, with every method: what stands there authenticates clients itself, and says which
// method it takes to strangers as well.
func OwnRules(prefix string) []policy.Rule {
	rules := []policy.Rule{{Name: "ping", Methods: []string{http.MethodGet}, Path: prefix + "/ping", Allow: policy.Authenticated()}}
	for _, path := range tokenPaths {
		rules = append(rules, policy.Rule{Name: path[1:], Path: prefix + path, Allow: policy.Anyone()})
	}
	return rules
}

// tokenPaths are the paths below the prefix that are served where there are tokens.
var tokenPaths = []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/revocations", "/.well-known/jwks.json"}

// Reserved says why a rule must not have the path pattern, or returns "". Patterns that merely reach over one of our paths are fine: they are
// never asked about it.
func Reserved(pattern, prefix string, hasUpstream, hasTokens bool) string {
	switch {
	case pattern == prefix+"/authz" || strings.HasPrefix(pattern, prefix+"/authz/"):
		return "Gatehouse answers forward-auth there itself; set server.prefix to move it"
	case hasTokens && (pattern == prefix+"/oauth" || strings.HasPrefix(pattern, prefix+"/oauth/") || pattern == prefix+"/.well-known/jwks.json"):
		return "Gatehouse serves clients and the keys of its tokens there itself; set server.prefix to move it"
	case pattern == prefix+"/ping" && !hasUpstream:
		return "Gatehouse answers it itself as long as there is no upstream; set server.prefix to move it"
	}
	return ""
}

// A Config is what the main handler is made of.
type Config struct {
	Prefix string
	// Own judges the server's own paths, App everything else. Both are required.
	Own, App *guard.Guard
	// Proxy forwards what App lets pass. Nil: there is no upstream, and /ping is served.
	Proxy http.Handler
	// Authz answers forward-auth. Required.
	Authz http.Handler
	// Tokens says that tokens are made and verified here, so that there is /oauth; see [Handler.Open].
	Tokens bool
}

// A Handler serves the main listener.
type Handler struct {
	c         Config
	own, none http.Handler
	tokens    map[string]http.Handler // below /oauth, by path; nil until Open
}

// New returns the main handler.
func New(c Config) *Handler {
	h := &Handler{c: c, none: c.App.Handler(http.HandlerFunc(nothing(c.App)))}
	h.own = c.Own.Handler(http.HandlerFunc(h.serveOwn))
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Opaque == "" && strings.HasPrefix(r.URL.Path, h.c.Prefix+"/authz/"):
		h.c.Authz.ServeHTTP(w, r)
	case h.IsOwn(r):
		h.own.ServeHTTP(w, r)
	case h.c.Proxy != nil:
		h.c.Proxy.ServeHTTP(w, r)
	default:
		h.none.ServeHTTP(w, r)
	}
}

// IsOwn reports whether r is for one of the server's own paths, so that their rules judge it.
func (h *Handler) IsOwn(r *http.Request) bool {
	path, below := strings.CutPrefix(r.URL.Path, h.c.Prefix)
	return below && (h.c.Proxy == nil && path == "/ping" || h.c.Tokens && slices.Contains(tokenPaths, path))
}

// Open makes the handler serve /oauth. It must be called before the first request; until then these paths answer 503.
func (h *Handler) Open(c OAuthConfig) { h.tokens = c.handlers(h.c.Prefix) }

// serveOwn serves the server's own paths, behind their guard.
func (h *Handler) serveOwn(w http.ResponseWriter, r *http.Request) {
	switch handler := h.tokens[r.URL.Path]; {
	case handler != nil:
		handler.ServeHTTP(w, r)
	case r.URL.Path == h.c.Prefix+"/ping":
		ping(w, r)
	default:
		h.c.Own.Answers().Write(w, r, problem.New(problem.Unavailable))
	}
}

// ping tells a caller with a valid credential that the server is there.
func ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, `{"text":"pong","status":"success"}`)
}

// nothing answers requests that may pass where there is nothing to pass to.
func nothing(g *guard.Guard) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.Answers().Write(w, r, &problem.Problem{Code: problem.NotFound, Detail: "The rules let this request pass, but no upstream is configured to pass it to."})
	}
}
