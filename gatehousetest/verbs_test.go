package gatehousetest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// A right is a permission as programs write them down: a string type of their own.
type right string

// A level is a permission that has a name only when it is asked.
type level int

func (l level) String() string { return [...]string{"read", "write", "forbid"}[l] }

// A club is a program with pages for each verb. Its member UserID may read and write.
type club struct {
	*httptest.Server
	store    *gatehousetest.Store
	members  *policy.Dictionary
	resolved atomic.Int64 // how often the policy was asked who somebody is
	remember []carrier.Option
}

// Resolve implements [guard.Policy].
func (c *club) Resolve(ctx context.Context, id gatehouse.Identity) (gatehouse.Principal, error) {
	c.resolved.Add(1)
	return c.members.Resolve(ctx, id)
}

// Permits implements [guard.Policy].
func (c *club) Permits(ctx context.Context, p gatehouse.Principal, permission string, resource any) (bool, error) {
	return c.members.Permits(ctx, p, permission, resource)
}

func newClub(t *testing.T, anonymous []string, options ...carrier.CookieOption) *club {
	t.Helper()
	members, err := policy.NewDictionary(policy.DictionaryConfig{
		Users: map[string]policy.User{"UserID": {Permissions: []string{"read", "write"}}}, Anonymous: anonymous,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &club{store: gatehousetest.NewStore(memory.Sessions()), members: members}
	sessions := carrier.Session(session.New(c.store, session.Config{}), options...)
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{sessions}, Policy: c, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c.Server = httptest.NewTLSServer(g.Handler(c.pages(g)))
	t.Cleanup(c.Close)
	return c
}

// pages are the verbs, each behind a path: around a handler and in one.
func (c *club) pages(g *guard.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /login", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return guard.Remember(w, r, gatehouse.Identity{Value: "UserID"}, c.remember...)
	}))
	mux.Handle("/logout", guard.Handle(guard.Forget)) // by any method: a mistake of the program
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q anonymous=%v", guard.UserID(r), guard.IsAnonymous(r))
	})
	hello := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }
	mux.Handle("GET /known", g.Require(hello))
	mux.Handle("GET /known-in", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		p, err := guard.Require(r)
		if err == nil {
			fmt.Fprint(w, p.Subject)
		}
		return err
	}))
	for i, name := range []string{"read", "write", "forbid"} {
		mux.Handle("GET /around/"+name, g.RequirePermission(name, hello))
		mux.Handle("GET /around/right/"+name, g.RequirePermission(right(name), hello))
		mux.Handle("GET /in/"+name, guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
			p, err := guard.RequirePermission(r, level(i), nil)
			if err == nil {
				fmt.Fprintf(w, "%q", p.Subject)
			}
			return err
		}))
		mux.Handle("GET /permits/"+name, guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
			var answers [3]bool
			for j, permission := range []any{name, right(name), level(i)} {
				var err error
				if answers[j], err = guard.Permits(r, permission, nil); err != nil {
					return err
				}
			}
			fmt.Fprint(w, answers)
			return nil
		}))
	}
	return mux
}

func (c *club) visit(t *testing.T) *testbed.Visitor {
	t.Helper()
	return testbed.Visit(t, c.URL, c.Client().Transport)
}

