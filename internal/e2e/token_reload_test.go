package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// change writes the configuration with each old text replaced, and waits until the server has taken it over or refused it.
func (m *mint) change(t *testing.T, message, config string, oldnew ...string) string {
	t.Helper()
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(config, oldnew[i]) {
			t.Fatalf("the configuration has no %q", oldnew[i])
		}
		config = strings.Replace(config, oldnew[i], oldnew[i+1], 1)
	}
	m.read = len(m.stderr.lines(0))
	m.write(t, "gatehouse.yaml", config)
	m.logged(t, message)
	return config
}

// TestReloadsAndTokens: what the configuration says of tokens counts from the reload on, and what was given and revoked before stays so.
func TestReloadsAndTokens(t *testing.T) {
	t.Parallel()
	config := fixture(t, "tokens.yaml")
	m := beginMint(t, config)
	const ok = "configuration reloaded"
	before, revoked := m.issue(t, "--subject", "jack", "--role", "basic"), revokedBefore(t, m)
	counted := m.issue(t, "--purpose", "limited", "--subject", "jack")
	m.wantAnswer(t, "the first use", "/limited-info", counted, 200)
	ended, living := m.login(t, "--subject", "jack"), m.login(t, "--subject", "jack")
	if got := m.post(t, "/oauth/revoke", form{"token": ended.Refresh}, asWarden); got.status != 200 {
		t.Fatalf("revoking = %d %s", got.status, got.body)
	}
	still := func(when string) {
		t.Helper()
		m.wantAnswer(t, when+", a token from before", "/read", before, 200)
		m.wantAnswer(t, when+", a token that was revoked before", "/read", revoked, 401)
		m.wantAnswer(t, when+", a token of a log-in that was ended before", "/read", ended.Access, 401)
		refused(t, when+", its refresh token", m.renew(t, ended.Refresh), 400, "invalid_grant")
		living = granted(t, m.renew(t, living.Refresh))
		m.wantAnswer(t, when+", a log-in from before", "/read", living.Access, 200)
	}
	still("before any reload")
	m.change(t, ok, config, "path: /films/v1/, allow: {role: basic}", "path: /films/v1/, allow: {role: premium}")
	m.wantAnswer(t, "a rule that wants more", "/films/v1/", before, 403)
	still("with other rules")
	m.change(t, ok, config, "roles: {basic: 1,", "roles: {basic: 6,")
	m.wantAnswer(t, "a role that counts for more", "/premium", before, 200)
	still("with other roles")

	m.change(t, ok, config, "  purposes:\n", "  purposes:\n    upload: {form: opaque, ttl: 1m}\n", "rules:\n", "rules:\n  - {path: /upload, allow: authenticated, purpose: upload}\n")
	m.wantAnswer(t, "a purpose that is new", "/upload", m.issue(t, "--purpose", "upload", "--subject", "jack"), 200)
	m.wantAnswer(t, "the second use", "/limited-info", counted, 200)
	still("with one more purpose")
	m.change(t, ok, config, "    limited: {form: opaque, ttl: 5m, max_uses: 3}\n", "", "  - {path: /limited-info, allow: authenticated, purpose: limited}\n", "")
	m.wantAnswer(t, "a purpose that is gone", "/limited-info", counted, 401)
	still("with one purpose less")
	m.change(t, ok, config)
	m.wantAnswer(t, "the third use", "/limited-info", counted, 200)
	m.wantAnswer(t, "the fourth use", "/limited-info", counted, 401)

	m.change(t, ok, config, "- {id: reports,", "- {id: accounts,")
	refused(t, "a client that is gone", m.post(t, "/oauth/token", with(asReports, form{"grant_type": "client_credentials"})), 401, "invalid_client")
	granted(t, m.post(t, "/oauth/token", with(asReports, form{"grant_type": "client_credentials", "client_id": "accounts"})))
	still("with another client")
	m.change(t, ok, config, "may: [introspect, revoke, follow]", "may: [introspect]")
	refused(t, "a right that is gone", m.post(t, "/oauth/revoke", form{"token": before}, asWarden), 400, "unauthorized_client")
	still("with a right less")

	m.change(t, ok, config, "max_ttl: 1h", "ttl: 1m")
	if got := granted(t, m.post(t, "/oauth/token", with(asReports, form{"grant_type": "client_credentials"}))); got.ExpiresIn > 60 {
		t.Errorf("a token lives for %d s, want what the configuration says now", got.ExpiresIn)
	}
	still("with another time to live")
	unbearing := strings.Replace(config, "carriers: [session, bearer,", "carriers: [session,", 1)
	for _, purpose := range []string{"limited", "download", "refresh", "verify-email"} {
		unbearing = strings.Replace(unbearing, ", purpose: "+purpose, "", 1)
	}
	m.change(t, ok, unbearing)
	m.wantAnswer(t, "where tokens are not taken", "/read", before, 401)
	m.change(t, ok, config)
	still("where tokens are taken again")
}

