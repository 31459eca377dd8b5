package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

const (
	ourCookie = "__Host-gatehouse"
	cleared   = ourCookie + "=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
)

// A desk begins and ends sessions.
type desk struct {
	*session.Table
	broken error // what the store answers to everything, if it is not nil
}

type deskStore struct {
	session.Store
	desk *desk
}

func (s deskStore) Get(ctx context.Context, key session.Key) (session.Record, error) {
	if s.desk.broken != nil {
		return session.Record{}, s.desk.broken
	}
	return s.Store.Get(ctx, key)
}

func newDesk() *desk {
	d := &desk{}
	d.Table = session.New(deskStore{memory.Sessions(), d}, session.Config{})
	return d
}

// signIn begins a session of who and returns the Cookie field.
func (d *desk) signIn(t testing.TB, who string, roles ...string) string {
	t.Helper()
	s := &session.Session{}
	if err := d.Open(t.Context(), s, ""); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context(), s, gatehouse.Identity{Value: who, Roles: roles}, session.Options{}); err != nil {
		t.Fatal(err)
	}
	return "Cookie: " + ourCookie + "=" + s.Secret().Reveal()
}

// withSessions adds the session carrier.
func (d *desk) withSessions(options ...carrier.CookieOption) func(*guard.Config) {
	return func(c *guard.Config) { c.Carriers = append(c.Carriers, carrier.Session(d.Table, options...)) }
}

var stale = "Cookie: " + ourCookie + "=" + strings.Repeat("A", 43)

// TestSessionsPassTheProxy: who is signed in is told to the upstream like everybody else.
func TestSessionsPassTheProxy(t *testing.T) {
	d := newDesk()
	h := build(t, plan{guard: d.withSessions()})
	amy := d.signIn(t, "amy", "admin")
	for _, line := range []string{"GET /a", "POST /a", "GET /public/a", "GET /keep/a", "GET /admin/a"} {
		s := h.reached(t, request(line, amy))
		only(t, s, "Remote-User", "amy")
		only(t, s, "Remote-Groups", "admin")
		none(t, s, "Cookie")
	}
	got := h.refused(t, request("GET /admin/a", d.signIn(t, "bob", "basic")), 403)
	if got.code() != "forbidden" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("a role too low: %v, want 403 forbidden and the cookie left alone", got)
	}
}

// TestOurCookieEndsHere: no application sees the session cookie, whatever the rule says of credentials, and the other cookies arrive byte by byte.
func TestOurCookieEndsHere(t *testing.T) {
	d := newDesk()
	h := build(t, plan{guard: d.withSessions()})
	_, pair, _ := strings.Cut(d.signIn(t, "amy"), ": ")
	for _, row := range []struct {
		send []string
		want []string
	}{
		{[]string{pair}, nil},
		{[]string{"a=1; " + pair}, []string{"a=1"}},
		{[]string{pair + "; a=1"}, []string{"a=1"}},
		{[]string{"a=1; " + pair + "; b=2"}, []string{"a=1; b=2"}},
		{[]string{"a=1;" + pair + ";b=2"}, []string{"a=1;b=2"}},
		{[]string{"a=1", pair, "b=2; c=3"}, []string{"a=1", "b=2; c=3"}},
		{[]string{`a="x y"; $Version=1; =odd; noequals; ä=ö; a=1; ` + pair}, []string{`a="x y"; $Version=1; =odd; noequals; ä=ö; a=1`}},
		{[]string{pair + "; __HOST-GATEHOUSE=other"}, nil}, // an upstream that folds case would take it for ours
		{[]string{pair + "; x__Host-gatehouse=1; __Host-gatehousex=2"}, []string{"x__Host-gatehouse=1; __Host-gatehousex=2"}},
		{[]string{pair + "; gatehouse=theirs; __Secure-gatehouse=theirs"}, []string{"gatehouse=theirs; __Secure-gatehouse=theirs"}},
	} {
		for _, path := range []string{"/a", "/keep/a", "/public/a"} {
			var fields []string
			for _, value := range row.send {
				fields = append(fields, "Cookie: "+value)
			}
			s := h.reached(t, request("GET "+path, fields...))
			if got := s.all("Cookie"); !slices.Equal(got, row.want) {
				t.Errorf("%s %q: the upstream saw the cookies %q, want %q", path, row.send, got, row.want)
			}
			only(t, s, "Remote-User", "amy")
		}
	}
	for _, odd := range []string{stale, "Cookie: " + ourCookie + "=", "Cookie: " + ourCookie, "Cookie: " + ourCookie + "=x; a=1", "Cookie: a=1;" + ourCookie + " = x"} {
		s := h.reached(t, request("GET /public/a", odd))
		if strings.Contains(s.head, ourCookie) {
			t.Errorf("%q: the upstream saw %q", odd, s.all("Cookie"))
		}
	}
	// A bearer is kept where the rule says so, and the cookie beside it is not.
	s := h.reached(t, request("GET /keep/a", jack, "Cookie: a=1; gatehouse=x"))
	only(t, s, "Authorization", "Token jack-token")
	only(t, s, "Cookie", "a=1; gatehouse=x")
}