// TestPermissionsOfAMember before the log-in, after it, and after the log-out; whichever way the permission is written and asked for.
func TestPermissionsOfAMember(t *testing.T) {
	c := newClub(t, nil)
	v := c.visit(t)
	check := func(when string, read, write, forbid int, me string) {
		t.Helper()
		for _, form := range []string{"/around/", "/around/right/", "/in/"} {
			for name, want := range map[string]int{"read": read, "write": write, "forbid": forbid} {
				got := v.Get(form + name)
				if got.Status != want {
					t.Errorf("%s: GET %s%s = %d, want %d", when, form, name, got.Status, want)
				}
				if challenge := got.Header.Get("WWW-Authenticate"); want == 401 && challenge != `Bearer realm="gatehouse"` || want == 403 && challenge != "" {
					t.Errorf("%s: GET %s%s has the challenge %q, want one without an error for a stranger and none for a member", when, form, name, challenge)
				}
			}
		}
		for name, want := range map[string]int{"read": read, "write": write, "forbid": forbid} {
			if got, want := v.Get("/permits/"+name).Body, fmt.Sprint([3]bool{want == 200, want == 200, want == 200}); got != want {
				t.Errorf("%s: Permits(%s) = %s as string, string type and Stringer, want %s", when, name, got, want)
			}
		}
		known := 401
		if read == 200 {
			known = 200
		}
		if a, b := v.Get("/known").Status, v.Get("/known-in").Status; a != known || b != known {
			t.Errorf("%s: GET /known = %d around and %d in the handler, want %d", when, a, b, known)
		}
		if got := v.Get("/me").Body; got != me {
			t.Errorf("%s: GET /me = %s, want %s", when, got, me)
		}
	}
	const nobody, member = `"" anonymous=true`, `"UserID" anonymous=false`
	check("before the log-in", 401, 401, 401, nobody)
	v.Post("/login")
	check("after the log-in", 200, 200, 403, member)
	v.Post("/logout")
	check("after the log-out", 401, 401, 401, nobody)
}

// TestOneLookUpPerRequest, however many questions a handler asks.
func TestOneLookUpPerRequest(t *testing.T) {
	c := newClub(t, nil)
	v := c.visit(t)
	v.Post("/login")
	for _, path := range []string{"/me", "/known", "/known-in", "/around/read", "/in/read", "/permits/read", "/permits/forbid", "/around/forbid"} {
		c.store.Reset()
		c.resolved.Store(0)
		if v.Get(path); c.store.Count() != 1 || c.store.Count(gatehousetest.CallGet) != 1 || c.resolved.Load() != 1 {
			t.Errorf("GET %s costs %d calls of the store and asks %d times who that is, want one of each", path, c.store.Count(), c.resolved.Load())
		}
	}
}

// TestCookieSaysNothing of whom it stands for, and no script can read it.
func TestCookieSaysNothing(t *testing.T) {
	c := newClub(t, nil)
	seen := map[string]bool{}
	for range 3 {
		set := c.visit(t).Post("/login").SetCookies()
		if len(set) != 1 {
			t.Fatalf("the log-in sets %d cookies, want 1", len(set))
		}
		cookie := set[0]
		if strings.Contains(cookie.Value, "UserID") || len(cookie.Value) < 43 || seen[cookie.Value] {
			t.Error("the cookie's value is short, says who it is for, or comes twice")
		}
		seen[cookie.Value] = true
		if cookie.MaxAge != int(session.DefaultAbsolute/time.Second) || !cookie.HttpOnly || !cookie.Secure || cookie.Path != "/" || cookie.SameSite != http.SameSiteLaxMode {
			t.Errorf("the cookie has %v, want Max-Age of 30 days, HttpOnly, Secure, Path=/ and SameSite=Lax", cookie)
		}
	}
}

