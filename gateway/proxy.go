package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/problem"
)

// A Route says where the requests of one rule go.
type Route struct {
	// Upstream is the name of an upstream. Empty means the only one.
	Upstream string
	// ForwardCredential leaves the credential in the request. The default is to remove it, because who holds it can be the caller. The guard's own
	// cookies are removed all the same: an application has no use for them, and what it logs would be a log-in.
	ForwardCredential bool
}

// A ProxyConfig is what a [Proxy] is made of.
type ProxyConfig struct {
	// Guard judges. Required, with rules: the application has none.
	Guard *guard.Guard
	// Upstreams are the applications. At least one is required.
	Upstreams []Upstream
	// Routes are the routes of the guard's rules, by [policy.Rule.Index]. Rules beyond its end, and requests that no rule matched but
	// that may pass all the same, go to the only upstream.
	Routes []Route
	// Identity names the identity headers.
	Identity IdentityHeaders
	// Trusted are the proxies in front. Nil: none.
	Trusted *Trusted
	// Logger gets the failures of upstreams. Nil means slog.Default.
	Logger *slog.Logger
}

// A Proxy is a reverse proxy behind a guard. It is safe for concurrent use.
type Proxy struct {
	guard     *guard.Guard
	handler   http.Handler
	upstreams map[string]*upstream
	only      *upstream
	routes    []Route
	identity  IdentityHeaders
	trusted   *Trusted
	logger    *slog.Logger
}

// NewProxy returns a proxy. It fails if an upstream is malformed or a route leads nowhere.
func NewProxy(c ProxyConfig) (*Proxy, error) {
	if err := checkGuard(c.Guard); err != nil {
		return nil, err
	}
	if len(c.Upstreams) == 0 {
		return nil, errors.New("gateway: a proxy needs an upstream")
	}
	p := &Proxy{guard: c.Guard, upstreams: map[string]*upstream{}, routes: c.Routes, trusted: c.Trusted, logger: c.Logger}
	if p.logger == nil {
		p.logger = slog.Default()
	}
	var err error
	if p.identity, err = c.Identity.withDefaults(); err != nil {
		return nil, err
	}
	for _, u := range c.Upstreams {
		up, err := newUpstream(u)
		if err != nil {
			return nil, err
		}
		if p.upstreams[u.Name] != nil {
			return nil, fmt.Errorf("gateway: two upstreams are called %q", u.Name)
		}
		p.upstreams[u.Name] = up
		p.only = up
	}
	if len(c.Upstreams) > 1 {
		p.only = nil
	}
	for i, r := range c.Routes {
		if r.Upstream == "" && p.only == nil || r.Upstream != "" && p.upstreams[r.Upstream] == nil {
			return nil, fmt.Errorf("gateway: route %d: there is no upstream %q", i, r.Upstream)
		}
	}
	p.handler = p.guard.Handler(http.HandlerFunc(p.forward))
	return p, nil
}

// checkGuard refuses a guard that leaves the decision to handlers: here there are none, and every request would pass.
func checkGuard(g *guard.Guard) error {
	if !g.Enforces() {
		return errors.New("gateway: the guard has no rules and would let every request pass: make it with guard.New, and give guard.Config its Rules or set DefaultDeny")
	}
	return nil
}

// ServeHTTP judges r and forwards it if it may pass.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if conflict := p.trusted.checkForwarded(r); conflict != nil {
		p.guard.Refuse(r, conflict)
		p.guard.Answers().Write(w, r, conflict)
		return
	}
	p.handler.ServeHTTP(w, r)
}

// Close closes the connections to upstreams that are not in use.
func (p *Proxy) Close() {
	for _, u := range p.upstreams {
		u.transport.CloseIdleConnections()
	}
}