// TestCookiesOfOthers: without a session carrier, cookies are none of our business.
func TestCookiesOfOthers(t *testing.T) {
	h := build(t, plan{reply: says(true, "HTTP/1.1 200 OK\r\nSet-Cookie: __Host-gatehouse=theirs\r\nContent-Length: 0\r\n\r\n")})
	got := once(t, h.addr, request("GET /a", jack, "Cookie: __Host-gatehouse=x; ", "Cookie:"))
	if s := h.app.take()[0]; !slices.Equal(s.all("Cookie"), []string{"__Host-gatehouse=x;", ""}) {
		t.Errorf("the upstream saw %q, want the cookies as they came", s.all("Cookie"))
	}
	if cookies := got.header["Set-Cookie"]; !slices.Equal(cookies, []string{"__Host-gatehouse=theirs"}) {
		t.Errorf("Set-Cookie = %q, want the upstream's", cookies)
	}
}

// TestUpstreamCannotSetOurCookie: who sets it signs the visitor in as somebody else. Its other cookies pass byte by byte.
func TestUpstreamCannotSetOurCookie(t *testing.T) {
	d := newDesk()
	evil := []string{
		ourCookie + "=evil", ourCookie + "=evil; Path=/; Secure", strings.ToUpper(ourCookie) + "=evil", strings.ToLower(ourCookie) + "=evil; Path=/admin", " " + ourCookie + " =evil",
		"\t" + ourCookie + "\t=evil", ourCookie + "=", ourCookie + "=; Max-Age=0", ourCookie, ourCookie + "; Path=/", "=" + ourCookie + "=evil", " = " + ourCookie + "=evil; Path=/", ourCookie + "=a=b",
	}
	good := []string{"a=1; Path=/; HttpOnly", "gatehouse=x", "__Secure-gatehouse=x", ourCookie + "2=x", "x" + ourCookie + "=x", `q="a; b"`, "a=" + ourCookie + "=x", "=nameless", "ä=ö"}
	head := func(names []string) string {
		var b strings.Builder
		for _, line := range names {
			b.WriteString("Set-Cookie: " + line + "\r\nset-cookie: " + line + "\r\n")
		}
		return b.String()
	}
	for _, first := range []string{"HTTP/1.1 200 OK\r\n", "HTTP/1.1 302 Found\r\nLocation: /\r\n", "HTTP/1.1 401 Unauthorized\r\n", "HTTP/1.1 500 Internal Server Error\r\n"} {
		h := build(t, plan{guard: d.withSessions(), reply: says(true, first+"Cache-Control: public\r\nVary: Accept\r\n"+head(evil)+head(good)+"Content-Length: 2\r\n\r\nok")})
		for _, who := range []string{jack, d.signIn(t, "amy"), stale} {
			got := once(t, h.addr, request("GET /public/a", who))
			var want []string
			for _, line := range good {
				want = append(want, line, line)
			}
			caching := "public"
			if who == stale {
				want, caching = append(want, cleared), "no-store"
			}
			if got.header.Get("Cache-Control") != caching || !strings.Contains(strings.Join(got.header["Vary"], ", "), "Cookie") {
				t.Errorf("%s as %.20s: Cache-Control %q, Vary %q: want %s, and Cookie", firstLine(first), who, got.header.Get("Cache-Control"), got.header["Vary"], caching)
			}
			if got.body != "ok" || !slices.Equal(got.header["Set-Cookie"], want) {
				t.Errorf("%s as %.20s: Set-Cookie = %q, want %q", firstLine(first), who, got.header["Set-Cookie"], want)
			}
		}
	}
}

