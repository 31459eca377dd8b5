package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

// A signingClient is a program that proves itself with a private key.
type signingClient struct {
	*mint
	id   string
	ec   *ecdsa.PrivateKey
	rsa  *rsa.PrivateKey
	kids [2]string // of ec and rsa
}

// beginSigning starts a gatehouse that knows a client by two public keys.
func beginSigning(t *testing.T) *signingClient {
	t.Helper()
	c := &signingClient{id: "signer", kids: [2]string{"ec-1", "rsa-1"}}
	var err1, err2 error
	c.ec, err1 = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.rsa, err2 = rsa.GenerateKey(rand.Reader, 2048)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	first, second := publicJWK(c.ec), rsaJWK(c.rsa)
	maps.Copy(first, part{"kid": c.kids[0], "alg": "ES256", "use": "sig"})
	maps.Copy(second, part{"kid": c.kids[1], "alg": "RS256", "use": "sig"})
	set, err := json.Marshal(part{"keys": []part{first, second}})
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	put(t, dir, "signer.jwks", string(set))
	c.mint = beginMintIn(t, dir, strings.Replace(fixture(t, "tokens.yaml"), "clients:\n", "clients:\n  - {id: signer, keys: \"file:signer.jwks\", scopes: [films.read]}\n", 1))
	return c
}

