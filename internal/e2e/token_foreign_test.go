package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Secrets that other systems sign with, and the profiles under which their tokens are taken. foreignSection goes behind testdata/binary/tokens.yaml.
const (
	loginSecret    = "aiohttp-security signs with this, once"
	usernameSecret = "aiohttp-jwtplus signs with this secret"
	restSecret     = "d0a1b2c3d4e5f60718293a4b5c6d7e8f"
)

// foreignTokens is a piece of the section tokens.
const foreignTokens = `
  foreign:
    - {name: login, algorithm: HS256, secret: "` + loginSecret + `", subject_claim: login}
    - {name: username, algorithm: HS256, secret: "` + usernameSecret + `", subject_claim: username}
    - {name: rest, algorithm: HS256, secret: "` + restSecret + `", issuer: fathat.org, subject_claim: user_id, role_claim: access_role, required_claims: {standard_claim: true}}
`

// withForeign is testdata/binary/tokens.yaml with the profiles.
func withForeign(t *testing.T) string {
	t.Helper()
	return strings.Replace(fixture(t, "tokens.yaml"), "\n  purposes:\n", foreignTokens+"  purposes:\n", 1)
}

// withLogin, withUsername and withStandard are tokens as PyJWT makes them for three applications.
func withLogin(t *testing.T, edits ...edit) string {
	t.Helper()
	header, claims := part{"typ": "JWT", "alg": "HS256"}, part{"login": "jack", "exp": in(time.Hour)}
	return pyJWT(header, claims, edits, loginSecret)
}

func withUsername(t *testing.T, edits ...edit) string {
	t.Helper()
	header := part{"typ": "JWT", "alg": "HS256"}
	claims := part{"headers": maps.Clone(header), "iat": in(0), "exp": in(30 * 24 * time.Hour), "username": "jack"}
	return pyJWT(header, claims, edits, usernameSecret)
}

func withStandard(t *testing.T, edits ...edit) string {
	t.Helper()
	header := part{"alg": "HS256", "typ": "JWT"}
	claims := part{"standard_claim": true, "iss": "fathat.org", "exp": in(10 * time.Hour), "iat": in(0), "sub": "9f0c2f4e-6d0a-4d3c-9d70-3d1c1c6a8f11", "access_role": "basic", "user_id": 17}
	return pyJWT(header, claims, edits, restSecret)
}

func pyJWT(header, claims part, edits []edit, secret string) string {
	for _, e := range edits {
		e(header, claims)
	}
	head, _ := json.Marshal(header)
	body, _ := json.Marshal(claims)
	return rawJWT(string(head), string(body), hs256(secret))
}

// madeByPyJWT are tokens that PyJWT 2.6.0 has made for the three, good for a thousand years, and who they are about.
var madeByPyJWT = map[string]string{
	"jack": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJsb2dpbiI6ImphY2siLCJleHAiOjMyNTAzNjgwMDAwfQ.7vn71dt0owjw_4e0zNAZauvg0HoUNB_8lUpIvBjLnxU",
	"你好世界": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJoZWFkZXJzIjp7InR5cCI6IkpXVCIsImFsZyI6IkhTMjU2In0sImlhdCI6MTcwMDAwMDAwMCwiZXhwIjozMjUwMzY4MDAwMCwidXNlcm5hbWUiOiJcdTRmNjBcdTU5N2RcdTRlMTZcdTc1NGMifQ.e_86yvl4rR4OSb3-M5KLZMyUbMpRFi4cWADxD5N-UcE",
	"17":   "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdGFuZGFyZF9jbGFpbSI6dHJ1ZSwiaXNzIjoiZmF0aGF0Lm9yZyIsImV4cCI6MzI1MDM2ODAwMDAsImlhdCI6MTcwMDAwMDAwMCwic3ViIjoiOWYwYzJmNGUtNmQwYS00ZDNjLTlkNzAtM2QxYzFjNmE4ZjExIiwiYWNjZXNzX3JvbGUiOiJhZG1pbiIsInVzZXJfaWQiOjE3fQ.xwSCUTrrsxR2zCP_7m-x01I7XXxKpNj8yBPr4rhyo2Y",
}