// TestEarlyCookies: informational answers and trailers are no way around it.
func TestEarlyCookies(t *testing.T) {
	d := newDesk()
	hints := "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nSet-Cookie: " + ourCookie + "=evil\r\nSet-Cookie: =" + ourCookie + "=evil\r\nSet-Cookie: a=1\r\n\r\nHTTP/1.1 102 Processing\r\nset-cookie: " + ourCookie + "=evil\r\n\r\n"
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: b=2\r\n%s\r\n2\r\nok\r\n0\r\nSet-Cookie: " + ourCookie + "=evil\r\nset-cookie: c=3\r\nX-Sum: 9\r\n\r\n"
	for name, announced := range map[string]string{"announced": "Trailer: Set-Cookie, X-Sum\r\n", "one announced": "Trailer: X-Sum\r\n", "not announced": ""} {
		h := build(t, plan{guard: d.withSessions(), reply: says(true, hints+fmt.Sprintf(chunked, announced))})
		for _, who := range []string{jack, d.signIn(t, "amy"), stale} {
			got := once(t, h.addr, request("GET /public/a", who))
			if !slices.Equal(got.earlier, []int{103, 102}) || got.early[0].Get("Link") == "" || !slices.Equal(got.early[0]["Set-Cookie"], []string{"a=1"}) || len(got.early[1]["Set-Cookie"]) != 0 {
				t.Errorf("%s: early answers %v %v, want the link and the cookie a", name, got.earlier, got.early)
			}
			if got.body != "ok" || got.trailer.Get("X-Sum") != "9" || len(got.trailer["Set-Cookie"]) != 0 {
				t.Errorf("%s: %v with the trailer %v, want X-Sum and no cookie", name, got, got.trailer)
			}
			want := []string{"b=2"}
			if who == stale {
				want = append(want, cleared)
			}
			if !slices.Equal(got.header["Set-Cookie"], want) {
				t.Errorf("%s: Set-Cookie = %q, want %q", name, got.header["Set-Cookie"], want)
			}
		}
	}
}

// TestSwitchingCookies: nor is the answer to an upgrade.
func TestSwitchingCookies(t *testing.T) {
	d := newDesk()
	h := build(t, plan{guard: d.withSessions(), reply: func(conn net.Conn, _ seen) bool {
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: %s=evil\r\nSet-Cookie: a=1\r\n\r\n", ourCookie)
		return false
	}})
	got := once(t, h.addr, request("GET /a", d.signIn(t, "amy"), "Connection: Upgrade", "Upgrade: websocket", "Origin: https://app.example"))
	if got.status != 101 || !slices.Equal(got.header["Set-Cookie"], []string{"a=1"}) {
		t.Errorf("answer %v, want 101 with the cookie a alone", got)
	}
}

// TestStaleCookies: a session that is unknown, expired, ended or forged is nobody's. The cookie is taken away with the attributes that it was set with.
func TestStaleCookies(t *testing.T) {
	d := newDesk()
	ended := d.signIn(t, "amy")
	if _, err := d.EndAll(t.Context(), "amy", ""); err != nil {
		t.Fatal(err)
	}
	h := build(t, plan{guard: d.withSessions()})
	for _, cookie := range []string{ended, stale, "Cookie: " + ourCookie + "=x", "Cookie: a=1; " + ourCookie + "=" + strings.Repeat("x", 9000), "Cookie: " + ourCookie + "=\xff\xfe", ended + "=", ended + "A"} {
		got := h.refused(t, request("GET /a", cookie), 401)
		challenge := got.header.Get("Www-Authenticate")
		if got.code() != "session_invalid" || challenge == "" || strings.Contains(challenge, "error") || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%.60q: %v, want session_invalid, a challenge without error, no-store", cookie, got)
		}
		if !slices.Equal(got.header["Set-Cookie"], []string{cleared}) {
			t.Errorf("%.60q: Set-Cookie = %q, want %q", cookie, got.header["Set-Cookie"], cleared)
		}
		s := h.reached(t, request("GET /public/a", cookie))
		none(t, s, "Remote-User", "Remote-Groups", "Remote-Email")
		h.refused(t, request("GET /strict/a", cookie), 401)
		h.refused(t, request("GET /a", cookie, jack), 400) // two credentials, although one is bad
	}
	for _, none := range []string{"Cookie: " + ourCookie + "=", "Cookie: " + ourCookie, "Cookie:", "Cookie: gatehouse=x", "Cookie: __HOST-GATEHOUSE=x"} {
		if got := h.refused(t, request("GET /a", none), 401); got.code() != "credential_required" && got.code() != "no_credential" || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %v, want 401 as for somebody without a cookie", none, got)
		}
	}
	amy := d.signIn(t, "amy")
	for _, two := range [][]string{{amy, amy}, {amy, stale}, {stale, amy}, {amy, jack}, {amy, jackKey}, {amy, mallory}} {
		for _, path := range []string{"/a", "/public/a"} {
			if got := h.refused(t, request("GET "+path, two...), 400); got.code() != "duplicate_credential" {
				t.Errorf("%s %.80q: %v, want duplicate_credential", path, two, got)
			}
		}
	}
}