// TestOptionsOfRemember are honoured in the cookie, or refused: none is left out in silence.
func TestOptionsOfRemember(t *testing.T) {
	for name, tt := range map[string]struct {
		cookie   []carrier.CookieOption
		remember []carrier.Option
		want     func(*http.Cookie) bool // nil: refused
	}{
		"a minute, strictly": {nil, []carrier.Option{carrier.MaxAge(time.Minute), carrier.SameSite(http.SameSiteStrictMode)}, func(c *http.Cookie) bool {
			return c.MaxAge == 60 && c.SameSite == http.SameSiteStrictMode && c.HttpOnly && c.Secure
		}},
		"until the browser is closed": {nil, []carrier.Option{carrier.BrowserSession()}, func(c *http.Cookie) bool { return c.MaxAge == 0 && c.Expires.IsZero() && c.HttpOnly && c.Secure }},
		"another name":                {[]carrier.CookieOption{carrier.CookieName("app1-token")}, nil, func(c *http.Cookie) bool { return c.Name == "__Host-app1-token" }},
		"a path":                      {[]carrier.CookieOption{carrier.CookieScope("", "/")}, []carrier.Option{carrier.Path("/app")}, func(c *http.Cookie) bool { return c.Path == "/app" && c.Name == "__Secure-gatehouse" }},

		"a path beside __Host-":       {nil, []carrier.Option{carrier.Path("/app")}, nil},
		"a domain beside __Host-":     {nil, []carrier.Option{carrier.Domain("example.org")}, nil},
		"every site":                  {nil, []carrier.Option{carrier.SameSite(http.SameSiteNoneMode)}, nil},
		"no SameSite":                 {nil, []carrier.Option{carrier.SameSite(http.SameSiteDefaultMode)}, nil},
		"no time at all":              {nil, []carrier.Option{carrier.MaxAge(0)}, nil},
		"less than a second":          {nil, []carrier.Option{carrier.MaxAge(time.Second - 1)}, nil},
		"a minute and for ever":       {nil, []carrier.Option{carrier.MaxAge(time.Minute), carrier.BrowserSession()}, nil},
		"an option of nobody's":       {nil, []carrier.Option{carrier.With("Colour", "red")}, nil},
		"a duration that is a number": {nil, []carrier.Option{carrier.With("MaxAge", 60)}, nil},
	} {
		c := newClub(t, nil, tt.cookie...)
		c.remember = tt.remember
		got := c.visit(t).Post("/login")
		set := got.SetCookies()
		if tt.want == nil {
			if got.Status != http.StatusInternalServerError || len(set) != 0 || c.store.Count(gatehousetest.CallCreate) != 0 {
				t.Errorf("%s: the log-in = %d with %d cookies and %d sessions, want an error of the program and nothing made", name, got.Status, len(set), c.store.Count(gatehousetest.CallCreate))
			}
			continue
		}
		if got.Status != http.StatusOK || len(set) != 1 || !tt.want(set[0]) {
			t.Errorf("%s: the log-in = %d and sets %v", name, got.Status, set)
		}
	}
}