func rsaJWK(key *rsa.PrivateKey) part {
	return part{"kty": "RSA", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
}

// assertion signs an assertion, which is good without edits.
func (c *signingClient) assertion(t *testing.T, edits ...edit) string {
	t.Helper()
	header := part{"alg": "ES256", "kid": c.kids[0], "typ": "JWT"}
	return jwt(t, header, c.says(header, edits), es256(c.ec))
}

func (c *signingClient) says(header part, edits []edit) part {
	claims := part{"iss": c.id, "sub": c.id, "aud": ourIssuer, "jti": rand.Text(), "iat": in(0), "exp": in(time.Minute)}
	for _, e := range edits {
		e(header, claims)
	}
	return claims
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// byAssertion is the form in which a client proves itself at any endpoint; byGrant is the assertion as a grant of its own.
func byAssertion(assertion string) form {
	return form{"grant_type": "client_credentials", "client_assertion_type": assertionType, "client_assertion": assertion}
}

func byGrant(assertion string) form {
	return form{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
}

// TestClientsWithKeys: a client gets a token for an assertion that it has signed, once for each.
func TestClientsWithKeys(t *testing.T) {
	t.Parallel()
	c := beginSigning(t)
	rsaHeader := part{"alg": "RS256", "kid": c.kids[1], "typ": "JWT"}
	for name, f := range map[string]form{
		"as proof":                  byAssertion(c.assertion(t)),
		"as proof, with its id":     with(byAssertion(c.assertion(t)), form{"client_id": "signer"}),
		"as grant":                  byGrant(c.assertion(t)),
		"for the endpoint's URL":    byAssertion(c.assertion(t, claim("aud", ourIssuer+"/oauth/token"))),
		"for the URL that it calls": byAssertion(c.assertion(t, claim("aud", "https://app.example/oauth/token"))),
		"for two names of ours":     byAssertion(c.assertion(t, claim("aud", []string{ourIssuer + "/oauth/token", ourIssuer}))),
		"signed with RSA":           byAssertion(jwt(t, rsaHeader, c.says(rsaHeader, nil), rs256(c.rsa))),
		"with a scope that it has":  with(byGrant(c.assertion(t)), form{"scope": "films.read"}),
		"without typ":               byAssertion(c.assertion(t, noHeader("typ"))),
		"without iat":               byAssertion(c.assertion(t, noClaim("iat"))),
		"by a clock that is behind": byAssertion(c.assertion(t, claim("exp", in(-20*time.Second)))),
	} {
		t.Run(name, func(t *testing.T) {
			got := granted(t, c.post(t, "/oauth/token", f))
			if got.Refresh != "" || got.Scope != "films.read" || got.ExpiresIn > 600 || got.ExpiresIn < 590 {
				t.Errorf("%+v, want a token for ten minutes with the client's scope, and none to renew it", got)
			}
			says := claimsOf(t, got.Access)
			if says["sub"] != "signer" || says["client_id"] != "signer" || says["iss"] != ourIssuer || says["aud"] != ourAudience {
				t.Errorf("the token says %v, want that it is the client's own", says)
			}
			c.wantAnswer(t, "with it", "/read", got.Access, 200)
			c.wantAnswer(t, "a client has no roles", "/films/v1/", got.Access, 403)
		})
	}
}

// TestAssertionsThatProveNothing: what is no assertion of a registered client, just signed, is refused, and the answer does not say why.
func TestAssertionsThatProveNothing(t *testing.T) {
	t.Parallel()
	c := beginSigning(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&c.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	signed := func(alg, kid string, s sign) string {
		header := part{"alg": alg, "kid": kid, "typ": "JWT"}
		return jwt(t, header, c.says(header, nil), s)
	}
	used := c.assertion(t)
	granted(t, c.post(t, "/oauth/token", byAssertion(used)))
	for name, assertion := range map[string]string{
		"of an unknown client":                 c.assertion(t, claim("iss", "nobody"), claim("sub", "nobody")),
		"of a client that has a secret":        c.assertion(t, claim("iss", "reports"), claim("sub", "reports")),
		"of a client by another's name":        c.assertion(t, claim("sub", "reports")),
		"of nobody":                            c.assertion(t, noClaim("iss"), noClaim("sub")),
		"used before":                          used,
		"its id used before":                   c.assertion(t, claim("jti", claimsOf(t, used)["jti"])),
		"without an id":                        c.assertion(t, noClaim("jti")),
		"with an empty id":                     c.assertion(t, claim("jti", "")),
		"without an end":                       c.assertion(t, noClaim("exp")),
		"that has expired":                     c.assertion(t, claim("exp", in(-time.Minute))),
		"that lives for a day":                 c.assertion(t, claim("exp", in(24*time.Hour))),
		"not valid yet":                        c.assertion(t, claim("nbf", in(2*time.Minute))),
		"issued in the future":                 c.assertion(t, claim("iat", in(2*time.Minute))),
		"without an audience":                  c.assertion(t, noClaim("aud")),
		"for another server":                   c.assertion(t, claim("aud", "https://other.example")),
		"for another server as well":           c.assertion(t, claim("aud", []string{"https://other.example", ourIssuer})),
		"for the audience of access tokens":    c.assertion(t, claim("aud", ourAudience)),
		"signed with another key":              signed("ES256", c.kids[0], es256(other)),
		"that names another of its keys":       signed("ES256", c.kids[1], es256(c.ec)),
		"that names no key of several":         c.assertion(t, noHeader("kid")),
		"that names a key that nobody has":     c.assertion(t, inHeader("kid", "x")),
		"with the algorithm none":              signed("none", c.kids[0], nil),
		"signed with the public key as secret": signed("HS256", c.kids[1], hs256(public)),
		"signed with the PEM's bytes":          signed("HS256", c.kids[1], hs256(strings.TrimSpace(public))),
		"signed with the DER as secret":        signed("HS256", c.kids[1], hs256(string(der))),
		"which is an access token":             c.issue(t, "--subject", "signer"),
	} {
		for way, f := range map[string]form{"as proof": byAssertion(assertion), "as grant": byGrant(assertion)} {
			got := c.post(t, "/oauth/token", f)
			if name == "with the algorithm none" && got.status == 400 { // it has no signature: no signed token
				continue
			}
			refused(t, "an assertion "+name+", "+way, got, 401, "invalid_client")
		}
	}
	for name, text := range map[string]string{"garbage": "garbage", "three parts": "a.b.c", "a number": "17", "JSON": `{"iss":"signer"}`, "bytes": "\xff\x00\xfe", "dots": "...", "opaque": "gh_access.x", "long": strings.Repeat("a.", 20_000)} {
		refused(t, name, c.post(t, "/oauth/token", byAssertion(text)), 400, "invalid_request")
		refused(t, name, c.post(t, "/oauth/token", byGrant(text)), 400, "invalid_request")
	}
	c.wantAnswer(t, "an assertion as a token", "/read", c.assertion(t), 401)
	c.wantAnswer(t, "an assertion with all that a token says", "/read", c.assertion(t, inHeader("typ", "at+jwt"), claim("aud", ourAudience), claim("iss", ourIssuer), claim("sid", "1")), 401)
}

// TestAnAssertionAtTheSameTime: of many requests with one assertion, one gets a token.
func TestAnAssertionAtTheSameTime(t *testing.T) {
	t.Parallel()
	c := beginSigning(t)
	assertion, statuses := c.assertion(t), make(chan int, 20)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() { statuses <- c.post(t, "/oauth/token", byGrant(assertion)).status })
	}
	wait.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	if count[200] != 1 || count[401] != 19 {
		t.Errorf("statuses %v, want one 200 and 401 for the others", count)
	}
}

// TestClientsWithSecrets: by HTTP Basic or in the form, never in the query, and never in two ways.
func TestClientsWithSecrets(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	grantType := form{"grant_type": "client_credentials"}
	basic := func(user, password string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	good := basic("reports", clientSecret)
	if got := granted(t, m.post(t, "/oauth/token", grantType, good)); got.Scope != "films.read films.write" || got.Refresh != "" {
		t.Errorf("by Basic: %+v, want all of its scopes", got)
	}
	if got := granted(t, m.post(t, "/oauth/token", with(asReports, with(grantType, form{"scope": "films.write"})))); got.Scope != "films.write" {
		t.Errorf("in the form: %+v, want the scope that it asks for", got)
	}
	wrong := m.post(t, "/oauth/token", grantType, basic("reports", "wrong"))
	for name, fields := range map[string]string{
		"an unknown client": basic("nobody", clientSecret), "no secret": basic("reports", ""), "no name": basic("", clientSecret), "the hash of the secret": basic("reports", "980bf87bdfc844df0a2116adc6fbe72fe28bd8bfac5cf2cfd50980326e6705b5"),
		"nothing": "X-None: 1", "another scheme": "Authorization: Token x", "a token": bearer(m.own(t)), "no base64": "Authorization: Basic !", "no colon": "Authorization: Basic eA==",
	} {
		got := m.post(t, "/oauth/token", grantType, fields)
		refused(t, name, got, 401, "invalid_client")
		if name == "an unknown client" && got.body != wrong.body {
			t.Errorf("an unknown client is answered %s, a wrong secret %s: want no difference", got.body, wrong.body)
		}
	}
	refused(t, "two ways", m.post(t, "/oauth/token", with(asReports, grantType), good), 400, "invalid_request")
	refused(t, "a scope that it may not have", m.post(t, "/oauth/token", with(grantType, form{"scope": "films.read admin"}), good), 400, "invalid_scope")
	refused(t, "no grant", m.post(t, "/oauth/token", form{"x": "y"}, good), 400, "invalid_request")
	refused(t, "an unknown grant", m.post(t, "/oauth/token", form{"grant_type": "password", "username": "jack", "password": "password"}, good), 400, "unsupported_grant_type")
	refused(t, "the query", m.post(t, "/oauth/token?client_id=reports&client_secret="+clientSecret, grantType), 401, "invalid_client")
	refused(t, "the grant in the query", m.post(t, "/oauth/token?grant_type=client_credentials", form{"x": "y"}, good), 400, "invalid_request")
	refused(t, "a parameter twice", m.postRaw(t, "/oauth/token", "grant_type=client_credentials&grant_type=client_credentials", good), 400, "invalid_request")
	refused(t, "no form", m.postRaw(t, "/oauth/token", "grant_type=%zz", good), 400, "invalid_request")
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		got := exchange(t, m.addr, request(method+" /oauth/token?grant_type=client_credentials", good, "Content-Length: 0"))
		if allow := got.header.Get("Allow"); got.status != 405 && got.status != 401 || got.status == 405 && allow != "POST" {
			t.Errorf("%s = %d %s with Allow %q, want 405 with POST", method, got.status, got.body, allow)
		}
	}
	if got := exchange(t, m.addr, request("POST /oauth/token", good, "Content-Type: application/json", "Content-Length: 2")+"{}"); got.status != 400 && got.status != 415 {
		t.Errorf("JSON = %d %s, want it refused", got.status, got.body)
	}
}

// TestRenewals: a refresh token works once, also when the access token is over, and what is no refresh token changes nothing.
func TestRenewals(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	first := m.login(t, "--subject", "jack", "--role", "premium", "--scope", "forbid")
	m.wantAnswer(t, "the first access token", "/premium", first.Access, 200)
	second := granted(t, m.renew(t, first.Refresh))
	if second.Access == first.Access || second.Refresh == first.Refresh || second.Refresh == "" {
		t.Errorf("the renewal gives %+v, want new tokens", second)
	}
	for _, one := range []grant{first, second} {
		m.wantAnswer(t, "both access tokens are good until they expire", "/premium", one.Access, 200)
		m.wantAnswer(t, "with their scope", "/forbid", one.Access, 200)
		m.wantAnswer(t, "a refresh token where an access token is due", "/read", one.Refresh, 401)
	}
	if a, b := claimsOf(t, first.Access), claimsOf(t, second.Access); a["sid"] != b["sid"] || a["jti"] == b["jti"] || a["sub"] != b["sub"] {
		t.Errorf("the tokens say %v and %v, want one session and two ids", a, b)
	}
	refused(t, "no token", m.renew(t, ""), 400, "invalid_request")
	for name, text := range map[string]string{
		"garbage": "garbage", "an access token": first.Access, "one that nobody has made": "gh_refresh." + strings.Repeat("A", 48), "cut": second.Refresh[:len(second.Refresh)-1],
		"more": second.Refresh + "A", "for another purpose": m.issue(t, "--purpose", "invite", "--subject", "jack"), "JSON": "{}", "endless": strings.Repeat("A", 40_000),
	} {
		refused(t, name, m.renew(t, text), 400, "invalid_grant")
	}
	m.wantAnswer(t, "an access token that was sent as a refresh token is still good", "/premium", first.Access, 200)
	refused(t, "in the query", m.post(t, "/oauth/token?refresh_token="+second.Refresh, form{"grant_type": "refresh_token"}), 400, "invalid_request")
	third := granted(t, m.renew(t, second.Refresh))
	refused(t, "with more scope", m.post(t, "/oauth/token", form{"grant_type": "refresh_token", "refresh_token": third.Refresh, "scope": "forbid admin"}), 400, "invalid_scope")
	granted(t, m.renew(t, third.Refresh))
}

// TestRenewalWhenTheAccessTokenIsOver is what refresh tokens are for.
func TestRenewalWhenTheAccessTokenIsOver(t *testing.T) {
	t.Parallel()
	m := beginMint(t, strings.Replace(fixture(t, "tokens.yaml"), "max_ttl: 1h", "ttl: 2s", 1), "GATEHOUSE_TOKENS__LEEWAY=0s")
	pair := m.login(t, "--subject", "jack")
	until(t, "the access token has expired", func() bool { return m.ask(t, "GET /read", bearer(pair.Access)).status == 401 })
	if got := m.ask(t, "GET /read", bearer(pair.Access)); problemOf(t, got).Code != "expired_token" {
		t.Errorf("it is answered %s, want expired_token", got.body)
	}
	pair = granted(t, m.renew(t, pair.Refresh))
	if pair.Refresh == "" {
		t.Errorf("the renewal gives %+v", pair)
	}
}

// TestManyRenewalsAtOnce: fifty at once with one refresh token make one lineage: all that succeed get the same successor.
func TestManyRenewalsAtOnce(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	pair := m.login(t, "--subject", "jack")
	successors, failures := m.renewTogether(t, 50, pair.Refresh)
	if len(successors) != 1 || failures != 0 {
		t.Errorf("%d lineages, %d refused: want one, and the same answer for all within the grace", len(successors), failures)
	}
	for successor := range successors {
		granted(t, m.renew(t, successor))
	}
	refused(t, "the first token, once its successor was used", m.renew(t, pair.Refresh), 400, "invalid_grant")
	m.wantAnswer(t, "the log-in after a refresh token came again", "/read", pair.Access, 401)
	for successor := range successors {
		refused(t, "its successor", m.renew(t, successor), 400, "invalid_grant")
	}
}

// renewTogether renews n times at once and returns the successors, and how many were refused.
func (m *mint) renewTogether(t *testing.T, n int, refresh string) (successors map[string]bool, failures int) {
	t.Helper()
	answers := make(chan reply, n)
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() { answers <- m.renew(t, refresh) })
	}
	wait.Wait()
	close(answers)
	successors = map[string]bool{}
	for got := range answers {
		if got.status != 200 {
			failures++
			continue
		}
		successors[granted(t, got).Refresh] = true
	}
	return successors, failures
}

