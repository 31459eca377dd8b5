package main

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/passwd"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// A site is the program over TLS, with what stands behind it.
type site struct {
	*httptest.Server
	users *sql.DB
	store *gatehousetest.Store
}

// newSite returns a site whose users have been here before, with hashes that are quick: for tests that are not about hashing.
func newSite(t *testing.T) *site {
	t.Helper()
	hasher, err := passwd.New(passwd.Config{Params: passwd.Params{Memory: 64, Time: 1}, InsecureParams: true})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := hasher.Hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	s := siteWith(t, hasher)
	s.change(t, `UPDATE users SET password = '`+hash+`'`)
	return s
}

// newSiteAsItBegins returns a site whose users have hashes of the system before.
func newSiteAsItBegins(t *testing.T) *site {
	t.Helper()
	hasher, err := passwd.New(passwd.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return siteWith(t, hasher)
}

func siteWith(t *testing.T, hasher *passwd.Hasher) *site {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	a, err := newApp(t.Context(), db.SQL(), hasher)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{users: db.SQL(), store: gatehousetest.NewStore(sqlite.Sessions(db))}
	h, err := a.handler(session.New(s.store, session.Config{}))
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
	mustBe(t, name+" logs in", v.Post("/login", "login", name, "password", "password"), 204)
	return v
}

// change does to the tables what an administrator would.
func (s *site) change(t *testing.T, statement string) {
	t.Helper()
	result, err := s.users.ExecContext(t.Context(), statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if n, err := result.RowsAffected(); n == 0 || err != nil {
		t.Fatalf("%s: %d rows, %v, want some", statement, n, err)
	}
}

// hash returns what the table has for a user.
func (s *site) hash(t *testing.T, name string) (hash string) {
	t.Helper()
	if err := s.users.QueryRowContext(t.Context(), `SELECT password FROM users WHERE username = $1`, name).Scan(&hash); err != nil {
		t.Fatal(err)
	}
	return hash
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
		public, protected int
	}{
		{"", 401, 401}, {"admin", 200, 200}, {"moderator", 200, 200}, {"user", 200, 403},
	} {
		v, greeting := s.visit(t), "You need to login"
		if tt.who != "" {
			v, greeting = s.logIn(t, tt.who), "Hello, "+tt.who+"!"
		}
		mustBe(t, tt.who+": GET /", v.Get("/"), 200, greeting)
		mustBe(t, tt.who+": GET /public", v.Get("/public"), tt.public)
		mustBe(t, tt.who+": GET /protected", v.Get("/protected"), tt.protected)
	}
}

// TestChangesCountAtOnce, with the cookie that the user has: each step changes the tables and asks again.
func TestChangesCountAtOnce(t *testing.T) {
	s := newSite(t)
	held := map[string]string{}
	for _, name := range []string{"admin", "moderator", "user"} {
		held[name] = s.logIn(t, name).Held()
	}
	for _, step := range []struct {
		change            string
		who               string
		public, protected int
	}{
		{`UPDATE users SET disabled = TRUE WHERE username = 'admin'`, "admin", 401, 401},
		{`UPDATE users SET disabled = FALSE WHERE username = 'admin'`, "admin", 200, 200},
		{`UPDATE users SET is_superuser = FALSE WHERE username = 'admin'`, "admin", 403, 403},
		{`DELETE FROM permissions WHERE user_id = 2 AND name = 'protected'`, "moderator", 200, 403},
		{`DELETE FROM permissions WHERE user_id = 2`, "moderator", 403, 403},
		{`INSERT INTO permissions (user_id, name) VALUES (3, 'protected')`, "user", 200, 200},
		{`UPDATE permissions SET name = 'Protected' WHERE user_id = 3 AND name = 'protected'`, "user", 200, 403},
		{`UPDATE users SET is_superuser = TRUE WHERE username = 'user'`, "user", 200, 200},
		{`UPDATE users SET username = 'User' WHERE username = 'user'`, "user", 401, 401},
		{`DELETE FROM users WHERE id = 2`, "moderator", 401, 401},
	} {
		s.change(t, step.change)
		v := s.visit(t)
		mustBe(t, step.who+": GET /public after "+step.change, v.Get("/public", "Cookie", held[step.who]), step.public)
		mustBe(t, step.who+": GET /protected after "+step.change, v.Get("/protected", "Cookie", held[step.who]), step.protected)
	}
}

// TestDisabledUsersCannotLogIn, and it looks as if they did not exist.
func TestDisabledUsersCannotLogIn(t *testing.T) {
	s := newSiteAsItBegins(t)
	s.change(t, `UPDATE users SET disabled = TRUE WHERE username = 'moderator'`)
	disabled := s.visit(t).Post("/login", "login", "moderator", "password", "password")
	mustAskForLogin(t, "a disabled user logs in", disabled)
	for why, form := range map[string][]string{
		"an unknown one":   {"login", "nobody", "password", "password"},
		"a wrong password": {"login", "user", "password", "wrong"},
		"no password":      {"login", "user"},
		"another field":    {"username", "user", "password", "password"},
		"another case":     {"login", "USER", "password", "password"},
		"SQL in the name":  {"login", "user' OR '1'='1", "password", "password"},
		"nothing":          nil,
	} {
		got := s.visit(t).Post("/login", form...)
		if got.Status != disabled.Status || got.Body != disabled.Body || got.Code() != "invalid_credentials" || len(got.SetCookies()) != 0 {
			t.Errorf("%s = %d %s with %d cookies, want the answer that a disabled user gets: %d %s", why, got.Status, got.Body, len(got.SetCookies()), disabled.Status, disabled.Body)
		}
	}
	if old := s.hash(t, "moderator"); old != oldHash {
		t.Errorf("the hash of a disabled user is %s, want the old one", old)
	}
}

// TestHashesAreUpgraded by the first log-in with the right password, each user's own, and the password stays.
func TestHashesAreUpgraded(t *testing.T) {
	s := newSiteAsItBegins(t)
	if hash := s.hash(t, "user"); hash != oldHash {
		t.Fatalf("the table begins with %s, want the hash of the system before", hash)
	}
	s.visit(t).Post("/login", "login", "user", "password", "wrong")
	if hash := s.hash(t, "user"); hash != oldHash {
		t.Errorf("a wrong password makes the hash %s, want the old one", hash)
	}
	s.logIn(t, "user")
	first := s.hash(t, "user")
	if !strings.HasPrefix(first, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("after a log-in the hash is %s, want argon2id", first)
	}
	s.logIn(t, "user")
	mustAskForLogin(t, "a wrong password", s.visit(t).Post("/login", "login", "user", "password", "Password"))
	if again := s.hash(t, "user"); again != first {
		t.Errorf("a second log-in makes the hash %s, want the one that there is", again)
	}
	if other := s.hash(t, "moderator"); other != oldHash {
		t.Errorf("the log-in of another user makes the hash of the moderator %s, want the old one", other)
	}
}

// TestLogInDoesNotDependOnTheUpgrade: a table that cannot be written keeps nobody out.
func TestLogInDoesNotDependOnTheUpgrade(t *testing.T) {
	s := newSiteAsItBegins(t)
	s.change(t, `INSERT INTO permissions (user_id, name) VALUES (3, 'x')`)
	if _, err := s.users.ExecContext(t.Context(), `CREATE TRIGGER fixed BEFORE UPDATE OF password ON users BEGIN SELECT RAISE(ABORT, 'planted'); END`); err != nil {
		t.Fatal(err)
	}
	v := s.logIn(t, "user")
	mustBe(t, "GET /public", v.Get("/public"), 200)
	if hash := s.hash(t, "user"); hash != oldHash {
		t.Errorf("the hash is %s, want the old one", hash)
	}
}

// TestLogout ends the session for every copy of the cookie.
func TestLogout(t *testing.T) {
	s := newSite(t)
	v := s.logIn(t, "admin")
	held := v.Held()
	mustBe(t, "POST /logout", v.Post("/logout"), 204)
	mustAskForLogin(t, "GET /public after it", v.Get("/public"))
	mustAskForLogin(t, "GET /public with the cookie of before", s.visit(t).Get("/public", "Cookie", held))
	s.store.Reset()
	if got := s.visit(t).Post("/logout"); got.Status != 204 || len(got.SetCookies()) != 0 || s.store.Count() != 0 {
		t.Errorf("a stranger's POST /logout = %d with %d cookies and %d calls of the store, want 204 and nothing else", got.Status, len(got.SetCookies()), s.store.Count())
	}
}

// TestDatabaseIsDown: what cannot be asked denies with 503, and a log-in that cannot be checked is not a wrong one.
func TestDatabaseIsDown(t *testing.T) {
	s := newSite(t)
	v := s.logIn(t, "admin")
	if _, err := s.users.ExecContext(t.Context(), `ALTER TABLE users RENAME TO away`); err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]testbed.Answer{
		"GET /public": v.Get("/public"), "GET /": v.Get("/"), "a log-in": s.visit(t).Post("/login", "login", "user", "password", "password"),
		"a log-in of nobody": s.visit(t).Post("/login", "login", "nobody", "password", "password"),
	} {
		if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || len(got.SetCookies()) != 0 || strings.Contains(got.Body, "users") {
			t.Errorf("%s without the table = %d %s, %d cookies, want 503 without the cause and without a cookie", what, got.Status, got.Body, len(got.SetCookies()))
		}
	}
	if _, err := s.users.ExecContext(t.Context(), `ALTER TABLE away RENAME TO users`); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "GET /protected when it is back", v.Get("/protected"), 200)
}

