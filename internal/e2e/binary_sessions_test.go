package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/gateway"
	"github.com/gatehouse-auth/gatehouse/internal/testbed"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// A shelf is one store that a gatehouse and other programs share.
type shelf struct {
	name string
	env  []string // STORE and REDIS for sessions.yaml
	open func(t *testing.T) session.Store
}

// shelves returns one of each kind, with nothing in it. A kind that the machine lacks skips the subtest that opens it.
var shelves = map[string]func(t *testing.T) shelf{
	"sqlite": func(t *testing.T) shelf {
		file := filepath.Join(t.TempDir(), "gatehouse.db")
		return shelf{"sqlite " + file, []string{"STORE=sqlite:" + file, "REDIS="}, func(t *testing.T) session.Store {
			db, err := sqlite.Open(t.Context(), file)
			return sqlite.Sessions(opened(t, db, err))
		}}
	},
	"postgres": func(t *testing.T) shelf {
		url := testbed.StartPostgres(t).NewDatabase()
		return shelf{"postgres 127.0.0.1:", []string{"STORE=" + url, "REDIS="}, func(t *testing.T) session.Store {
			db, err := postgres.Open(t.Context(), url)
			return postgres.Sessions(opened(t, db, err))
		}}
	},
	"redis": func(t *testing.T) shelf { return onRedis(testbed.StartRedis(t)) },
}

