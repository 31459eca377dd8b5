package gatehousetest

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/session"
)

// UserAgent is the user agent of sessions that the helpers start, for tests that list sessions.
const UserAgent = "gatehousetest"

// Client returns a client of srv that is signed in as id, as after a log-in: c has remembered id with opts, and the cookie is in the client's jar. c must share the table and
// the cookie's options with the program under test; it need not be the same carrier. Each call starts a session of its own, as another browser would.
// The client is the caller's to change: it follows redirects, and trusts the certificate of srv.
//
// The test ends if c cannot remember id, or if the client would not send the cookie back to srv.
func Client(t T, srv *httptest.Server, c carrier.Carrier, id gatehouse.Identity, opts ...carrier.Option) *http.Client {
	t.Helper()
	client := Visitor(t, srv)
	SignIn(t, client, srv.URL, c, id, opts...)
	return client
}

// Visitor returns a client of srv that keeps cookies and has none yet.
func Visitor(t T, srv *httptest.Server) *http.Client {
	t.Helper()
	client := *srv.Client() // a copy: srv has only one, and every visitor needs a jar
	client.Jar = newJar(t)
	return &client
}

func newJar(t T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatalf("gatehousetest: %v", err)
	}
	return jar
}

// SignIn signs client in as id at baseURL, where the program under test answers: it is [Client] for servers that were not made by httptest. A client without a jar
// gets one.
func SignIn(t T, client *http.Client, baseURL string, c carrier.Carrier, id gatehouse.Identity, opts ...carrier.Option) {
	t.Helper()
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" {
		t.Fatalf("gatehousetest.SignIn: %q is no URL of a server: give it as http://127.0.0.1:8080", baseURL)
	}
	if client.Jar == nil {
		client.Jar = newJar(t)
	}
	for _, cookie := range credential(t, c, id, opts) {
		client.Jar.SetCookies(u, []*http.Cookie{cookie})
		at := *u
		if cookie.Path != "" {
			at.Path = cookie.Path // a cookie for one path only must do there
		}
		if !sends(client.Jar, &at, cookie) {
			t.Fatalf("gatehousetest.SignIn: the client would not send the cookie %s (%s) to %s: for a Secure cookie use httptest.NewTLSServer, "+
				"or make the carrier with carrier.CookieFor; for a Domain, a URL below it", cookie.Name, attributesOf(cookie), baseURL)
		}
	}
}

// AddCredential adds to r what signs it in as id, for tests that call a handler with httptest.NewRequest and httptest.NewRecorder. See [Client] for c, opts, and what ends the test.
func AddCredential(t T, r *http.Request, c carrier.Carrier, id gatehouse.Identity, opts ...carrier.Option) {
	t.Helper()
	for _, cookie := range credential(t, c, id, opts) {
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	}
}

// credential starts a session outside of any handler and returns the cookies that stand for it.
func credential(t T, c carrier.Carrier, id gatehouse.Identity, opts []carrier.Option) []*http.Cookie {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("User-Agent", UserAgent)
	r = r.WithContext(session.NewContext(r.Context(), new(session.Session)))
	w := httptest.NewRecorder()
	if err := c.Remember(w, r, id, opts...); err != nil {
		t.Fatalf("gatehousetest: %s cannot remember %q: %v", nameOf(c), id.Value, err)
	}
	cookies := w.Result().Cookies()
	if len(cookies) == 0 {
		t.Fatalf("gatehousetest: %s has remembered %q without a cookie: there is nothing to give to a client", nameOf(c), id.Value)
	}
	return cookies
}

// nameOf names a carrier. One that does not name itself is not printed: it may hold a secret.
func nameOf(c carrier.Carrier) string {
	if s, ok := c.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%T", c)
}

// sends reports whether jar would send the cookie with a request to u.
func sends(jar http.CookieJar, u *url.URL, cookie *http.Cookie) bool {
	for _, sent := range jar.Cookies(u) {
		if sent.Name == cookie.Name && sent.Value == cookie.Value {
			return true
		}
	}
	return false
}

// attributesOf describes a cookie without its value, which is a secret even in a test's log.
func attributesOf(cookie *http.Cookie) string {
	shown := *cookie
	shown.Name, shown.Value = "x", ""
	return shown.String()[len("x="):]
}
