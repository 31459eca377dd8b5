package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/passwd"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// A site is the program over TLS, with what stands behind it.
type site struct {
	*httptest.Server
	app      *app
	store    *gatehousetest.Store
	sessions *session.Table
}

// quick hashes are for tests that are not about hashing.
var quick = passwd.Config{Params: passwd.Params{Memory: 64, Time: 1}, InsecureParams: true}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteWith(t, quick)
}

func newSiteWith(t *testing.T, config passwd.Config) *site {
	t.Helper()
	hasher, err := passwd.New(config)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(t.Context(), hasher)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{app: a, store: gatehousetest.NewStore(memory.Sessions())}
	s.sessions = session.New(s.store, session.Config{})
	h, err := a.handler(s.sessions)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s
}

func (s *site) visit(t *testing.T) *testbed.Visitor {
	t.Helper()
	return testbed.Visit(t, s.URL, s.Client().Transport)
}

// logIn returns a visitor who is logged in with the password that all have.
func (s *site) logIn(t *testing.T, name string) *testbed.Visitor {
	t.Helper()
	v := s.visit(t)
	if got := v.Post("/login", "username", name, "password", "password"); got.Status != http.StatusNoContent {
		t.Fatalf("%s logs in: %d %s, want 204", name, got.Status, got.Body)
	}
	return v
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

// mustAskForLogin reports an answer that is not 401 with a plain challenge.
func mustAskForLogin(t *testing.T, what string, got testbed.Answer) {
	t.Helper()
	if challenge := got.Header.Get("WWW-Authenticate"); got.Status != http.StatusUnauthorized || challenge != `Bearer realm="gatehouse"` {
		t.Errorf("%s = %d, WWW-Authenticate %q, want 401 with a challenge without an error", what, got.Status, challenge)
	}
}

// TestWhoMaySeeWhat is the table of users and pages.
func TestWhoMaySeeWhat(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		who               string
		greeting          string
		public, protected int
	}{
		{"", "You need to login", 401, 401},
		{"devin", "Hello, devin!", 200, 403},
		{"jack", "Hello, jack!", 200, 200},
	} {
		v := s.visit(t)
		if tt.who != "" {
			v = s.logIn(t, tt.who)
		}
		mustBe(t, tt.who+": GET /", v.Get("/"), 200, tt.greeting)
		mustBe(t, tt.who+": GET /public", v.Get("/public"), tt.public)
		got := v.Get("/protected")
		mustBe(t, tt.who+": GET /protected", got, tt.protected)
		if tt.protected == 403 && (strings.Contains(got.Body, "protected") || got.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: GET /protected = %s, challenge %q, want no word about what is needed", tt.who, got.Body, got.Header.Get("WWW-Authenticate"))
		}
		if tt.who == "" {
			mustAskForLogin(t, "a stranger's GET /public", v.Get("/public"))
			mustAskForLogin(t, "a stranger's GET /protected", v.Get("/protected"))
		}
	}
}

