package guard_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/policy"
)

// tokens is the look-up of most tests: who has which token.
var tokens = map[string]gatehouse.Identity{
	"token1":     {Value: "jack", Roles: []string{"basic"}, Scopes: []string{"films.read"}, TokenID: "first"},
	"token2":     {Value: "jack", Roles: []string{"basic"}, TokenID: "second"},
	"fake-token": {Value: "fake-uuid"},
	"admin":      {Value: "ann", Roles: []string{"admin"}},
	"odd":        {Value: "oddjob", Roles: []string{"root", "Admin", "", "admin "}, Scopes: []string{"", "films"}},
	"other":      {Value: "mallory"},
}

func lookup(_ context.Context, token string) (gatehouse.Identity, error) {
	if id, ok := tokens[token]; ok {
		return id, nil
	}
	return gatehouse.Identity{}, gatehouse.ErrCredential
}

// who answers with the caller's subject, "-" for the anonymous one, and the method that it saw.
var who = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	p := gatehouse.FromContext(r.Context())
	subject := p.Subject
	if p.IsAnonymous() {
		subject = "-"
	}
	w.Header().Set("X-Next", r.Method)
	fmt.Fprint(w, subject)
})

// rules compiles a table and stops the test on a fault.
func rules(t testing.TB, c policy.Config) *policy.Table {
	t.Helper()
	table, err := policy.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// make returns a guard and stops the test on a fault.
func makeGuard(t testing.TB, c guard.Config) *guard.Guard {
	t.Helper()
	if c.Carriers == nil {
		c.Carriers = []carrier.Carrier{carrier.Header("Token", lookup)}
	}
	if c.Policy == nil {
		c.Policy = guard.AsSubject{Table: c.Rules}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	g, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// tokenAuth is TokenAuth with the tokens of the tests and a quiet log.
func tokenAuth(t testing.TB, options ...guard.Option) *guard.Guard {
	t.Helper()
	g, err := guard.TokenAuth(lookup, append([]guard.Option{guard.Logger(slog.New(slog.DiscardHandler))}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// everyRule is a table with a rule of each kind, at paths that say what they are.
func everyRule(t testing.TB) *policy.Table {
	return rules(t, policy.Config{
		Roles: policy.Roles{"basic": 1, "premium": 5, "admin": 9}, Permissions: policy.Permissions{"basic": {"films.read"}, "admin": {"films.*"}},
		Rules: []policy.Rule{
			{Path: "/public", Allow: policy.Anyone()},
			{Path: "/strict", Allow: policy.Anyone(), Strict: true},
			{Path: "/known", Allow: policy.Authenticated()},
			{Path: "/nobody", Allow: policy.Nobody()},
			{Path: "/basic", Allow: policy.Role("basic")},
			{Path: "/premium", Allow: policy.Role("premium")},
			{Path: "/admin", Allow: policy.Role("admin")},
			{Path: "/scope", Allow: policy.Scope("films.read")},
			{Path: "/both", Allow: policy.Scope("films.read", "films.write")},
			{Path: "/permission", Allow: policy.Permission("films.read")},
			{Path: "/delete", Allow: policy.Permission("films.delete")},
			{Path: "/either", Allow: policy.Any(policy.Role("admin"), policy.Permission("films.read"))},
			{Path: "/get", Methods: []string{"GET"}, Allow: policy.Authenticated()},
			{Path: "/post", Methods: []string{"POST"}, Allow: policy.Authenticated()},
		},
	})
}

// An answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

// code returns the problem's code, or "".
func (a answer) code() string {
	var b struct{ Code string }
	if a.header.Get("Content-Type") != "application/problem+json" || json.Unmarshal([]byte(a.body), &b) != nil {
		return ""
	}
	return b.Code
}

// reached reports whether the request came through to the handler.
func (a answer) reached() bool { return a.header.Get("X-Next") != "" }

// get serves one request in memory. The headers are pairs of name and value; a name may stand there more than once.
func get(h http.Handler, method, target string, headers ...string) answer {
	return send(h, httptest.NewRequest(method, target, nil), headers...)
}

func send(h http.Handler, r *http.Request, headers ...string) answer {
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}

// serve starts a real server for h and returns its address.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.DisableGeneralOptionsHandler = true // or net/http answers OPTIONS * by itself
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// A wire is a raw connection, for what no client library sends.
type wire struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dial(t testing.TB, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &wire{t, conn, bufio.NewReader(conn)}
}

// send writes text as it is. A server that has answered may have closed the connection, so a failed write is no failure of the test.
func (c *wire) send(text string) { _, _ = io.WriteString(c.conn, text) }

// receive reads one answer to a request with the method.
func (c *wire) receive(method string) answer {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("half an answer: %v", err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// exchange sends one request line with header lines on a connection of its own.
func exchange(t testing.TB, addr, line string, headers ...string) answer {
	t.Helper()
	c := dial(t, addr)
	c.send(line + " HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n" + strings.Join(append(headers, "", ""), "\r\n"))
	method, _, _ := strings.Cut(line, " ")
	return c.receive(method)
}

// A buffer is a log that may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// lines counts the log's lines.
func (b *buffer) lines() int { return strings.Count(b.String(), "\n") }

// logger logs everything into b.
func (b *buffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
}

// A hook is a carrier made of a function.
type hook func(*http.Request) (gatehouse.Identity, error)

func (h hook) Identify(r *http.Request) (gatehouse.Identity, error) { return h(r) }

func (hook) Remember(http.ResponseWriter, *http.Request, gatehouse.Identity, ...carrier.Option) error {
	return nil
}

func (hook) Forget(http.ResponseWriter, *http.Request) error { return nil }

// says is a carrier that always answers the same.
func says(id gatehouse.Identity, err error) carrier.Carrier {
	return hook(func(*http.Request) (gatehouse.Identity, error) { return id, err })
}

// A users is a policy made of functions; nil means what AsSubject does without a table.
type users struct {
	resolve func(context.Context, gatehouse.Identity) (gatehouse.Principal, error)
	permits func(context.Context, gatehouse.Principal, string, any) (bool, error)
}

func (u users) Resolve(ctx context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
	if u.resolve == nil {
		return gatehouse.PrincipalOf(id), nil
	}
	return u.resolve(ctx, id)
}

func (u users) Permits(ctx context.Context, p gatehouse.Principal, permission string, resource any) (bool, error) {
	if u.permits == nil {
		return false, nil
	}
	return u.permits(ctx, p, permission, resource)
}

// challenges returns what the answer's WWW-Authenticate fields say.
func (a answer) challenges() string { return strings.Join(a.header.Values("WWW-Authenticate"), "\n") }

// kind names the answer as the tables of cases do: its status, and for refusals whether a challenge carries an OAuth error.
func (a answer) kind() string {
	_, oauth, _ := strings.Cut(a.challenges(), `error="`)
	oauth, _, _ = strings.Cut(oauth, `"`)
	if a.challenges() == "" {
		return fmt.Sprint(a.status)
	}
	return strings.TrimSpace(fmt.Sprintf("%d challenge %s", a.status, oauth))
}
