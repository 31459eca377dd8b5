package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// overTLS serves the program as it stands behind a certificate: with the cookie that the internet gets.
func overTLS(t *testing.T, store session.Store) *httptest.Server {
	t.Helper()
	h, err := newHandler(session.New(store, session.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// visitors returns a way to make visitors for each way in which the program is served.
func visitors(t *testing.T) map[string]func() *testbed.Visitor {
	t.Helper()
	srv, plain := overTLS(t, memory.Sessions()), testbed.Start(t, run, "-addr", "127.0.0.1:0")
	return map[string]func() *testbed.Visitor{
		"TLS":        func() *testbed.Visitor { return testbed.Visit(t, srv.URL, srv.Client().Transport) },
		"plain http": func() *testbed.Visitor { return testbed.Visit(t, plain.URL, nil) },
	}
}

// mustBe reports an answer that is another one.
func mustBe(t *testing.T, what string, got testbed.Answer, status int, parts ...string) {
	t.Helper()
	if got.Status != status {
		t.Errorf("%s = %d %.200s, want %d", what, got.Status, got.Body, status)
	}
	for _, part := range parts {
		if !strings.Contains(got.Body, part) {
			t.Errorf("%s = %.400s, want a page that says %q", what, got.Body, part)
		}
	}
}

// mustAskForLogin reports an answer that is not 401 with a plain challenge, which blames no token.
func mustAskForLogin(t *testing.T, what string, got testbed.Answer) {
	t.Helper()
	if challenge := got.Header.Get("WWW-Authenticate"); got.Status != http.StatusUnauthorized || challenge != `Bearer realm="gatehouse"` || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s = %d, WWW-Authenticate %q, Cache-Control %q, want 401 with a challenge without an error, not to be stored", what, got.Status, challenge, got.Header.Get("Cache-Control"))
	}
}

// TestJack is the program's story.
func TestJack(t *testing.T) {
	for name, visit := range visitors(t) {
		t.Run(name, func(t *testing.T) {
			v := visit()
			mustBe(t, "a stranger's GET /", v.Get("/"), 200, "NOT logged in", `action="/login"`)
			mustAskForLogin(t, "a stranger's GET /listen", v.Get("/listen"))
			mustAskForLogin(t, "a stranger's GET /speak", v.Get("/speak"))

			in := v.Post("/login")
			mustBe(t, "POST /login", in, 303)
			if to := in.Header.Get("Location"); to != "/" {
				t.Errorf("POST /login leads to %q, want /", to)
			}
			home := v.Get("/")
			mustBe(t, "jack's GET /", home, 200, "logged in", `action="/logout"`)
			if strings.Contains(home.Body, "NOT") || strings.Contains(home.Body, `action="/login"`) {
				t.Errorf("jack's GET / = %s, want no word of NOT, and no button to log in", home.Body)
			}
			mustBe(t, "jack's GET /listen", v.Get("/listen"), 200, "I can listen!")
			speak := v.Get("/speak")
			mustBe(t, "jack's GET /speak", speak, 403)
			if speak.Code() != "forbidden" || strings.Contains(speak.Body, "speak") || speak.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("jack's GET /speak = %q %s, challenge %q, want a refusal that names no permission and asks for no token",
					speak.Code(), speak.Body, speak.Header.Get("WWW-Authenticate"))
			}

			held := v.Held()
			mustBe(t, "POST /logout", v.Post("/logout"), 303)
			mustBe(t, "GET / after it", v.Get("/"), 200, "NOT logged in")
			mustAskForLogin(t, "GET /listen after it", v.Get("/listen"))
			if v.Held() != "" {
				t.Error("after the log-out the browser still holds a cookie")
			}
			mustAskForLogin(t, "GET /listen with the cookie of before", visit().Get("/listen", "Cookie", held))
			mustBe(t, "GET / with the cookie of before", visit().Get("/", "Cookie", held), 200, "NOT logged in")
		})
	}
}

// TestOnlyButtonsChangeAnything: a link, a prefetch or an image cannot log anybody in or out.
func TestOnlyButtonsChangeAnything(t *testing.T) {
	for name, visit := range visitors(t) {
		v := visit()
		for _, path := range []string{"/login", "/logout"} {
			for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
				got := v.Do(method, path, "")
				if got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "POST" || len(got.SetCookies()) != 0 {
					t.Errorf("%s: %s %s = %d, Allow %q, %d cookies, want 405 with Allow: POST and no cookie", name, method, path, got.Status, got.Header.Get("Allow"), len(got.SetCookies()))
				}
			}
		}
		v.Post("/login")
		v.Get("/logout")
		v.Do("HEAD", "/logout", "")
		mustBe(t, name+": GET / after links to /logout", v.Get("/"), 200, `action="/logout"`)
	}
}

