package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReloadsForgetNoRevocation: what was revoked stays so through reloads, and through one that changes the key as well, after which the old key verifies what it has signed. A secret that is replaced
// needs no restart.
func TestReloadsForgetNoRevocation(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	put(t, dir, "access.secret", accessSecret)
	config := strings.Replace(fixture(t, "tokens.yaml"), `secret: "`+accessSecret+`"`, `secret: "file:access.secret"`, 1)
	m := beginMintIn(t, dir, config)
	good, revoked := m.issue(t, "--subject", "jack"), m.issue(t, "--subject", "jack")
	login, ended := m.login(t, "--subject", "jack"), m.login(t, "--subject", "jack")
	for _, text := range []string{revoked, ended.Refresh} {
		if got := m.post(t, "/oauth/revoke", form{"token": text}, asWarden); got.status != 200 {
			t.Fatalf("revoking = %d %s", got.status, got.body)
		}
	}
	wants := func(when string) {
		t.Helper()
		m.wantAnswer(t, when+", a good token", "/read", good, 200)
		m.wantAnswer(t, when+", a token that was revoked", "/read", revoked, 401)
		m.wantAnswer(t, when+", a token of a log-in that was ended", "/read", ended.Access, 401)
		refused(t, when+", its refresh token", m.renew(t, ended.Refresh), 400, "invalid_grant")
	}
	wants("at first")
	for range 2 {
		m.reload(t, "configuration reloaded")
		wants("after a reload")
	}
	m.write(t, "gatehouse.yaml", strings.Replace(config, "max_ttl: 1h", "max_ttl: 2h", 1))
	m.logged(t, "configuration reloaded")
	wants("after a longer life of tokens")
	m.write(t, "access.secret", "another secret, which these tests sign with later\n")
	m.logged(t, "configuration reloaded")
	wants("after another secret")
	fresh := granted(t, m.renew(t, login.Refresh)).Access
	if header, _ := parts(t, fresh); header["kid"] == m.kid {
		t.Errorf("after another secret the server signs with the one before, %s", m.kid)
	}
	m.wantAnswer(t, "what the new secret has signed", "/read", fresh, 200)
	m.wantAnswer(t, "what the old secret has signed", "/read", login.Access, 200)
}

// TestGarbageIsQuiet: a flood of tokens that are none costs a line of the access log each, and nothing beside: no warning, and nobody else notices.
func TestGarbageIsQuiet(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	good := m.issue(t, "--subject", "jack")
	m.wantAnswer(t, "before", "/read", good, 200)
	kinds := []string{
		strings.Repeat("A", 8000), "a.b.c", strings.Repeat(".", 8000), "gh_access." + strings.Repeat("A", 48), "gh_limited." + strings.Repeat("A", 48), good[:len(good)-4] + "AAAA",
		jwt(t, part{"alg": "HS256", "kid": "nobody", "typ": "at+jwt"}, part{"sub": "jack"}, hs256("no secret of ours")), jwt(t, part{"alg": "none"}, part{"sub": "jack"}, nil),
		jwt(t, part{"alg": "HS256", "kid": m.kid, "typ": "at+jwt"}, part{"x": strings.Repeat("x", 5000)}, hs256("no secret of ours")),
	}
	m.logged(t, "request", `"path":"/read"`) // the line of the request above may come behind its answer
	before := len(m.stderr.lines(0))
	const n = 300
	for i := range n {
		m.wantAnswer(t, "garbage", "/read", kinds[i%len(kinds)], 401)
	}
	m.wantAnswer(t, "a good token meanwhile", "/read", good, 200)
	until(t, "the access log has them all", func() bool { return len(m.stderr.lines(before)) > n })
	lines := m.stderr.lines(before)
	for _, line := range lines {
		var said struct{ Level, Logger string }
		if err := json.Unmarshal([]byte(line), &said); err != nil || said.Logger != "access" || said.Level != "INFO" {
			t.Errorf("a flood of garbage makes the server say %.300s (%v)", line, err)
		}
		if len(line) > 2000 {
			t.Errorf("a line of the log about garbage has %d bytes", len(line))
		}
	}
	if len(lines) != n+1 {
		t.Errorf("%d requests make %d lines, want one each", n+1, len(lines))
	}
	if text := fmt.Sprint(lines); strings.Contains(text, strings.Repeat("A", 48)) {
		t.Error("the log has a token in it")
	}
}