func onRedis(server *testbed.Redis) shelf {
	return shelf{"redis 127.0.0.1:", []string{"STORE=sqlite:unused.db", "REDIS=" + server.URL}, func(t *testing.T) session.Store {
		options, err := redis.ParseURL(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		db, err := redis.Open(t.Context(), options)
		return redis.Sessions(opened(t, db, err))
	}}
}

// opened returns the database, which is closed with the test.
func opened[T interface{ Close() error }](t *testing.T, db T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// beginSessions starts a gatehouse with sessions.yaml over the store, in front of an application.
func beginSessions(t *testing.T, s shelf) (*gate, *app) {
	t.Helper()
	a := startApp(t)
	g := begin(t, launchPlan{file: "sessions.yaml", env: append([]string{"APP=http://" + a.addr}, s.env...)})
	if !g.said(0, `"msg":"store connected"`, s.name) {
		t.Errorf("the log does not say that %s is connected:\n%s", s.name, g.tail())
	}
	return g, a
}

// askedBy is what the dialect's proxy asks about a request.
func askedBy(dialect, line string, fields ...string) string {
	method, uri, _ := strings.Cut(line, " ")
	if dialect == "envoy" {
		return request(method+" /authz/envoy"+uri, fields...)
	}
	return request("GET /authz/"+dialect, append([]string{"Host: auth.internal", "X-Forwarded-Method: " + method, "X-Forwarded-Host: app.example", "X-Forwarded-Uri: " + uri,
		"X-Forwarded-Proto: https"}, fields...)...)
}

// wantSession fails unless the request passes as who, through the proxy and by forward-auth, and the application sees no cookie of ours.
func (g *gate) wantSession(t *testing.T, a *app, who, line string, fields ...string) {
	t.Helper()
	a.take()
	got, seen := g.ask(t, line, fields...), a.take()
	if got.status != http.StatusOK || len(seen) != 1 {
		t.Errorf("%s: %d %s, %d requests at the application, want 200 and one", line, got.status, got.body, len(seen))
		return
	}
	if user := seen[0].one("Remote-User"); user != who || strings.Contains(seen[0].String(), "gatehouse=") {
		t.Errorf("%s: the application saw the user %q, want %q and no cookie of ours:\n%v", line, user, who, seen[0])
	}
	for _, dialect := range gateway.Dialects {
		if got := g.askRaw(t, askedBy(dialect, line, fields...)); got.status != http.StatusOK || got.header.Get("Remote-User") != who {
			t.Errorf("%s asks about %s: %d as %q, want 200 as %q", dialect, line, got.status, got.header.Get("Remote-User"), who)
		}
	}
}

// wantRefused fails unless the request is refused with this code by both fronts, and the application hears nothing of it.
func (g *gate) wantRefused(t *testing.T, a *app, status int, code, line string, fields ...string) reply {
	t.Helper()
	a.take()
	got := g.ask(t, line, fields...)
	if p := problemOf(t, got); got.status != status || p.Code != code || len(a.take()) != 0 {
		t.Errorf("%s %.80q: %d %s, want %d %s and nothing at the application", line, fields, got.status, p.Code, status, code)
	}
	for _, dialect := range gateway.Dialects {
		asked := g.askRaw(t, askedBy(dialect, line, fields...))
		if at := asked.header.Get("X-Gatehouse-Code"); at != code || asked.status < 400 {
			t.Errorf("%s asks about %s %.80q: %d %s, want %s", dialect, line, fields, asked.status, at, code)
		}
		if slices.Compare(asked.header["Set-Cookie"], got.header["Set-Cookie"]) != 0 {
			t.Errorf("%s asks about %s %.80q: Set-Cookie %q, want %q as of the proxy", dialect, line, fields, asked.header["Set-Cookie"], got.header["Set-Cookie"])
		}
	}
	return got
}

// wantStale is wantRefused for a session that is none any more: the cookie is taken away.
func (g *gate) wantStale(t *testing.T, a *app, line string, fields ...string) {
	t.Helper()
	got := g.wantRefused(t, a, http.StatusUnauthorized, "session_invalid", line, fields...)
	challenge := got.header.Get("WWW-Authenticate")
	if !slices.Equal(got.header["Set-Cookie"], []string{clearedSession}) || strings.Contains(challenge, "error") || challenge == "" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %.80q: Set-Cookie %q, challenge %q, Cache-Control %q: want the cookie taken away, no error, no-store", line, fields, got.header["Set-Cookie"], challenge, got.header.Get("Cache-Control"))
	}
}

// TestSessionsOfAnotherProgram: a Go program signs somebody in, the binary lets them pass, and when the program signs them out the binary refuses the next request.
func TestSessionsOfAnotherProgram(t *testing.T) {
	for name, make := range shelves {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := make(t)
			g, a := beginSessions(t, s)
			d := newDesk(t, s.open(t), session.Config{})
			amy := d.signIn(t, "amy", "admin")
			g.wantSession(t, a, "amy", "GET /me", amy)
			g.wantSession(t, a, "amy", "GET /admin/x", amy)
			g.wantSession(t, a, "amy", "GET /public/x", amy)
			g.wantSession(t, a, "amy", "GET /keep/x", amy)
			g.wantSession(t, a, "amy", "POST /me", amy, "Sec-Fetch-Site: same-origin", "Content-Length: 0")
			if fields := g.logged(t, "request", `"principal":"amy"`); fields["carrier"] != "cookie __Host-gatehouse" {
				t.Errorf("the access log says %v, want the carrier", fields)
			}
			g.wantRefused(t, a, 403, "forbidden", "GET /admin/x", d.signIn(t, "bob", "basic"))
			g.wantRefused(t, a, 403, "cross_origin", "POST /me", amy, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example", "Content-Length: 0")
			g.wantRefused(t, a, 400, "duplicate_credential", "GET /me", amy, alice)
			g.wantRefused(t, a, 400, "duplicate_credential", "GET /public/x", amy, "X-API-Key: alice-token")
			g.wantRefused(t, a, 400, "duplicate_credential", "GET /me", amy, amy)
			g.wantSession(t, a, "amy", "GET /me", amy) // nothing of that has ended it

			other := d.signIn(t, "amy", "admin")
			d.signOut(t, amy)
			g.wantStale(t, a, "GET /me", amy)
			g.wantStale(t, a, "POST /strict/x", amy, "Content-Length: 0")
			g.wantSession(t, a, "", "GET /public/x", amy)
			g.wantSession(t, a, "amy", "GET /me", other)
			if n, err := d.EndAll(t.Context(), "amy", ""); n != 1 || err != nil {
				t.Errorf("EndAll = %d, %v, want 1", n, err)
			}
			g.wantStale(t, a, "GET /me", other)
			for _, cookie := range []string{amy, other} {
				_, secret, _ := strings.Cut(cookie, "=")
				if strings.Contains(g.stderr.String(), secret) {
					t.Error("the log holds the secret of a session")
				}
			}
			g.signal(t, syscall.SIGTERM)
			if code := g.wait(t); code != 0 {
				t.Errorf("code %d after SIGTERM, want 0:\n%s", code, g.tail())
			}
		})
	}
}