// TestLoggingOutWithoutALogin changes nothing: no session, no cookie, no error.
func TestLoggingOutWithoutALogin(t *testing.T) {
	store := gatehousetest.NewStore(memory.Sessions())
	srv := overTLS(t, store)
	v := testbed.Visit(t, srv.URL, srv.Client().Transport)
	got := v.Post("/logout")
	if got.Status != 303 || len(got.SetCookies()) != 0 || store.Count() != 0 {
		t.Errorf("a stranger's POST /logout = %d with %d cookies and %d calls of the store, want 303 and nothing else", got.Status, len(got.SetCookies()), store.Count())
	}
}

// TestReadersCostOneLookUp a request, and pages that are the same for everybody none.
func TestReadersCostOneLookUp(t *testing.T) {
	store := gatehousetest.NewStore(memory.Sessions())
	srv := overTLS(t, store)
	v := testbed.Visit(t, srv.URL, srv.Client().Transport)
	for _, path := range []string{"/", "/listen", "/style.css"} {
		if v.Get(path); store.Count() != 0 {
			t.Errorf("a stranger's GET %s costs %d calls of the store, want none", path, store.Count())
		}
	}
	v.Post("/login")
	for path, want := range map[string]int{"/": 1, "/listen": 1, "/speak": 1, "/nowhere": 1, "/style.css": 0} {
		store.Reset()
		if v.Get(path); store.Count() != want || store.Count(gatehousetest.CallGet) != want {
			t.Errorf("jack's GET %s costs %d calls of the store, want %d", path, store.Count(), want)
		}
	}
}

// TestForgedCookies are nobody's: 401 where somebody is needed, a stranger's page elsewhere, and never an error of the server.
func TestForgedCookies(t *testing.T) {
	for name, visit := range visitors(t) {
		cookie := "__Host-gatehouse"
		if name == "plain http" {
			cookie = "gatehouse"
		}
		for _, value := range []string{
			"", "not-json", "jack", "mallory", `{"session":{"AIOHTTP_SECURITY":"jack"}}`, `"jack"`, strings.Repeat("A", 43), strings.Repeat("A", 44), strings.Repeat("/", 43),
			"00000000-0000-0000-0000-000000000000", "%00", "../../etc/passwd", "' OR 1=1 --", strings.Repeat("x", 4000), "AAAA=", "é", "a b",
		} {
			v := visit()
			mustBe(t, name+": GET / with "+value, v.Get("/", "Cookie", cookie+"="+value), 200, "NOT logged in")
			mustAskForLogin(t, name+": GET /listen with "+value, v.Get("/listen", "Cookie", cookie+"="+value))
		}
		v := visit()
		v.Post("/login")
		held := v.Held()
		for what, line := range map[string]string{
			"under the name of another system": strings.Replace(held, cookie, "AIOHTTP_SESSION", 1),
			"with a character too many":        held + "A",
			"with a character too few":         held[:len(held)-1],
			"with another first character":     strings.Replace(held, "=", "=-", 1),
		} {
			mustAskForLogin(t, name+": GET /listen with the cookie "+what, visit().Get("/listen", "Cookie", line))
		}
		if got := visit().Get("/listen", "Cookie", held+"; "+held); got.Status != http.StatusBadRequest || got.Code() != "duplicate_credential" {
			t.Errorf("%s: the cookie twice = %d %s, want 400 duplicate_credential", name, got.Status, got.Code())
		}
	}
}

// TestForgedCookiesAreTakenAway, so that the browser does not send them for ever.
func TestForgedCookiesAreTakenAway(t *testing.T) {
	srv := overTLS(t, memory.Sessions())
	v := testbed.Visit(t, srv.URL, srv.Client().Transport)
	for _, path := range []string{"/", "/listen"} {
		gone := v.Get(path, "Cookie", "__Host-gatehouse="+strings.Repeat("A", 43)).SetCookies()
		if len(gone) != 1 || gone[0].Name != "__Host-gatehouse" || gone[0].Value != "" || gone[0].MaxAge >= 0 {
			t.Errorf("GET %s with a forged cookie sets %+v, want it taken away", path, gone)
		}
	}
}

