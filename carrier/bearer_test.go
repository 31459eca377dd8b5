package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/keyring"
	jwt "github.com/gatehouse-auth/gatehouse/token"
)

// TestBearer replays what clients of token servers send: what is no bearer token is a challenge without an error, what is one and does not count is invalid_token, and never is it 500.
func TestBearer(t *testing.T) {
	g := newGate(t)
	good := g.token(jwt.Claims{Scopes: []string{"read"}})
	expired := g.token(jwt.Claims{}, jwt.TTL(time.Second))
	pair := must(g.families.Start(t.Context(), jwt.Claims{Subject: "jack", Roles: []string{"basic"}}))
	revoked := g.token(jwt.Claims{Session: "ended"})
	if err := g.revocations.RevokeSession(t.Context(), "ended", g.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(time.Minute)
	own := func(header, claims map[string]any) string { return "Bearer " + g.signed(accessSecret, header, claims) }
	for _, tt := range []struct {
		name, path, auth, want string
	}{
		{"a good token", "/read", "Bearer " + good, fine},
		{"the scheme in small letters", "/read", "bearer " + good, fine},
		{"the scheme in capitals", "/read", "BEARER " + good, fine},
		{"two spaces", "/read", "Bearer  " + good, fine},
		{"a token signed by hand", "/read", own(nil, nil), fine},

		{"no header", "/read", "", challenged},
		{"the word None", "/read", "None", challenged},
		{"another scheme", "/read", "Token " + good, challenged},
		{"another scheme with garbage", "/films", "Token x", challenged},
		{"a scheme that begins alike", "/read", "BearerX " + good, challenged},
		{"the token alone", "/read", good, challenged},
		{"a name and a password", "/read", "Basic amFjazpwYXNzd29yZA==", challenged},

		{"the scheme alone", "/read", "Bearer", malformed},
		{"the scheme and a space", "/read", "Bearer ", malformed},
		{"a tab", "/read", "Bearer\t" + good, malformed},
		{"two tokens", "/read", "Bearer " + good + " " + good, malformed},
		{"two tokens with a comma", "/read", "Bearer " + good + "," + good, malformed},
		{"a quoted token", "/read", `Bearer "` + good + `"`, malformed},

		{"garbage", "/films", "Bearer garbage", invalidToken},
		{"dots", "/films", "Bearer " + strings.Repeat(".", 1000), invalidToken},
		{"10 MB of dots", "/films", "Bearer " + strings.Repeat(".", 10<<20), invalidToken},
		{"another key", "/films", "Bearer " + g.signed("another-secret-that-signs-nothing-here", nil, nil), invalidToken},
		{"a token cut by a letter", "/films", "Bearer " + good[:len(good)-1], invalidToken},
		{"a token with a letter more", "/films", "Bearer " + good + "A", invalidToken},
		{"an expired token", "/films", "Bearer " + expired, invalidToken},
		{"a refresh token", "/films", "Bearer " + pair.Refresh.Text.Reveal(), invalidToken},
		{"a token of a session that has ended", "/films", "Bearer " + revoked, invalidToken},
		{"no algorithm", "/films", own(map[string]any{"alg": "none"}, nil), invalidToken},
		{"no signature", "/films", strings.TrimRight(own(map[string]any{"alg": "none"}, nil), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), invalidToken},
		{"another purpose's type", "/films", own(map[string]any{"typ": "refresh+jwt"}, nil), invalidToken},
		{"no type", "/films", own(map[string]any{"typ": nil}, nil), invalidToken},
		{"a type that says nothing", "/films", own(map[string]any{"typ": "JWT"}, nil), invalidToken},
		{"another purpose's claim", "/films", own(map[string]any{"typ": "JWT"}, map[string]any{"refresh_claim": true}), invalidToken},
		{"another issuer", "/films", own(nil, map[string]any{"iss": "evil"}), invalidToken},
		{"no issuer", "/films", own(nil, map[string]any{"iss": nil}), invalidToken},
		{"another audience", "/films", own(nil, map[string]any{"aud": "books"}), invalidToken},
		{"no subject", "/films", own(nil, map[string]any{"sub": nil}), invalidToken},
		{"an empty subject", "/films", own(nil, map[string]any{"sub": ""}), invalidToken},
		{"no expiry", "/films", own(nil, map[string]any{"exp": nil}), invalidToken},
		{"no session", "/films", own(nil, map[string]any{"sid": nil}), invalidToken},
		{"a token for tomorrow", "/films", own(nil, map[string]any{"nbf": g.clock.Now().Unix() + 86400, "exp": g.clock.Now().Unix() + 90000}), invalidToken},

		{"a scope that it lacks", "/forbid", "Bearer " + good, forbidden},
		{"a role that is too low", "/admin", "Bearer " + good, forbidden},
		{"a role that nobody knows", "/films", own(nil, map[string]any{"roles": []string{"root"}}), forbidden},
		{"a refresh token where one is due", "/refresh", "Bearer " + pair.Refresh.Text.Reveal(), fine},
		{"an access token where a refresh token is due", "/refresh", "Bearer " + good, invalidToken},

		{"a public page, and a good token", "/public", "Bearer " + good, fine},
		{"a public page, and a bad one", "/public", "Bearer garbage", fine},
		{"a strict page, and a bad one", "/strict", "Bearer garbage", invalidToken},
		{"a strict page, and none", "/strict", "", fine},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := []string{"Authorization", tt.auth}
			if tt.auth == "" {
				headers = nil
			}
			got := g.send("GET", tt.path, headers...)
			if got.kind() != tt.want {
				t.Errorf("GET %s with %.60q = %s %s, want %s", tt.path, tt.auth, got.kind(), got.body, tt.want)
			}
			if got.status != http.StatusOK && (got.header.Get("Content-Type") != "application/problem+json" || got.code() == "") ||
				(got.status == 401 || got.status == 403) && got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("it is answered with %v %s", got.header, got.body)
			}
			if len(got.header["Set-Cookie"]) != 0 || strings.Contains(fmt.Sprint(got.header, got.body), "eyJ") {
				t.Errorf("the answer repeats a token, or gives a cookie: %v %s", got.header, got.body)
			}
		})
	}
}