// TestScopedCookieIsCleared: other attributes are repeated, too.
func TestScopedCookieIsCleared(t *testing.T) {
	d := newDesk()
	h := build(t, plan{guard: d.withSessions(carrier.CookieName("app1"), carrier.CookieScope("example.org", "/app"), carrier.CookieSameSite(http.SameSiteStrictMode))})
	got := h.refused(t, request("GET /a", "Cookie: __Secure-app1=x"), 401)
	want := "__Secure-app1=; Path=/app; Domain=example.org; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Strict"
	if !slices.Equal(got.header["Set-Cookie"], []string{want}) {
		t.Errorf("Set-Cookie = %q, want %q", got.header["Set-Cookie"], want)
	}
}

// TestStoreThatFails: what cannot be checked does not pass, and other credentials are none of its business.
func TestStoreThatFails(t *testing.T) {
	d := newDesk()
	h := build(t, plan{guard: d.withSessions()})
	a := answering(t, func(c *guard.Config, _ *gateway.ForwardAuthConfig) { d.withSessions()(c) })
	amy := d.signIn(t, "amy")
	d.broken = errors.New("planted: the store is down")
	for _, raw := range []string{request("GET /a", amy), request("POST /strict/a", amy), request("GET /nowhere/../a", amy)} {
		want := 503
		if strings.Contains(raw, "..") {
			want = 400
		}
		got := h.refused(t, raw, want)
		if want == 503 && (got.code() != "unavailable" || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "planted") || got.header.Get("Set-Cookie") != "") {
			t.Errorf("%v, want unavailable with Retry-After, the cookie left alone, and not a word of the cause", got)
		}
	}
	for _, dialect := range gateway.Dialects {
		if got := a.ask(t, question(dialect, "GET /a", amy)); got.status != 503 || got.header.Get("Retry-After") == "" || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v, want 503 with Retry-After", dialect, got)
		}
		if got := a.ask(t, question(dialect, "GET /a", jack)); got.status != 200 {
			t.Errorf("%s: a token while the store is down: %v, want 200", dialect, got)
		}
	}
	only(t, h.reached(t, request("GET /a", jack)), "Remote-User", "jack")
	none(t, h.reached(t, request("GET /public/a", amy)), "Remote-User")
	d.broken = nil
	only(t, h.reached(t, request("GET /a", amy)), "Remote-User", "amy")
}

// crossings are requests with a session cookie, and whether a page of another site may have made them.
var crossings = []struct {
	line   string
	fields []string
	pass   bool
}{
	{"POST /a", nil, true}, // no browser
	{"POST /a", []string{"Sec-Fetch-Site: same-origin", "Origin: https://app.example"}, true},
	{"POST /a", []string{"Sec-Fetch-Site: none"}, true},
	{"POST /a", []string{"Origin: https://app.example"}, true},
	{"POST /a", []string{"Sec-Fetch-Site: cross-site", "Origin: https://spa.example"}, true}, // listed
	{"GET /a", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, true}, // a link
	{"HEAD /a", []string{"Sec-Fetch-Site: cross-site"}, true},
	{"POST /a", []string{"Sec-Fetch-Site: cross-site"}, false},
	{"POST /a", []string{"Sec-Fetch-Site: same-site", "Origin: https://other.app.example"}, false},
	{"POST /a", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, false},
	{"PUT /a", []string{"Origin: https://evil.example"}, false},
	{"DELETE /a", []string{"Origin: https://app.example.evil.example"}, false},
	{"PATCH /a", []string{"Origin: null"}, false},
	{"POST /a", []string{"Origin: https://app.example:8443"}, false},
	{"POST /a", []string{"Origin: http://app.example"}, false}, // the cookie is for TLS only
	{"POST /a", []string{"Origin: https://spa.example", "Origin: https://evil.example"}, false},
	{"POST /public/a", []string{"Sec-Fetch-Site: cross-site"}, false}, // the caller is known there, too
}

