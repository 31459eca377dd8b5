package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// TestSignedTokens replays what clients with signed tokens may send to a gate with an application behind it.
func TestSignedTokens(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	good, none := m.issue(t, "--subject", "jack", "--role", "basic"), []string(nil)
	at := authorization("Bearer " + good)
	empty := "Content-Length: 0"
	play(t, m.gate, []binaryCase{
		{"a good token", "GET /read", at, 200, "", "app /read"},
		{"one that was forged with the right secret is as good: these cases show what they say", "GET /read", authorization("Bearer " + m.own(t)), 200, "", "app /read"},
		{"the scheme has no case", "GET /read", authorization("bearer " + good), 200, "", "app"},
		{"several spaces", "GET /read", authorization("BEARER   " + good), 200, "", "app"},
		{"no credential", "GET /read", none, 401, "no_credential", ""},
		{"no credential, POST", "POST /setattr", []string{empty}, 401, "no_credential", ""},
		{"no credential, and a method that no rule has", "DELETE /setattr", none, 401, "no_credential", ""},
		{"the scheme alone", "GET /read", authorization("Bearer"), 400, "malformed_credential", ""},
		{"the scheme Token", "GET /setattr", authorization("Token " + good), 401, "unsupported_scheme", ""},
		{"the scheme None", "GET /setattr", authorization("None"), 401, "unsupported_scheme", ""},
		{"the scheme with a letter more", "GET /setattr", authorization("BearerX " + good), 401, "unsupported_scheme", ""},
		{"the token without a scheme", "GET /setattr", authorization(good), 401, "unsupported_scheme", ""},
		{"the scheme Token, and no token of ours", "GET /films/v1/", authorization("Token x"), 401, "unsupported_scheme", ""},
		{"two tokens in one field", "GET /read", authorization("Bearer " + good + " " + good), 400, "malformed_credential", ""},
		{"two tokens and a comma", "GET /read", authorization("Bearer " + good + "," + good), 400, "malformed_credential", ""},
		{"two fields with the same token", "GET /read", []string{bearer(good), bearer(good)}, 400, "duplicate_credential", ""},
		{"a bad and a good one", "GET /read", []string{bearer("x"), bearer(good)}, 400, "duplicate_credential", ""},
		{"in the query", "GET /read?access_token=" + good, none, 401, "no_credential", ""},
		{"in the query, by another name", "GET /read?auth_token=" + good, none, 401, "no_credential", ""},
		{"in a cookie that no carrier names", "GET /read", []string{"Cookie: token=" + good}, 401, "no_credential", ""},
		{"in the header of the keys", "GET /read", []string{"X-API-Key: " + good}, 401, "unknown_token", ""},
		{"in a form", "POST /setattr", []string{"Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len("access_token="+good)), "\r\naccess_token=" + good}, 401, "no_credential", ""},
		{"a token beside a key of the same user", "GET /read", []string{bearer(m.own(t, claim("sub", "alice"))), "X-API-Key: alice-token"}, 400, "duplicate_credential", ""},
		{"a token beside a key of somebody else", "GET /read", append(at, "X-API-Key: alice-token"), 400, "duplicate_credential", ""},
		{"a token beside a bad key", "GET /read", append(at, "X-API-Key: wrong"), 400, "duplicate_credential", ""},
		{"a route without a rule of its own for the method", "DELETE /setattr", at, 405, "method_not_allowed", ""},
		{"an unlisted route", "GET /nope", at, 404, "not_found", ""},
		{"an unlisted route, anonymous", "GET /nope", none, 401, "no_credential", ""},
		{"an unlisted route, bad token", "GET /nope", authorization("Bearer x"), 401, "unknown_token", ""},
		{"another route", "GET /other", at, 200, "", "app /other"},
		{"an escaped letter, anonymous", "GET /%73etattr", none, 401, "no_credential", ""},
		{"an escaped letter is what it stands for", "GET /%73etattr", at, 200, "", "app /setattr"},
		{"a path without its slash, anonymous", "GET /films/v1", none, 401, "no_credential", ""},
		{"a path without its slash", "GET /films/v1", at, 404, "not_found", ""},
		{"a path behind two slashes", "GET //films/v1/", at, 400, "bad_target", ""},
		{"reading what one may change elsewhere", "POST /films/v1/", append(at, empty), 405, "method_not_allowed", ""},
		{"HEAD as GET", "HEAD /films/v1/", at, 200, "", ""},
		{"a bearer is no ambient authority: cross-site POST", "POST /setattr", append(at, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", empty), 200, "", "app"},

		{"an open route, bad token: nobody", "GET /authentication", authorization("Bearer " + good[:len(good)-1]), 200, "", "app"},
		{"an open route, expired token: nobody", "GET /authentication", authorization("Bearer " + m.own(t, claim("exp", in(-time.Hour)))), 200, "", "app"},
		{"an open route, two tokens", "GET /authentication", []string{bearer(good), bearer(good)}, 400, "duplicate_credential", ""},
		{"a strict route, no token", "GET /optional", none, 200, "", "app"},
		{"a strict route, another scheme", "GET /optional", authorization("Basic eDp5"), 200, "", "app"},
		{"a strict route, good token", "GET /optional", at, 200, "", "app"},
		{"a strict route, bad token", "GET /optional", authorization("Bearer x"), 401, "unknown_token", ""},
		{"a strict route, expired token", "GET /optional", authorization("Bearer " + m.own(t, claim("exp", in(-time.Hour)))), 401, "expired_token", ""},
		{"a strict route, malformed", "GET /optional", authorization("Bearer"), 400, "malformed_credential", ""},

		{"a scope that the token lacks", "GET /forbid", at, 403, "insufficient_scope", ""},
		{"a scope in another case", "GET /forbid", authorization("Bearer " + m.own(t, claim("scope", "FORBID forbids forbid.all"))), 403, "insufficient_scope", ""},
		{"the scope", "GET /forbid", authorization("Bearer " + m.own(t, claim("scope", "view forbid"))), 200, "", "app"},
		{"a role that is too low", "GET /premium", at, 403, "forbidden", ""},
		{"the role", "GET /premium", authorization("Bearer " + m.own(t, claim("roles", []string{"premium"}))), 200, "", "app"},
		{"a higher role", "GET /premium", authorization("Bearer " + m.own(t, claim("roles", []string{"admin"}))), 200, "", "app"},
		{"the highest role where the lowest is due", "GET /films/v1/", authorization("Bearer " + m.own(t, claim("roles", []string{"admin"}))), 200, "", "app"},
		{"a role that does not exist", "GET /films/v1/", authorization("Bearer " + m.own(t, claim("roles", []string{"root"}))), 403, "forbidden", ""},
		{"a role in another case", "GET /admin", authorization("Bearer " + m.own(t, claim("roles", []string{"ADMIN", " admin", "admin,"}))), 403, "forbidden", ""},
		{"no role", "GET /films/v1/", authorization("Bearer " + m.own(t, noClaim("roles"))), 403, "forbidden", ""},
		{"a role in the claim of another system", "GET /admin", authorization("Bearer " + m.own(t, noClaim("roles"), claim("access_role", "admin"), claim("role", "admin"))), 403, "forbidden", ""},
	})
	t.Run("the challenge names the scope that is needed", func(t *testing.T) {
		if challenge := m.ask(t, "GET /forbid", at...).header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, `scope="forbid"`) {
			t.Errorf("the challenge is %s, want Bearer with the scope", challenge)
		}
	})
	t.Run("405 lists the methods", func(t *testing.T) {
		if allow := m.ask(t, "DELETE /setattr", at...).header.Get("Allow"); allow != "GET, HEAD, POST" {
			t.Errorf("Allow = %q, want GET, HEAD, POST", allow)
		}
	})
	t.Run("the answer to an expired token says that it has expired", func(t *testing.T) {
		got := m.ask(t, "GET /read", bearer(m.own(t, claim("exp", in(-time.Hour)))))
		if challenge := got.header.Get("WWW-Authenticate"); !strings.Contains(challenge, "expired") || problemOf(t, got).Code != "expired_token" {
			t.Errorf("%s with the challenge %s, want that both say it", got.body, challenge)
		}
	})
}

// badTokens are tokens that nobody must take for an access token, by what is wrong with them. Each is signed with the server's own secret unless it says otherwise.
func badTokens(t *testing.T, m *mint) map[string]string {
	t.Helper()
	good := m.own(t)
	head, rest, _ := strings.Cut(good, ".")
	body, signature, _ := strings.Cut(rest, ".")
	ours := hs256(accessSecret)
	goodHeader := fmt.Sprintf(`{"alg":"HS256","kid":%q,"typ":"at+jwt"}`, m.kid)
	fresh := func() string {
		return fmt.Sprintf(`"iss":%q,"aud":%q,"sub":"jack","jti":%q,"sid":"s","iat":%d,"exp":%d`, ourIssuer, ourAudience, rand.Text(), in(0), in(10*time.Minute))
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"no token at all":                         "garbage",
		"one character is missing":                good[:len(good)-1],
		"one character more":                      good + "A",
		"a dot more":                              good + ".",
		"four parts":                              good + "." + signature,
		"five parts, as encrypted ones have":      good + ".a.b",
		"two parts":                               head + "." + body,
		"no signature":                            head + "." + body + ".",
		"another signature":                       head + "." + body + "." + encode(make([]byte, 32)),
		"signed with another secret":              jwt(t, part{"alg": "HS256", "kid": m.kid, "typ": "at+jwt"}, edited(nil, nil), hs256("another secret that is long enough, too")),
		"a key that nobody has":                   m.own(t, inHeader("kid", "nobody")),
		"no kid":                                  m.own(t, noHeader("kid")),
		"a kid that is a path":                    m.own(t, inHeader("kid", "../../etc/passwd")),
		"a kid that is SQL":                       m.own(t, inHeader("kid", "' OR 1=1 --")),
		"a kid that is a list":                    m.own(t, inHeader("kid", []string{m.kid})),
		"the algorithm none, and no signature":    jwt(t, part{"alg": "none", "typ": "at+jwt", "kid": m.kid}, edited(nil, nil), nil),
		"the algorithm nOnE, and no signature":    jwt(t, part{"alg": "nOnE", "typ": "at+jwt", "kid": m.kid}, edited(nil, nil), nil),
		"the algorithm none, and a signature":     m.own(t, inHeader("alg", "none")),
		"an empty algorithm":                      m.own(t, inHeader("alg", "")),
		"no algorithm":                            m.own(t, noHeader("alg")),
		"another algorithm than the key's":        m.own(t, inHeader("alg", "HS512")),
		"a key that the token brings":             jwt(t, part{"alg": "ES256", "typ": "at+jwt", "kid": m.kid, "jwk": publicJWK(curve)}, edited(nil, nil), es256(curve)),
		"a URL of keys that the token brings":     m.own(t, inHeader("jku", "http://127.0.0.1:1/jwks.json"), inHeader("kid", "1")),
		"a header that must be understood":        m.own(t, inHeader("crit", []string{"b64"}), inHeader("b64", true)),
		"a header that must be understood, empty": m.own(t, inHeader("crit", []string{})),
		"the typ of a plain JWT":                  m.own(t, inHeader("typ", "JWT")),
		"no typ":                                  m.own(t, noHeader("typ")),
		"the typ of a refresh token":              m.own(t, inHeader("typ", "refresh+jwt")),
		"the typ of a purpose of its own":         m.own(t, inHeader("typ", "download+jwt")),
		"a claim says that it is a refresh token": m.own(t, inHeader("typ", "JWT"), claim("refresh_claim", true)),
		"no claim of the kind":                    m.own(t, noHeader("kid"), inHeader("typ", "JWT"), claim("user_id", 17), claim("access_role", "basic")),
		"a claim of the kind that is false":       m.own(t, noHeader("kid"), inHeader("typ", "JWT"), claim("user_id", 17), claim("standard_claim", false)),
		"another issuer":                          m.own(t, claim("iss", "evil")),
		"the issuer with a slash":                 m.own(t, claim("iss", ourIssuer+"/")),
		"the issuer as a list":                    m.own(t, claim("iss", []string{ourIssuer})),
		"no issuer":                               m.own(t, noClaim("iss")),
		"another audience":                        m.own(t, claim("aud", "https://other.example")),
		"the audience in another case":            m.own(t, claim("aud", "https://APP.example")),
		"an audience that begins alike":           m.own(t, claim("aud", ourAudience+".evil.example")),
		"no audience":                             m.own(t, noClaim("aud")),
		"no subject":                              m.own(t, noClaim("sub")),
		"an empty subject":                        m.own(t, claim("sub", "")),
		"a subject that is a number":              m.own(t, claim("sub", 17)),
		"no id":                                   m.own(t, noClaim("jti")),
		"no session":                              m.own(t, noClaim("sid")),
		"it does not say when it was issued":      m.own(t, noClaim("iat")),
		"it never expires":                        m.own(t, noClaim("exp")),
		"it expires never, as null":               m.own(t, claim("exp", nil)),
		"it expires as a text":                    m.own(t, claim("exp", fmt.Sprint(in(time.Hour)))),
		"it expires at the end of numbers":        rawJWT(goodHeader, `{"iss":"`+ourIssuer+`","aud":"`+ourAudience+`","sub":"jack","jti":"1","sid":"1","iat":1,"exp":1e400}`, ours),
		"not valid yet":                           m.own(t, claim("nbf", in(time.Hour))),
		"issued in the future":                    m.own(t, claim("iat", in(time.Hour))),
		"two subjects":                            rawJWT(goodHeader, `{`+fresh()+`,"sub":"root"}`, ours),
		"two algorithms":                          rawJWT(`{"alg":"none",`+goodHeader[1:], `{`+fresh()+`}`, ours),
		"claims that are a list":                  rawJWT(goodHeader, `[{`+fresh()+`}]`, ours),
		"claims that are no JSON":                 rawJWT(goodHeader, `{`+fresh()+`,}`, ours),
		"two sets of claims":                      rawJWT(goodHeader, `{`+fresh()+`}{`+fresh()+`}`, ours),
		"a header with a byte order mark":         rawJWT("\ufeff"+goodHeader, `{`+fresh()+`}`, ours),
		"padding":                                 head + "." + body + "." + signature + "=",
		"base64 that is not for URLs":             strings.NewReplacer("-", "+", "_", "/").Replace(m.own(t, claim("note", "\u00ff\u00fe\u00ff>>>???"))) + "+/",
		"a space inside, escaped":                 strings.Replace(good, ".", "%20.", 1),
		"the JSON form":                           `{"payload":"` + body + `","protected":"` + head + `","signature":"` + signature + `"}`,
		"an opaque token that nobody has made":    "gh_access.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"a refresh token":                         m.issue(t, "--purpose", "refresh", "--subject", "jack", "--role", "admin"),
		"a token of a purpose of its own":         m.issue(t, "--purpose", "download", "--subject", "jack", "--role", "admin", "--claim", "file=x"),
		"a token with a number of uses":           m.issue(t, "--purpose", "limited", "--subject", "jack", "--role", "admin"),
		"a token for an address":                  m.issue(t, "--purpose", "verify-email", "--subject", "jack"),
		"a token for a new password":              m.issue(t, "--purpose", "reset-password", "--subject", "jack"),
		"an invitation":                           m.issue(t, "--purpose", "invite", "--subject", "jack"),
		"a static token, which is a key":          "alice-token",
		"the secret itself":                       accessSecret[:5],
		"the id of a token":                       fmt.Sprint(claimsOf(t, good)["jti"]),
		"revoked":                                 revokedBefore(t, m),
		"a password where the token should be":    encode([]byte("jack:password")),
		"a token whose claims have a NUL":         rawJWT(goodHeader, "{"+fresh()+",\"x\":\"\x00\"}", ours),
		"claims in UTF-16":                        rawJWT(goodHeader, "\xff\xfe{\x00}\x00", ours),
		"deep claims":                             rawJWT(goodHeader, `{`+fresh()+`,"x":`+strings.Repeat("[", 2000)+strings.Repeat("]", 2000)+`}`, ours),
		"a signature of the client's own making":  head + "." + body + "." + encode([]byte("signature")),
		"the claims of a higher role, not signed": head + "." + strings.Split(m.own(t, claim("roles", []string{"admin"})), ".")[1] + "." + signature,
		"the header of a good one, other claims":  head + "." + encode([]byte(`{"sub":"root"}`)) + "." + signature,
		"longer than 8 KiB, and otherwise good":   m.own(t, claim("x", strings.Repeat("x", 8<<10))),
	}
}

func claimsOf(t *testing.T, token string) part {
	t.Helper()
	_, claims := parts(t, token)
	return claims
}

// publicJWK is the public half of a key.
func publicJWK(key *ecdsa.PrivateKey) part {
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return part{"kty": "EC", "crv": "P-256", "x": encode(raw[1:33]), "y": encode(raw[33:])}
}

// revokedBefore is a token that was good and that the server has revoked.
func revokedBefore(t *testing.T, m *mint) string {
	t.Helper()
	token := m.issue(t, "--subject", "jack", "--role", "admin")
	m.wantAnswer(t, "before it is revoked", "/read", token, 200)
	if got := m.post(t, "/oauth/revoke", form{"token": token}, asWarden); got.status != 200 {
		t.Fatalf("revoking = %d %s", got.status, got.body)
	}
	return token
}

// TestTokensThatAreNone: what is wrong with a token cannot be seen from the answer, but for one that has expired. The application hears nothing of any.
func TestTokensThatAreNone(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	bad := badTokens(t, m)
	m.app.take()
	for name, token := range bad {
		for _, line := range []string{"GET /read", "POST /setattr", "GET /optional", "GET /films/v1/", "HEAD /read", "GET /nope"} {
			got := m.ask(t, line, bearer(token), "Content-Length: 0")
			if strings.Contains(token, ",") { // the JSON form: not one token
				if got.status != http.StatusBadRequest {
					t.Errorf("%s: %s = %d, want 400", name, line, got.status)
				}
				continue
			}
			if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), `Bearer realm="gatehouse", error="invalid_token"`) {
				t.Errorf("%s: %s = %d %s %q, want 401 invalid_token", name, line, got.status, got.body, got.header.Get("WWW-Authenticate"))
			}
			if line != "HEAD /read" && problemOf(t, got).Code != "unknown_token" {
				t.Errorf("%s: %s = %s, want unknown_token", name, line, got.body)
			}
		}
	}
	if seen := m.app.take(); len(seen) != 0 {
		t.Errorf("%d requests reached the application, the first is %v", len(seen), seen[0])
	}
	m.wantAnswer(t, "a good one, after all of them", "/read", m.own(t), 200)
	if got := m.ask(t, "GET /read", bearer(m.own(t, claim("exp", in(-time.Hour)), claim("iat", in(-2*time.Hour))))); problemOf(t, got).Code != "expired_token" {
		t.Errorf("an expired one = %d %s, want expired_token", got.status, got.body)
	}
}

// TestEachPurposeIsItsOwn: a token of one purpose is refused wherever a rule wants another one.
func TestEachPurposeIsItsOwn(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	paths := map[string]string{"access": "/read", "refresh": "/renewal", "limited": "/limited-info", "download": "/download", "verify-email": "/verification"}
	for purpose := range paths {
		token := m.issue(t, "--purpose", purpose, "--subject", "jack", "--claim", "file=report.pdf")
		for want, path := range paths {
			status := http.StatusUnauthorized
			if purpose == want {
				status = http.StatusOK
			}
			m.wantAnswer(t, "a token for "+purpose+" where one for "+want+" is due", path, token, status)
		}
	}
	token := m.issue(t, "--purpose", "refresh", "--subject", "jack")
	for range 3 {
		m.wantAnswer(t, "a rule does not use a refresh token up", "/renewal", token, 200)
	}
	granted(t, m.renew(t, token))
	m.wantAnswer(t, "a refresh token that was used", "/renewal", token, 401)
	if got := m.command(t, "token", "issue", "--purpose", "download", "--subject", "jack"); got.code == 0 || !strings.Contains(got.stderr, "file") {
		t.Errorf("a token without the claim that its purpose must have: %+v, want it refused, by the name of the claim", got)
	}
}

// TestCountedUses: a token for three uses works three times, however they come.
func TestCountedUses(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	first := m.issue(t, "--purpose", "limited", "--subject", "jack")
	for i, want := range []int{200, 200, 200, 401, 401} {
		m.wantAnswer(t, fmt.Sprintf("use %d", i+1), "/limited-info", first, want)
	}
	m.wantAnswer(t, "another token", "/limited-info", m.issue(t, "--purpose", "limited", "--subject", "jack"), 200)
	m.wantAnswer(t, "the first token still", "/limited-info", first, 401)
	once := m.issue(t, "--purpose", "limited", "--subject", "jack", "--uses", "1")
	m.wantAnswer(t, "for one use", "/limited-info", once, 200)
	m.wantAnswer(t, "for one use, again", "/limited-info", once, 401)
	for range 5 {
		token := m.issue(t, "--purpose", "limited", "--subject", "jack")
		if n := m.together(t, 10, "GET /limited-info", token); n != 3 {
			t.Errorf("ten requests at once: %d passed, want exactly 3", n)
		}
	}
}

// together sends n requests at the same time and returns how many passed.
func (m *mint) together(t *testing.T, n int, line, token string) int {
	t.Helper()
	var wait sync.WaitGroup
	passed := make(chan bool, n)
	for range n {
		conn := dial(t, m.addr)
		wait.Go(func() {
			raw := request(line, bearer(token))
			if _, err := conn.Write([]byte(raw)); err != nil {
				return
			}
			got, err := readOne(conn, raw)
			passed <- err == nil && got.status == http.StatusOK
		})
	}
	wait.Wait()
	close(passed)
	count := 0
	for ok := range passed {
		if ok {
			count++
		}
	}
	return count
}

// TestTokensBesideSessions: one request, one credential, whoever's they are.
func TestTokensBesideSessions(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	d := besideSQLite(t, databaseIn(m.dir), session.Config{})
	amy := d.signIn(t, "amy", "basic")
	m.app.take()
	for name, fields := range map[string][]string{
		"of the same user":             {amy, bearer(m.own(t, claim("sub", "amy")))},
		"of two users":                 {amy, bearer(m.own(t))},
		"beside a token that is none":  {amy, bearer("x")},
		"beside a token that is over":  {amy, bearer(m.own(t, claim("exp", in(-time.Hour))))},
		"with a session that is none":  {"Cookie: __Host-gatehouse=" + strings.Repeat("A", 43), bearer(m.own(t))},
		"the other way round":          {bearer(m.own(t)), amy},
		"and a key":                    {amy, bearer(m.own(t)), "X-API-Key: alice-token"},
		"on an open path, of one user": {amy, bearer(m.own(t, claim("sub", "amy")))},
	} {
		path := "/read"
		if strings.Contains(name, "open") {
			path = "/authentication"
		}
		got := m.ask(t, "GET "+path, fields...)
		if got.status != http.StatusBadRequest || problemOf(t, got).Code != "duplicate_credential" || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_request"`) {
			t.Errorf("a session and a token %s: %d %s %q, want 400 invalid_request", name, got.status, got.body, got.header.Get("WWW-Authenticate"))
		}
	}
	if seen := m.app.take(); len(seen) != 0 {
		t.Errorf("the application saw %v, want nothing", seen)
	}
	for _, field := range []string{amy, bearer(m.own(t))} {
		if got := m.ask(t, "GET /read", field); got.status != http.StatusOK {
			t.Errorf("%.20s alone: %d %s, want 200", field, got.status, got.body)
		}
	}
}

