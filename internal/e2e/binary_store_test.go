package e2e

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/session"
)

// sessionsIn is a configuration on a loopback address with its store in the working folder.
const sessionsIn = `
server: {http: {allowed_tokens: [token-number-one]}}
carriers: [session, authorization]
rules: [{path: "/public/**", allow: anyone}, {path: "/**", allow: authenticated}]
`

// beginIn starts a server with a configuration of its own in dir.
func beginIn(t *testing.T, dir, config string, env ...string) *gate {
	t.Helper()
	put(t, dir, "gatehouse.yaml", config)
	return begin(t, launchPlan{dir: dir, env: env})
}

// endsIn starts a server that must not start, and returns what it said.
func endsIn(t *testing.T, dir, config string, code int, env ...string) string {
	t.Helper()
	put(t, dir, "gatehouse.yaml", config)
	g := spawn(t, launchPlan{dir: dir, env: env})
	if got := g.wait(t); got != code {
		t.Errorf("code %d, want %d:\n%s", got, code, g.tail())
	}
	return g.stderr.String()
}

func databaseIn(dir string) string { return filepath.Join(dir, "gatehouse-data", "gatehouse.db") }

// beside is a Go program on the store of g, on a loopback address without TLS.
func beside(t *testing.T, g *gate) *desk {
	t.Helper()
	return besideSQLite(t, databaseIn(g.dir), session.Config{}, insecureCookie(t))
}

