package cli

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/internal/config"
	"github.com/gatehouse-auth/gatehouse/internal/logs"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

const agreementTokens = `
server: {http: {auth_scheme: Token, allowed_tokens: [{token: basic-token, name: basic, roles: [basic]}]}}
carriers: [bearer, authorization, {header: X-API-Key}]
store: {url: %q}
tokens:
  issuer: https://issuer.example
  access: {max_ttl: 1h}
  purposes: {counted: {form: opaque, ttl: 1h, max_uses: 3}, download: {ttl: 1h}}
  foreign: [{algorithm: HS256, secret: "somebody else signs with this secret", subject_claim: login}]
roles: {basic: 1, admin: 9}
rules:
  - {path: /open, allow: anyone}
  - {path: /strict, allow: anyone, strict: true}
  - {path: /me, allow: authenticated}
  - {methods: [GET], path: /films, allow: {role: basic}}
  - {path: /admin, allow: {role: admin}}
  - {path: /scope, allow: {scope: films.read}}
  - {path: /renewal, allow: authenticated, purpose: refresh}
  - {path: /counted, allow: authenticated, purpose: counted}
  - {path: /download, allow: {scope: films.read}, purpose: download}
upstream: %s
`

// An agreementDesk is a server with tokens, in front of an application, and what explain needs to be asked beside it.
type agreementDesk struct {
	p      *program
	server *server
	live   http.Handler
	src    source
	kinds  []string
	tokens map[string]string
}

func newAgreementDesk(t *testing.T) *agreementDesk {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(app.Close)
	d := &agreementDesk{p: &program{ctx: t.Context(), now: time.Now}, tokens: map[string]string{}}
	text := fmt.Appendf(nil, agreementTokens, "sqlite:"+filepath.Join(t.TempDir(), "gatehouse.db"), app.URL)
	d.src = source{load: func() (*config.Config, error) { return config.Parse("agreement.yaml", text, d.p.configOptions()) }}
	d.server = newServer(d.src, logs.New(&bytes.Buffer{}, logs.Config{}), d.p.now)
	if err := d.server.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.server.house.Load().close()
		d.server.closeVault()
	})
	d.live = d.server.handler()
	d.fill(t)
	return d
}