// TestOtherSitesCannotPressTheButtons, and a page of plain http is another site.
func TestOtherSitesCannotPressTheButtons(t *testing.T) {
	srv := overTLS(t, memory.Sessions())
	v := testbed.Visit(t, srv.URL, srv.Client().Transport)
	for _, fields := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
		{"Origin", strings.Replace(srv.URL, "https:", "http:", 1)}, {"Origin", srv.URL, "Origin", "https://evil.example"},
	} {
		got := v.Do("POST", "/login", "", fields...)
		if got.Status != http.StatusForbidden || got.Code() != "cross_origin" || len(got.SetCookies()) != 0 {
			t.Errorf("POST /login from %q = %d %s, %d cookies, want 403 cross_origin without a cookie", fields, got.Status, got.Code(), len(got.SetCookies()))
		}
	}
	v.Post("/login")
	if got := v.Do("POST", "/logout", "", "Sec-Fetch-Site", "cross-site"); got.Status != http.StatusForbidden {
		t.Errorf("POST /logout from another site = %d, want 403", got.Status)
	}
	mustBe(t, "GET / after that", v.Get("/"), 200, `action="/logout"`)
	mustBe(t, "POST /logout from the page itself", v.Do("POST", "/logout", "", "Sec-Fetch-Site", "same-origin", "Origin", srv.URL), 303)
}

// TestTheStoreIsDown: nobody is logged in or out by that, and strangers still see the page.
func TestTheStoreIsDown(t *testing.T) {
	store := gatehousetest.NewStore(memory.Sessions())
	srv := overTLS(t, store)
	v := testbed.Visit(t, srv.URL, srv.Client().Transport)
	v.Post("/login")
	store.Fail(gatehousetest.ErrDown)
	for _, what := range []struct{ method, path string }{{"GET", "/"}, {"GET", "/listen"}, {"GET", "/speak"}, {"POST", "/login"}, {"POST", "/logout"}} {
		got := v.Do(what.method, what.path, "")
		if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || len(got.SetCookies()) != 0 {
			t.Errorf("%s %s with the store down = %d, Retry-After %q, %d cookies, want 503 with Retry-After, and the cookie stays", what.method, what.path, got.Status, got.Header.Get("Retry-After"), len(got.SetCookies()))
		}
	}
	stranger := testbed.Visit(t, srv.URL, srv.Client().Transport)
	mustBe(t, "a stranger's GET /", stranger.Get("/"), 200, "NOT logged in")
	if got := stranger.Post("/login"); got.Status != 503 || len(got.SetCookies()) != 0 {
		t.Errorf("a stranger's POST /login = %d with %d cookies, want 503 without one", got.Status, len(got.SetCookies()))
	}
	store.Fail(nil)
	mustBe(t, "GET /listen once the store is back", v.Get("/listen"), 200)
	mustBe(t, "POST /logout then", v.Post("/logout"), 303)
}

// TestLoginsEnd by themselves: when nobody uses them, and when they are old whatever is done with them.
func TestLoginsEnd(t *testing.T) {
	clock := gatehousetest.NewClock(time.Time{})
	h, err := newHandler(session.New(memory.Sessions(), session.Config{Idle: 12 * time.Hour, Absolute: 48 * time.Hour, Now: clock.Now}))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	v := testbed.Visit(t, srv.URL, srv.Client().Transport)
	v.Post("/login")
	for range 4 {
		clock.Advance(11 * time.Hour)
		mustBe(t, "GET /listen 11 h later", v.Get("/listen"), 200)
	}
	clock.Advance(5 * time.Hour)
	mustAskForLogin(t, "GET /listen after 49 h in use", v.Get("/listen"))
	v.Post("/login")
	clock.Advance(12 * time.Hour)
	mustAskForLogin(t, "GET /listen after 12 h without use", v.Get("/listen"))
	clock.Advance(-12 * time.Hour)
	mustAskForLogin(t, "GET /listen when the clock is set back", v.Get("/listen"))
}

// TestEveryStore: the same handlers behind another value of one flag.
func TestEveryStore(t *testing.T) {
	for _, kind := range testbed.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			p := testbed.Start(t, run, "-addr", "127.0.0.1:0", "-store", kind.Address(t))
			v := testbed.Visit(t, p.URL, nil)
			mustAskForLogin(t, "GET /listen", v.Get("/listen"))
			mustBe(t, "POST /login", v.Post("/login"), 303)
			mustBe(t, "GET /listen", v.Get("/listen"), 200)
			mustBe(t, "GET /speak", v.Get("/speak"), 403)
			held := v.Held()
			mustBe(t, "POST /logout", v.Post("/logout"), 303)
			mustAskForLogin(t, "GET /listen with the cookie of before", v.Get("/listen", "Cookie", held))
		})
	}
}

