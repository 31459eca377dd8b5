package carrier_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// A site is a server with a guard. Under every path it knows …/login, …/logout, …/goodbye and …/me.
type site struct {
	*httptest.Server
	table *session.Table
}

// siteWith serves with TLS, or without. own may put a carrier of its own around the one of the sessions.
func siteWith(t *testing.T, tls bool, own func(*carrier.SessionCarrier) carrier.Carrier, opts ...carrier.CookieOption) *site {
	t.Helper()
	s := &site{table: session.New(memory.Sessions(), session.Config{})}
	var c carrier.Carrier = carrier.Session(s.table, opts...)
	if own != nil {
		c = own(c.(*carrier.SessionCarrier))
	}
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{c}, Policy: guard.AsSubject{}})
	if err != nil {
		t.Fatal(err)
	}
	handler := g.Handler(http.HandlerFunc(serveSite))
	if s.Server = httptest.NewUnstartedServer(handler); tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func serveSite(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.URL.Path[strings.LastIndex(r.URL.Path, "/"):] {
	case "/login":
		var opts []carrier.Option
		for name, option := range map[string]func(string) carrier.Option{"path": carrier.Path, "domain": carrier.Domain} {
			if value := r.FormValue(name); value != "" {
				opts = append(opts, option(value))
			}
		}
		err = guard.Remember(w, r, gatehouse.Identity{Value: r.FormValue("who")}, opts...)
	case "/logout":
		err = guard.Forget(w, r)
	case "/goodbye":
		if err = guard.Forget(w, r); err == nil {
			err = session.Put(session.FromContext(r.Context()), "message", "goodbye")
		}
	case "/me":
		io.WriteString(w, guard.UserID(r))
	}
	if err != nil {
		guard.Fail(w, r, err)
	}
}

// A browser keeps cookies the way net/http/cookiejar does, and finds every host at the site.
type browser struct {
	*http.Client
	t    *testing.T
	site *site
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := s.Client()
	transport := client.Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}
	if transport.TLSClientConfig != nil {
		transport.TLSClientConfig.ServerName = "example.com"
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{&http.Client{Transport: transport, Jar: jar}, t, s}
}

// do makes a request and returns the answer's body, or its status if that is no success.
func (b *browser) do(method, target string) string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		return answer.Status
	}
	return string(text)
}

// has reports how many cookies the browser would send to a page, unless they are want.
func (b *browser) has(page string, want int) {
	b.t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		b.t.Fatal(err)
	}
	if got := b.Jar.Cookies(u); len(got) != want {
		b.t.Errorf("the browser has %d cookies for %s, want %d", len(got), page, want)
	}
}

// TestBrowsers: what a browser makes of the cookies that are set and taken away, step by step. "POST page" must succeed; "page = jack" asks who is there;
// "page has 1" counts the cookies.
func TestBrowsers(t *testing.T) {
	scoped := []carrier.CookieOption{carrier.CookieScope("", "")}
	for _, tt := range []struct {
		name  string
		opts  []carrier.CookieOption
		steps []string
	}{
		{"in and out", nil, []string{
			"app/me =", "POST app/login?who=jack", "app/me = jack", "app/a/b/me = jack", "shop/me =", "POST app/logout", "app/me =", "app/ has 0", "POST app/logout", "app/me =",
		}},
		{"another user", nil, []string{"POST app/login?who=jack", "POST app/login?who=ann", "app/me = ann", "app/ has 1", "POST app/logout", "app/ has 0"}},
		{"a path", scoped, []string{
			"POST app/login?who=jack&path=/a", "app/a/me = jack", "app/a/b/me = jack", "app/me =", "app/ab/me =", "POST app/a/b/logout", "app/a/ has 0", "app/a/me =",
		}},
		{"from a path to all", scoped, []string{"POST app/login?who=jack&path=/a", "POST app/a/login?who=jack", "app/a/ has 1", "app/a/me = jack", "app/me = jack", "POST app/logout", "app/a/ has 0"}},
		{"from all to a path", scoped, []string{"POST app/login?who=jack", "POST app/login?who=jack&path=/a", "app/a/ has 1", "app/a/me = jack", "app/me =", "POST app/a/logout", "app/a/ has 0"}},
		{"from path to path to path", scoped, []string{"POST app/login?who=jack&path=/a", "POST app/a/login?who=ann&path=/a/b", "POST app/a/b/login?who=jim&path=/", "app/a/b/ has 1", "app/a/b/me = jim"}},
		{"a domain", scoped, []string{
			"POST app/login?who=jack&domain=example.com", "app/me = jack", "shop/me = jack", "POST shop/logout", "app/ has 0", "shop/ has 0", "app/me =",
		}},
		{"from a domain to a host", scoped, []string{"POST app/login?who=jack&domain=example.com", "POST app/login?who=jack", "app/ has 1", "app/me = jack", "shop/me =", "shop/ has 0"}},
		{"from a host to a domain", scoped, []string{"POST app/login?who=jack", "POST app/login?who=jack&domain=example.com", "app/ has 1", "app/me = jack", "shop/me = jack"}},
		{"a path and a domain", scoped, []string{"POST app/login?who=jack&domain=example.com&path=/a", "shop/a/me = jack", "POST app/a/logout", "shop/a/ has 0", "app/a/ has 0"}},
		{"a carrier with a scope", []carrier.CookieOption{carrier.CookieScope("example.com", "/a")}, []string{"POST app/login?who=jack", "shop/a/me = jack", "shop/me =", "POST shop/a/logout", "app/a/ has 0"}},
		{"a message for who has signed out", scoped, []string{"POST app/login?who=jack&path=/a", "POST app/a/goodbye", "app/a/ has 1", "app/a/me =", "app/me =", "POST app/a/login?who=ann", "app/a/me = ann"}},
		{"ended at the server", nil, []string{"POST app/login?who=jack", "END jack", "app/me =", "app/ has 0", "POST app/login?who=jack", "app/me = jack"}},
		{"ended at the server, with a path of the carrier's", []carrier.CookieOption{carrier.CookieScope("", "/a")}, []string{"POST app/a/login?who=jack", "END jack", "app/a/me =", "app/a/ has 0"}},
		{"ended at the server, then another log-in", nil, []string{"POST app/login?who=jack", "END jack", "POST app/login?who=ann", "app/ has 1", "app/me = ann"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := siteWith(t, true, nil, tt.opts...).browser(t)
			for _, step := range tt.steps {
				b.step("https", step)
			}
		})
	}
}

