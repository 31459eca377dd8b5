package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// proxyTokens turns testdata/proxies/gatehouse.yaml into a configuration with signed tokens.
func proxyTokens(database string) []string {
	return []string{"    auth_scheme: Bearer\n", "", "carriers: [authorization, {header: X-API-Key}]", `carriers: [bearer, {header: X-API-Key}]
store: {url: "sqlite:` + database + `"}
tokens:
  issuer: ` + ourIssuer + `
  audience: ` + ourAudience + `
  access: {algorithm: HS256, secret: "` + accessSecret + `"}
  purposes: {limited: {ttl: 5m, form: opaque, max_uses: 3}}
clients:
  - {id: reports, secret_hash: "sha256:980bf87bdfc844df0a2116adc6fbe72fe28bd8bfac5cf2cfd50980326e6705b5", scopes: [films.read]}
  - {id: warden, secret_hash: "sha256:980bf87bdfc844df0a2116adc6fbe72fe28bd8bfac5cf2cfd50980326e6705b5", may: [revoke]}`,
		"rules:\n", "rules:\n  - {path: /scope, allow: {scope: films.write}}\n  - {path: /renewal, allow: authenticated, purpose: refresh}\n"}
}

// TestProxiesAndTokens: with every proxy and its sample, a signed token lets in, ends at the proxy, and is refused from the request on that follows its end.
func TestProxiesAndTokens(t *testing.T) {
	for _, p := range slices.Concat(proxies, fixtures) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			auth := startGatehouse(t, proxyTokens(filepath.Join(t.TempDir(), "gatehouse.db"))...)
			h, m := open(t, p, auth), &mint{gate: &gate{addr: auth}}
			_, m.kid = m.get(t)
			for _, row := range tokenRows {
				t.Run(row.name, func(t *testing.T) {
					h.app.take()
					h.ask.take()
					row.run(t, h, m)
				})
			}
		})
	}
}

// end revokes a token at Gatehouse itself.
func (m *mint) end(t *testing.T, token string) {
	t.Helper()
	if got := m.post(t, "/oauth/revoke", form{"token": token}, asWarden); got.status != http.StatusOK {
		t.Fatalf("revoking = %d %s", got.status, got.body)
	}
}

// wantInvalid fails unless the client was told that its token is of no use, by this code.
func wantInvalid(t *testing.T, h *house, what string, got reply, code string) {
	t.Helper()
	h.refused(t, got, http.StatusUnauthorized)
	if challenge := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("%s: WWW-Authenticate = %s, want Bearer with invalid_token", what, challenge)
	}
	if at := got.header.Get("X-Gatehouse-Code"); at != code || !strings.Contains(got.header.Get("Cache-Control"), "no-store") {
		t.Errorf("%s: X-Gatehouse-Code %q, Cache-Control %q: want %s and no-store", what, at, got.header.Get("Cache-Control"), code)
	}
}