// forward sends a request that may pass to its upstream.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	v := guard.FromContext(r.Context())
	if !v.Allowed() {
		p.fail(w, r, problem.Wrap(problem.Unavailable, errors.New("a request reached the proxy without a verdict")))
		return
	}
	route, up := p.route(v)
	if up == nil {
		p.fail(w, r, problem.New(problem.NotFound))
		return
	}
	header := http.Header{}
	if err := p.identity.set(header, v.Principal, p.guard.Rules().Roles(), false); err != nil {
		p.fail(w, r, problem.Wrap(problem.Unavailable, err))
		return
	}
	// ReverseProxy clears the answer's header after an informational response, so ours wait outside until the answer comes.
	ours := w.Header().Clone()
	clear(w.Header())
	body := &watchedBody{ReadCloser: r.Body}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = body
		// An upstream may begin its answer before it has read the request. Over HTTP/1 net/http would then throw away what has not been read: the
		// upstream would get a part of the body. An error means that there is no need, as over HTTP/2, or no way.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	proxy := httputil.ReverseProxy{
		Transport:  up.transport,
		BufferPool: buffers,
		ErrorLog:   log.New(errorLog{p.logger}, "", 0),
		Rewrite: func(pr *httputil.ProxyRequest) {
			p.rewrite(pr, v, route, up)
			maps.Copy(pr.Out.Header, header)
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode < 100 || resp.StatusCode > 999 { // what net/http reads, and panics rather than writes
				return fmt.Errorf("it answered with the status %d, which there is not", resp.StatusCode)
			}
			dropCookies(resp.Header, p.guard)
			mergeAnswer(resp.Header, ours)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			clear(w.Header())
			maps.Copy(w.Header(), ours)
			if errors.Is(r.Context().Err(), context.Canceled) { // by the client: nobody reads the answer, and nothing is wrong with the upstream
				p.logger.LogAttrs(r.Context(), slog.LevelDebug, "the client went away", slog.String("upstream", up.name))
				p.guard.Answers().Write(w, r, problem.New(problem.UpstreamUnreachable))
				return
			}
			p.fail(w, r, upstreamProblem(up, err, body.failure()))
		},
	}
	proxy.ServeHTTP(&earlyWriter{w, p.guard}, r)
	dropTrailingCookies(w.Header())
}

func (p *Proxy) route(v *guard.Verdict) (Route, *upstream) {
	if v.Rule == nil || v.Rule.Index() >= len(p.routes) {
		return Route{}, p.only
	}
	route := p.routes[v.Rule.Index()]
	if route.Upstream == "" {
		return route, p.only
	}
	return route, p.upstreams[route.Upstream]
}

// rewrite makes the outgoing request what was judged. Hop-by-hop fields are gone by now, so nothing that is set here can be named by Connection.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest, v *guard.Verdict, route Route, up *upstream) {
	in, out := pr.In, pr.Out
	path, err := url.PathUnescape(v.Request.Path)
	if err != nil {
		path = "" // cannot be: the path is canonical. An empty path would be refused by any upstream rather than read as another.
	}
	out.URL = &url.URL{Scheme: up.scheme, Host: up.host, Path: path, RawPath: v.Request.Path, RawQuery: in.URL.RawQuery, ForceQuery: in.URL.ForceQuery}
	out.Host = withPort(v.Request.Host, in.Host)
	p.identity.clean(out.Header)
	if !route.ForwardCredential {
		p.guard.Strip(out.Header)
	}
	removeCookies(out.Header, p.guard)
	if !strings.EqualFold(out.Header.Get("Upgrade"), "websocket") {
		// Whatever else is spoken on the connection then, such as h2c, could carry requests that nobody has judged.
		out.Header.Del("Upgrade")
		out.Header.Del("Connection")
	}
	p.setForwarded(in, out)
	p.passTrailers(in, out)
}

// setForwarded writes the forwarding headers anew, keeping what trusted proxies said.
func (p *Proxy) setForwarded(in, out *http.Request) {
	peer := guard.PeerAddr(in)
	chain, proto := "", "http"
	if in.TLS != nil {
		proto = "https"
	}
	if p.trusted.Trusts(peer) {
		chain = strings.Join(in.Header["X-Forwarded-For"], ", ")
		if said := in.Header.Get("X-Forwarded-Proto"); said != "" {
			proto = said
		}
	}
	if peer.IsValid() {
		if chain != "" {
			chain += ", "
		}
		chain += peer.String()
		out.Header.Set("X-Real-Ip", p.trusted.ClientAddr(in).String())
	}
	if chain != "" {
		out.Header.Set("X-Forwarded-For", chain)
	}
	out.Header.Set("X-Forwarded-Proto", proto)
	out.Header.Set("X-Forwarded-Host", out.Host)
	if id := guard.RequestID(in); id != "" {
		out.Header.Set("X-Request-Id", id)
	}
}