// TestMaxAgeHoldsOnTheServer: a browser that keeps the cookie for longer gains nothing.
func TestMaxAgeHoldsOnTheServer(t *testing.T) {
	clock := gatehousetest.NewClock(time.Time{})
	sessions := carrier.Session(session.New(memory.Sessions(), session.Config{Now: clock.Now}))
	srv := httptest.NewTLSServer(newApp(sessions))
	t.Cleanup(srv.Close)
	for name, tt := range map[string]struct {
		option carrier.Option
		life   time.Duration
		then   time.Duration // after a use a second before its end
	}{
		"a minute":        {carrier.MaxAge(time.Minute), time.Minute, time.Second}, // no use makes it longer
		"a window's life": {carrier.BrowserSession(), session.DefaultIdle, session.DefaultIdle},
	} {
		client := gatehousetest.Client(t, srv, sessions, jack, tt.option)
		status := func() int {
			resp, err := client.Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		clock.Advance(tt.life - time.Second)
		if got := status(); got != http.StatusOK {
			t.Errorf("%s: a second before its end = %d, want 200", name, got)
		}
		clock.Advance(tt.then)
		if got := status(); got != http.StatusUnauthorized {
			t.Errorf("%s: after its end = %d, want 401", name, got)
		}
	}
}

// TestCookiesThatProveNothing are nobody's, under whatever name they come.
func TestCookiesThatProveNothing(t *testing.T) {
	c := newClub(t, nil)
	for _, line := range []string{
		"AIOHTTP_SECURITY=UserID", "AIOHTTP_SECURITY=", "__Host-gatehouse=UserID", "__Host-gatehouse=", "__Host-gatehouse", "gatehouse=UserID", "__host-gatehouse=UserID",
		"__Host-gatehouse=" + strings.Repeat("A", 43), "__Host-gatehouse=\"\"", "__Host-gatehouse=;", "__Host-gatehouse=UserID; AIOHTTP_SECURITY=UserID",
	} {
		if got := c.visit(t).Get("/in/read", "Cookie", line); got.Status != http.StatusUnauthorized || got.Header.Get("WWW-Authenticate") != `Bearer realm="gatehouse"` {
			t.Errorf("GET /in/read with %.40q = %d, want 401 with a challenge without an error", line, got.Status)
		}
		if got := c.visit(t).Get("/me", "Cookie", line).Body; got != `"" anonymous=true` {
			t.Errorf("GET /me with %.40q = %s, want nobody", line, got)
		}
	}
}

// TestMembersWhoAreGone are nobody, although their session is there.
func TestMembersWhoAreGone(t *testing.T) {
	for name, change := range map[string]func(*policy.Dictionary) error{
		"removed": func(d *policy.Dictionary) error { d.Remove("UserID"); return nil },
		"disabled": func(d *policy.Dictionary) error {
			return d.Update("UserID", func(u *policy.User) { u.Disabled = true })
		},
	} {
		c := newClub(t, nil)
		v := c.visit(t)
		v.Post("/login")
		held := v.Held()
		if err := change(c.members); err != nil {
			t.Fatal(err)
		}
		if got := c.visit(t).Get("/me", "Cookie", held); got.Status != http.StatusOK || got.Body != `"" anonymous=true` {
			t.Errorf("%s: GET /me = %d %s, want nobody", name, got.Status, got.Body)
		}
		if got := c.visit(t).Get("/in/read", "Cookie", held); got.Status != http.StatusUnauthorized {
			t.Errorf("%s: GET /in/read = %d, want 401", name, got.Status)
		}
	}
}

// TestPermissionsOfEverybody: what the policy gives to anonymous callers they have, whichever way it is asked for, and nothing else.
func TestPermissionsOfEverybody(t *testing.T) {
	c := newClub(t, []string{"read"})
	for path, want := range map[string]int{
		"/permits/read": 200, "/in/read": 200, "/around/read": 200, "/around/right/read": 200,
		"/in/write": 401, "/around/write": 401, "/around/forbid": 401, "/known": 401,
	} {
		if got := c.visit(t).Get(path); got.Status != want {
			t.Errorf("a stranger's GET %s = %d, want %d", path, got.Status, want)
		}
	}
	for path, want := range map[string]string{"/permits/read": "[true true true]", "/permits/write": "[false false false]", "/in/read": `""`, "/me": `"" anonymous=true`} {
		if got := c.visit(t).Get(path).Body; got != want {
			t.Errorf("a stranger's GET %s = %s, want %s", path, got, want)
		}
	}
}

// TestLinksLogNobodyOut, even where the program has given the page a GET by mistake.
func TestLinksLogNobodyOut(t *testing.T) {
	c := newClub(t, nil)
	v := c.visit(t)
	v.Post("/login")
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		if got := v.Do(method, "/logout", ""); got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "POST" || len(got.SetCookies()) != 0 {
			t.Errorf("%s /logout = %d, Allow %q, %d cookies, want 405 with Allow: POST", method, got.Status, got.Header.Get("Allow"), len(got.SetCookies()))
		}
	}
	if got := v.Get("/me").Body; got != `"UserID" anonymous=false` {
		t.Errorf("after links to /logout GET /me = %s, want the member", got)
	}
}