// TestLoginsSurviveTheProgram where the store does.
func TestLoginsSurviveTheProgram(t *testing.T) {
	where := "sqlite:" + filepath.Join(t.TempDir(), "jack.db")
	first := testbed.Start(t, run, "-addr", "127.0.0.1:0", "-store", where)
	v := testbed.Visit(t, first.URL, nil)
	v.Post("/login")
	first.Stop(t)
	second := testbed.Start(t, run, "-addr", "127.0.0.1:0", "-store", where)
	again := testbed.Visit(t, second.URL, nil)
	mustBe(t, "GET /listen of the program that was started again", again.Get("/listen", "Cookie", v.Held()), 200)
}

// TestNotice: over plain http the program says what is missing, and behind TLS it is not.
func TestNotice(t *testing.T) {
	plain := testbed.Start(t, run, "-addr", "127.0.0.1:0")
	if !strings.Contains(plain.Output(), "plain http on a loopback address") {
		t.Errorf("the program says %q, want a note about plain http", plain.Output())
	}
	v := testbed.Visit(t, plain.URL, nil)
	if set := v.Post("/login").SetCookies(); len(set) != 1 || set[0].Name != carrier.DefaultCookie || set[0].Secure || !set[0].HttpOnly {
		t.Errorf("over plain http it sets %+v, want the cookie without prefix and Secure, and with HttpOnly", set)
	}
	front := testbed.Start(t, run, "-addr", "127.0.0.1:0", "-public-url", "https://jack.example.org")
	if strings.Contains(front.Output(), "note:") {
		t.Errorf("behind TLS the program says %q, want no note", front.Output())
	}
	resp, err := http.DefaultTransport.RoundTrip(httptest.NewRequest("POST", front.URL+"/login", nil)) // no visitor, who would complain about Secure without TLS: it ends in front
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if set := resp.Cookies(); len(set) != 1 || set[0].Name != "__Host-"+carrier.DefaultCookie || !set[0].Secure {
		t.Errorf("behind TLS it sets %+v, want a Secure cookie with the prefix __Host-", set)
	}
}

// TestFaultsStopTheProgram with a sentence, before it listens.
func TestFaultsStopTheProgram(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"every address, in the clear":   {[]string{"-addr", "0.0.0.0:0"}, "needs TLS"},
		"no address, in the clear":      {[]string{"-addr", ":0"}, "needs TLS"},
		"a name, in the clear":          {[]string{"-addr", "jack.example.org:0"}, "needs TLS"},
		"a public URL in the clear":     {[]string{"-addr", "127.0.0.1:0", "-public-url", "http://jack.example.org"}, "needs TLS"},
		"no URL":                        {[]string{"-public-url", "jack.example.org"}, "is no public URL"},
		"an unknown store":              {[]string{"-store", "oracle:planted-secret"}, `no store "oracle"`},
		"no store":                      {[]string{"-store", ""}, "there is no store"},
		"SQLite without a file":         {[]string{"-store", "sqlite:"}, "no name"},
		"SQLite in a folder's place":    {[]string{"-store", "sqlite:" + t.TempDir()}, "sqlite:"},
		"PostgreSQL that is not there":  {[]string{"-store", "postgres://jack:planted-secret@127.0.0.1:1/jack?sslmode=disable"}, "postgres"},
		"PostgreSQL over a plain line":  {[]string{"-store", "postgres://jack:planted-secret@db.example.org/jack?sslmode=prefer"}, "sslmode"},
		"Redis with a misspelt address": {[]string{"-store", "redis://:planted-secret@127.0.0.1:port/0"}, "redis://"},
		"an unknown flag":               {[]string{"-nonsense"}, "nonsense"},
		"a port too far":                {[]string{"-addr", "127.0.0.1:70000"}, "invalid port"},
	} {
		var out strings.Builder
		err := run(context.Background(), tt.args, &out)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(out.String(), "listening") {
			t.Errorf("%s: run = %v, want an error that says %q", name, err, tt.want)
		} else if strings.Contains(err.Error(), "planted-secret") {
			t.Errorf("%s: the error shows a password: %v", name, err)
		}
	}
	var help strings.Builder
	if err := run(context.Background(), []string{"-h"}, &help); err != nil || !strings.Contains(help.String(), "-store") || strings.Contains(help.String(), "listening") {
		t.Errorf("run(-h) = %v and prints %q, want the flags and nothing else", err, help.String())
	}
}