// TestLogOut: what was revoked is refused from the next request on, and whatever comes of it.
func TestLogOut(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	revoke := func(token string) {
		t.Helper()
		for range 2 { // to say it twice is no error
			if got := m.post(t, "/oauth/revoke", form{"token": token}, asWarden); got.status != 200 || got.body != "" {
				t.Errorf("revoking = %d %s, want 200", got.status, got.body)
			}
		}
	}
	pair, other := m.login(t, "--subject", "jack"), m.login(t, "--subject", "jack")
	revoke(pair.Refresh)
	m.wantAnswer(t, "the access token after log-out", "/read", pair.Access, 401)
	m.wantAnswer(t, "by a lower-case scheme", "/films/v1/", pair.Access, 401)
	refused(t, "the refresh token after log-out", m.renew(t, pair.Refresh), 400, "invalid_grant")
	m.wantAnswer(t, "the refresh token on a rule for it", "/renewal", pair.Refresh, 401)
	m.wantAnswer(t, "another log-in of the same user", "/read", other.Access, 200)

	revoke(other.Access)
	m.wantAnswer(t, "one access token alone", "/read", other.Access, 401)
	other = granted(t, m.renew(t, other.Refresh))
	m.wantAnswer(t, "its log-in goes on", "/read", other.Access, 200)

	revoke("garbage")
	revoke("gh_refresh." + strings.Repeat("A", 48))
	refused(t, "without a client", m.post(t, "/oauth/revoke", form{"token": other.Access}), 401, "invalid_client")
	refused(t, "by a client that it was not given to", m.post(t, "/oauth/revoke", with(asReports, form{"token": other.Access})), 400, "unauthorized_client")
	refused(t, "nothing", m.post(t, "/oauth/revoke", form{"x": "y"}, asWarden), 400, "invalid_request")
	if got := m.ask(t, "GET /oauth/revoke?token="+other.Access, asWarden); got.status != 405 && got.status != 401 {
		t.Errorf("GET = %d, want 405", got.status)
	}
	m.wantAnswer(t, "none of that has revoked it", "/read", other.Access, 200)

	own := granted(t, m.post(t, "/oauth/token", with(asReports, form{"grant_type": "client_credentials"})))
	if got := m.post(t, "/oauth/revoke", with(asReports, form{"token": own.Access})); got.status != 200 {
		t.Errorf("a client's own token = %d %s, want 200", got.status, got.body)
	}
	m.wantAnswer(t, "a client's own token", "/read", own.Access, 401)
}