// TestWhatTheApplicationHears of a caller with a token: who it is, and nothing of the token unless the rule hands it on.
func TestWhatTheApplicationHears(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	token := m.issue(t, "--subject", "你好世界", "--role", "premium", "--email", "jack@example.org")
	seen := func(path, token string) *message {
		t.Helper()
		m.app.take()
		got := m.ask(t, "GET "+path, bearer(token), "Remote-User: root", "Remote_Groups: admin")
		all := m.app.take()
		if got.status != http.StatusOK || len(all) != 1 {
			t.Fatalf("GET %s = %d %s, the application saw %d requests", path, got.status, got.body, len(all))
		}
		return all[0]
	}
	for _, path := range []string{"/read", "/optional", "/authentication", "/keep/x"} {
		saw := seen(path, token)
		want(t, saw, "Remote-User", "你好世界")
		want(t, saw, "Remote-Groups", "premium")
		want(t, saw, "Remote-Email", "jack@example.org")
		if kept := strings.HasPrefix(path, "/keep/"); kept != strings.Contains(saw.String(), token) {
			t.Errorf("GET %s: the application saw\n%v\nwant the token there only where the rule hands it on", path, saw)
		}
	}
	wantNobody(t, seen("/authentication", token+"x"))
	if got := seen("/authentication", m.own(t, claim("exp", in(-time.Hour)))).like("Authorization"); len(got) != 0 {
		t.Errorf("an expired token reached the application of an open path")
	}
	if got := m.ask(t, "GET /read", bearer(m.own(t, claim("sub", "two\r\nlines: 1")))); got.status < 400 {
		t.Errorf("a subject that no header can carry: %d, want a refusal", got.status)
	}
}