// TestTokensOfPyJWT pass under their profile, as whom they name, and are nobody's without.
func TestTokensOfPyJWT(t *testing.T) {
	t.Parallel()
	with, without := beginMint(t, withForeign(t)), beginMint(t, fixture(t, "tokens.yaml"))
	for who, token := range madeByPyJWT {
		with.app.take()
		with.wantAnswer(t, "under its profile", "/read", token, 200)
		if seen := with.app.take(); len(seen) == 1 {
			want(t, seen[0], "Remote-User", who)
		} else {
			t.Errorf("the application saw %v, want one request", seen)
		}
		for _, path := range []string{"/renewal", "/download", "/limited-info", "/verification"} {
			with.wantAnswer(t, "for another purpose", path, token, 401)
		}
		without.wantAnswer(t, "without a profile", "/read", token, 401)
		with.wantAnswer(t, "cut", "/setattr", token[:len(token)-1], 401)
		refused(t, "as a refresh token", with.renew(t, token), 400, "invalid_grant")
	}
	with.wantAnswer(t, "a role in the claim of the profile", "/admin", madeByPyJWT["17"], 200)
	with.wantAnswer(t, "no role, where the profile knows of none", "/films/v1/", madeByPyJWT["jack"], 403)
	with.wantAnswer(t, "one of our own, beside them", "/read", with.own(t), 200)
}

// TestForeignTokensThatAreNone: what a profile does not say is not taken, and a token is judged by the profile whose key has signed it alone.
func TestForeignTokensThatAreNone(t *testing.T) {
	t.Parallel()
	m := beginMint(t, withForeign(t))
	for what, token := range map[string]string{
		"without the claim login":                      withLogin(t, noClaim("login")),
		"with sub instead of login":                    withLogin(t, noClaim("login"), claim("sub", "jack")),
		"with login and an empty text":                 withLogin(t, claim("login", "")),
		"with a login that is a list":                  withLogin(t, claim("login", []string{"jack"})),
		"without the claim username":                   withUsername(t, noClaim("username")),
		"with an empty username":                       withUsername(t, claim("username", "")),
		"with a username that is false":                withUsername(t, claim("username", false)),
		"with the login of another application":        withUsername(t, noClaim("username"), claim("login", "jack")),
		"that never expires":                           withLogin(t, noClaim("exp")),
		"that says that it is a refresh token":         withStandard(t, noClaim("standard_claim"), claim("refresh_claim", true)),
		"that is for an address":                       withStandard(t, noClaim("standard_claim"), claim("email_claim", "jack@example.org")),
		"without the claim of its kind":                withStandard(t, noClaim("standard_claim")),
		"with the claim of its kind false":             withStandard(t, claim("standard_claim", false)),
		"with the claim of its kind as a text":         withStandard(t, claim("standard_claim", "true")),
		"with the claim of its kind as a number":       withStandard(t, claim("standard_claim", 1)),
		"of another issuer":                            withStandard(t, claim("iss", "evil")),
		"of no issuer":                                 withStandard(t, noClaim("iss")),
		"of nobody":                                    withStandard(t, noClaim("user_id")),
		"of a user with half a number":                 withStandard(t, claim("user_id", 1.5)),
		"of a user with a number below zero":           withStandard(t, claim("user_id", -1)),
		"with the algorithm none":                      rawJWT(`{"typ":"JWT","alg":"none"}`, `{"login":"jack","exp":32503680000}`, nil),
		"with another algorithm":                       withLogin(t, inHeader("alg", "HS384")),
		"signed with our own secret":                   pyJWT(part{"typ": "JWT", "alg": "HS256"}, part{"login": "jack", "exp": in(time.Hour)}, nil, accessSecret),
		"with our typ and key, and signed with theirs": withLogin(t, inHeader("typ", "at+jwt"), inHeader("kid", m.kid), claim("iss", ourIssuer), claim("aud", ourAudience), noClaim("login")),
		"signed with a secret that nobody has":         pyJWT(part{"typ": "JWT", "alg": "HS256"}, part{"login": "jack", "exp": in(time.Hour)}, nil, "testsecret"),
	} {
		got := m.ask(t, "GET /read", bearer(token))
		if got.status != http.StatusUnauthorized || problemOf(t, got).Code != "unknown_token" {
			t.Errorf("a token %s: %d %s, want 401 unknown_token", what, got.status, got.body)
		}
	}
	if got := m.ask(t, "GET /read", bearer(withLogin(t, claim("exp", in(-time.Hour))))); problemOf(t, got).Code != "expired_token" {
		t.Errorf("an expired one: %d %s, want expired_token", got.status, got.body)
	}
	m.wantAnswer(t, "a role that does not exist", "/films/v1/", withStandard(t, claim("access_role", "root")), 403)
	m.wantAnswer(t, "a role that is a number", "/films/v1/", withStandard(t, claim("access_role", 9)), 403)
	m.wantAnswer(t, "a role that is too low", "/premium", withStandard(t), 403)
	m.wantAnswer(t, "the role", "/films/v1/", withStandard(t), 200)
	for _, token := range []string{withLogin(t), withUsername(t), withStandard(t)} {
		m.wantAnswer(t, "a good one, after all of them", "/read", token, 200)
	}
}