var tokenRows = []struct {
	name string
	run  func(t *testing.T, h *house, m *mint)
}{
	{"a token lets in, says who, and ends at the proxy", func(t *testing.T, h *house, m *mint) {
		token := m.own(t, claim("roles", []string{"admin"}), claim("email", "jack@example.org"), claim("email_verified", true))
		for _, scheme := range []string{"Bearer ", "bearer ", "BEARER   "} {
			saw := h.reached(t, h.send(t, "GET /admin/users", "Authorization: "+scheme+token, "Remote-User: eve"))
			want(t, saw, "Remote-User", "jack")
			want(t, saw, "Remote-Groups", "admin")
			want(t, saw, "Remote-Email", "jack@example.org")
			if names := saw.like("Authorization"); len(names) != 0 || strings.Contains(saw.String(), token) {
				t.Errorf("the token reached the application:\n%v", saw)
			}
		}
		want(t, h.reached(t, h.send(t, "GET /films", bearer(m.own(t, claim("sub", "你好世界"))))), "Remote-User", "你好世界")
		wantNobody(t, h.reached(t, h.send(t, "GET /public/x", bearer(token+"x"))))
		want(t, h.reached(t, h.send(t, "GET /public/x", bearer(token))), "Remote-User", "jack")
	}},
	{"a long token passes", func(t *testing.T, h *house, m *mint) {
		want(t, h.reached(t, h.send(t, "GET /films", bearer(m.own(t, claim("note", strings.Repeat("x", 3000)))))), "Remote-User", "jack")
	}},
	{"a revoked token is refused at once, on the same connection too", func(t *testing.T, h *house, m *mint) {
		token := m.own(t)
		conn := dial(t, h.addr)
		r, raw := bufio.NewReader(conn), request("GET /films", bearer(token))
		fmt.Fprint(conn, raw)
		h.reached(t, readReply(t, r, raw))
		m.end(t, token)
		fmt.Fprint(conn, raw)
		wantInvalid(t, h, "revoked", readReply(t, r, raw), "unknown_token")
		wantInvalid(t, h, "revoked, on another connection", h.send(t, "GET /films", bearer(token)), "unknown_token")
		h.reached(t, h.send(t, "GET /films", bearer(m.own(t))))
	}},
	{"what is no good token is refused, and the client is told how", func(t *testing.T, h *house, m *mint) {
		good := m.own(t)
		for what, token := range map[string]string{
			"cut": good[:len(good)-1], "garbage": "garbage", "another key": m.own(t, inHeader("kid", "x")), "another issuer": m.own(t, claim("iss", "evil")), "not signed": good[:strings.LastIndex(good, ".")+1],
			"the algorithm none": jwt(t, part{"alg": "none", "kid": m.kid, "typ": "at+jwt"}, edited(nil, nil), nil), "another typ": m.own(t, inHeader("typ", "refresh+jwt")), "not yet": m.own(t, claim("nbf", in(time.Hour))),
		} {
			wantInvalid(t, h, what, h.send(t, "GET /films", bearer(token)), "unknown_token")
		}
		wantInvalid(t, h, "expired", h.send(t, "GET /films", bearer(m.own(t, claim("exp", in(-time.Hour))))), "expired_token")
		wantInvalid(t, h, "for a rule that wants a refresh token", h.send(t, "GET /renewal", bearer(good)), "unknown_token")
	}},
	{"a scope that the token lacks is named", func(t *testing.T, h *house, m *mint) {
		got := h.send(t, "GET /scope", bearer(m.own(t)))
		h.refused(t, got, http.StatusForbidden)
		if challenge := got.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="films.write"`) {
			t.Errorf("WWW-Authenticate = %s, want the scope", challenge)
		}
		h.reached(t, h.send(t, "GET /scope", bearer(m.own(t, claim("scope", "films.write")))))
	}},
	{"a token beside another credential is refused", func(t *testing.T, h *house, m *mint) {
		token := m.own(t)
		h.refused(t, h.send(t, "GET /films", bearer(token), "X-API-Key: alice-token"), h.refusal())
		h.refused(t, h.send(t, "GET /public/x", bearer(token), "X-API-Key: alice-token"), h.refusal())
		h.refused(t, h.send(t, "GET /films", bearer(token), bearer(m.own(t))), http.StatusBadRequest)
	}},
	{"a token in the query is none", func(t *testing.T, h *house, m *mint) {
		h.refused(t, h.send(t, "GET /films?access_token="+m.own(t)), http.StatusUnauthorized)
	}},
	{"the token of a client passes", func(t *testing.T, h *house, m *mint) {
		token, _ := m.get(t)
		want(t, h.reached(t, h.send(t, "GET /films", bearer(token))), "Remote-User", "reports")
	}},
}

// TestHAProxyVerifiesOurTokens: another program's verifier (jwt_verify) takes our access tokens by the keys that we export, and nothing that was changed.
func TestHAProxyVerifiesOurTokens(t *testing.T) {
	for algorithm, other := range map[string]string{"ES256": "RS256", "RS256": "ES256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			m := beginMint(t, strings.NewReplacer("rotate: ROTATE, ttl: TTL", "algorithm: "+algorithm).Replace(rotating))
			pem := filepath.Join(m.dir, "public.pem")
			put(t, m.dir, "public.pem", m.done(t, "key", "export-public", "access", "--pem")+"\n")
			a := startApp(t)
			addr := startVerifier(t, algorithm, pem, a.addr)
			token, _ := m.get(t)
			stranger := beginMint(t, strings.NewReplacer("rotate: ROTATE, ttl: TTL", "algorithm: "+algorithm).Replace(rotating))
			foreign, _ := stranger.get(t)
			signed, signature, _ := cutLast(token, ".")
			_, claims := parts(t, token)
			claims["sub"] = "root"
			head, _, _ := strings.Cut(token, ".")
			for what, c := range map[string]struct {
				token  string
				status int
			}{
				"a token": {token, 200}, "another one": {m.issue(t, "--subject", "jack"), 200}, "another server's": {foreign, 401}, "a changed signature": {signed + "." + strings.Repeat("A", len(signature)), 401},
				"changed claims": {head + "." + strings.Split(jwt(t, part{}, claims, nil), ".")[1] + "." + signature, 401}, "no signature": {signed + ".", 401},
				"another algorithm": {jwt(t, part{"alg": other, "typ": "at+jwt"}, claims, hs256("x")), 401}, "the algorithm none": {jwt(t, part{"alg": "none"}, claims, nil), 401},
				"the public key as a secret": {jwt(t, part{"alg": "HS256", "typ": "at+jwt"}, claims, hs256(readText(t, pem))), 401}, "garbage": {"garbage", 401},
			} {
				if got := exchange(t, addr, request("GET /x", bearer(c.token))); got.status != c.status {
					t.Errorf("%s: HAProxy answers %d, want %d", what, got.status, c.status)
				}
				if got := m.ask(t, "GET /x", bearer(c.token)); got.status != c.status {
					t.Errorf("%s: we answer %d, want %d", what, got.status, c.status)
				}
			}
		})
	}
}

// startVerifier starts an HAProxy that lets pass whoever has a token signed with the key in a file, and asks nobody.
func startVerifier(t *testing.T, algorithm, pem, app string) string {
	t.Helper()
	haproxy := proxies[slices.IndexFunc(proxies, func(p proxy) bool { return p.is("haproxy") })]
	path := haproxy.need(t)
	config := `
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend web
    bind FRONT
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request deny deny_status 401 unless { var(txn.alg) -m str ` + algorithm + ` }
    http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"` + pem + `") -m int 1 }
    http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.iss') -m str ` + ourIssuer + ` }
    http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.aud') -m str ` + ourAudience + ` }
    http-request deny deny_status 401 unless { var(txn.bearer),jwt_header_query('$.typ') -m str at+jwt }
    default_backend app
backend app
    server app ` + app + `
`
	var err error
	for range 3 { // somebody else may have taken the port meanwhile
		front, file := freeAddress(t), filepath.Join(t.TempDir(), "haproxy.cfg")
		if err := os.WriteFile(file, []byte(strings.Replace(config, "FRONT", front, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err = launch(t, "haproxy", exec.Command(path, "-db", "-f", file), front); err == nil {
			return front
		}
	}
	t.Fatal(err)
	return ""
}