// TestReloadsThatAreRefused: the last good configuration stays, with its tokens.
func TestReloadsThatAreRefused(t *testing.T) {
	t.Parallel()
	config := fixture(t, "tokens.yaml")
	m := beginMint(t, config)
	token := m.issue(t, "--subject", "jack", "--role", "basic")
	for name, row := range map[string]struct {
		oldnew []string
		want   string
	}{
		"a rule for a purpose that does not exist": {[]string{"purpose: download", "purpose: downlaod"}, "download"},
		"a secret that is too short":               {[]string{"secret: \"" + accessSecret + "\"", "secret: testsecret"}, "gatehouse key generate"},
		"a public key as a secret":                 {[]string{"secret: \"" + accessSecret + "\"", "secret: \"-----BEGIN PUBLIC KEY-----\""}, "PEM"},
		"two clients of one name":                  {[]string{"- {id: reports,", "- {id: warden,"}, "taken"},
		"no bearer":                                {[]string{"carriers: [session, bearer,", "carriers: [session,"}, "bearer"},
		"a file of keys that is not there":         {[]string{"clients:\n", "clients:\n  - {id: signer, keys: \"file:nowhere.jwks\"}\n"}, "no such file"},
		"a time to live that is none":              {[]string{"max_ttl: 1h", "ttl: 0s"}, "no time at all"},
	} {
		m.change(t, "configuration refused", config, row.oldnew...)
		m.logged(t, "the last good configuration stays in use")
		said := strings.Join(m.stderr.lines(0), "\n")
		if at := strings.LastIndex(said, "configuration refused"); !strings.Contains(said[at:], row.want) {
			t.Errorf("%s: the log says %s, want %q", name, said[at:], row.want)
		}
		if strings.Contains(said, accessSecret) || strings.Contains(said, "testsecret") {
			t.Errorf("%s: the log shows a secret", name)
		}
		m.wantAnswer(t, name, "/read", token, 200)
		granted(t, m.post(t, "/oauth/token", with(asReports, form{"grant_type": "client_credentials"})))
	}
	m.change(t, "a change takes effect only after a restart", config, "\ntokens:\n", "\ntokens:\n  revocation: {bound: 7s}\n")
	m.wantAnswer(t, "a change that waits", "/read", token, 200)
}

// TestTokensThatComeLater: a server that was started without tokens takes them with a reload, unless its store is open without the key for them.
func TestTokensThatComeLater(t *testing.T) {
	t.Parallel()
	tokens := "tokens: {issuer: https://issuer.example}\n"
	add := func(config string) string {
		return strings.Replace(config, "carriers: [", tokens+"carriers: [bearer, ", 1)
	}
	static := "server: {http: {auth_scheme: Token, allowed_tokens: [token-number-one]}}\ncarriers: [authorization]\nrules: [{path: /**, allow: authenticated}]\n"
	t.Run("no store", func(t *testing.T) {
		t.Parallel()
		dir := shortDir(t)
		g := beginIn(t, dir, static)
		if _, err := os.Stat(databaseIn(dir)); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("there is a database that nobody needs (%v)", err)
		}
		g.write(t, "gatehouse.yaml", add(static))
		g.logged(t, "configuration reloaded")
		m := &mint{gate: g}
		m.wantAnswer(t, "a token", "/x", m.issue(t, "--subject", "jack"), 404)
		m.wantAnswer(t, "no token", "/x", "x", 401)
	})
	t.Run("a store without a key", func(t *testing.T) {
		t.Parallel()
		config := strings.Replace(static, "carriers: [", "carriers: [session, ", 1)
		g := beginIn(t, shortDir(t), config)
		g.write(t, "gatehouse.yaml", add(config))
		if fault := g.logged(t, "configuration refused"); !strings.Contains(fmt.Sprint(fault["fault"]), "restart") {
			t.Errorf("the log says %v, want that a restart is needed", fault)
		}
		g.logged(t, "the last good configuration stays in use")
		g.wantTokens(t, "the last good configuration", map[string]int{"token-number-one": 404})
		g.signal(t, syscall.SIGTERM)
		g.wait(t)
		m := &mint{gate: beginIn(t, g.dir, add(config))}
		m.wantAnswer(t, "after the restart", "/x", m.issue(t, "--subject", "jack"), 404)
	})
}