// TestTheFirstStart makes the folder and the database for this user alone, and says what it did.
func TestTheFirstStart(t *testing.T) {
	t.Parallel()
	g := beginIn(t, shortDir(t), sessionsIn)
	for name, want := range map[string]os.FileMode{"gatehouse-data": 0o700 | os.ModeDir, "gatehouse-data/gatehouse.db": 0o600, "gatehouse-data/gatehouse.db.lock": 0o600} {
		if info, err := os.Stat(filepath.Join(g.dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v (%v), want %v", name, info.Mode(), err, want)
		}
	}
	for _, line := range []string{`"msg":"store connected","store":"sqlite gatehouse-data/gatehouse.db"`, "plain http on a loopback address: the session cookie has neither the prefix __Host- nor Secure"} {
		if !g.said(0, line) {
			t.Errorf("the log does not say %s:\n%s", line, g.stderr)
		}
	}
	if g.said(0, "no credential is valid") {
		t.Error("it warns that nobody can come in, and who is signed in can")
	}
	if status, body := g.admin(t, "/readyz"); status != 200 {
		t.Errorf("/readyz = %d %s, want 200", status, body)
	}
	d := beside(t, g)
	cookie := d.signIn(t, "amy")
	if got := g.ask(t, "GET /", cookie); got.status != 404 { // signed in, and there is no upstream
		t.Errorf("GET / as amy = %d %s, want 404: she may pass, and there is nothing", got.status, got.body)
	}
	d.signOut(t, cookie)
	got := g.ask(t, "GET /", cookie)
	want := "gatehouse=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; SameSite=Lax"
	if got.status != 401 || !slices.Equal(got.header["Set-Cookie"], []string{want}) {
		t.Errorf("GET / after the log-out = %d with Set-Cookie %q, want 401 with %q", got.status, got.header["Set-Cookie"], want)
	}
	if out := gatehouse(t, g.dir, nil, "explain", "--request", got.header.Get("X-Request-Id")); out.code != 1 || !strings.Contains(out.stdout, "cookie gatehouse") || !strings.Contains(out.stdout, "session_invalid") {
		t.Errorf("explain --request: %+v, want the carrier and session_invalid", out)
	}
}

// TestTwoServersOnOneDatabase: the second refuses, and takes nothing from the first. A server that was killed keeps nobody out.
func TestTwoServersOnOneDatabase(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	first := beginIn(t, dir, sessionsIn)
	cookie := beside(t, first).signIn(t, "amy")
	said := endsIn(t, dir, sessionsIn, 3, "GATEHOUSE_SERVER__ADMIN__LISTEN=unix:other.sock")
	if !strings.Contains(said, "another gatehouse serves with gatehouse-data/gatehouse.db: stop it first") {
		t.Errorf("the second says\n%s", said)
	}
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(databaseIn(dir), link); err != nil {
		t.Fatal(err)
	}
	if said := endsIn(t, dir, sessionsIn, 3, "GATEHOUSE_STORE__URL=sqlite:link.db"); !strings.Contains(said, "another gatehouse serves with link.db") {
		t.Errorf("one that comes by another name says\n%s", said)
	}
	if out := gatehouse(t, dir, nil, "db", "migrate"); out.code != 0 {
		t.Errorf("db migrate beside a server: %+v", out)
	}
	if got := first.ask(t, "GET /", cookie); got.status != 404 {
		t.Errorf("the first server: %d %s, want 404", got.status, got.body)
	}
	first.process.Kill()
	first.wait(t)
	second := beginIn(t, dir, sessionsIn)
	if got := second.ask(t, "GET /", cookie); got.status != 404 {
		t.Errorf("after a kill, the session of before: %d %s, want 404", got.status, got.body)
	}
}

// TestADatabaseThatIsGone is not replaced by an empty one.
func TestADatabaseThatIsGone(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	g := beginIn(t, dir, sessionsIn)
	g.signal(t, syscall.SIGTERM)
	if code := g.wait(t); code != 0 {
		t.Fatalf("code %d, want 0:\n%s", code, g.tail())
	}
	saved, err := os.ReadFile(databaseIn(dir))
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"removed":   func() error { return os.Remove(databaseIn(dir)) },
		"truncated": func() error { return os.WriteFile(databaseIn(dir), nil, 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		said := endsIn(t, dir, sessionsIn, 3)
		if !strings.Contains(said, "there was a database in") || !strings.Contains(said, "bring it back, say from a backup") {
			t.Errorf("%s: it says\n%s", name, said)
		}
		if info, err := os.Stat(databaseIn(dir)); err == nil && info.Size() > 0 {
			t.Errorf("%s: there is a database again", name)
		}
	}
	put(t, filepath.Dir(databaseIn(dir)), "gatehouse.db", "this is no database, but long enough to be one in size, at least.")
	if said := endsIn(t, dir, sessionsIn, 3); !strings.Contains(said, "is no SQLite database") {
		t.Errorf("garbage: it says\n%s", said)
	}
	if err := os.WriteFile(databaseIn(dir), saved, 0o600); err != nil {
		t.Fatal(err)
	}
	beginIn(t, dir, sessionsIn)
}

// TestServeNeedsTLSForCookies: on an address that others can reach, a cookie in clear is refused before anything is opened.
func TestServeNeedsTLSForCookies(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"0.0.0.0", "::", "192.0.2.1"} {
		dir := shortDir(t)
		said := endsIn(t, dir, sessionsIn, 1, "GATEHOUSE_SERVER__HTTP__HOST="+host)
		if !strings.Contains(said, "gatehouse.yaml:3:12: log-in with a cookie needs TLS") {
			t.Errorf("%s: it says\n%s", host, said)
		}
		if _, err := os.Stat(filepath.Join(dir, "gatehouse-data")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: it has made its folder all the same (%v)", host, err)
		}
	}
	dir := shortDir(t)
	put(t, dir, "gatehouse.yaml", sessionsIn)
	out := gatehouse(t, dir, []string{"GATEHOUSE_SERVER__HTTP__HOST=0.0.0.0"}, "check")
	if out.code != 1 || !strings.Contains(out.stderr, "gatehouse.yaml:3:12: log-in with a cookie needs TLS") {
		t.Errorf("check: %+v, want the fault at the carrier", out)
	}
	if out := gatehouse(t, dir, []string{"GATEHOUSE_SERVER__HTTP__HOST=0.0.0.0", "GATEHOUSE_SERVER__PUBLIC_URL=https://app.example.org"}, "check"); out.code != 0 {
		t.Errorf("check behind TLS: %+v, want no fault", out)
	}
}

// noServer is the URL of a Redis that is not there.
func noServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "redis://:planted-secret@" + l.Addr().String() + "/0"
}