// TestForeignTokensEnd: by whom they are about, and by their id where they have one.
func TestForeignTokensEnd(t *testing.T) {
	t.Parallel()
	m := beginMint(t, withForeign(t))
	with, other := withUsername(t, claim("jti", "an-id")), withUsername(t, claim("username", "jacky"))
	m.wantAnswer(t, "before", "/read", with, 200)
	m.done(t, "token", "revoke", with)
	until(t, "it is refused", func() bool { return m.ask(t, "GET /read", bearer(with)).status == 401 })
	old, undated := withUsername(t), withLogin(t)
	m.wantAnswer(t, "another one of the same user", "/read", old, 200)
	m.wantAnswer(t, "one that does not say when it was issued", "/read", undated, 200)
	m.done(t, "token", "revoke", "--subject", "jack")
	until(t, "what was issued to jack is refused", func() bool { return m.ask(t, "GET /read", bearer(old)).status == 401 })
	m.wantAnswer(t, "one that does not say when it was issued, which may have been before", "/read", undated, 401)
	m.wantAnswer(t, "somebody else's", "/read", other, 200)
	m.wantAnswer(t, "one from afterwards", "/read", withUsername(t, claim("iat", in(10*time.Second))), 200)
}

// TestForeignTokensAtTheEndpoints: clients that may, revoke them by their id and ask about them; a client is not the one of the same name elsewhere.
func TestForeignTokensAtTheEndpoints(t *testing.T) {
	t.Parallel()
	m := beginMint(t, withForeign(t))
	token := withUsername(t, claim("jti", "an-id"), claim("client_id", "reports"))
	if got := m.post(t, "/oauth/introspect", form{"token": token}, asWarden); got.status != 200 || !strings.Contains(got.body, `"active":true`) || !strings.Contains(got.body, `"sub":"jack"`) {
		t.Errorf("introspection = %d %s, want jack's active token", got.status, got.body)
	}
	if got := m.post(t, "/oauth/introspect", with(asReports, form{"token": token})); got.status != 200 || strings.TrimSpace(got.body) != `{"active":false}` {
		t.Errorf("introspection by a client of that name here = %d %s, want inactive", got.status, got.body)
	}
	refused(t, "revoking by a client of that name here", m.post(t, "/oauth/revoke", with(asReports, form{"token": token})), 400, "unauthorized_client")
	m.wantAnswer(t, "before", "/read", token, 200)
	if got := m.post(t, "/oauth/revoke", form{"token": token}, asWarden); got.status != 200 {
		t.Errorf("revoking = %d %s, want 200", got.status, got.body)
	}
	m.wantAnswer(t, "after it was revoked", "/read", token, 401)
	if got := m.post(t, "/oauth/introspect", form{"token": token}, asWarden); strings.TrimSpace(got.body) != `{"active":false}` {
		t.Errorf("introspection after it was revoked = %d %s, want inactive", got.status, got.body)
	}
	refused(t, "revoking one that has no id", m.post(t, "/oauth/revoke", form{"token": withLogin(t)}, asWarden), 400, "unsupported_token_type")
	m.wantAnswer(t, "one that has no id, after that", "/read", withLogin(t), 200)
	long := withLogin(t, claim("jti", strings.Repeat("x", 1025)))
	refused(t, "revoking one whose id is too long", m.post(t, "/oauth/revoke", form{"token": long}, asWarden), 400, "unsupported_token_type")
}