// passTrailers forwards the trailer fields that were announced, but for those that a client may not send.
func (p *Proxy) passTrailers(in, out *http.Request) {
	trailer := in.Trailer.Clone()
	p.identity.clean(trailer)
	p.guard.Strip(trailer)
	delete(trailer, "Authorization")
	delete(trailer, "Cookie")
	out.Trailer = nil
	if len(trailer) == 0 || out.Body == nil {
		return
	}
	out.Trailer = trailer
	out.Body = &trailerBody{out.Body, in, trailer}
}

// A trailerBody fills in the outgoing trailer fields once the incoming body has ended and they are known.
type trailerBody struct {
	io.ReadCloser
	in  *http.Request
	out http.Header
}

func (b *trailerBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if err == io.EOF {
		for name := range b.out {
			b.out[name] = b.in.Trailer[name]
		}
	}
	return n, err
}

// withPort returns the canonical host with the port that the client named.
func withPort(host, raw string) string {
	_, port, err := net.SplitHostPort(raw)
	switch {
	case err == nil && port != "":
		return net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		return "[" + host + "]"
	}
	return host
}

// mergeAnswer adds our fields to the upstream's answer. Where both speak, ours count; Vary and Set-Cookie are for both to say. A guard with a list of origins
// says Vary: Origin on every answer: then nobody else decides who may read it, whether or not this origin is in the list.
func mergeAnswer(answer, ours http.Header) {
	if slices.Contains(ours["Vary"], "Origin") {
		for name := range answer {
			if strings.HasPrefix(name, "Access-Control-") {
				delete(answer, name)
			}
		}
	}
	for name, values := range ours {
		if name == "Vary" || name == "Set-Cookie" {
			values = append(answer[name], values...)
		}
		answer[name] = values
	}
}

// fail answers with p and logs what the operator must know.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, problem *problem.Problem) {
	p.guard.Answers().Log(r, problem)
	p.guard.Answers().Write(w, r, problem)
}

// A watchedBody remembers what was wrong with the client's body, so that the upstream is not blamed for it.
type watchedBody struct {
	io.ReadCloser
	err atomic.Pointer[error]
}

func (b *watchedBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if err != nil && err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) { // closed: the transport has given up by itself
		b.err.CompareAndSwap(nil, &err)
	}
	return n, err
}

func (b *watchedBody) failure() error {
	if err := b.err.Load(); err != nil {
		return *err
	}
	return nil
}

// upstreamProblem says why there is no answer. body is what was wrong with the client's body, or nil.
func upstreamProblem(up *upstream, err, body error) *problem.Problem {
	if _, ok := errors.AsType[*http.MaxBytesError](body); body != nil && !ok {
		return problem.New(problem.BrokenBody)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.New(problem.BodyTooLarge)
	}
	cause := fmt.Errorf("upstream %s: %s", up.name, unquoted(err.Error()))
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return problem.Wrap(problem.UpstreamTimeout, cause)
	}
	return problem.Wrap(problem.UpstreamUnreachable, cause)
}

// unquoted cuts text where it begins to quote. What net/http quotes in its errors was sent by the client (a broken trailer) or by the upstream (a
// broken head), and may be a credential.
func unquoted(text string) string {
	said, _, quotes := strings.Cut(text, `"`)
	if quotes {
		return said + "(not shown)"
	}
	return said
}

// An errorLog takes what ReverseProxy prints, as it takes the errors of upstreams.
type errorLog struct{ log *slog.Logger }

// Write logs one message.
func (e errorLog) Write(p []byte) (int, error) {
	e.log.LogAttrs(context.Background(), slog.LevelDebug, "reverse proxy", slog.String("detail", unquoted(strings.TrimRight(string(p), "\n"))))
	return len(p), nil
}

// buffers are the buffers of all bodies that are being copied.
var buffers = &bufferPool{sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}}

type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() []byte { return *p.pool.Get().(*[]byte) }

func (p *bufferPool) Put(b []byte) { p.pool.Put(&b) }