// TestRedisThatIsNotThere: the server starts, is not ready, and says 503 to whoever needs the store. Tokens work.
func TestRedisThatIsNotThere(t *testing.T) {
	t.Parallel()
	g := beginIn(t, shortDir(t), sessionsIn, "GATEHOUSE_STORE__REDIS="+noServer(t))
	if !g.said(0, "the store cannot be used: requests that need it are answered 503 until it can", "redis 127.0.0.1:") {
		t.Errorf("the log does not say so:\n%s", g.stderr)
	}
	g.wantDown(t, "Cookie: gatehouse="+strings.Repeat("A", 43))
	if strings.Contains(g.stderr.String(), "planted-secret") {
		t.Errorf("the password is in the log:\n%s", g.stderr)
	}
	if _, err := os.Stat(databaseIn(g.dir)); err != nil {
		t.Errorf("there is no database (%v), and Redis is a cache: what has ended stands in SQL", err)
	}
	g.signal(t, syscall.SIGTERM)
	if code := g.wait(t); code != 0 {
		t.Errorf("code %d, want 0", code)
	}
}

// wantDown fails unless the server behaves as one whose store cannot be asked.
func (g *gate) wantDown(t *testing.T, cookie string) {
	t.Helper()
	if status, body := g.admin(t, "/readyz"); status != 503 || !strings.Contains(body, "the store cannot be used") {
		t.Errorf("/readyz = %d %s, want 503 and why", status, body)
	}
	if status, _ := g.admin(t, "/healthz"); status != 200 {
		t.Errorf("/healthz = %d, want 200: the process is alive", status)
	}
	got := g.ask(t, "GET /", cookie)
	if got.status != 503 || got.header.Get("Retry-After") == "" || problemOf(t, got).Code != "unavailable" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("with a session: %d %s, want 503 with Retry-After, and the cookie left alone", got.status, got.body)
	}
	if got := g.ask(t, "GET /", "Authorization: Token token-number-one"); got.status != 404 {
		t.Errorf("with a token: %d %s, want 404", got.status, got.body)
	}
	if got := g.ask(t, "GET /"); got.status != 401 {
		t.Errorf("with nothing: %d %s, want 401", got.status, got.body)
	}
	if got := g.ask(t, "GET /public/x", cookie); got.status != 404 {
		t.Errorf("on a public path: %d %s, want 404", got.status, got.body)
	}
	if got := g.ask(t, "GET /", "Cookie: gatehouse=malformed"); got.status != 401 {
		t.Errorf("with what cannot be a session: %d %s, want 401: nothing needs to be looked up", got.status, got.body)
	}
}

// TestRedisThatComesAndGoes: the server recovers by itself.
func TestRedisThatComesAndGoes(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	server.Stop()
	g := beginIn(t, shortDir(t), sessionsIn, "GATEHOUSE_STORE__REDIS="+server.URL)
	g.wantDown(t, "Cookie: gatehouse="+strings.Repeat("A", 43))
	for range 2 {
		server.Start()
		g.logged(t, "the store can be used again")
		if status, _ := g.admin(t, "/readyz"); status != 200 {
			t.Errorf("/readyz = %d once Redis is there, want 200", status)
		}
		d := newDesk(t, onRedis(server).open(t), session.Config{}, insecureCookie(t))
		cookie := d.signIn(t, "amy")
		if got := g.ask(t, "GET /", cookie); got.status != 404 {
			t.Errorf("a session: %d %s, want 404", got.status, got.body)
		}
		server.Stop()
		g.logged(t, "the store cannot be used: requests that need it are answered 503 until it can")
		g.wantDown(t, cookie)
	}
}