// TestLoginAndLogout for programs, which want no page, and for browsers, which are sent to one.
func TestLoginAndLogout(t *testing.T) {
	s := newSite(t)
	form := testbed.Form("username", "devin", "password", "password")
	for name, tt := range map[string]struct {
		fields   []string
		status   int
		location string
	}{
		"a program":             {nil, http.StatusNoContent, ""},
		"a program with a word": {[]string{"Accept", "application/json"}, http.StatusNoContent, ""},
		"a script on a page":    {[]string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin", "Accept", "text/html"}, http.StatusNoContent, ""},
		"a browser":             {testbed.Navigation, http.StatusSeeOther, "/"},
		"an old browser":        {[]string{"Accept", "text/html,*/*;q=0.8", "Origin", s.URL}, http.StatusSeeOther, "/"},
	} {
		v := s.visit(t)
		in := v.Do("POST", "/login", form, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, tt.fields...)...)
		if in.Status != tt.status || in.Header.Get("Location") != tt.location || in.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s logs in: %d to %q, Cache-Control %q, want %d to %q, no-store", name, in.Status, in.Header.Get("Location"), in.Header.Get("Cache-Control"), tt.status, tt.location)
		}
		set := in.SetCookies()
		if len(set) != 1 || set[0].Name != "__Host-gatehouse" || set[0].Path != "/" || !set[0].Secure || !set[0].HttpOnly || set[0].SameSite != http.SameSiteLaxMode || strings.Contains(set[0].Value, "devin") {
			t.Errorf("%s logs in and gets %+v, want __Host-…; Path=/; Secure; HttpOnly; SameSite=Lax with a value that says nothing", name, set)
		}
		held := v.Held()
		out := v.Do("POST", "/logout", "", tt.fields...)
		if out.Status != tt.status || out.Header.Get("Location") != tt.location {
			t.Errorf("%s logs out: %d to %q, want %d to %q", name, out.Status, out.Header.Get("Location"), tt.status, tt.location)
		}
		gone := out.SetCookies()
		if len(gone) != 1 || gone[0].Name != set[0].Name || gone[0].Value != "" || gone[0].MaxAge >= 0 || gone[0].Path != "/" || !gone[0].Secure || !gone[0].HttpOnly || gone[0].SameSite != http.SameSiteLaxMode {
			t.Errorf("%s logs out and gets %+v, want the cookie taken away with the attributes that it was set with", name, gone)
		}
		mustAskForLogin(t, name+": the cookie of before the log-out", s.visit(t).Get("/public", "Cookie", held))
		mustBe(t, name+": GET / after it", v.Get("/"), 200, "You need to login")
	}
}

// wrongLogins are log-ins that fail. None may be told from another.
var wrongLogins = map[string]struct{ kind, body string }{
	"a wrong password":             {"", testbed.Form("username", "jack", "password", "wrong")},
	"another user's name":          {"", testbed.Form("username", "JACK", "password", "password")},
	"a user who does not exist":    {"", testbed.Form("username", "nobody", "password", "password")},
	"no password":                  {"", testbed.Form("username", "jack")},
	"an empty password":            {"", testbed.Form("username", "jack", "password", "")},
	"no name":                      {"", testbed.Form("password", "password")},
	"an empty name":                {"", testbed.Form("username", "", "password", "password")},
	"nothing":                      {"", ""},
	"a password with a space":      {"", testbed.Form("username", "jack", "password", "password ")},
	"a password in capitals":       {"", testbed.Form("username", "jack", "password", "PASSWORD")},
	"a password that goes on":      {"", testbed.Form("username", "jack", "password", "password\x00x")},
	"a password beyond all bounds": {"", testbed.Form("username", "jack", "password", strings.Repeat("p", 2000))},
	"a name beyond all bounds":     {"", testbed.Form("username", strings.Repeat("j", 2000), "password", "password")},
	"other fields":                 {"", testbed.Form("login", "jack", "password", "password")},
	"a name with SQL in it":        {"", testbed.Form("username", "jack' OR '1'='1", "password", "password")},
	"bytes that are no text":       {"", "username=jack%ff&password=password"},
	"a broken form":                {"", "username=jack&password=%zz"},
	"a broken separator":           {"", "username=jack;password=password"},
	"the first name counts":        {"", testbed.Form("username", "nobody", "username", "jack", "password", "password")},
	"JSON":                         {"application/json", `{"username":"jack","password":"password"}`},
	"plain text":                   {"text/plain", testbed.Form("username", "jack", "password", "password")},
	"no type":                      {"-", testbed.Form("username", "jack", "password", "password")},
	"files":                        {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"username\"; filename=\"a\"\r\n\r\njack\r\n--x\r\nContent-Disposition: form-data; name=\"password\"; filename=\"b\"\r\n\r\npassword\r\n--x--\r\n"},
}

