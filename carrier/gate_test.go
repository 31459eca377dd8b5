package carrier_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	jwt "github.com/gatehouse-auth/gatehouse/token"
)

// The kinds of answers that the tables of cases expect.
const (
	fine         = "200"
	challenged   = "401 bearer"
	invalidToken = "401 bearer invalid_token"
	malformed    = "400 bearer invalid_request"
	forbidden    = "403 bearer insufficient_scope"
)

// A gate is an application behind a guard that takes bearer tokens and sealed cookies, with all that makes them.
type gate struct {
	t           *testing.T
	clock       *gatehousetest.Clock
	revocations *gatehousetest.Revocations
	ring        *keyring.Ring // of access tokens
	access      *jwt.Minter
	families    *jwt.Families
	sealer      session.Sealer
	bearer      carrier.Carrier
	sealed      *carrier.SessionCarrier
	sessions    *carrier.SessionCarrier // of a store
	handler     http.Handler
}

const (
	issuer   = "https://gate.example.org"
	audience = "films"
	// accessSecret signs access tokens, so that tests can sign what no minter would.
	accessSecret = "this-secret-is-for-access-tokens-only"
)

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, clock: gatehousetest.NewClock(time.Time{})}
	g.revocations = gatehousetest.NewRevocations(g.clock.Now)
	g.ring = ringOf(t, "access", keyring.HS256, accessSecret)
	purpose := jwt.Access()
	purpose.Audience, purpose.TTL, purpose.MaxTTL = []string{audience}, 10*time.Minute, 24*time.Hour
	g.access = must(jwt.NewMinter(jwt.MinterConfig{Issuer: issuer, Purpose: purpose, Ring: g.ring, Revocations: g.revocations, Now: g.clock.Now}))
	verifier := must(jwt.NewVerifier(jwt.VerifierConfig{Issuer: issuer, Purpose: purpose, Ring: g.ring, Revocations: g.revocations, Now: g.clock.Now}))
	refresh := jwt.Refresh()
	refresh.Audience, refresh.Form = []string{audience}, jwt.JWT
	g.families = must(jwt.NewFamilies(jwt.FamiliesConfig{Issuer: issuer, Purpose: refresh, Ring: ringOf(t, "refresh", keyring.HS256, "another-secret-for-the-refresh-tokens"),
		Store: memory.Tokens(), Access: g.access, Revocations: g.revocations, Now: g.clock.Now}))
	g.sealer = must(carrier.SealedKey(strings.Repeat("0123456789abcdef", 2)))
	c := session.Config{Revocations: g.revocations, Now: g.clock.Now, Logger: slog.New(slog.DiscardHandler)}
	g.sealed = carrier.Sealed(g.sealer, c, carrier.CookieName("sealed"))
	g.sessions = carrier.Session(session.New(memory.Sessions(), c))
	g.bearer = carrier.Bearer(must(jwt.NewSet(verifier, g.families)))
	g.handler = g.guarded(g.sealed, g.bearer)
	return g
}

// must returns v, and panics if there is an error: in the setting up of tests there is none.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ringOf(t *testing.T, name string, a keyring.Algorithm, secret string) *keyring.Ring {
	t.Helper()
	return must(keyring.Static(name, must(keyring.Secret(a, secret, false))))
}