// TestStoresThatStopTheStart: what no waiting would mend.
func TestStoresThatStopTheStart(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	conn := dial(t, server.URL[len("redis://"):len(server.URL)-len("/0")])
	if _, err := conn.Write([]byte("CONFIG SET requirepass right-secret\r\n")); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || answer != "+OK\r\n" {
		t.Fatalf("CONFIG SET = %q, %v", answer, err)
	}
	port := server.URL[len("redis://127.0.0.1:") : len(server.URL)-len("/0")]
	for name, row := range map[string]struct {
		env  []string
		want string
	}{
		"a wrong password of Redis": {[]string{"GATEHOUSE_STORE__REDIS=redis://:planted-secret@127.0.0.1:" + port}, "password"},
		"in the long form":          {[]string{"GATEHOUSE_STORE__REDIS__HOST=127.0.0.1", "GATEHOUSE_STORE__REDIS__PORT=" + port, "GATEHOUSE_STORE__REDIS__PASSWORD=planted-secret"}, "password"},
		"no password for Redis":     {[]string{"GATEHOUSE_STORE__REDIS=redis://127.0.0.1:" + port}, "password"},
		"a database that is not":    {[]string{"GATEHOUSE_STORE__REDIS=redis://:right-secret@127.0.0.1:" + port + "/99"}, "database"},
		"PostgreSQL is not there":   {[]string{"GATEHOUSE_STORE__URL=postgres://app:planted-secret@127.0.0.1:1/x?sslmode=disable"}, "postgres: the server cannot be used"},
		"PostgreSQL in clear":       {[]string{"GATEHOUSE_STORE__URL=postgres://app:planted-secret@db.example/x"}, "sslmode=verify-full"},
		"a folder cannot be made":   {[]string{"GATEHOUSE_STORE__URL=sqlite:/proc/nowhere/x.db"}, "/proc/nowhere"},
		"the database is a folder":  {[]string{"GATEHOUSE_STORE__URL=sqlite:."}, "is no file"},
		"a master key that is none": {[]string{"GATEHOUSE_STORE__MASTER_KEY=planted-secret"}, "store.master_key cannot be used"},
		"no master key with tokens": {[]string{"GATEHOUSE_STORE__URL=postgres://app:planted-secret@127.0.0.1:1/x?sslmode=disable"}, "store.master_key is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			config, code := sessionsIn, 3
			if strings.Contains(name, "master key") {
				config, code = strings.Replace(config, "carriers: [", "carriers: [bearer, ", 1), 1 // faults, which check finds as well
			}
			said := endsIn(t, shortDir(t), config, code, row.env...)
			if !strings.Contains(said, row.want) || strings.Contains(said, "planted-secret") || strings.Contains(said, "\"listening\"") {
				t.Errorf("it says\n%s\nwant %q, not the password, and that it does not listen", said, row.want)
			}
		})
	}
	g := beginIn(t, shortDir(t), sessionsIn, "GATEHOUSE_STORE__REDIS=redis://:right-secret@127.0.0.1:"+port)
	if !g.said(0, "store connected", "redis 127.0.0.1:"+port+" db 0") || strings.Contains(g.stderr.String(), "right-secret") {
		t.Errorf("with the right password it says\n%s", g.stderr)
	}
}

