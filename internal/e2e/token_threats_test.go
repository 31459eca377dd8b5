package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
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