// guarded is the application: a page of each kind, and the verbs of a log-in.
func (g *gate) guarded(carriers ...carrier.Carrier) http.Handler {
	g.t.Helper()
	rules := must(policy.New(policy.Config{
		Roles: policy.Roles{"basic": 1, "admin": 9}, Permissions: policy.Permissions{"basic": {"films.read"}},
		Rules: []policy.Rule{
			{Path: "/public", Allow: policy.Anyone()}, {Path: "/strict", Allow: policy.Anyone(), Strict: true},
			{Path: "/login", Allow: policy.Anyone()}, {Path: "/logout", Allow: policy.Anyone()}, {Path: "/put", Allow: policy.Anyone()},
			{Path: "/read", Allow: policy.Scope("read")}, {Path: "/forbid", Allow: policy.Scope("forbid")},
			{Path: "/films", Allow: policy.Role("basic")}, {Path: "/admin", Allow: policy.Role("admin")},
			{Path: "/refresh", Allow: policy.Authenticated(), Purpose: jwt.PurposeRefresh},
			{Path: "/bounded", Allow: policy.Authenticated(), OnStoreLoss: time.Minute},
			{Path: "/**", Allow: policy.Authenticated()},
		}}))
	made := must(guard.New(guard.Config{Carriers: carriers, Rules: rules, Policy: guard.AsSubject{Table: rules}, Logger: slog.New(slog.DiscardHandler)}))
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p := gatehouse.FromContext(r.Context())
		cart, _, _ := session.Get[string](session.FromContext(r.Context()), "cart")
		fmt.Fprint(w, p.Subject, cart)
	})
	mux.Handle("/login", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return made.Remember(w, r, gatehouse.Identity{Value: r.Header.Get("X-Name"), Roles: []string{"basic"}})
	}))
	mux.Handle("/logout", guard.Handle(func(w http.ResponseWriter, r *http.Request) error { return made.Forget(w, r) }))
	mux.Handle("/put", guard.Handle(func(_ http.ResponseWriter, r *http.Request) error {
		return session.Put(session.FromContext(r.Context()), "cart", r.Header.Get("X-Cart"))
	}))
	return made.Handler(mux)
}

// An answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request. The headers are pairs of name and value; a name may stand there more than once.
func (g *gate) send(method, path string, headers ...string) answer {
	g.t.Helper()
	r := httptest.NewRequest(method, "https://app.example.org"+path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// kind names the answer as the tables of cases do: its status, whether Bearer is asked for, and with which error.
func (a answer) kind() string {
	kind := fmt.Sprint(a.status)
	for _, challenge := range a.header["Www-Authenticate"] {
		if !strings.HasPrefix(challenge, "Bearer realm=") {
			continue
		}
		_, oauth, _ := strings.Cut(challenge, `error="`)
		oauth, _, _ = strings.Cut(oauth, `"`)
		kind = strings.TrimSpace(kind + " bearer " + oauth)
	}
	return kind
}

// code returns the problem's code.
func (a answer) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal([]byte(a.body), &p)
	return p.Code
}

// token returns a new access token of jack.
func (g *gate) token(c jwt.Claims, options ...jwt.MintOption) string {
	g.t.Helper()
	if c.Subject == "" {
		c.Subject = "jack"
	}
	if c.Roles == nil {
		c.Roles = []string{"basic"}
	}
	return must(g.access.Mint(g.t.Context(), c, options...)).Text.Reveal()
}

// signed returns a token of this header and these claims, signed with secret. What is nil is left out; the other claims are those of a good token.
func (g *gate) signed(secret string, header, claims map[string]any) string {
	g.t.Helper()
	now := g.clock.Now().Unix()
	h := map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": g.ring.All()[0].ID()}
	c := map[string]any{"iss": issuer, "aud": audience, "sub": "jack", "jti": "t1", "sid": "s1", "iat": now, "exp": now + 600, "roles": []string{"basic"}, "scope": "read"}
	for into, from := range map[*map[string]any]map[string]any{&h: header, &c: claims} {
		for name, value := range from {
			if (*into)[name] = value; value == nil {
				delete(*into, name)
			}
		}
	}
	text := base64.RawURLEncoding.EncodeToString(must(json.Marshal(h))) + "." + base64.RawURLEncoding.EncodeToString(must(json.Marshal(c)))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// signIn returns the cookie of somebody who has signed in.
func (g *gate) signIn(name string, headers ...string) string {
	g.t.Helper()
	got := g.send("POST", "/login", append(headers, "X-Name", name)...)
	if got.status != http.StatusOK {
		g.t.Fatalf("signing in = %d %s", got.status, got.body)
	}
	return g.cookie(got)
}

// cookie returns the Cookie field with which a browser comes after an answer.
func (g *gate) cookie(a answer) string {
	g.t.Helper()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.MaxAge >= 0 {
			return c.Name + "=" + c.Value
		}
	}
	g.t.Fatalf("the answer gives no cookie: %q", a.header["Set-Cookie"])
	return ""
}

var errDown = errors.New("planted: the list is away")

// claimsOfJack are those of a good token.
var claimsOfJack = jwt.Claims{}
