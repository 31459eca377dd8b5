package gatehousetest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// body fetches a page.
func body(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestClientIsSignedIn(t *testing.T) {
	table := newTable()
	for name, tt := range map[string]struct {
		start func(http.Handler) *httptest.Server
		opts  []carrier.CookieOption
		call  []carrier.Option
	}{
		"TLS":                       {httptest.NewTLSServer, nil, nil},
		"TLS, another name":         {httptest.NewTLSServer, []carrier.CookieOption{carrier.CookieName("app1-token")}, nil},
		"TLS, a browser session":    {httptest.NewTLSServer, nil, []carrier.Option{carrier.BrowserSession()}},
		"TLS, for a while":          {httptest.NewTLSServer, nil, []carrier.Option{carrier.MaxAge(time.Minute)}},
		"plain http, this machine":  {httptest.NewServer, []carrier.CookieOption{carrier.InsecureCookie()}, nil},
		"below a path, where it is": {httptest.NewTLSServer, []carrier.CookieOption{carrier.CookieScope("", "/")}, nil},
	} {
		c := carrier.Session(table, tt.opts...)
		srv := tt.start(greeter(t, c))
		t.Cleanup(srv.Close)
		if got := body(t, Client(t, srv, c, jack, tt.call...), srv.URL); got != `"jack"` {
			t.Errorf("%s: the signed-in client is %s, want jack", name, got)
		}
		if got := body(t, Visitor(t, srv), srv.URL); got != `""` {
			t.Errorf("%s: a visitor is %s, want nobody: clients share no jar", name, got)
		}
		if got := body(t, srv.Client(), srv.URL); got != `""` {
			t.Errorf("%s: the server's own client is %s, want nobody: it is not ours to change", name, got)
		}
	}
}

// TestClientsAreDifferentBrowsers: each has a session of its own, so that ending one leaves the others.
func TestClientsAreDifferentBrowsers(t *testing.T) {
	table := newTable()
	c := carrier.Session(table)
	srv := httptest.NewTLSServer(greeter(t, c))
	t.Cleanup(srv.Close)
	first, second := Client(t, srv, c, jack), Client(t, srv, c, jack)
	list, err := table.List(t.Context(), "jack")
	if err != nil || len(list) != 2 || list[0].UserAgent != UserAgent {
		t.Fatalf("List(jack) = %+v, %v, want two sessions of %s", list, err, UserAgent)
	}
	if err := table.EndOne(t.Context(), "jack", list[0].ID); err != nil {
		t.Fatal(err)
	}
	if a, b := body(t, first, srv.URL), body(t, second, srv.URL); a == b {
		t.Errorf("after one session has ended both clients are %s, want one of them to be nobody", a)
	}
}

// TestSignInChangesTheAccount of a client that has one already, and gives a jar to one that has none.
func TestSignInChangesTheAccount(t *testing.T) {
	c := carrier.Session(newTable())
	srv := httptest.NewTLSServer(greeter(t, c))
	t.Cleanup(srv.Close)
	client := &http.Client{Transport: srv.Client().Transport}
	for _, who := range []string{"jack", "devin"} {
		SignIn(t, client, srv.URL, c, gatehouse.Identity{Value: who})
		if got, want := body(t, client, srv.URL), `"`+who+`"`; got != want {
			t.Errorf("SignIn as %s: the client is %s, want %s", who, got, want)
		}
	}
}

// TestSignInBelowAPath: the cookie is sent there and nowhere else.
func TestSignInBelowAPath(t *testing.T) {
	c := carrier.Session(newTable(), carrier.CookieScope("", "/app"))
	srv := httptest.NewTLSServer(greeter(t, c))
	t.Cleanup(srv.Close)
	client := Client(t, srv, c, jack)
	if in, out := body(t, client, srv.URL+"/app/x"), body(t, client, srv.URL+"/other"); in != `"jack"` || out != `""` {
		t.Errorf("the client is %s below the cookie's path and %s beside it, want jack and nobody", in, out)
	}
}

func TestAddCredential(t *testing.T) {
	c := carrier.Session(newTable())
	h := greeter(t, c)
	ask := func(prepare func(*http.Request)) string {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		prepare(r)
		h.ServeHTTP(w, r)
		return w.Body.String()
	}
	if got := ask(func(r *http.Request) { AddCredential(t, r, c, jack) }); got != `"jack"` {
		t.Errorf("with AddCredential the caller is %s, want jack", got)
	}
	if got := ask(func(*http.Request) {}); got != `""` {
		t.Errorf("without it the caller is %s, want nobody", got)
	}
	r := httptest.NewRequest("GET", "/", nil)
	AddCredential(t, r, c, jack)
	if line := r.Header.Get("Cookie"); strings.Contains(line, "Path") || strings.Count(line, "=") != 1 {
		t.Errorf("AddCredential writes %d bytes of Cookie with attributes in it, want name=value", len(line))
	}
}

// TestWhatCannotBeSignedIn ends the test and says why.
func TestWhatCannotBeSignedIn(t *testing.T) {
	table := newTable()
	safe, insecure := carrier.Session(table), carrier.Session(table, carrier.InsecureCookie())
	plain := httptest.NewServer(greeter(t, insecure))
	t.Cleanup(plain.Close)
	down := NewStore(memory.Sessions())
	down.Fail(ErrDown)
	static := carrier.Header("Token", carrier.Verified)
	for name, tt := range map[string]struct {
		test func(T)
		want string
	}{
		"a Secure cookie over plain http": {func(t T) { SignIn(t, &http.Client{}, "http://app.example.org", safe, jack) }, "use httptest.NewTLSServer"},
		"an identity of nobody":           {func(t T) { Client(t, plain, insecure, gatehouse.Identity{}) }, "nobody"},
		"a store that is down": {func(t T) {
			Client(t, plain, carrier.Session(session.New(down, session.Config{}), carrier.InsecureCookie()), jack)
		}, ErrDown.Error()},
		"a credential of another kind":   {func(t T) { Client(t, plain, static, jack) }, carrier.ErrNotHandedOut.Error()},
		"an option that is not honoured": {func(t T) { Client(t, plain, insecure, jack, carrier.With("Colour", "red")) }, "Colour"},
		"a carrier without cookies":      {func(t T) { Client(t, plain, silent{}, jack) }, "without a cookie"},
		"a Domain of somebody else": {func(t T) {
			SignIn(t, &http.Client{}, "https://app.example.org", carrier.Session(table, carrier.CookieScope("example.com", "/")), jack)
		}, "would not send"},
		"no URL":                   {func(t T) { SignIn(t, &http.Client{}, "127.0.0.1:8080", safe, jack) }, "is no URL of a server"},
		"a request, nobody":        {func(t T) { AddCredential(t, httptest.NewRequest("GET", "/", nil), safe, gatehouse.Identity{}) }, "nobody"},
		"a request, another kind":  {func(t T) { AddCredential(t, httptest.NewRequest("GET", "/", nil), static, jack) }, carrier.ErrNotHandedOut.Error()},
		"a request, a broken hook": {func(t T) { AddCredential(t, httptest.NewRequest("GET", "/", nil), silent{errors.New("planted")}, jack) }, "planted"},
	} {
		got := failure(tt.test)
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: the test ended with %q, want a message that says %q", name, got, tt.want)
		}
		for _, cookie := range []string{"gatehouse=", "Secret"} {
			if strings.Contains(got, cookie) {
				t.Errorf("%s: the message shows a cookie: %s", name, got)
			}
		}
	}
	if n, err := table.List(t.Context(), "nobody"); len(n) != 0 || err != nil {
		t.Errorf("List(nobody) = %v, %v, want none", n, err)
	}
}

// silent remembers without a word, or fails.
type silent struct{ err error }

func (silent) Identify(*http.Request) (gatehouse.Identity, error) {
	return gatehouse.Identity{}, gatehouse.ErrAnonymous
}

func (s silent) Remember(http.ResponseWriter, *http.Request, gatehouse.Identity, ...carrier.Option) error {
	return s.err
}

func (silent) Forget(http.ResponseWriter, *http.Request) error { return nil }