// TestBearerSaysWhatIsWrong as far as a client can do something about it: that a token has expired, and which scope is missing.
func TestBearerSaysWhatIsWrong(t *testing.T) {
	g := newGate(t)
	old := g.token(jwt.Claims{}, jwt.TTL(time.Second))
	g.clock.Advance(time.Minute)
	got := g.send("GET", "/films", "Authorization", "Bearer "+old)
	if challenge := got.header.Get("Www-Authenticate"); got.code() != "expired_token" || !strings.Contains(challenge, `error_description="`) || !strings.Contains(challenge, "expired") {
		t.Errorf("an expired token is answered %s with %q", got.code(), challenge)
	}
	got = g.send("GET", "/films", "Authorization", "Bearer garbage")
	if got.code() != "unknown_token" {
		t.Errorf("garbage is answered %s", got.code())
	}
	got = g.send("GET", "/forbid", "Authorization", "Bearer "+g.token(jwt.Claims{}))
	if challenge := got.header.Get("Www-Authenticate"); !strings.Contains(challenge, `scope="forbid"`) {
		t.Errorf("a missing scope is answered with %q", challenge)
	}
	got = g.send("GET", "/forbid", "Cookie", g.signIn("jack"))
	if got.status != 403 || got.header.Get("Www-Authenticate") != "" || got.code() != "forbidden" || strings.Contains(got.body, `"scope"`) {
		t.Errorf("somebody with a cookie is answered %d, %q, %s; want 403, and nothing of scopes, which they cannot get", got.status, got.header.Get("Www-Authenticate"), got.body)
	}
}