// TestRestart: users, what became of them, and log-ins are in the file.
func TestRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.db")
	first := testbed.Start(t, run, "-addr", "127.0.0.1:0", "-db", file)
	v := testbed.Visit(t, first.URL, nil)
	mustBe(t, "POST /login", v.Post("/login", "login", "moderator", "password", "password"), 204)
	mustBe(t, "GET /protected", v.Get("/protected"), 200)
	first.Stop(t)
	db, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.SQL().ExecContext(t.Context(), `DELETE FROM users WHERE username = 'user'`); err != nil {
		t.Fatal(err)
	}
	second := testbed.Start(t, run, "-addr", "127.0.0.1:0", "-db", file)
	again := testbed.Visit(t, second.URL, nil)
	mustBe(t, "GET /protected of the program that was started again", again.Get("/protected", "Cookie", v.Held()), 200)
	mustAskForLogin(t, "a user who was removed", again.Post("/login", "login", "user", "password", "password"))
	if _, err := db.SQL().ExecContext(t.Context(), `UPDATE users SET disabled = TRUE WHERE username = 'moderator'`); err != nil {
		t.Fatal(err) // from another connection than the program's, as an administrator's tool would
	}
	mustAskForLogin(t, "GET /protected once he is disabled", again.Get("/protected", "Cookie", v.Held()))
}

