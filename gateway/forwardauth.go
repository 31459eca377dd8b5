package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// A ForwardAuthConfig is what a [ForwardAuth] is made of.
type ForwardAuthConfig struct {
	// Guard judges. Required, with rules: nobody else would refuse anything.
	Guard *guard.Guard
	// Trusted are the proxies that may ask. Nil: nobody may.
	Trusted *Trusted
	// Identity names the identity headers of the answers.
	Identity IdentityHeaders
	// Prefix is the path below which the dialects are, say "/authz". Empty means that.
	Prefix string
	// Deadline bounds the time of an answer, since no proxy does: look-ups must end when their context does. Zero means 5 s.
	Deadline time.Duration
}

// ForwardAuth answers proxies that ask whether a request may pass: at <prefix>/nginx, /caddy, /traefik, /haproxy, and at /envoy with the path of
// the request behind it. It judges the forwarded request only, never the question. It is safe for concurrent use.
type ForwardAuth struct {
	guard    *guard.Guard
	trusted  *Trusted
	identity IdentityHeaders
	prefix   string
	deadline time.Duration
}

// NewForwardAuth returns the answering side of forward-auth.
func NewForwardAuth(c ForwardAuthConfig) (*ForwardAuth, error) {
	if err := checkGuard(c.Guard); err != nil {
		return nil, err
	}
	if c.Prefix != "" && (c.Prefix[0] != '/' || path.Clean(c.Prefix) != c.Prefix || c.Prefix == "/") {
		return nil, fmt.Errorf("gateway: forward-auth: the prefix is %q: write a path such as /authz, without a slash at its end", c.Prefix)
	}
	identity, err := c.Identity.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &ForwardAuth{guard: c.Guard, trusted: c.Trusted, identity: identity, prefix: c.Prefix, deadline: or(c.Deadline, 5*time.Second)}
	if f.prefix == "" {
		f.prefix = "/authz"
	}
	return f, nil
}

// Dialects are the proxies whose way of asking is known.
var Dialects = []string{"nginx", "caddy", "traefik", "envoy", "haproxy"}

// ServeHTTP answers one question. The status is 200 exactly if the forwarded request may pass. The fields of the answer then are the identity headers, all of them,
// and Cookie: what the application may get of the client's cookies, empty if that is none.
func (f *ForwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	dialect, rest, _ := strings.Cut(strings.TrimPrefix(rawPath(r), f.prefix+"/"), "/")
	if !slices.Contains(Dialects, dialect) || dialect != "envoy" && rest != "" {
		f.refuse(w, r, dialect, f.guard.Refuse(r, problem.New(problem.NotFound)))
		return
	}
	if !f.trusted.Trusts(guard.PeerAddr(r)) {
		f.refuse(w, r, dialect, f.guard.Refuse(r, problem.New(problem.UntrustedProxy)))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.deadline)
	defer cancel()
	asked, p := f.asked(ctx, r, dialect)
	if p != nil {
		f.refuse(w, r, dialect, f.guard.Refuse(r, p))
		return
	}
	v := f.guard.Judge(asked)
	if !v.Allowed() {
		f.refuse(w, r, dialect, v)
		return
	}
	if err := f.identity.set(w.Header(), v.Principal, f.guard.Rules().Roles(), true); err != nil {
		f.refuse(w, r, dialect, f.guard.Refuse(asked, problem.Wrap(problem.Unavailable, err)))
		return
	}
	f.guard.Discard(w, asked, v)
	w.Header().Set("Cookie", othersCookies(r.Header, f.guard))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// rawPath returns the path of the question as it was sent: of Envoy's questions the rest of it must be judged undecoded.
func rawPath(r *http.Request) string {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	if raw == "" || raw[0] != '/' {
		return r.URL.EscapedPath()
	}
	return raw
}

// refuse answers a question with no, in a way that the dialect's proxy understands.
func (f *ForwardAuth) refuse(w http.ResponseWriter, r *http.Request, dialect string, v *guard.Verdict) {
	answers, p := f.guard.Answers(), v.Problem
	status := answers.StatusOf(p.Code)
	for _, name := range []string{f.identity.User, f.identity.Groups, f.identity.Email} {
		w.Header().Set(name, "")
	}
	f.guard.Discard(w, r, v)
	w.Header().Set("X-Gatehouse-Code", string(p.Code))
	if dialect == "nginx" && status < 500 && status != http.StatusUnauthorized {
		status = http.StatusForbidden // to auth_request anything else is an error of the server
	}
	answers.WriteStatus(w, r, p, status)
}

// asked builds the request that the question is about. Everything that describes it must be there exactly once.
func (f *ForwardAuth) asked(ctx context.Context, r *http.Request, dialect string) (*http.Request, *problem.Problem) {
	if dialect == "envoy" {
		return build(ctx, r, r.Method, r.Host, strings.TrimPrefix(r.RequestURI, f.prefix+"/envoy"))
	}
	method, okM := single(r.Header, "X-Forwarded-Method")
	host, okH := single(r.Header, "X-Forwarded-Host")
	uri, okU := single(r.Header, "X-Forwarded-Uri")
	proto, okP := single(r.Header, "X-Forwarded-Proto")
	if !okM || !okH || !okU || len(r.Header["X-Forwarded-Proto"]) > 0 && (!okP || !isWebScheme(proto)) {
		return nil, problem.New(problem.BadForward)
	}
	if contradicted(r.Header, method, host, uri) {
		return nil, problem.New(problem.ConflictingForward)
	}
	return build(ctx, r, method, host, uri)
}

// single returns the value of a field that must be there once, as one value.
func single(h http.Header, name string) (string, bool) {
	values := h[name]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	// A path may contain commas; a method, a host and a scheme that do are two values that some hop has joined.
	return values[0], name == "X-Forwarded-Uri" || !strings.Contains(values[0], ",")
}

// contradicted reports whether another family of headers, set by a client or another proxy, describes a different request.
func contradicted(h http.Header, method, host, uri string) bool {
	for name, values := range h {
		for _, value := range values {
			switch carrier.FoldName(name) {
			case "X-Original-Method":
				if value != method {
					return true
				}
			case "X-Original-Host":
				if !strings.EqualFold(value, host) {
					return true
				}
			case "X-Original-Url", "X-Original-Uri", "X-Rewrite-Url":
				if _, rest, ok := strings.Cut(value, "://"); ok && value[0] != '/' {
					value = strings.TrimPrefix(rest, host)
				}
				if value != uri {
					return true
				}
			}
		}
	}
	return false
}

// build returns the request that the question r is about.
func build(ctx context.Context, r *http.Request, method, host, uri string) (*http.Request, *problem.Problem) {
	if method == "" || host == "" {
		return nil, problem.New(problem.BadForward)
	}
	// A space ends a target for some proxies and is part of it for others. A list that a hop has joined contains one as well.
	u, err := url.ParseRequestURI(uri)
	if err != nil || !strings.HasPrefix(uri, "/") || strings.ContainsAny(uri, " \t") {
		return nil, problem.Wrap(problem.BadTarget, errors.New("the forwarded URI is not a path"))
	}
	asked := (&http.Request{
		Method: method, URL: u, RequestURI: uri, Host: host, Header: asWebSocket(r.Header), RemoteAddr: r.RemoteAddr, TLS: r.TLS,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, Body: http.NoBody,
	}).WithContext(ctx)
	return asked, nil
}
