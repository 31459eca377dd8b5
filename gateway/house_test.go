package gateway_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// The credentials of the people in these tests.
const (
	jack    = "Authorization: Token jack-token" // basic, and a role that does not exist
	root    = "Authorization: Token root-token" // admin
	mallory = "Authorization: Token mallory-token"
	jackKey = "X-API-Key: jack-token"
)

// people are the identities that tokens prove. A token that is not among them is nobody's.
var people = map[string]gatehouse.Identity{
	"jack-token": {Value: "jack", Email: "jack@example.org", Roles: []string{"basic", "ghost"}, Scopes: []string{"films.read"}},
	"root-token": {Value: "root", Roles: []string{"admin", "basic"}},
	"odd-token":  {Value: "Jürgen Öhm"},
}

func lookup(_ context.Context, token string) (gatehouse.Identity, error) {
	if id, ok := people[token]; ok {
		return id, nil
	}
	return gatehouse.Identity{}, gatehouse.ErrCredential
}

// The rules of these tests. Their places are the routes' places.
var rules = []policy.Rule{
	{Path: "/public/**", Allow: policy.Anyone()},
	{Path: "/strict/**", Allow: policy.Anyone(), Strict: true},
	{Path: "/admin/**", Allow: policy.Role("admin")},
	{Path: "/keep/**", Allow: policy.Authenticated()},
	{Path: "/slash/**", Allow: policy.Authenticated(), AllowEncodedSlash: true},
	{Path: "/host", Host: "films.example", Allow: policy.Anyone()},
	{Path: "/films/{id}", Methods: []string{"GET"}, Allow: policy.Authenticated()},
	{Path: "/scoped", Allow: policy.Scope("films.write")},
	{Path: "/**", Allow: policy.Authenticated()},
}

var routes = []gateway.Route{3: {ForwardCredential: true}, 8: {}}

func newTable(t testing.TB, rules ...policy.Rule) *policy.Table {
	t.Helper()
	table, err := policy.New(policy.Config{Roles: policy.Roles{"basic": 1, "admin": 9}, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// guardConfig is the guard that the tests change where they need another.
func guardConfig(t testing.TB) guard.Config {
	table := newTable(t, rules...)
	return guard.Config{
		Carriers: []carrier.Carrier{carrier.Header("Token", lookup), carrier.NamedHeader("X-API-Key", lookup)},
		Policy:   guard.AsSubject{Table: table}, Rules: table, Logger: slog.New(slog.DiscardHandler),
	}
}

func newGuard(t testing.TB, c guard.Config) *guard.Guard {
	t.Helper()
	g, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A logBook is a log that a test can read while it is written.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A house is a proxy with an upstream behind it.
type house struct {
	addr string
	app  *app
	log  *logBook
	end  func() // ends the front and its connections to the upstream
}

// A plan is what a house is built from. Its zero value is the usual one.
type plan struct {
	reply    func(conn net.Conn, s seen) bool
	guard    func(*guard.Config)
	proxy    func(*gateway.ProxyConfig)
	upstream func(*gateway.Upstream)
	around   func(http.Handler) http.Handler
}

func origin(addr string) *url.URL { return &url.URL{Scheme: "http", Host: addr} }

// build starts the house.
func build(t testing.TB, p plan) *house {
	t.Helper()
	h := &house{app: startApp(t, p.reply), log: &logBook{}}
	config := guardConfig(t)
	config.Logger = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if p.guard != nil {
		p.guard(&config)
	}
	up := gateway.Upstream{Name: "app", URL: origin(h.app.addr)}
	if p.upstream != nil {
		p.upstream(&up)
	}
	pc := gateway.ProxyConfig{Guard: newGuard(t, config), Upstreams: []gateway.Upstream{up}, Routes: routes, Logger: config.Logger}
	if p.proxy != nil {
		p.proxy(&pc)
	}
	proxy, err := gateway.NewProxy(pc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	var handler http.Handler = proxy
	if p.around != nil {
		handler = p.around(proxy)
	}
	server := newServer(handler, h.log)
	server.Start()
	h.end = func() { server.Close(); proxy.Close() }
	t.Cleanup(h.end)
	h.addr = server.Listener.Addr().String()
	return h
}

// newServer returns a server that is not started yet, with the header limit that the binary has.
func newServer(handler http.Handler, log *logBook) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.Config.MaxHeaderBytes = 64 << 10
	server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(log, nil), slog.LevelWarn)
	return server
}

// reached sends a request and returns the one that the upstream saw.
func (h *house) reached(t testing.TB, raw string) seen {
	t.Helper()
	got := once(t, h.addr, raw)
	list := h.app.take()
	if got.status != http.StatusOK || len(list) != 1 {
		t.Fatalf("%q: answer %v, %d requests at the upstream, want 200 and one", firstLine(raw), got, len(list))
	}
	return list[0]
}

// refused sends a request that nothing of may reach the upstream.
func (h *house) refused(t testing.TB, raw string, want ...int) answer {
	t.Helper()
	got := once(t, h.addr, raw)
	if !slices.Contains(want, got.status) {
		t.Errorf("%q: answer %v, want %v", firstLine(raw), got, want)
	}
	if list := h.app.take(); len(list) != 0 {
		t.Errorf("%q: the upstream saw %q, want nothing", firstLine(raw), list[0].line())
	}
	return got
}

func firstLine(raw string) string {
	line, _, _ := strings.Cut(raw, "\r\n")
	return line
}

// only fails unless the request carries name exactly once, with this value, and no alias of it.
func only(t testing.TB, s seen, name, value string) {
	t.Helper()
	if got := s.all(name); len(got) != 1 || got[0] != value {
		t.Errorf("%s: %s = %q, want %q alone", s.line(), name, got, value)
	}
	if lines := s.like(name); len(lines) != 1 {
		t.Errorf("%s: %s also came as %q", s.line(), name, lines)
	}
}

// none fails if the request carries name in any spelling.
func none(t testing.TB, s seen, names ...string) {
	t.Helper()
	for _, name := range names {
		if lines := s.like(name); len(lines) != 0 {
			t.Errorf("%s: the upstream saw %q, want no %s", s.line(), lines, name)
		}
	}
}