// TestASecretThatChanges: what the old one has signed is good until it expires, what the new one signs at once.
func TestASecretThatChanges(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	put(t, dir, "access.secret", "the first secret of these tests, long enough")
	config := strings.Replace(fixture(t, "tokens.yaml"), "secret: \""+accessSecret+"\"", "secret: \"file:access.secret\"", 1)
	m := beginMintIn(t, dir, config)
	before := m.issue(t, "--subject", "jack")
	m.wantAnswer(t, "before", "/read", before, 200)
	m.write(t, "access.secret", "the second secret of these tests, long as well")
	m.logged(t, "configuration reloaded")
	got := granted(t, m.post(t, "/oauth/token", with(asReports, form{"grant_type": "client_credentials"}))).Access
	header, _ := parts(t, got)
	if header["kid"] == m.kid {
		t.Errorf("the token names the key %v, want that of the new secret", m.kid)
	}
	signed, signature, _ := cutLast(got, ".")
	if encode(hs256("the second secret of these tests, long as well")(signed)) != signature {
		t.Error("the token is not signed with the new secret")
	}
	m.wantAnswer(t, "a token of the new secret", "/read", got, 200)
	m.wantAnswer(t, "a token of the old secret", "/read", before, 200)
}

// TestARefusedSecretSignsNothing: a configuration that is refused because of something else does not leave its secret behind.
func TestARefusedSecretSignsNothing(t *testing.T) {
	t.Parallel()
	config := rotatingEvery("30d", "10m")
	m := beginMint(t, config)
	_, kid := m.get(t)
	m.change(t, "configuration refused", config, "access: {rotate: 30d, ttl: 10m}", "access: {algorithm: HS256, secret: \"a secret of these tests that must not sign\", ttl: 10m}\n  foreign: [{name: x, algorithm: HS256, jwks_url: https://x.example/keys, audience: x}]")
	m.logged(t, "the last good configuration stays in use")
	if _, now := m.get(t); now != kid {
		t.Errorf("after a refused reload %s signs, want %s as before", now, kid)
	}
	m.change(t, "configuration reloaded", config, "access: {rotate: 30d, ttl: 10m}", "access: {algorithm: HS256, secret: \"a secret of these tests that must not sign\", ttl: 10m}")
	if _, now := m.get(t); now == kid {
		t.Error("after a reload that was taken the old key signs: the test shows nothing")
	}
}