// TestWrongLoginsAreAlike, to the byte: nobody learns which names there are.
func TestWrongLoginsAreAlike(t *testing.T) {
	s := newSite(t)
	for name, fields := range map[string][]string{"a program": nil, "a browser": testbed.Navigation} {
		var first string
		for why, tt := range wrongLogins {
			kind := []string{"Content-Type", tt.kind}
			switch tt.kind {
			case "":
				kind[1] = "application/x-www-form-urlencoded"
			case "-":
				kind = nil
			}
			got := s.visit(t).Do("POST", "/login", tt.body, append(kind, fields...)...)
			mustAskForLogin(t, name+", "+why, got)
			if name == "a program" && got.Code() != "invalid_credentials" {
				t.Errorf("%s, %s: the problem is %q, want invalid_credentials", name, why, got.Code())
			}
			if len(got.SetCookies()) != 0 {
				t.Errorf("%s, %s: sets %d cookies, want none", name, why, len(got.SetCookies()))
			}
			if name == "a browser" {
				mustBe(t, why, got, 401, "Invalid username / password combination", `action="/login"`)
			}
			got.Header.Del("Date")
			all := got.Body + strings.Join(slices.Sorted(headerLines(got.Header)), "\n")
			if first == "" {
				first = all
			}
			if all != first {
				t.Errorf("%s, %s: the answer is\n%s\nand another failed log-in got\n%s", name, why, all, first)
			}
		}
	}
	if n := s.store.Count(); n != 0 {
		t.Errorf("failed log-ins cost %d calls of the store of sessions, want none", n)
	}
}

func headerLines(h http.Header) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name, values := range h {
			if !yield(name + ": " + strings.Join(values, ", ")) {
				return
			}
		}
	}
}

// TestWrongLoginsTakeAsLong whether the name exists or not. Without work for unknown names the difference is a hundredfold.
func TestWrongLoginsTakeAsLong(t *testing.T) {
	s := newSiteWith(t, passwd.Config{})
	v := s.visit(t)
	fastest := func(name string) time.Duration {
		least := time.Hour
		for range 5 {
			begin := time.Now()
			v.Post("/login", "username", name, "password", "wrong")
			least = min(least, time.Since(begin))
		}
		return least
	}
	known, unknown := fastest("jack"), fastest("nobody")
	if known > 4*unknown || unknown > 4*known {
		t.Errorf("a wrong password takes %v and an unknown name %v, want about the same", known, unknown)
	}
}

// TestPasswordsInURLs do not count: URLs are kept in logs and histories.
func TestPasswordsInURLs(t *testing.T) {
	s := newSite(t)
	query := testbed.Form("username", "jack", "password", "password")
	for _, body := range []string{"", testbed.Form("username", "jack"), testbed.Form("password", "wrong")} {
		got := s.visit(t).Do("POST", "/login?"+query, body, "Content-Type", "application/x-www-form-urlencoded")
		mustAskForLogin(t, "POST /login?username=…&password=… with the body "+body, got)
	}
}

// TestLoginPostsOnly and takes no more than a log-in needs.
func TestLoginPostsOnly(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/login", "/logout"} {
		for _, method := range []string{"GET", "HEAD", "PUT"} {
			if got := s.visit(t).Do(method, path, ""); got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "POST" {
				t.Errorf("%s %s = %d, Allow %q, want 405 with Allow: POST", method, path, got.Status, got.Header.Get("Allow"))
			}
		}
	}
	flood := testbed.Form("username", "jack", "password", strings.Repeat("p", 70<<10))
	if got := s.visit(t).Do("POST", "/login", flood, "Content-Type", "application/x-www-form-urlencoded"); got.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("POST /login with 70 KiB = %d, want 413", got.Status)
	}
	r, err := http.NewRequest("POST", s.URL+"/login", struct{ *strings.Reader }{strings.NewReader(flood)}) // of unknown length: in chunks
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("POST /login with 70 KiB in chunks = %d, want 413", resp.StatusCode)
	}
}

// TestAnotherUserInTheSameBrowser gets a session of his own, and nothing of the one before is left.
func TestAnotherUserInTheSameBrowser(t *testing.T) {
	s := newSite(t)
	v := s.logIn(t, "jack")
	first := v.Held()
	for _, name := range []string{"devin", "devin", "jack"} {
		held := v.Held()
		v.Post("/login", "username", name, "password", "password")
		if v.Held() == held {
			t.Errorf("the log-in of %s keeps the cookie of before", name)
		}
		mustBe(t, "GET / as "+name, v.Get("/"), 200, "Hello, "+name+"!")
		mustAskForLogin(t, "the cookie of before", s.visit(t).Get("/public", "Cookie", held))
	}
	mustAskForLogin(t, "the first cookie", s.visit(t).Get("/public", "Cookie", first))
	for name, want := range map[string]int{"jack": 1, "devin": 0} {
		if list, err := s.sessions.List(t.Context(), name); len(list) != want || err != nil {
			t.Errorf("%s has %d sessions, %v, want %d", name, len(list), err, want)
		}
	}
}