// TestEveryStore of sessions goes with the users' database.
func TestEveryStore(t *testing.T) {
	for _, kind := range testbed.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			p := testbed.Start(t, run, "-addr", "127.0.0.1:0", "-store", kind.Address(t))
			v := testbed.Visit(t, p.URL, nil)
			mustAskForLogin(t, "GET /public", v.Get("/public"))
			mustBe(t, "POST /login", v.Post("/login", "login", "user", "password", "password"), 204)
			mustBe(t, "GET /public", v.Get("/public"), 200)
			mustBe(t, "GET /protected", v.Get("/protected"), 403)
			held := v.Held()
			mustBe(t, "POST /logout", v.Post("/logout"), 204)
			mustAskForLogin(t, "GET /public with the cookie of before", v.Get("/public", "Cookie", held))
		})
	}
}

// TestLoginPostsOnly and takes no more than a log-in needs.
func TestLoginPostsOnly(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/login", "/logout"} {
		if got := s.visit(t).Get(path); got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "POST" {
			t.Errorf("GET %s = %d, Allow %q, want 405 with Allow: POST", path, got.Status, got.Header.Get("Allow"))
		}
	}
	if got := s.visit(t).Post("/login", "login", "user", "password", strings.Repeat("p", 70<<10)); got.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("POST /login with 70 KiB = %d, want 413", got.Status)
	}
	got := s.visit(t).Do("POST", "/login?"+testbed.Form("login", "user", "password", "password"), "", "Content-Type", "application/x-www-form-urlencoded")
	mustAskForLogin(t, "a password in the URL", got)
	cross := s.visit(t).Do("POST", "/login", testbed.Form("login", "user", "password", "password"), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site")
	if cross.Status != http.StatusForbidden || cross.Code() != "cross_origin" || len(cross.SetCookies()) != 0 {
		t.Errorf("a log-in from another site = %d %s, want 403 cross_origin", cross.Status, cross.Code())
	}
}

// TestFaultsStopTheProgram with a sentence, before it listens.
func TestFaultsStopTheProgram(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"every address, in the clear": {[]string{"-addr", "0.0.0.0:0"}, "needs TLS"},
		"a folder for users":          {[]string{"-db", t.TempDir()}, "sqlite:"},
		"an unknown store":            {[]string{"-store", "oracle:planted-secret"}, `no store "oracle"`},
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