// step does what a line of TestBrowsers says.
func (b *browser) step(scheme, step string) {
	b.t.Helper()
	words := strings.Fields(step)
	page := func(s string) string { return scheme + "://" + strings.Replace(s, "/", ".example.com/", 1) }
	switch {
	case words[0] == "END":
		if _, err := b.site.table.EndAll(b.t.Context(), words[1], ""); err != nil {
			b.t.Fatal(err)
		}
	case words[0] == "POST":
		if got := b.do("POST", page(words[1])); got != "" {
			b.t.Errorf("%s = %s, want 200", step, got)
		}
	case words[1] == "has":
		b.has(page(words[0]), int(words[2][0]-'0'))
	default:
		want := strings.Join(words[2:], " ")
		if got := b.do("GET", page(words[0])); got != want {
			b.t.Errorf("%s, and it is %q", step, got)
		}
	}
}

// TestPlainHTTPOnLoopback: a program without TLS keeps its users signed in, with any client, on this machine.
func TestPlainHTTPOnLoopback(t *testing.T) {
	option, _, err := carrier.CookieFor("127.0.0.1:8080", "", false)
	if err != nil {
		t.Fatal(err)
	}
	b := siteWith(t, false, nil, option).browser(t)
	for _, step := range []string{"POST app/login?who=jack", "app/me = jack", "POST app/logout", "app/me =", "app/ has 0"} {
		b.step("http", step)
	}
	safe := siteWith(t, false, nil).browser(t)
	for _, step := range []string{"POST app/login?who=jack", "app/me ="} { // a Secure cookie does not come back over plain http
		safe.step("http", step)
	}
}

// ownSessions is a carrier of a program's own around the one of the sessions.
type ownSessions struct{ *carrier.SessionCarrier }

// TestCarrierAroundSessions: it signs in and out like the one that it holds: what is ended is ended.
func TestCarrierAroundSessions(t *testing.T) {
	s := siteWith(t, true, func(c *carrier.SessionCarrier) carrier.Carrier { return ownSessions{c} })
	b := s.browser(t)
	for _, step := range []string{"POST app/login?who=jack", "app/me = jack", "POST app/login?who=jack"} {
		b.step("https", step)
	}
	if list, err := s.table.List(t.Context(), "jack"); len(list) != 1 || err != nil {
		t.Errorf("after two log-ins there are %d sessions, %v, want 1", len(list), err)
	}
	b.step("https", "POST app/logout")
	if list, err := s.table.List(t.Context(), "jack"); len(list) != 0 || err != nil {
		t.Errorf("after the log-out there are %d sessions, %v, want none", len(list), err)
	}
}

// TestNestedGuardsOfOneCarrier: what the inner guard forgets is ended, although the outer one has opened it.
func TestNestedGuardsOfOneCarrier(t *testing.T) {
	table := session.New(memory.Sessions(), session.Config{})
	config := guard.Config{Carriers: []carrier.Carrier{carrier.Session(table)}, Policy: guard.AsSubject{}}
	outer, err := guard.New(config)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := guard.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Server: httptest.NewTLSServer(outer.Handler(inner.Handler(http.HandlerFunc(serveSite)))), table: table}
	t.Cleanup(s.Close)
	b := s.browser(t)
	for _, step := range []string{"POST app/login?who=jack", "app/me = jack", "POST app/login?who=jack", "app/me = jack"} {
		b.step("https", step)
	}
	if list, err := table.List(t.Context(), "jack"); len(list) != 1 || err != nil {
		t.Errorf("after two log-ins there are %d sessions, %v, want 1", len(list), err)
	}
	b.step("https", "POST app/logout")
	if list, err := table.List(t.Context(), "jack"); len(list) != 0 || err != nil {
		t.Errorf("after the log-out there are %d sessions, %v, want none", len(list), err)
	}
	b.step("https", "app/me =")
}