// TestCookiesThatAreNoSession: unknown, overdue, forged, empty, two.
func TestCookiesThatAreNoSession(t *testing.T) {
	for name, make := range shelves {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := make(t)
			g, a := beginSessions(t, s)
			store := s.open(t)
			ago := func(d time.Duration) session.Config {
				return session.Config{Absolute: 365 * 24 * time.Hour, Idle: 365 * 24 * time.Hour, Now: func() time.Time { return time.Now().Add(-d) }}
			}
			amy := newDesk(t, store, session.Config{}).signIn(t, "amy")
			_, value, _ := strings.Cut(amy, "=")
			for _, cookie := range []string{
				"unknown: " + strings.Repeat("A", 43), "short: x", "cut: " + value[:42], "longer: " + value + "A", "padded: " + value + "=", "other last bits: " + otherSpelling(value),
				"case: " + strings.ToLower(value), "quoted: \"" + value + "\"", "escaped: %" + fmt.Sprintf("%x", value[0]) + value[1:], "JSON: {\"id\":1}", "traversal: ../../etc/passwd", "SQL: ' OR 1=1 --",
				"key: gatehouse:session:x", "bytes: \xff\xfe\x80", "long: " + strings.Repeat("x", 8000),
			} {
				_, bad, _ := strings.Cut(cookie, ": ")
				g.wantStale(t, a, "GET /me", "Cookie: __Host-gatehouse="+bad)
				g.wantSession(t, a, "", "GET /public/x", "Cookie: __Host-gatehouse="+bad)
			}
			g.wantStale(t, a, "GET /me", newDesk(t, store, ago(31*24*time.Hour)).signIn(t, "old"))
			g.wantStale(t, a, "GET /me", newDesk(t, store, ago(13*time.Hour)).signIn(t, "idle"))
			g.wantSession(t, a, "fresh", "GET /me", newDesk(t, store, ago(11*time.Hour)).signIn(t, "fresh"))
			for _, none := range []string{"Cookie: __Host-gatehouse=", "Cookie: __Host-gatehouse", "Cookie:", "Cookie: ;;=;", "Cookie: gatehouse=" + value, "Cookie: __host-gatehouse=" + value,
				"Cookie: a=__Host-gatehouse=" + value, "Cookie2: __Host-gatehouse=" + value, "X-Cookie: __Host-gatehouse=" + value} {
				if got := g.wantRefused(t, a, 401, "no_credential", "GET /me", none); got.header.Get("Set-Cookie") != "" {
					t.Errorf("%q: Set-Cookie %q, want none", none, got.header.Get("Set-Cookie"))
				}
			}
			for _, two := range []string{amy + "; __Host-gatehouse=x", "Cookie: __Host-gatehouse=x; " + amy[len("Cookie: "):], amy + "; __Host-gatehouse=" + value} {
				g.wantRefused(t, a, 400, "duplicate_credential", "GET /me", two)
			}
			g.wantSession(t, a, "amy", "GET /me", amy)
		})
	}
}

// otherSpelling changes the two bits of the last letter that decode to nothing.
func otherSpelling(value string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return value[:42] + string(letters[strings.IndexByte(letters, value[42])^1])
}