// TestSomebodyIsGone: everything of a subject that was issued until now ends, in whatever form, and what is issued afterwards is good.
func TestSomebodyIsGone(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	pair, other := m.login(t, "--subject", "jack"), m.login(t, "--subject", "jacky")
	alone, limited := m.own(t), m.issue(t, "--purpose", "limited", "--subject", "jack")
	m.wantAnswer(t, "before", "/read", alone, 200)
	m.done(t, "token", "revoke", "--subject", "jack")
	until(t, "jack's tokens are refused", func() bool { return m.ask(t, "GET /read", bearer(pair.Access)).status == 401 })
	m.wantAnswer(t, "a token without a log-in", "/read", alone, 401)
	m.wantAnswer(t, "a token with uses left", "/limited-info", limited, 401)
	refused(t, "renewing", m.renew(t, pair.Refresh), 400, "invalid_grant")
	m.wantAnswer(t, "somebody whose name begins alike", "/read", other.Access, 200)
	granted(t, m.renew(t, other.Refresh))
	again := m.login(t, "--subject", "jack")
	until(t, "a token from afterwards is good", func() bool { return m.ask(t, "GET /read", bearer(again.Access)).status == 200 })
	granted(t, m.renew(t, again.Refresh))
}

// TestWhatARevocationKeeps: not the token, and not longer than the token would have lived.
func TestWhatARevocationKeeps(t *testing.T) {
	t.Parallel()
	m := beginMint(t, fixture(t, "tokens.yaml"))
	token := m.issue(t, "--subject", "jack", "--ttl", "5m")
	if got := m.post(t, "/oauth/revoke", form{"token": token}, asWarden); got.status != 200 {
		t.Fatalf("revoking = %d %s", got.status, got.body)
	}
	rows := revocationsIn(t, databaseIn(m.dir))
	if len(rows) != 1 {
		t.Fatalf("the store has %v, want one revocation", rows)
	}
	ends := time.Unix(int64(claimsOf(t, token)["exp"].(float64)), 0)
	if left := rows[0].expires.Sub(ends); left < 0 || left > 2*time.Minute {
		t.Errorf("the revocation is kept until %v, the token ends at %v: want as long, and a little for clocks that differ", rows[0].expires, ends)
	}
	if strings.Contains(token, rows[0].id) || rows[0].id != fmt.Sprint(claimsOf(t, token)["jti"]) {
		t.Errorf("the revocation is of %q, want the token's id, which is no secret", rows[0].id)
	}
}