// TestNoTokenGetsOut: whatever becomes of a token, an assertion, a client's secret, or the keys behind them, at whatever endpoint and level of the log: nothing of it is in a log, a metric, an
// explanation, or in an answer that does not give it.
func TestNoTokenGetsOut(t *testing.T) {
	t.Parallel()
	c := beginSigning(t)
	c.write(t, "gatehouse.yaml", readText(t, filepath.Join(c.dir, "gatehouse.yaml"))+"log: {level: [{logger: server_logger, level: DEBUG}]}\n")
	c.logged(t, "configuration reloaded")
	login, assertion := c.login(t, "--subject", "jack"), c.assertion(t)
	tokens := map[string]string{
		"a good one": c.issue(t, "--subject", "jack"), "an expired one": c.own(t, claim("exp", in(-time.Hour))), "a log-in's": login.Access, "a refresh token": login.Refresh,
		"one for three uses": c.issue(t, "--purpose", "limited", "--subject", "jack"), "another issuer's": c.own(t, claim("iss", "https://evil.example")), "an assertion": assertion,
		"a made-up one": "gh_refresh." + strings.Repeat("planted", 7), "a forged one": c.own(t)[:200] + "-planted-planted-planted",
	}
	secrets := map[string]string{"the secret of the key": accessSecret, "the client's secret": clientSecret, "a wrong secret": "planted-as-a-wrong-secret",
		"the master key": strings.TrimSpace(readText(t, filepath.Join(c.dir, "gatehouse-data", "master.key")))}
	var out strings.Builder
	seen := func(got reply) { fmt.Fprintln(&out, got.status, got.header, got.body) }
	for _, text := range tokens {
		for _, line := range []string{"GET /read", "GET /optional", "GET /limited-info", "GET /renewal", "POST /setattr", "GET /nope", "GET /admin"} {
			seen(c.ask(t, line, bearer(text), "Content-Length: 0"))
		}
		seen(c.ask(t, "GET /read?access_token="+text))
		seen(c.ask(t, "GET /read", bearer(text), bearer(text)))
		seen(c.ask(t, "GET /read", "Authorization: Bearer "+text+" more"))
		seen(c.ask(t, "GET /read", "Cookie: __Host-gatehouse="+text))
		seen(c.post(t, "/oauth/introspect", form{"token": text}, asWarden))
		seen(c.post(t, "/oauth/introspect?token="+text, form{"x": "y"}, asWarden))
		seen(c.post(t, "/oauth/token", form{"grant_type": "refresh_token", "refresh_token": text + "x"}))
		seen(c.post(t, "/oauth/token", with(byAssertion(text+"x"), form{})))
		seen(c.post(t, "/oauth/token", form{"grant_type": "client_credentials"}, bearer(text)))
	}
	seen(c.post(t, "/oauth/token", form{"grant_type": "client_credentials", "client_id": "reports", "client_secret": secrets["a wrong secret"]}))
	seen(c.post(t, "/oauth/revoke", form{"token": tokens["a good one"], "client_id": "reports", "client_secret": secrets["a wrong secret"]}))
	granted(t, c.post(t, "/oauth/token", byAssertion(assertion)))
	seen(c.post(t, "/oauth/token", byAssertion(assertion)))
	second := granted(t, c.renew(t, login.Refresh))
	third := granted(t, c.renew(t, second.Refresh))
	seen(c.renew(t, login.Refresh)) // it comes again: the log-in is ended
	tokens["a second refresh token"], tokens["a third refresh token"] = second.Refresh, third.Refresh
	for _, text := range tokens {
		seen(c.post(t, "/oauth/revoke", form{"token": text}, asWarden))
		for _, args := range [][]string{{"explain", "GET", "/read", "--token", text}, {"token", "revoke", text}} {
			got := c.command(t, args...)
			out.WriteString(got.stdout + got.stderr)
		}
	}
	c.write(t, "gatehouse.yaml", strings.Replace(readText(t, filepath.Join(c.dir, "gatehouse.yaml")), accessSecret, "planted", 1))
	c.logged(t, "configuration refused")
	_, metrics := c.admin(t, "/metrics")
	out.WriteString(metrics)
	c.signal(t, syscall.SIGTERM)
	c.wait(t)
	for what, text := range tokens {
		secrets[what] = text[strings.LastIndexByte(text, '.')+1:] // the part that is none but its owner's
	}
	for what, text := range secrets {
		for where, all := range map[string]string{"the log": c.stderr.String() + c.stdout.String(), "what came out": out.String()} {
			if i := strings.Index(all, text); i >= 0 {
				t.Errorf("%s shows %s: %.300s", where, what, all[max(0, i-200):])
			}
		}
	}
	if log := c.stderr.String(); !containsAll(log, []string{"a client was refused", "used before", "a token was revoked", "configuration refused"}) || out.Len() < 10_000 {
		t.Errorf("the log lacks what was done, or %d bytes came out: this test sees little", out.Len())
	}
}