// TestUpstreamsCannotSetTheSession through the binary, whatever they answer.
func TestUpstreamsCannotSetTheSession(t *testing.T) {
	t.Parallel()
	evil := startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set := func(names ...string) {
			for _, name := range names {
				w.Header().Add("Set-Cookie", name+"=evil; Path=/")
			}
		}
		if r.URL.Path != "/public/plain" {
			set("__Host-gatehouse", "__host-GATEHOUSE", "=__Host-gatehouse")
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Set("Trailer", "Set-Cookie")
		w.Header().Set("X-App", "1")
		set("own", "__Secure-gatehouse")
		w.WriteHeader(http.StatusOK)
		set("__Host-gatehouse", "in-trailer")
	}))
	s := shelves["sqlite"](t)
	g := begin(t, launchPlan{file: "sessions.yaml", env: append([]string{"APP=http://" + evil}, s.env...)})
	d := newDesk(t, s.open(t), session.Config{})
	for _, who := range []string{alice, d.signIn(t, "amy"), "X-None: 1", "Cookie: __Host-gatehouse=stale"} {
		for _, path := range []string{"/public/x", "/public/plain"} {
			conn := dial(t, g.addr)
			fmt.Fprint(conn, request("GET "+path, who, "Connection: close"))
			raw := new(strings.Builder)
			if _, err := bufio.NewReader(conn).WriteTo(raw); err != nil {
				t.Fatal(err)
			}
			text := raw.String()
			want := 0
			if strings.Contains(who, "stale") {
				want = 1 // ours, which takes it away
			}
			if n := strings.Count(strings.ToLower(text), "__host-gatehouse"); n != want || strings.Contains(text, clearedSession) != (want == 1) {
				t.Errorf("%s as %.40s: the client got\n%s", path, who, text)
			}
			if !strings.Contains(text, "Set-Cookie: own=evil; Path=/\r\n") || !strings.Contains(text, "Set-Cookie: __Secure-gatehouse=evil; Path=/\r\n") || strings.Contains(text, "in-trailer") {
				t.Errorf("%s as %.40s: want the application's own cookies, and none in the trailer:\n%s", path, who, text)
			}
		}
	}
}

// TestLargeSessionCookies: 10 MB of cookie are read, judged and refused; nothing of it is a server error (CVE-2026-25748 was one).
func TestLargeSessionCookies(t *testing.T) {
	t.Parallel()
	s := shelves["sqlite"](t)
	g, a := beginSessions(t, s)
	amy := newDesk(t, s.open(t), session.Config{}).signIn(t, "amy")
	const size = 10 << 20
	for name, row := range map[string]struct {
		cookie string
		want   []int
	}{
		"one value":         {"Cookie: __Host-gatehouse=" + strings.Repeat("A", size), []int{401}},
		"one name":          {"Cookie: " + strings.Repeat("A", size), []int{401}},
		"many cookies":      {"Cookie: " + strings.Repeat("a=b;", size/4), []int{401}},
		"many of ours":      {"Cookie: " + strings.Repeat("__Host-gatehouse=x;", size/20), []int{400}},
		"ours among many":   {amy + ";" + strings.Repeat("a=b;", size/4) + "__Host-gatehouse=x", []int{400}},
		"semicolons":        {"Cookie: __Host-gatehouse=x" + strings.Repeat(";", size), []int{401}},
		"equals signs":      {"Cookie: __Host-gatehouse=" + strings.Repeat("=", size), []int{401}},
		"dots":              {"Cookie: __Host-gatehouse=" + strings.Repeat("a.", size/2), []int{401}},
		"more than allowed": {"Cookie: __Host-gatehouse=" + strings.Repeat("A", 17<<20), []int{431, 0}},
	} {
		got, err := attempt(t, g.addr, request("GET /me", row.cookie))
		if !slices.Contains(row.want, got.status) || err != nil && !slices.Contains(row.want, 0) {
			t.Errorf("%s: %d (%v), want %v", name, got.status, err, row.want)
		}
	}
	if seen := a.take(); len(seen) != 0 {
		t.Errorf("%d of them reached the application", len(seen))
	}
	g.wantSession(t, a, "amy", "GET /me", amy)
}