// TestPlantedCookie: what somebody has put into the browser before the log-in is not taken over by it.
func TestPlantedCookie(t *testing.T) {
	s := newSite(t)
	attacker := s.logIn(t, "devin")
	for _, planted := range []string{attacker.Held(), "__Host-gatehouse=" + strings.Repeat("A", 43)} {
		v := s.visit(t)
		got := v.Do("POST", "/login", testbed.Form("username", "jack", "password", "password"), "Content-Type", "application/x-www-form-urlencoded", "Cookie", planted)
		mustBe(t, "the log-in with a planted cookie", got, 204)
		if v.Held() == planted || v.Held() == "" {
			t.Error("the log-in takes the planted cookie over")
		}
		mustAskForLogin(t, "the planted cookie afterwards", s.visit(t).Get("/public", "Cookie", planted))
	}
}

// TestNamesAreText wherever they stand on a page.
func TestNamesAreText(t *testing.T) {
	s := newSite(t)
	const name = `<script>alert("devin")</script>`
	if err := s.app.users.Set(name, policy.User{Permissions: []string{"public"}}); err != nil {
		t.Fatal(err)
	}
	client := gatehousetest.Client(t, s.Server, carrier.Session(s.sessions), gatehouse.Identity{Value: name})
	for _, path := range []string{"/", "/public"} {
		resp, err := client.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body := new(strings.Builder)
		resp.Write(body)
		resp.Body.Close()
		if strings.Contains(body.String(), "<script") || !strings.Contains(body.String(), "&lt;script&gt;alert") {
			t.Errorf("GET %s as a user with a tag for a name = %s, want the name escaped", path, body)
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("GET %s: Content-Security-Policy %q, want that no script runs", path, policy)
		}
	}
}

// TestChangesCountAtOnce, with the cookie that the user has.
func TestChangesCountAtOnce(t *testing.T) {
	s := newSite(t)
	v := s.logIn(t, "jack")
	mustBe(t, "GET /protected at first", v.Get("/protected"), 200)
	change := func(what string, f func(*policy.User)) {
		t.Helper()
		if err := s.app.users.Update("jack", f); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	change("less", func(u *policy.User) { u.Permissions = []string{"public"} })
	mustBe(t, "GET /protected without the permission", v.Get("/protected"), 403)
	mustBe(t, "GET /public without it", v.Get("/public"), 200)
	held := v.Held()
	change("disabled", func(u *policy.User) { u.Disabled = true })
	mustAskForLogin(t, "GET /public as a disabled user", v.Get("/public"))
	mustBe(t, "GET / as a disabled user", v.Get("/", "Cookie", held), 200, "You need to login")
}

// TestOtherSitesCannotLogIn anybody as somebody else (CWE-352), nor out.
func TestOtherSitesCannotLogIn(t *testing.T) {
	s := newSite(t)
	form := testbed.Form("username", "devin", "password", "password")
	for _, fields := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		got := s.visit(t).Do("POST", "/login", form, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, fields...)...)
		if got.Status != http.StatusForbidden || got.Code() != "cross_origin" || len(got.SetCookies()) != 0 {
			t.Errorf("a log-in from %q = %d %s with %d cookies, want 403 cross_origin and none", fields, got.Status, got.Code(), len(got.SetCookies()))
		}
		v := s.logIn(t, "jack")
		if got := v.Do("POST", "/logout", "", fields...); got.Status != http.StatusForbidden {
			t.Errorf("a log-out from %q = %d, want 403", fields, got.Status)
		}
		mustBe(t, "GET / after that", v.Get("/"), 200, "Hello, jack!")
	}
}