// TestRevocationsAreKeptForTheLongestToken: a session's for as long as a token can live that was made by hand, and a subject's for longer than anybody asks where others make tokens.
func TestRevocationsAreKeptForTheLongestToken(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	own, foreign := beginMint(t, fixture(t, "tokens.yaml")), beginMint(t, withForeign(t))
	for _, row := range []struct {
		m    *mint
		args []string
		least,
		most time.Duration
	}{
		{own, []string{"--session", "a-session"}, 399 * day, 401 * day}, {own, []string{"--id", "a-token"}, 399 * day, 401 * day}, {own, []string{"--subject", "jack"}, 399 * day, 401 * day},
		{foreign, []string{"--session", "a-session"}, 40 * 365 * day, 60 * 365 * day}, {foreign, []string{"--id", "a-token"}, 40 * 365 * day, 60 * 365 * day}, {foreign, []string{"--subject", "jack"}, 40 * 365 * day, 60 * 365 * day},
	} {
		before := len(revocationsIn(t, databaseIn(row.m.dir)))
		row.m.done(t, append([]string{"token", "revoke"}, row.args...)...)
		var longest time.Duration
		for _, r := range revocationsIn(t, databaseIn(row.m.dir))[before:] {
			longest = max(longest, time.Until(r.expires))
		}
		if longest < row.least || longest > row.most {
			t.Errorf("what token revoke %q has done is remembered for %v, want %v to %v", row.args, longest, row.least, row.most)
		}
	}
}