// TestMutatedSessionCookies: of ten thousand changes to a valid cookie none lets in, and none is a server error.
func TestMutatedSessionCookies(t *testing.T) {
	t.Parallel()
	s := shelves["sqlite"](t)
	g, a := beginSessions(t, s)
	amy := newDesk(t, s.open(t), session.Config{}).signIn(t, "amy")
	g.wantSession(t, a, "amy", "GET /me", amy)
	random, count := rand.New(rand.NewPCG(1, 2)), map[int]int{}
	c := &line{t: t, addr: g.addr}
	for range 10_000 {
		cookie := mutated(random, amy)
		if cookie == amy || samePair(cookie, amy) {
			continue
		}
		got := c.ask(request("GET /me", cookie))
		count[got.status]++
		if got.status != 400 && got.status != 401 {
			t.Errorf("%q: %d %s", cookie, got.status, got.body)
		}
	}
	t.Logf("statuses: %v", count)
	if count[401] < 5000 || count[400] < 10 {
		t.Errorf("statuses %v: want thousands of 401, and some 400, or the changes are not what they should be", count)
	}
	if seen := a.take(); len(seen) != 0 {
		t.Errorf("%d of them reached the application", len(seen))
	}
	g.wantSession(t, a, "amy", "GET /me", amy)
}

// mutated changes a Cookie field in one to four places.
func mutated(r *rand.Rand, field string) string {
	b := []byte(field[len("Cookie: "):])
	for range 1 + r.IntN(4) {
		i := r.IntN(len(b))
		switch r.IntN(9) {
		case 0:
			b[i] ^= 1 << r.IntN(8)
		case 1:
			b[i] = byte(r.IntN(256))
		case 2:
			b = slices.Delete(b, i, i+1)
		case 3:
			b = slices.Insert(b, i, byte(' '+r.IntN(95)))
		case 4:
			b[i] = "ABCxyz019-_+/="[r.IntN(14)]
		case 5:
			j := r.IntN(len(b))
			b[i], b[j] = b[j], b[i]
		case 6:
			b = slices.Insert(b, i, []byte([]string{";", "; ", "=", "\"", "%00", "%3d", ",", "\t", "__Host-gatehouse=", ".", "$", "\\"}[r.IntN(12)])...)
		case 7:
			b = append(b, []byte([]string{"; Path=/", ";a=b", "=", "A", "; __Host-gatehouse=x", " ", ".0"}[r.IntN(7)])...)
		case 8:
			b = b[:max(1, i)]
		}
		if len(b) == 0 {
			b = []byte("x")
		}
	}
	return "Cookie: " + string(b)
}

// samePair reports whether a changed field still holds the valid pair, once and alone of its name.
func samePair(changed, valid string) bool {
	pair, n := valid[len("Cookie: "):], 0
	for _, part := range strings.Split(changed[len("Cookie: "):], ";") {
		switch part = strings.Trim(part, " \t"); {
		case part == pair:
			n++
		case strings.HasPrefix(part, "__Host-gatehouse=") || part == "__Host-gatehouse":
			n += 2
		}
	}
	return n == 1
}

// A line is a connection that is made again when the server has closed it.
type line struct {
	t    *testing.T
	addr string
	conn net.Conn
	r    *bufio.Reader
}

func (l *line) ask(raw string) reply {
	l.t.Helper()
	for range 2 {
		if l.conn == nil {
			l.conn = dial(l.t, l.addr)
			l.conn.SetDeadline(time.Now().Add(calm))
			l.r = bufio.NewReader(l.conn)
		}
		_, err := l.conn.Write([]byte(raw))
		var got reply
		if err == nil {
			got, err = parseReply(l.r, raw)
		}
		if err == nil && got.header.Get("Connection") != "close" {
			return got
		}
		l.conn.Close()
		l.conn = nil
		if err == nil {
			return got
		}
	}
	l.t.Fatalf("no answer to %q", raw)
	return reply{}
}