// TestBearerTellsWhoItIs: what the token says is the principal's.
func TestBearerTellsWhoItIs(t *testing.T) {
	g := newGate(t)
	var id gatehouse.Identity
	g.handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		verifier := must(jwt.NewVerifier(jwt.VerifierConfig{Issuer: issuer, Purpose: g.access.Purpose(), Ring: g.ring, Revocations: g.revocations, Now: g.clock.Now}))
		id = must(carrier.Bearer(verifier).Identify(r))
	})
	auth := g.clock.Now().Add(-time.Hour).Truncate(time.Second)
	g.send("GET", "/", "Authorization", "Bearer "+g.token(jwt.Claims{Session: "s1", Roles: []string{"basic", "critic"}, Scopes: []string{"read"}, Methods: []string{"pwd"}, AuthTime: auth,
		Custom: map[string]any{"plan": "gold"}}))
	if plan, _ := id.Claim("plan"); id.Value != "jack" || id.Session != "s1" || id.TokenID == "" || fmt.Sprint(id.Roles, id.Scopes, id.Methods) != "[basic critic] [read] [pwd]" || !id.AuthTime.Equal(auth) ||
		plan != "gold" || id.Purpose != "access" || id.ExpiresAt.Sub(g.clock.Now()) > 10*time.Minute+jwt.DefaultLeeway {
		t.Errorf("the token says %+v", id)
	}
}

// TestBearerNeedsItsClaims: a program that finds its users by a claim of its own refuses tokens without it, as it does those that come from elsewhere and lack what they must say.
func TestBearerNeedsItsClaims(t *testing.T) {
	g := newGate(t)
	byLogin := must(jwt.NewVerifier(jwt.VerifierConfig{Issuer: issuer, Purpose: g.access.Purpose(), Ring: g.ring, Revocations: g.revocations, Now: g.clock.Now,
		Identify: func(_ context.Context, c jwt.Claims) (gatehouse.Identity, error) {
			login, _ := c.Custom["login"].(string)
			return gatehouse.Identity{Value: login, Scopes: c.Scopes, Roles: c.Roles}, nil
		}}))
	foreign := must(jwt.NewForeign(jwt.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.HS256}, Keys: ringOf(t, "elsewhere", keyring.HS256, "a-secret-that-another-program-has-too"),
		SubjectClaim: "user_id", RoleClaim: "access_role", Required: map[string]any{"standard_claim": true}, Revocations: g.revocations, Now: g.clock.Now}))
	elsewhere := func(claims map[string]any) string {
		all := map[string]any{"iss": nil, "aud": nil, "sub": nil, "jti": nil, "sid": nil, "roles": nil, "user_id": "17", "access_role": "basic", "standard_claim": true}
		for name, value := range claims {
			all[name] = value
		}
		return g.signed("a-secret-that-another-program-has-too", map[string]any{"kid": nil, "typ": "JWT"}, all)
	}
	for _, tt := range []struct {
		name     string
		verifier carrier.TokenVerifier
		text     string
		want     string
	}{
		{"with its login", byLogin, g.token(jwt.Claims{Custom: map[string]any{"login": "jack"}}), fine},
		{"without a login", byLogin, g.token(jwt.Claims{}), invalidToken},
		{"with an empty login", byLogin, g.token(jwt.Claims{Custom: map[string]any{"login": ""}}), invalidToken},
		{"with a login that is a number", byLogin, g.token(jwt.Claims{Custom: map[string]any{"login": 17}}), invalidToken},
		{"from elsewhere", foreign, elsewhere(nil), fine},
		{"from elsewhere, of another kind", foreign, elsewhere(map[string]any{"standard_claim": false}), invalidToken},
		{"from elsewhere, of no kind", foreign, elsewhere(map[string]any{"standard_claim": nil, "refresh_claim": true}), invalidToken},
		{"from elsewhere, of nobody", foreign, elsewhere(map[string]any{"user_id": nil}), invalidToken},
		{"from elsewhere, for ever", foreign, elsewhere(map[string]any{"exp": nil}), invalidToken},
		{"from elsewhere, with a role that nobody knows", foreign, elsewhere(map[string]any{"access_role": "root"}), forbidden},
		{"ours, where others' are due", foreign, g.token(jwt.Claims{}), invalidToken},
		{"others', where ours are due", byLogin, elsewhere(map[string]any{"login": "jack"}), invalidToken},
	} {
		g.handler = g.guarded(carrier.Bearer(tt.verifier))
		if got := g.send("GET", "/films", "Authorization", "Bearer "+tt.text); got.kind() != tt.want {
			t.Errorf("%s = %s %s, want %s", tt.name, got.kind(), got.body, tt.want)
		}
	}
}