// TestCrossOrigin: the proxy and forward-auth refuse what a page of another site makes a browser send, and nothing else.
func TestCrossOrigin(t *testing.T) {
	d := newDesk()
	edit := func(c *guard.Config) {
		d.withSessions()(c)
		c.Origins = []string{"https://spa.example"}
	}
	h := build(t, plan{guard: edit})
	a := answering(t, func(c *guard.Config, _ *gateway.ForwardAuthConfig) { edit(c) })
	amy := d.signIn(t, "amy")
	for _, row := range crossings {
		raw := request(row.line, append([]string{amy, "Content-Length: 0"}, row.fields...)...)
		if row.pass {
			only(t, h.reached(t, raw), "Remote-User", "amy")
		} else if got := h.refused(t, raw, 403); got.code() != "cross_origin" || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s %q: %v, want cross_origin, and the session left alone", row.line, row.fields, got)
		}
		for _, dialect := range gateway.Dialects {
			got := a.ask(t, question(dialect, row.line, append([]string{amy}, row.fields...)...))
			if code := got.header.Get("X-Gatehouse-Code"); row.pass != (got.status == 200) || !row.pass && (code != "cross_origin" || got.status != 403) {
				t.Errorf("%s: %s %q: %v, want pass %v", dialect, row.line, row.fields, got, row.pass)
			}
		}
		// A bearer is in no browser's keeping.
		if strings.HasPrefix(row.line, "POST /a") {
			h.reached(t, request(row.line, append([]string{jack, "Content-Length: 0"}, row.fields...)...))
		}
	}
}

// TestCrossOriginSockets: a WebSocket is good for more than reading, and no preflight guards it. Proxies that ask leave Upgrade out of the question.
func TestCrossOriginSockets(t *testing.T) {
	d := newDesk()
	h := build(t, plan{guard: d.withSessions()})
	a := answering(t, func(c *guard.Config, _ *gateway.ForwardAuthConfig) { d.withSessions()(c) })
	amy := d.signIn(t, "amy")
	handshake := []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"}
	for origin, pass := range map[string]bool{
		"Origin: https://app.example": true, "X-None: 1": true,
		"Origin: https://evil.example": false, "Origin: null": false, "Origin: http://app.example": false, "Sec-Fetch-Site: cross-site": false,
	} {
		full := append([]string{amy, origin, "Connection: Upgrade", "Upgrade: websocket"}, handshake...)
		if pass {
			only(t, h.reached(t, request("GET /a", full...)), "Remote-User", "amy")
		} else if got := h.refused(t, request("GET /a", full...), 403); got.code() != "cross_origin" {
			t.Errorf("%s: %v, want cross_origin", origin, got)
		}
		for _, dialect := range gateway.Dialects {
			for _, part := range [][]string{handshake, handshake[:1], handshake[1:]} {
				got := a.ask(t, question(dialect, "GET /a", append([]string{amy, origin}, part...)...))
				if pass != (got.status == 200) || !pass && got.header.Get("X-Gatehouse-Code") != "cross_origin" {
					t.Errorf("%s: %s with %q: %v, want pass %v", dialect, origin, part, got, pass)
				}
			}
			if got := a.ask(t, question(dialect, "GET /a", append([]string{jack, origin}, handshake...)...)); got.status != 200 {
				t.Errorf("%s: %s with a token: %v, want 200", dialect, origin, got)
			}
		}
	}
}