// TestHostileTokens: what is large, deep or endless is refused in the time of any other, and nothing of it is a server error.
func TestHostileTokens(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	const size = 10 << 20
	head := encode(fmt.Appendf(nil, `{"alg":"HS256","kid":%q,"typ":"at+jwt"}`, m.kid))
	for name, token := range map[string]string{
		"a hundred thousand dots":    strings.Repeat(".", 100_000),
		"dots and letters":           strings.Repeat("a.", 50_000),
		"ten megabytes":              strings.Repeat("A", size),
		"ten megabytes of claims":    head + "." + strings.Repeat("A", size) + "." + encode(make([]byte, 32)),
		"ten megabytes of signature": head + ".e30." + strings.Repeat("A", size),
		"ten megabytes of header":    encode([]byte(`{"alg":"HS256","kid":"`+strings.Repeat("k", size)+`"}`)) + ".e30.AA",
		"a huge kid":                 encode([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"`+strings.Repeat("k", 4000)+`"}`)) + ".e30.AA",
		"a deep header":              encode([]byte(`{"alg":"HS256","x":`+strings.Repeat("[", 2500)+strings.Repeat("]", 2500)+`}`)) + ".e30.AA",
		"deep claims":                head + "." + encode([]byte(strings.Repeat(`{"a":`, 900)+"1"+strings.Repeat("}", 900))) + ".AA",
		"many members":               head + "." + encode([]byte("{"+strings.Repeat(`"a":1,`, 900)+`"b":1}`)) + ".AA",
		"a long number":              head + "." + encode([]byte(`{"exp":`+strings.Repeat("9", 5000)+`}`)) + ".AA",
		"a small exponent":           head + "." + encode([]byte(`{"exp":1e-`+strings.Repeat("9", 5000)+`}`)) + ".AA",
		"an opaque one, endless":     "gh_access." + strings.Repeat("A", size),
	} {
		began := time.Now()
		got, err := attempt(t, m.addr, request("GET /read", bearer(token)))
		if err != nil || got.status != http.StatusUnauthorized && got.status != http.StatusBadRequest {
			t.Errorf("%s: %d (%v), want 401 or 400", name, got.status, err)
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("%s took %v", name, took)
		}
	}
	m.wantAnswer(t, "a good one after all", "/read", m.own(t), 200)
}