// TestTwoCredentials: a request with two of them is nobody's, whoever they are of, and wherever they stand.
func TestTwoCredentials(t *testing.T) {
	g := newGate(t)
	mine, hers := g.token(jwt.Claims{}), g.token(jwt.Claims{Subject: "amy"})
	for _, c := range []*carrier.SessionCarrier{g.sealed, g.sessions} {
		g.handler = g.guarded(c, g.bearer)
		cookie, name := g.signIn("jack"), c.CookieNames()[0]
		for what, headers := range map[string][]string{
			"a cookie and a token of one":  {"Cookie", cookie, "Authorization", "Bearer " + mine},
			"a cookie and somebody else's": {"Cookie", cookie, "Authorization", "Bearer " + hers},
			"a cookie and a bad token":     {"Cookie", cookie, "Authorization", "Bearer garbage"},
			"a bad cookie and a token":     {"Cookie", name + "=garbage", "Authorization", "Bearer " + mine},
			"two tokens":                   {"Authorization", "Bearer " + mine, "Authorization", "Bearer " + hers},
			"one token twice":              {"Authorization", "Bearer " + mine, "Authorization", "Bearer " + mine},
			"two cookies in one field":     {"Cookie", cookie + "; " + cookie},
			"two cookies in two fields":    {"Cookie", cookie, "Cookie", cookie},
			"a good cookie and a bad one":  {"Cookie", cookie + "; " + name + "=garbage"},
			"a bad cookie and a good one":  {"Cookie", name + "=garbage; " + cookie},
			"a good cookie and an empty":   {"Cookie", cookie + "; " + name + "="},
		} {
			for _, path := range []string{"/films", "/public", "/bounded"} {
				if got := g.send("GET", path, headers...); got.status != http.StatusBadRequest || got.code() != "duplicate_credential" {
					t.Errorf("%s: %s on %s = %d %s, want 400", c, what, path, got.status, got.body)
				}
			}
		}
		if got := g.send("GET", "/films", "Cookie", cookie+"; theme=dark"); got.kind() != fine {
			t.Errorf("%s beside others = %s", c, got.kind())
		}
	}
}

// fromElsewhere are the fields of a request that a page of another site has caused.
var fromElsewhere = []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}