// An issuerOfKeys publishes public keys and counts who asks.
type issuerOfKeys struct {
	url   string
	asked atomic.Int64
	down  atomic.Bool
}

func publishKeys(t *testing.T, set part) *issuerOfKeys {
	t.Helper()
	i := &issuerOfKeys{}
	i.url = "http://" + startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		if i.down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_ = json.NewEncoder(w).Encode(set)
	})) + "/keys"
	return i
}

// TestKeysOfAnIssuerElsewhere: they are fetched when they are needed and kept, tokens that name others do not make a flood, and where there were none yet the answer is 503.
func TestKeysOfAnIssuerElsewhere(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := rsaJWK(key)
	maps.Copy(public, part{"kid": "elsewhere-1", "alg": "RS256", "use": "sig"})
	keys := publishKeys(t, part{"keys": []part{public}})
	keys.down.Store(true)
	profile := "\n  foreign: [{name: elsewhere, algorithm: RS256, jwks_url: \"" + keys.url + "\", issuer: https://login.example, audience: films}]\n  purposes:\n"
	m := beginMint(t, strings.Replace(fixture(t, "tokens.yaml"), "\n  purposes:\n", profile, 1))
	forge := func(edits ...edit) string {
		header, claims := part{"alg": "RS256", "kid": "elsewhere-1", "typ": "JWT"}, part{"iss": "https://login.example", "aud": "films", "sub": "amy", "exp": in(time.Hour), "roles": []string{"premium"}}
		for _, e := range edits {
			e(header, claims)
		}
		return jwt(t, header, claims, rs256(key))
	}
	if got := m.ask(t, "GET /read", bearer(forge())); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("as long as the keys cannot be had: %d %s, want 503 with Retry-After", got.status, got.body)
	}
	m.wantAnswer(t, "one of our own, meanwhile", "/read", m.own(t), 200)
	keys.down.Store(false)
	until(t, "its tokens are good", func() bool { return m.ask(t, "GET /premium", bearer(forge())).status == 200 })
	asked := keys.asked.Load()
	for range 200 {
		m.wantAnswer(t, "a key that nobody has", "/read", forge(inHeader("kid", rand.Text())), 401)
		m.wantAnswer(t, "a good one", "/read", forge(claim("jti", rand.Text())), 200)
	}
	if more := keys.asked.Load() - asked; more > 3 {
		t.Errorf("200 tokens with unknown keys made %d questions, want hardly any", more)
	}
	for what, token := range map[string]string{
		"for another audience": forge(claim("aud", "shop")), "for no audience": forge(noClaim("aud")), "of another issuer": forge(claim("iss", "https://login.example.evil")), "of nobody": forge(noClaim("sub")),
		"with another key":                   forge(inHeader("kid", "elsewhere-2")),
		"signed with the public key":         jwt(t, part{"alg": "HS256", "kid": "elsewhere-1"}, part{"iss": "https://login.example", "aud": "films", "sub": "amy", "exp": in(time.Hour)}, hs256(string(key.N.Bytes()))),
		"with the algorithm of another kind": forge(inHeader("alg", "PS256")), "not signed": jwt(t, part{"alg": "none", "kid": "elsewhere-1"}, part{"iss": "https://login.example", "aud": "films", "sub": "amy", "exp": in(time.Hour)}, nil),
		"with a URL of keys": forge(inHeader("jku", keys.url), inHeader("kid", "x")),
	} {
		m.wantAnswer(t, what, "/read", token, 401)
	}
	keys.down.Store(true)
	m.wantAnswer(t, "a good one, while the issuer is away", "/read", forge(claim("jti", "later")), 200)
}