// TestCommandsLeaveTheKeysAlone: a command that is given another configuration than the server, or the next one, does not let its secret sign; and an import that the configuration would undo is refused.
func TestCommandsLeaveTheKeysAlone(t *testing.T) {
	t.Parallel()
	config := strings.Replace(rotatingEvery("30d", "10m"), "access: {", "access: {algorithm: HS256, ", 1)
	m := beginMint(t, config)
	token, kid := m.get(t)
	own := strings.Replace(config, "rotate: 30d", "secret: \"a secret that the server does not know\"", 1)
	put(t, m.dir, "own.yaml", own)
	put(t, m.dir, "new.secret", "another secret that the server does not know\n")
	for _, args := range [][]string{{"key", "list"}, {"token", "inspect", token}, {"token", "inspect", "gh_refresh.x"}, {"explain", "GET", "/x", "--token", token}, {"token", "revoke", "--id", "x"}} {
		m.command(t, append(args, "--config", "own.yaml")...)
	}
	if made := m.issue(t, "--subject", "jack", "--config", "own.yaml"); !strings.Contains(m.done(t, "token", "inspect", made), kid) {
		t.Error("token issue has signed with another key than the server does")
	}
	if got := m.command(t, "key", "import", "access", "new.secret", "--config", "own.yaml"); got.code != 1 || !strings.Contains(got.stderr, "write the new secret or key there") {
		t.Errorf("key import where the configuration has a secret: %+v, want that it is refused with what to do", got)
	}
	if list := m.done(t, "key", "list", "access"); strings.Count(list, "\n") != 0 || !strings.Contains(list, kid+" HS256 active") {
		t.Errorf("after all of them the keys are\n%s\nwant %s alone", list, kid)
	}
	if _, now := m.get(t); now != kid {
		t.Errorf("after all of them the server signs with %s, want %s", now, kid)
	}
	m.done(t, "key", "import", "access", "new.secret")
	until(t, "the server signs with what was imported", func() bool { _, now := m.get(t); return now != kid })
	m.signal(t, syscall.SIGTERM)
	m.wait(t)
	again := beginMintIn(t, m.dir, config)
	if _, now := again.get(t); now == kid {
		t.Error("after a restart the key signs that there was before the import")
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// TestReloadsUnderLoadOfTokens: while the configuration is reloaded again and again, every good token passes, every revoked one is refused, every client gets its token and every log-in
// is renewed.
func TestReloadsUnderLoadOfTokens(t *testing.T) {
	t.Parallel()
	config := fixture(t, "tokens.yaml")
	m := beginMint(t, config)
	good, revoked := m.issue(t, "--subject", "jack", "--role", "basic"), revokedBefore(t, m)
	body := "grant_type=client_credentials&client_id=reports&client_secret=" + clientSecret
	l := &tokenLoad{stop: make(chan struct{})}
	for range 3 {
		l.ask(t, m, request("GET /read", bearer(good)), 200)
		l.ask(t, m, request("GET /read", bearer(revoked)), 401)
	}
	l.ask(t, m, request("POST /oauth/token", "Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(body)))+body, 200)
	pair := m.login(t, "--subject", "jack")
	for i := range 15 {
		m.change(t, "configuration reloaded", config, "path: /other, allow: authenticated", fmt.Sprintf("path: /other-%d, allow: authenticated", i))
		pair = granted(t, m.renew(t, pair.Refresh))
		m.wantAnswer(t, "a rule of this reload", fmt.Sprintf("/other-%d", i), pair.Access, 200)
		late := revokedBefore(t, m)
		m.wantAnswer(t, "what was revoked between reloads", "/read", late, 401)
	}
	close(l.stop)
	l.clients.Wait()
	if failure := l.failure.Load(); failure != nil {
		t.Error(*failure)
	}
	if n := l.requests.Load(); n < 500 {
		t.Errorf("only %d requests were made meanwhile", n)
	}
}

// A tokenLoad is some clients that ask the same again and again, each on one connection that must last.
type tokenLoad struct {
	stop     chan struct{}
	clients  sync.WaitGroup
	requests atomic.Int64
	failure  atomic.Pointer[string]
}

func (l *tokenLoad) ask(t *testing.T, m *mint, raw string, status int) {
	t.Helper()
	conn := dial(t, m.addr)
	conn.SetDeadline(time.Now().Add(2 * calm))
	l.clients.Go(func() { l.client(conn, raw, status) })
}

func (l *tokenLoad) client(conn net.Conn, raw string, status int) {
	for r := bufio.NewReader(conn); ; l.requests.Add(1) {
		select {
		case <-l.stop:
			return
		default:
		}
		_, err := io.WriteString(conn, raw)
		var got reply
		if err == nil {
			got, err = parseReply(r, raw)
		}
		if err != nil || got.status != status {
			failure := fmt.Sprintf("%s: %d %q, %v, want %d", firstLine(raw), got.status, got.body, err, status)
			l.failure.Store(&failure)
			return
		}
	}
}