// TestOtherSitesAndCredentials: a token is in nobody's hands but the client's, so that it does not matter who has made the request; a cookie comes along by itself, and it does.
func TestOtherSitesAndCredentials(t *testing.T) {
	g := newGate(t)
	sealed := g.signIn("jack")
	bearer := "Bearer " + g.token(jwt.Claims{})
	for _, tt := range []struct {
		method string
		header []string
		want   int
	}{
		{"POST", []string{"Authorization", bearer}, 200}, {"DELETE", []string{"Authorization", bearer}, 200}, {"GET", []string{"Authorization", bearer}, 200},
		{"POST", []string{"Cookie", sealed}, 403}, {"DELETE", []string{"Cookie", sealed}, 403}, {"PUT", []string{"Cookie", sealed}, 403}, {"GET", []string{"Cookie", sealed}, 200},
	} {
		got := g.send(tt.method, "/films", append(tt.header, fromElsewhere...)...)
		if got.status != tt.want || tt.want == 403 && (got.code() != "cross_origin" || len(got.header["Set-Cookie"]) > 0) {
			t.Errorf("%s from another site with %.20q = %d %s, want %d", tt.method, tt.header, got.status, got.body, tt.want)
		}
		if got := g.send(tt.method, "/films", tt.header...); got.status != 200 {
			t.Errorf("%s with %.20q = %d %s, want 200", tt.method, tt.header, got.status, got.body)
		}
	}
	if got := g.send("POST", "/login", append([]string{"X-Name", "mallory"}, fromElsewhere...)...); got.status != 403 || len(got.header["Set-Cookie"]) != 0 {
		t.Errorf("another site signs somebody in: %d, %q", got.status, got.header["Set-Cookie"])
	}
	if got := g.send("POST", "/logout", append([]string{"Cookie", sealed}, fromElsewhere...)...); got.status != 403 || g.send("GET", "/films", "Cookie", sealed).status != 200 {
		t.Errorf("another site signs somebody out: %d", got.status)
	}
}

// TestBearerAcrossKeys: a token counts until it expires, whatever keys have come since, and not when its key has gone or was revoked.
func TestBearerAcrossKeys(t *testing.T) {
	g := newGate(t)
	keys := []*keyring.Key{must(keyring.Generate(keyring.ES256)), must(keyring.Generate(keyring.EdDSA)), must(keyring.Generate(keyring.ES256))}
	over := func(keys ...*keyring.Key) (*jwt.Minter, http.Handler) {
		ring := must(keyring.Static("access", keys...))
		v := must(jwt.NewVerifier(jwt.VerifierConfig{Issuer: issuer, Purpose: g.access.Purpose(), Ring: ring, Revocations: g.revocations, Now: g.clock.Now}))
		return must(jwt.NewMinter(jwt.MinterConfig{Issuer: issuer, Purpose: g.access.Purpose(), Ring: ring, Revocations: g.revocations, Now: g.clock.Now})), g.guarded(carrier.Bearer(v))
	}
	m, _ := over(keys[0])
	old := "Bearer " + must(m.Mint(t.Context(), jwt.Claims{Subject: "jack", Roles: []string{"basic"}})).Text.Reveal()
	for i, tt := range []struct {
		keys []*keyring.Key
		want string
	}{
		{keys[:1], fine}, {[]*keyring.Key{keys[2], keys[0]}, fine}, {keys[1:], invalidToken}, {keys[1:2], invalidToken},
	} {
		if tt.keys[0].Algorithm() != keyring.ES256 && len(tt.keys) > 1 {
			tt.keys = tt.keys[1:] // a ring has one algorithm
		}
		if _, g.handler = over(tt.keys...); g.send("GET", "/films", "Authorization", old).kind() != tt.want {
			t.Errorf("with the keys of step %d the old token is not answered %s", i, tt.want)
		}
	}
	_, g.handler = over(keys[0])
	if err := errors.Join(g.revocations.RevokeToken(t.Context(), "another", g.clock.Now().Add(time.Hour)), g.revocations.RevokeKey(t.Context(), keys[0].ID())); err != nil {
		t.Fatal(err)
	}
	if got := g.send("GET", "/films", "Authorization", old); got.kind() != invalidToken {
		t.Errorf("a token whose key was revoked = %s", got.kind())
	}
}