// TestStoreIsDown: a log-in that could not be kept, and a log-out that could not be done, do not look like one.
func TestStoreIsDown(t *testing.T) {
	s := newSite(t)
	v := s.logIn(t, "jack")
	s.store.Fail(gatehousetest.ErrDown)
	for what, got := range map[string]testbed.Answer{
		"a log-in":          s.visit(t).Post("/login", "username", "jack", "password", "password"),
		"a second log-in":   v.Post("/login", "username", "jack", "password", "password"),
		"a log-out":         v.Post("/logout"),
		"a page":            v.Get("/protected"),
		"a page for people": v.Get("/protected", testbed.Navigation...),
	} {
		if got.Status != http.StatusServiceUnavailable || len(got.SetCookies()) != 0 || got.Header.Get("Retry-After") == "" || strings.Contains(got.Body, "gatehousetest") {
			t.Errorf("%s with the store down = %d with %d cookies: %s, want 503 with Retry-After and without the cause", what, got.Status, len(got.SetCookies()), got.Body)
		}
	}
	s.store.Fail(nil)
	s.store.Fail(gatehousetest.ErrDown, gatehousetest.CallDelete) // the guard finds the session, and cannot end it
	if got := v.Post("/logout"); got.Status != http.StatusServiceUnavailable || len(got.SetCookies()) != 0 {
		t.Errorf("a log-out that cannot be written = %d with %d cookies, want 503 and the cookie left", got.Status, len(got.SetCookies()))
	}
	s.store.Fail(nil)
	mustBe(t, "GET /protected when the store is back", v.Get("/protected"), 200)
}

// TestEveryStore: the same handlers behind another value of one flag.
func TestEveryStore(t *testing.T) {
	for _, kind := range testbed.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			p := testbed.Start(t, run, "-addr", "127.0.0.1:0", "-store", kind.Address(t))
			v := testbed.Visit(t, p.URL, nil)
			mustAskForLogin(t, "GET /public", v.Get("/public"))
			mustAskForLogin(t, "a wrong password", v.Post("/login", "username", "devin", "password", "wrong"))
			mustBe(t, "POST /login", v.Post("/login", "username", "devin", "password", "password"), 204)
			mustBe(t, "GET /public", v.Get("/public"), 200)
			mustBe(t, "GET /protected", v.Get("/protected"), 403)
			held := v.Held()
			mustBe(t, "POST /logout", v.Post("/logout"), 204)
			mustAskForLogin(t, "GET /public with the cookie of before", v.Get("/public", "Cookie", held))
		})
	}
}

// TestFaultsStopTheProgram with a sentence, before it listens.
func TestFaultsStopTheProgram(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"every address, in the clear": {[]string{"-addr", "0.0.0.0:0"}, "needs TLS"},
		"no URL":                      {[]string{"-public-url", "app.example.org"}, "is no public URL"},
		"an unknown store":            {[]string{"-store", "oracle:planted-secret"}, `no store "oracle"`},
		"SQLite in a folder's place":  {[]string{"-store", "sqlite:" + t.TempDir()}, "sqlite:"},
		"an unknown flag":             {[]string{"-nonsense"}, "nonsense"},
		"a port too far":              {[]string{"-addr", "127.0.0.1:70000"}, "invalid port"},
	} {
		var out strings.Builder
		err := run(context.Background(), tt.args, &out)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(out.String(), "listening") || strings.Contains(err.Error(), "planted-secret") {
			t.Errorf("%s: run = %v, want an error that says %q", name, err, tt.want)
		}
	}
	if err := run(context.Background(), []string{"-h"}, new(strings.Builder)); err != nil {
		t.Errorf("run(-h) = %v, want nil", err)
	}
}

// TestTooManyLogins at once are refused as what could not be checked, the right passwords too: never as wrong ones.
func TestTooManyLogins(t *testing.T) {
	s := newSiteWith(t, quick)
	slow, err := passwd.New(passwd.Config{Params: passwd.Params{Time: 50}, Parallel: 1, Queue: -1})
	if err != nil {
		t.Fatal(err)
	}
	s.app.hasher = slow
	done := make(chan error)
	go func() {
		_, err := slow.Hash(t.Context(), "somebody else's")
		done <- err
	}()
	for taken := 0; taken == 0; taken, _ = slow.Load() {
		runtime.Gosched()
	}
	for _, password := range []string{"password", "wrong"} {
		got := s.visit(t).Post("/login", "username", "jack", "password", password)
		if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || len(got.SetCookies()) != 0 {
			t.Errorf("a log-in too many with the password %s = %d, Retry-After %q, %d cookies, want 503 with Retry-After and no cookie", password, got.Status, got.Header.Get("Retry-After"), len(got.SetCookies()))
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