// fill makes a token of each kind.
func (d *agreementDesk) fill(t *testing.T) {
	t.Helper()
	i := d.server.house.Load().issuer
	put := func(kind, text string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		d.kinds, d.tokens[kind] = append(d.kinds, kind), text
	}
	mint := func(kind, purpose string, c token.Claims) token.Token {
		t.Helper()
		made, err := i.minters[purpose].Mint(t.Context(), c)
		put(kind, made.Text.Reveal(), err)
		return made
	}
	mint("plain", token.PurposeAccess, token.Claims{Subject: "plain"})
	mint("basic", token.PurposeAccess, token.Claims{Subject: "jack", Roles: []string{"basic"}, Scopes: []string{"films.read"}})
	mint("admin", token.PurposeAccess, token.Claims{Subject: "root", Roles: []string{"admin"}})
	revoked := mint("revoked", token.PurposeAccess, token.Claims{Subject: "root", Roles: []string{"admin"}})
	mint("counted", "counted", token.Claims{Subject: "jack"})
	mint("download", "download", token.Claims{Subject: "jack", Scopes: []string{"films.read"}})
	spent := mint("spent", "counted", token.Claims{Subject: "jack"})
	pair, err := i.refresh.Start(t.Context(), token.Claims{Subject: "jack", Roles: []string{"basic"}})
	put("refresh", pair.Refresh.Text.Reveal(), err)
	used, err := i.refresh.Start(t.Context(), token.Claims{Subject: "jack"})
	put("used refresh", used.Refresh.Text.Reveal(), err)
	ended, err := i.refresh.Start(t.Context(), token.Claims{Subject: "jack"})
	put("of a log-in that was ended", ended.Access.Text.Reveal(), err)
	put("changed", revoked.Text.Reveal()[:len(revoked.Text.Reveal())-6]+"AAAAAA", nil)
	put("garbage", "a.b.c", nil)
	put("somebody else's", elsewhere(t, 0), nil)
	put("somebody else's, expired", elsewhere(t, 2*time.Hour), nil)
	if _, err := i.refresh.Refresh(t.Context(), used.Refresh.Text.Reveal()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := i.bearer.Identity(gatehouse.NewPurposeContext(t.Context(), "counted"), spent.Text.Reveal()); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.list.RevokeToken(t.Context(), revoked.Claims.ID, revoked.Claims.ExpiresAt); err != nil {
		t.Fatal(err)
	}
	if err := i.refresh.End(t.Context(), ended.Access.Claims.Session); err != nil {
		t.Fatal(err)
	}
}

// elsewhere makes a token as the profile of the configuration wants it, that long ago.
func elsewhere(t *testing.T, ago time.Duration) string {
	t.Helper()
	key, err := keyring.Secret(keyring.HS256, "somebody else signs with this secret", false)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Static("elsewhere", key)
	if err != nil {
		t.Fatal(err)
	}
	purpose := token.Access()
	purpose.TTL, purpose.Audience = time.Hour, []string{"anybody"}
	m, err := token.NewMinter(token.MinterConfig{Issuer: "https://elsewhere.example", Purpose: purpose, Ring: ring, Revocations: revoke.None, Map: map[string]string{"login": "subject"},
		Now: func() time.Time { return time.Now().Add(-ago) }})
	if err != nil {
		t.Fatal(err)
	}
	made, err := m.Mint(t.Context(), token.Claims{Subject: "amy"})
	if err != nil {
		t.Fatal(err)
	}
	return made.Text.Reveal()
}

// TestExplainAgreesAboutTokens asks the server and explain about the same requests with signed tokens. Explain opens the store beside the server, as its command does, and uses no token up.
func TestExplainAgreesAboutTokens(t *testing.T) {
	d := newAgreementDesk(t)
	random := rand.New(rand.NewPCG(3, 4))
	seen := map[string]int{}
	for range 600 {
		q := d.generate(random)
		got := d.explained(t, q)
		want := liveAnswer(t, d.server, d.live, q)
		if got != want {
			t.Fatalf("%s: explain says %q, the server says %q", q, got, want)
		}
		seen[want]++
	}
	t.Logf("answers: %v", seen)
	for _, answer := range []string{"allow", "no_credential", "unknown_token", "expired_token", "malformed_credential", "duplicate_credential", "unsupported_scheme", "forbidden", "insufficient_scope", "not_found", "method_not_allowed"} {
		if seen[answer] < 5 {
			t.Errorf("only %d requests were answered %s: the generator does not reach it", seen[answer], answer)
		}
	}
}

// generate leaves out what a token of the live server would be used up by: see TestExplainUsesNothingUp.
func (d *agreementDesk) generate(r *rand.Rand) question {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	q := question{method: pick("GET", "GET", "GET", "HEAD", "POST", "DELETE"), host: "app.example.org",
		target: pick("/open", "/strict", "/me", "/me", "/films", "/films", "/admin", "/scope", "/scope", "/renewal", "/counted", "/download", "/nothing", "/%6de")}
	for range pick("", "1", "1", "1", "1", "1", "12") {
		kind := pick("plain", "basic", "admin", "somebody else's, expired", "", "", "")
		if kind == "" {
			kind = d.kinds[r.IntN(len(d.kinds))]
		}
		if kind == "counted" && q.target == "/counted" {
			kind = "spent"
		}
		q.headers = append(q.headers, pick("Authorization: Bearer ", "Authorization: Bearer ", "Authorization: Bearer ", "Authorization: Bearer ", "Authorization: bearer  ", "Authorization: Bearer ",
			"Authorization: Token ", "Authorization: Basic ", "Authorization: Bearer x ", "X-API-Key: ")+d.tokens[kind])
	}
	return q
}

// explained asks a house that is built for the question alone, as the command does.
func (d *agreementDesk) explained(t *testing.T, q question) string {
	t.Helper()
	h, err := load(d.src, d.p.quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	return explained(t, d.p, h, q)
}

// TestExplainUsesNothingUp: however often explain is asked, a token has the uses left that it had, and a refresh token can be renewed.
func TestExplainUsesNothingUp(t *testing.T) {
	d := newAgreementDesk(t)
	ask := func(path, kind string) question {
		return question{"GET", path, "app.example.org", []string{"Authorization: Bearer " + d.tokens[kind]}}
	}
	for range 5 {
		for _, row := range [][2]string{{"/counted", "counted"}, {"/renewal", "refresh"}} {
			if got := d.explained(t, ask(row[0], row[1])); got != "allow" {
				t.Errorf("explain of %s with its token = %s, want allow", row[0], got)
			}
		}
	}
	for i, want := range []string{"allow", "allow", "allow", "unknown_token"} {
		if got := d.explained(t, ask("/counted", "counted")); got != want {
			t.Errorf("before use %d explain says %s, want %s", i+1, got, want)
		}
		if got := liveAnswer(t, d.server, d.live, ask("/counted", "counted")); got != want {
			t.Errorf("use %d = %s, want %s", i+1, got, want)
		}
	}
	if _, err := d.server.house.Load().issuer.refresh.Refresh(t.Context(), d.tokens["refresh"]); err != nil {
		t.Errorf("renewing after all = %v, want a successor", err)
	}
}