// TestBearerWhileRevocationsAreUnknown: a good token is 503, and never 200 or 401; a bad one is what it always is; a rule that says so goes on for a while.
func TestBearerWhileRevocationsAreUnknown(t *testing.T) {
	g := newGate(t)
	good, revoked := "Bearer "+g.token(jwt.Claims{Session: "s1"}), "Bearer "+g.token(jwt.Claims{Session: "s2"})
	if err := g.revocations.RevokeSession(t.Context(), "s2", g.clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	g.revocations.Lose(true)
	g.clock.Advance(30 * time.Second)
	for _, tt := range []struct {
		name, path, auth, want string
	}{
		{"a good token", "/films", good, "503"},
		{"a revoked token", "/films", revoked, invalidToken},
		{"garbage", "/films", "Bearer garbage", invalidToken},
		{"none", "/films", "None", challenged},
		{"a good token where that is allowed", "/bounded", good, fine},
		{"a revoked token where that is allowed", "/bounded", revoked, invalidToken},
		{"a good token on a public page", "/public", good, fine},
	} {
		got := g.send("GET", tt.path, "Authorization", tt.auth)
		if got.kind() != tt.want || got.status == 503 && (got.header.Get("Retry-After") == "" || got.code() != "unavailable") {
			t.Errorf("%s = %s %v, want %s", tt.name, got.kind(), got.header, tt.want)
		}
	}
	g.clock.Advance(time.Minute)
	if got := g.send("GET", "/bounded", "Authorization", good); got.status != 503 {
		t.Errorf("past what the rule allows = %s, want 503", got.kind())
	}
	g.revocations.Lose(false)
	if got := g.send("GET", "/films", "Authorization", good); got.kind() != fine {
		t.Errorf("afterwards = %s, want 200", got.kind())
	}
}

// verifying is a verifier made of a function.
type verifying func(context.Context, string) (gatehouse.Identity, error)

func (v verifying) Identity(ctx context.Context, text string) (gatehouse.Identity, error) {
	return v(ctx, text)
}

// TestBearerOfVerifiersThatFail: an error that says nothing of the token is 503, one that does not is 401, and a token of nobody is none. No token gets out by an error.
func TestBearerOfVerifiersThatFail(t *testing.T) {
	g := newGate(t)
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"the store is down":     {errDown, "503"},
		"a bad credential":      {gatehouse.ErrCredential, invalidToken},
		"no credential":         {gatehouse.ErrAnonymous, invalidToken},
		"nobody, and no error":  {nil, invalidToken},
		"stale, and no bound":   {&gatehouse.StaleError{Age: time.Hour, Identity: gatehouse.Identity{Value: "jack"}}, "503"},
		"an error with a token": {fmt.Errorf("the token %q: %w", "s3cret-token", errDown), "503"},
	} {
		g.handler = g.guarded(carrier.Bearer(verifying(func(context.Context, string) (gatehouse.Identity, error) { return gatehouse.Identity{}, tt.err })))
		got := g.send("GET", "/films", "Authorization", "Bearer s3cret-token")
		if got.kind() != tt.want || strings.Contains(got.body, "s3cret") {
			t.Errorf("%s = %s %s, want %s", name, got.kind(), got.body, tt.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Bearer(nil) does not panic")
		}
	}()
	carrier.Bearer(nil)
}

// TestBearerIsNotLookedForElsewhere: a token in the query, in a form, or in a cookie is none.
func TestBearerIsNotLookedForElsewhere(t *testing.T) {
	g := newGate(t)
	good := g.token(jwt.Claims{})
	form := httptest.NewRequest("POST", "https://app.example.org/films", strings.NewReader("access_token="+good))
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, form)
	for name, got := range map[string]answer{
		"in the query":         g.send("GET", "/films?access_token="+good),
		"in another field":     g.send("GET", "/films", "X-Authorization", "Bearer "+good),
		"in a proxy's field":   g.send("GET", "/films", "Proxy-Authorization", "Bearer "+good),
		"in a cookie":          g.send("GET", "/films", "Cookie", "access_token="+good),
		"in the query as well": g.send("GET", "/films?auth_token="+good, "Authorization", "None"),
		"in a form":            {w.Code, w.Header(), w.Body.String()},
	} {
		if got.kind() != challenged {
			t.Errorf("a token %s = %s, want %s", name, got.kind(), challenged)
		}
	}
}