// TestWhatIsNoPermission is an error of the program, and never an allow: not for a superuser either.
func TestWhatIsNoPermission(t *testing.T) {
	members, err := policy.NewDictionary(policy.DictionaryConfig{Users: map[string]policy.User{"jack": {Superuser: true}}, Anonymous: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	sessions := carrier.Session(session.New(memory.Sessions(), session.Config{}))
	g, err := guard.New(guard.Config{Carriers: []carrier.Carrier{sessions}, Policy: members, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for name, permission := range map[string]any{
		"nil": nil, "nothing": "", "a right without a name": right(""), "a number": 5, "bytes": []byte("read"), "a nil Stringer": (*level)(nil), "a list": []string{"read"},
	} {
		for who, id := range map[string]*gatehouse.Identity{"jack": &jack, "a stranger": nil} {
			var allowed bool
			var errs []error
			h := g.Handler(guard.Handle(func(_ http.ResponseWriter, r *http.Request) error {
				ok, err1 := guard.Permits(r, permission, nil)
				_, err2 := guard.RequirePermission(r, permission, nil)
				several, err3 := guard.PermitsEach(r, nil, "read", permission)
				allowed, errs = ok || slices.Contains(several, true), []error{err1, err2, err3}
				return err2
			}))
			r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
			if id != nil {
				gatehousetest.AddCredential(t, r, sessions, *id)
			}
			h.ServeHTTP(w, r)
			for _, err := range errs {
				if !errors.Is(err, guard.ErrPermission) {
					t.Errorf("%s asks for %s: error %v, want %v", who, name, err, guard.ErrPermission)
				}
			}
			if allowed || w.Code != http.StatusInternalServerError {
				t.Errorf("%s asks for %s: allowed %v, answer %d, want no and 500", who, name, allowed, w.Code)
			}
		}
	}
}

// TestWithoutAGuard every verb denies: a program that forgot the set-up is closed, not open.
func TestWithoutAGuard(t *testing.T) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // it says so once, there
	r, w := httptest.NewRequest("POST", "/", nil), httptest.NewRecorder()
	if ok, err := guard.Permits(r, "anything", nil); ok || !errors.Is(err, guard.ErrOutside) {
		t.Errorf("Permits = %v, %v, want false and %v", ok, err, guard.ErrOutside)
	}
	if !guard.IsAnonymous(r) || guard.UserID(r) != "" {
		t.Errorf("IsAnonymous = %v, UserID = %q, want true and nobody", guard.IsAnonymous(r), guard.UserID(r))
	}
	for name, verb := range map[string]func() error{
		"Remember":          func() error { return guard.Remember(w, r, jack) },
		"Forget":            func() error { return guard.Forget(w, r) },
		"Require":           func() error { _, err := guard.Require(r); return err },
		"RequireRole":       func() error { _, err := guard.RequireRole(r, "admin"); return err },
		"RequirePermission": func() error { _, err := guard.RequirePermission(r, "read", nil); return err },
		"PermitsEach":       func() error { _, err := guard.PermitsEach(r, nil, "read"); return err },
	} {
		err := verb()
		if !errors.Is(err, guard.ErrOutside) || len(w.Header()) != 0 {
			t.Errorf("%s = %v and the header %v, want %v and none", name, err, w.Header(), guard.ErrOutside)
			continue
		}
		answer := httptest.NewRecorder()
		if guard.Fail(answer, r, err); answer.Code != http.StatusServiceUnavailable {
			t.Errorf("%s without a guard is answered with %d, want 503", name, answer.Code)
		}
	}
	for name, c := range map[string]guard.Config{
		"nothing":     {},
		"no policy":   {Carriers: []carrier.Carrier{carrier.Session(session.New(memory.Sessions(), session.Config{}))}},
		"no carriers": {Policy: guard.AsSubject{}},
		"no carrier":  {Carriers: []carrier.Carrier{nil}, Policy: guard.AsSubject{}},
	} {
		if g, err := guard.New(c); err == nil || g != nil {
			t.Errorf("guard.New with %s = %v, %v, want an error", name, g, err)
		}
	}
	answer := httptest.NewRecorder()
	new(guard.Guard).Handler(http.NotFoundHandler()).ServeHTTP(answer, r)
	if answer.Code != http.StatusServiceUnavailable {
		t.Errorf("a guard that was not made by New answers %d, want 503", answer.Code)
	}
}

// TestNobodyIsRemembered: an identity without a value would be nobody's session.
func TestNobodyIsRemembered(t *testing.T) {
	store := gatehousetest.NewStore(memory.Sessions())
	g, err := guard.New(guard.Config{
		Carriers: []carrier.Carrier{carrier.Session(session.New(store, session.Config{}))}, Policy: guard.AsSubject{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]gatehouse.Identity{
		"no value": {}, "an anonymous kind": {Value: "jack", Kind: gatehouse.KindAnonymous}, "bytes that are no text": {Value: "\xff"}, "too much": {Value: strings.Repeat("x", 1025)},
	} {
		var got error
		h := g.Handler(guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
			got = guard.Remember(w, r, id)
			return got
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		if !errors.Is(got, session.ErrInvalid) || w.Code != http.StatusInternalServerError || w.Header().Get("Set-Cookie") != "" || store.Count() != 0 {
			t.Errorf("Remember(%s) = %v, answered %d after %d calls of the store, want %v, 500 and none", name, got, w.Code, store.Count(), session.ErrInvalid)
		}
	}
}
