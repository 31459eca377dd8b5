// Package api is the HTTP surface of the main listener: Gatehouse's own paths, forward-auth, and the application behind.
//
//	GET /ping                  only without an upstream; guarded by rules of its own
//	    /authz/{dialect}       forward-auth
//	    everything else        the application behind the gate, or nothing
//
// A prefix moves the first two. Their rules stand apart from the application's, so that neither can open the other.
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

// OwnRules are the rules of the server's own paths below prefix.
func OwnRules(prefix string) []policy.Rule {
	rules := []policy.Rule{{Name: "ping", Methods: []string{http.MethodGet}, Path: prefix + "/ping", Allow: policy.Authenticated()}}
	for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} { // each authenticates clients itself
		rules = append(rules, policy.Rule{Name: path[1:], Methods: []string{http.MethodPost}, Path: prefix + path, Allow: policy.Anyone()})
	}
	for _, path := range []string{"/oauth/revocations", "/.well-known/jwks.json"} {
		rules = append(rules, policy.Rule{Name: path[1:], Methods: []string{http.MethodGet}, Path: prefix + path, Allow: policy.Anyone()})
	}
	return rules
}

// ownPaths are the paths below the prefix that are served where there are tokens.
var ownPaths = []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/revocations", "/.well-known/jwks.json"}

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
	return below && (h.c.Proxy == nil && path == "/ping" || h.c.Tokens && slices.Contains(ownPaths, path))
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