// TestReloadsAndTheStore: a new store waits for a restart, new limits count at once, and the first configuration that needs a store opens it.
func TestReloadsAndTheStore(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	without := strings.Replace(sessionsIn, "carriers: [session, authorization]\n", "", 1)
	g := beginIn(t, dir, without)
	if _, err := os.Stat(databaseIn(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("there is a database that nobody needs (%v)", err)
	}
	g.write(t, "gatehouse.yaml", sessionsIn)
	g.logged(t, "store connected")
	g.logged(t, "configuration reloaded")
	d := besideSQLite(t, databaseIn(dir), session.Config{Now: func() time.Time { return time.Now().Add(-time.Hour) }}, insecureCookie(t))
	cookie := d.signIn(t, "amy")
	want := func(when string, status int) {
		t.Helper()
		if got := g.ask(t, "GET /", cookie); got.status != status {
			t.Errorf("%s: %d %s, want %d", when, got.status, got.body, status)
		}
	}
	want("a session of an hour ago", 404)
	g.write(t, "gatehouse.yaml", sessionsIn+"store: {url: 'sqlite:other.db'}\n")
	g.logged(t, "a change takes effect only after a restart", `"key":"store"`)
	g.logged(t, "configuration reloaded")
	want("with a new store that waits", 404)
	g.write(t, "gatehouse.yaml", sessionsIn+"sessions: {cookie: {name: other}}\n")
	g.logged(t, "configuration reloaded")
	want("by another cookie", 401)
	g.write(t, "gatehouse.yaml", without)
	g.logged(t, "configuration reloaded")
	want("without the carrier", 401)
	g.write(t, "gatehouse.yaml", sessionsIn+"sessions: {absolute: 30m, idle: 30m}\n")
	g.logged(t, "configuration reloaded")
	want("with shorter limits", 401)
	g.write(t, "gatehouse.yaml", strings.Replace(sessionsIn, "server: {", "server: {public_url: 'http://app.example.org', ", 1))
	g.logged(t, "configuration refused", "log-in with a cookie needs TLS")
	if _, err := os.Stat(filepath.Join(dir, "other.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the other store was opened (%v)", err)
	}
	g.signal(t, syscall.SIGTERM)
	if code := g.wait(t); code != 0 {
		t.Errorf("code %d, want 0:\n%s", code, g.tail())
	}
}

// TestOverdueSessionsAreRemoved by the server that starts, and by db prune.
func TestOverdueSessionsAreRemoved(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	put(t, dir, "gatehouse.yaml", sessionsIn)
	longAgo := session.Config{Now: func() time.Time { return time.Now().Add(-31 * 24 * time.Hour) }}
	if out := gatehouse(t, dir, nil, "db", "migrate"); out.code != 0 {
		t.Fatalf("db migrate: %+v", out)
	}
	old, now := besideSQLite(t, databaseIn(dir), longAgo, insecureCookie(t)), besideSQLite(t, databaseIn(dir), session.Config{}, insecureCookie(t))
	old.signIn(t, "amy")
	old.signIn(t, "bob")
	now.signIn(t, "amy")
	if out := gatehouse(t, dir, nil, "db", "prune"); out.code != 0 || !strings.Contains(out.stdout, "2 overdue sessions, ") {
		t.Errorf("db prune: %+v, want 2 removed", out)
	}
	old.signIn(t, "amy")
	beginIn(t, dir, sessionsIn)
	deadline := time.Now().Add(calm)
	for n := 2; n != 1; { // what is overdue for everybody else is not for who lives then
		list, err := old.List(t.Context(), "amy")
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("amy has %d sessions (%v), want the live one alone", len(list), err)
		}
		n = len(list)
	}
}

// TestPlainCookieOnLoopback: a page of plain http is no other site.
func TestPlainCookieOnLoopback(t *testing.T) {
	t.Parallel()
	g := beginIn(t, shortDir(t), sessionsIn+"upstream: 'http://"+startApp(t).addr+"'\n")
	cookie := beside(t, g).signIn(t, "amy")
	for fields, status := range map[string]int{"Origin: http://app.example": 200, "X-None: 1": 200, "Origin: http://evil.example": 403, "Sec-Fetch-Site: cross-site": 403} {
		if got := g.ask(t, "POST /", cookie, fields, "Content-Length: 0"); got.status != status {
			t.Errorf("POST with %q = %d %s, want %d", fields, got.status, got.body, status)
		}
	}
	if got := g.ask(t, "GET /", strings.Replace(cookie, "gatehouse=", "__Host-gatehouse=", 1)); got.status != http.StatusUnauthorized {
		t.Errorf("under the other name = %d, want 401", got.status)
	}
}

// TestRolesOfSessions: the identity of a session is told to the application as it was remembered, and roles that the binary does not know are not.
func TestRolesOfSessions(t *testing.T) {
	t.Parallel()
	s := shelves["sqlite"](t)
	g, a := beginSessions(t, s)
	d := newDesk(t, s.open(t), session.Config{})
	g.wantRefused(t, a, 403, "forbidden", "GET /admin/x", d.signIn(t, "eve", "Admin", "superuser", "admin "))
	a.take()
	g.ask(t, "GET /me", d.signIn(t, "eve", "superuser", "basic"))
	if seen := a.take(); len(seen) != 1 || seen[0].one("Remote-Groups") != "basic" || seen[0].one("Remote-Email") != "eve@example.org" {
		t.Errorf("the application saw %v, want the role basic alone", seen)
	}
}