// TestForwardAuthCookies: the answer that lets pass says which cookies the application may get, and one that finds a stale cookie takes it away.
func TestForwardAuthCookies(t *testing.T) {
	d := newDesk()
	a := answering(t, func(c *guard.Config, _ *gateway.ForwardAuthConfig) { d.withSessions()(c) })
	amy := d.signIn(t, "amy", "admin")
	_, pair, _ := strings.Cut(amy, ": ")
	for _, dialect := range gateway.Dialects {
		for _, row := range []struct {
			fields []string
			want   string
		}{
			{[]string{amy}, ""},
			{[]string{amy + "; a=1"}, "a=1"},
			{[]string{"Cookie: a=1; " + pair + "; b=\"x y\""}, "a=1; b=\"x y\""},
			{[]string{"Cookie: a=1", amy, "Cookie: b=2"}, "a=1; b=2"},
			{[]string{jack, "Cookie: a=1;b=2; ä=ö"}, "a=1;b=2; ä=ö"},
			{[]string{jack}, ""},
		} {
			got := a.ask(t, question(dialect, "GET /a", row.fields...))
			if cookies := got.header["Cookie"]; got.status != 200 || len(cookies) != 1 || cookies[0] != row.want || got.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %.40q: %d with the cookies %q, want 200 with %q", dialect, row.fields, got.status, cookies, row.want)
			}
		}
		got := a.ask(t, question(dialect, "GET /admin/a", amy))
		if got.header.Get("Remote-User") != "amy" || got.header.Get("Remote-Groups") != "admin" {
			t.Errorf("%s: %v, want amy, who is an admin", dialect, got)
		}
		got = a.ask(t, question(dialect, "GET /a", stale+"; a=1"))
		if got.status != 401 || got.code() != "session_invalid" || !slices.Equal(got.header["Set-Cookie"], []string{cleared}) || got.header["Cookie"] != nil || strings.Contains(got.header.Get("Www-Authenticate"), "error") {
			t.Errorf("%s: a stale cookie: %v, want 401 session_invalid and the cookie taken away", dialect, got)
		}
		got = a.ask(t, question(dialect, "GET /public/a", stale+"; a=1"))
		if got.status != 200 || got.header.Get("Remote-User") != "" || !slices.Equal(got.header["Set-Cookie"], []string{cleared}) || got.header.Get("Cookie") != "a=1" {
			t.Errorf("%s: a stale cookie on a public path: %v, want 200 as nobody and the cookie taken away", dialect, got)
		}
		got = a.ask(t, question(dialect, "GET /a", amy, jack))
		if got.header.Get("X-Gatehouse-Code") != "duplicate_credential" {
			t.Errorf("%s: a session and a token: %v, want duplicate_credential", dialect, got)
		}
	}
}

// TestLoggedOutMeansLoggedOut: the next request after the end of a session is refused by every front.
func TestLoggedOutMeansLoggedOut(t *testing.T) {
	d := newDesk()
	h := build(t, plan{guard: d.withSessions()})
	a := answering(t, func(c *guard.Config, _ *gateway.ForwardAuthConfig) { d.withSessions()(c) })
	amy := d.signIn(t, "amy")
	c := dial(t, h.addr)
	if got := c.ask(request("GET /a", amy)); got.status != 200 {
		t.Fatalf("before: %v, want 200", got)
	}
	if _, err := d.EndAll(t.Context(), "amy", ""); err != nil {
		t.Fatal(err)
	}
	if got := c.ask(request("GET /a", amy)); got.status != 401 {
		t.Errorf("on the same connection, after: %v, want 401", got)
	}
	if got := a.ask(t, question("traefik", "GET /a", amy)); got.status != 401 {
		t.Errorf("forward-auth, after: %v, want 401", got)
	}
}

// TestLargeCookies: a large Cookie field costs time in proportion, for every front.
func TestLargeCookies(t *testing.T) {
	d := newDesk()
	h := build(t, plan{guard: d.withSessions()})
	amy := d.signIn(t, "amy")
	filler := strings.Repeat("a=1; ", 10_000)
	start := time.Now()
	only(t, h.reached(t, request("GET /a", amy+"; "+strings.TrimSuffix(filler, "; "))), "Remote-User", "amy")
	h.refused(t, request("GET /a", "Cookie: "+filler+strings.Repeat(ourCookie+"=x; ", 400)), 400)
	if took := time.Since(start); took > patience/2 {
		t.Errorf("two requests with large cookies took %v", took)
	}
}
