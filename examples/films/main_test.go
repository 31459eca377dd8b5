package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/gatehousetest"
)

// TestLogIn: a pair of tokens for the right password, and one answer to all others.
func TestLogIn(t *testing.T) {
	v := newCinema(t, open(t, "memory"), nil)
	p := v.login(t, "alice")
	if p.User.ID != "1" || p.User.Email != "alice@example.org" || len(p.User.Roles) != 1 || p.User.Roles[0] != "basic" || p.Expires != 36000 {
		t.Errorf("the log-in gives %+v, want alice, who is basic, for 10 h", p)
	}
	if again := v.login(t, "ALICE"); again.User.ID != "1" || again.Refresh == p.Refresh {
		t.Errorf("a second log-in gives %+v, want alice, and other tokens", again)
	}
	const right, wrong = `"correct horse battery"`, `"wrong horse battery"`
	var uniform string
	for name, body := range map[string]string{
		"a wrong password": `{"email":"alice@example.org","password":` + wrong + `}`, "another user's name": `{"email":"nobody@example.org","password":` + right + `}`,
		"no password": `{"email":"alice@example.org"}`, "no name": `{"password":` + right + `}`, "nothing": `{}`,
		"a disabled user, wrong": `{"email":"dave@example.org","password":` + wrong + `}`, "a space behind": `{"email":"alice@example.org ","password":` + right + `}`,
	} {
		got := v.want(t, name, "POST /users/v1/login", "", body, 401, "invalid_credentials")
		if uniform == "" {
			uniform = got.body
		}
		if got.body != uniform {
			t.Errorf("%s = %s, want the same bytes as all others, %s", name, got.body, uniform)
		}
	}
	v.want(t, "a disabled user with the right password", "POST /users/v1/login", "", `{"email":"dave@example.org","password":`+right+`}`, 403, "forbidden")
	for name, body := range map[string]string{
		"no JSON": "email=alice", "a list": `[]`, "a text": `"x"`, "another member": `{"email":"a","password":"b","role":"admin"}`, "a role": `{"role":"admin"}`,
		"two documents": `{"email":"a","password":"b"}{}`, "a number": `{"email":1}`, "half": `{"email":"a"`,
	} {
		v.want(t, name, "POST /users/v1/login", "", body, 400, "broken_body")
	}
	v.want(t, "no body", "POST /users/v1/login", "", "", 400, "broken_body")
	v.want(t, "a large body", "POST /users/v1/login", "", `{"email":"`+strings.Repeat("x", 70<<10)+`"}`, 413, "body_too_large")
}

// TestWhatLetsIn to the films: an access token, and nothing else.
func TestWhatLetsIn(t *testing.T) {
	eachStore(t, func(t *testing.T, kept stores) {
		v := newCinema(t, kept, nil)
		p := v.login(t, "alice")
		for _, tt := range []struct {
			name, line, authorization string
			status                    int
			code                      string
		}{
			{"a token", "GET /films/v1/", p.bearer(), 200, ""},
			{"in any case of the scheme", "GET /films/v1/", "bEARER " + p.Access, 200, ""},
			{"with spaces between", "GET /films/v1/", "Bearer   " + p.Access, 200, ""},
			{"nothing", "GET /films/v1/", "", 401, "no_credential"},
			{"another scheme", "GET /films/v1/", "Token " + p.Access, 401, "unsupported_scheme"},
			{"no token", "GET /films/v1/", "Bearer", 400, "malformed_credential"},
			{"two parts", "GET /films/v1/", "Bearer a b", 400, "malformed_credential"},
			{"garbage", "GET /films/v1/", "Bearer garbage", 401, "unknown_token"},
			{"a token in the query", "GET /films/v1/?access_token=" + p.Access, "", 401, "no_credential"},
			{"a refresh token", "GET /films/v1/", "Bearer " + p.Refresh, 401, "unknown_token"},
			{"a token for a mail", "GET /films/v1/", "Bearer " + v.verifyToken(t, "1"), 401, "unknown_token"},
			{"a token for a password", "GET /films/v1/", "Bearer " + v.mailed(t, "alice"), 401, "unknown_token"},
			{"half a token", "GET /films/v1/", p.bearer()[:100], 401, "unknown_token"},
			{"a token and more", "GET /films/v1/", p.bearer() + "x", 401, "unknown_token"},
			{"a token of 9 KiB", "GET /films/v1/", "Bearer " + strings.Repeat("x", 9<<10), 401, "unknown_token"},
			{"a method that there is not", "POST /films/v1/", p.bearer(), 405, "method_not_allowed"},
			{"that without a token", "POST /films/v1/", "", 401, "no_credential"},
			{"the path without its slash, from nobody", "GET /films/v1", "", 401, "no_credential"},
			{"a path that is not canonical", "GET /films//v1/", p.bearer(), 400, "bad_target"},
			{"an unknown path, from nobody", "GET /nowhere", "", 401, "no_credential"},
			{"an unknown path", "GET /nowhere", p.bearer(), 404, "not_found"},
		} {
			v.want(t, tt.name, tt.line, tt.authorization, "", tt.status, tt.code)
		}
		if got := v.ask(t, "GET /films/v1/", p.bearer(), ""); got.body != `{"count":3,"results":["A New Hope","The Empire Strikes Back","Return of the Jedi"]}`+"\n" {
			t.Errorf("GET /films/v1/ = %v, want results and count", got)
		}
		r, err := http.NewRequest("GET", v.url+"/films/v1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Authorization"] = []string{p.bearer(), p.bearer()}
		if got := send(t, r); got.status != 400 || got.code() != "duplicate_credential" {
			t.Errorf("two headers = %v, want 400", got)
		}
		v.pass(t, 10*time.Hour+29*time.Second)
		v.want(t, "within the leeway", "GET /films/v1/", p.bearer(), "", 200, "")
		v.pass(t, time.Second)
		v.want(t, "after its time", "GET /films/v1/", p.bearer(), "", 401, "expired_token")
	})
}

// TestEachTokenIsGoodForOnePurpose: of four tokens and four routes only those count that belong together.
func TestEachTokenIsGoodForOnePurpose(t *testing.T) {
	for name, change := range map[string]func(*config){
		"four secrets": nil,
		"one secret": func(c *config) { // by mistake
			c.Secrets.Refresh, c.Secrets.VerifyEmail, c.Secrets.ResetPassword = c.Secrets.Access, c.Secrets.Access, c.Secrets.Access
		},
		"with tokens of the system before": func(c *config) { c.Legacy = true },
	} {
		t.Run(name, func(t *testing.T) {
			v := newCinema(t, open(t, "memory"), change)
			p := v.login(t, "alice")
			tokens := map[string]string{"access": p.Access, "refresh": p.Refresh, "verify-email": v.verifyToken(t, "1"), "reset-password": v.mailed(t, "alice")}
			routes := map[string]string{"access": "GET /films/v1/", "refresh": "GET /users/v1/login", "verify-email": "POST /users/v1/verify", "reset-password": "POST /users/v1/password"}
			good := map[string]int{"access": 200, "refresh": 200, "verify-email": 204, "reset-password": 400} // the last one's body is missing
			for of, token := range tokens {
				for route, line := range routes {
					status, code := 401, "unknown_token"
					if of == route {
						status, code = good[route], map[string]string{"reset-password": "broken_body"}[route]
					}
					v.want(t, "a token for "+of, line, "Bearer "+token, "", status, code)
				}
			}
			for of, token := range tokens {
				if of != "refresh" {
					v.want(t, "renewal by a token for "+of, "POST /users/v1/refresh", "", fmt.Sprintf(`{"refresh_token":%q}`, token), 401, "unknown_token")
				}
			}
			v.want(t, "looking at a refresh token has not used it", "POST /users/v1/refresh", "", p.refreshBody(), 200, "")
		})
	}
}

// sign makes a JWT of any header and claims, signed with a secret.
func sign(t *testing.T, header, claims map[string]any, secret string) string {
	t.Helper()
	part := func(value map[string]any) string {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := part(header) + "." + part(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestForgedTokens: whoever has a secret can sign, and gets nowhere with a token that lacks what ours say. Without the secret he gets nowhere at all.
func TestForgedTokens(t *testing.T) {
	v := newCinema(t, open(t, "memory"), nil)
	secrets := sampleConfig(t).Secrets
	key, err := v.rings[0].Signer()
	if err != nil {
		t.Fatal(err)
	}
	type members = map[string]any
	token := func(secret string, change func(header, claims members)) string {
		header := members{"alg": "HS256", "kid": key.ID(), "typ": "at+jwt"}
		claims := members{"iss": "fathat.org", "aud": "fathat.org", "sub": "1", "jti": "j", "sid": "s", "iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix(), "roles": []string{"basic"}}
		if change != nil {
			change(header, claims)
		}
		return sign(t, header, claims, secret)
	}
	v.want(t, "a token as ours", "GET /films/v1/", "Bearer "+token(secrets.Access, nil), "", 200, "")
	for name, tt := range map[string]struct {
		secret string
		change func(header, claims members)
	}{
		"the refresh secret":         {secrets.Refresh, nil},
		"another secret":             {strings.Repeat("0123456789", 4), nil},
		"no secret":                  {"", nil},
		"no algorithm":               {secrets.Access, func(h, _ members) { h["alg"] = "none" }},
		"another algorithm":          {secrets.Access, func(h, _ members) { h["alg"] = "HS384" }},
		"no key":                     {secrets.Access, func(h, _ members) { delete(h, "kid") }},
		"an unknown key":             {secrets.Access, func(h, _ members) { h["kid"] = "x" }},
		"no type":                    {secrets.Access, func(h, _ members) { delete(h, "typ") }},
		"the type of refresh tokens": {secrets.Access, func(h, _ members) { h["typ"] = "refresh+jwt" }},
		"the type JWT":               {secrets.Access, func(h, _ members) { h["typ"] = "JWT" }},
		"another issuer":             {secrets.Access, func(_, c members) { c["iss"] = "evil" }},
		"no issuer":                  {secrets.Access, func(_, c members) { delete(c, "iss") }},
		"another audience":           {secrets.Access, func(_, c members) { c["aud"] = "elsewhere" }},
		"no end":                     {secrets.Access, func(_, c members) { delete(c, "exp") }},
		"an end that is text":        {secrets.Access, func(_, c members) { c["exp"] = "1893456000" }},
		"no id":                      {secrets.Access, func(_, c members) { delete(c, "jti") }},
		"no log-in":                  {secrets.Access, func(_, c members) { delete(c, "sid") }},
		"no time":                    {secrets.Access, func(_, c members) { delete(c, "iat") }},
		"a time to come":             {secrets.Access, func(_, c members) { c["iat"] = noon.Add(time.Minute).Unix() }},
		"nobody":                     {secrets.Access, func(_, c members) { c["sub"] = "" }},
		"a user who was deleted":     {secrets.Access, func(_, c members) { c["sub"] = "99" }},
		"a user who is disabled":     {secrets.Access, func(_, c members) { c["sub"] = "4" }},
	} {
		v.want(t, name, "GET /films/v1/", "Bearer "+token(tt.secret, tt.change), "", 401, "unknown_token")
	}
	roles := func(list ...string) func(_, claims members) {
		return func(_, c members) {
			if c["roles"] = list; list == nil {
				delete(c, "roles")
			}
		}
	}
	v.want(t, "an unknown role", "GET /films/v1/", "Bearer "+token(secrets.Access, roles("root")), "", 403, "forbidden")
	v.want(t, "no role", "GET /films/v1/", "Bearer "+token(secrets.Access, roles()), "", 403, "forbidden")
	v.want(t, "more than the table says", "GET /films/v1/premium", "Bearer "+token(secrets.Access, roles("admin")), "", 403, "forbidden")
	for _, name := range []string{"standard", "admin", "alg none", "refresh_claim under the access secret", "no kind", "standard_claim false", "evil issuer", "refresh", "email", "password"} {
		v.want(t, "a token of the system before, "+name, "GET /films/v1/", "Bearer "+made(t, name), "", 401, "unknown_token")
	}
}

// TestTokensOfTheSystemBefore: with their profile, the access tokens that PyJWT has made count, and nothing else of theirs.
func TestTokensOfTheSystemBefore(t *testing.T) {
	v := newCinema(t, open(t, "memory"), func(c *config) { c.Legacy = true })
	for _, tt := range []struct {
		token, line string
		status      int
		code        string
	}{
		{"standard", "GET /films/v1/", 200, ""},
		{"standard", "GET /films/v1/premium", 403, "forbidden"},
		{"admin", "GET /films/v1/premium", 200, ""},
		{"role root", "GET /films/v1/", 403, "forbidden"},
		{"refresh_claim under the access secret", "GET /films/v1/", 401, "unknown_token"},
		{"no kind", "GET /films/v1/", 401, "unknown_token"},
		{"standard_claim false", "GET /films/v1/", 401, "unknown_token"},
		{"evil issuer", "GET /films/v1/", 401, "unknown_token"},
		{"no exp", "GET /films/v1/", 401, "unknown_token"},
		{"alg none", "GET /films/v1/", 401, "unknown_token"},
		{"user 99", "GET /films/v1/", 401, "unknown_token"},
		{"user 4", "GET /films/v1/", 401, "unknown_token"},
		{"refresh", "GET /films/v1/", 401, "unknown_token"},
		{"email", "GET /films/v1/", 401, "unknown_token"},
		{"password", "GET /films/v1/", 401, "unknown_token"},
		{"standard", "GET /users/v1/login", 401, "unknown_token"},
		{"refresh", "GET /users/v1/login", 401, "unknown_token"},
		{"standard", "POST /users/v1/verify", 401, "unknown_token"},
		{"email", "POST /users/v1/verify", 401, "unknown_token"},
		{"password", "POST /users/v1/password", 401, "unknown_token"},
	} {
		v.want(t, "the token "+tt.token, tt.line, "Bearer "+made(t, tt.token), "", tt.status, tt.code)
	}
	v.want(t, "its refresh token", "POST /users/v1/refresh", "", fmt.Sprintf(`{"refresh_token":%q}`, made(t, "refresh")), 401, "unknown_token")
	v.pass(t, time.Second)
	v.want(t, "its log-out", "POST /users/v1/logout", "Bearer "+made(t, "standard"), "", 204, "")
	v.want(t, "after its log-out", "GET /films/v1/", "Bearer "+made(t, "standard"), "", 401, "unknown_token")
	v.want(t, "somebody else's, after it", "GET /films/v1/", "Bearer "+made(t, "admin"), "", 200, "")
	v.want(t, "a log-in after it", "GET /films/v1/", v.login(t, "alice").bearer(), "", 200, "")
	v.pass(t, 11*time.Hour)
	v.want(t, "after its time", "GET /films/v1/", "Bearer "+made(t, "admin"), "", 401, "expired_token")
}

// TestRolesAreOrdered: whoever has one may do what those below it may.
func TestRolesAreOrdered(t *testing.T) {
	v := newCinema(t, open(t, "memory"), nil)
	for name, status := range map[string]int{"alice": 403, "bob": 200, "carol": 200} {
		p, code := v.login(t, name), map[int]string{403: "forbidden"}[status]
		v.want(t, name, "GET /films/v1/premium", p.bearer(), "", status, code)
		v.want(t, name, "GET /films/v1/", p.bearer(), "", 200, "")
	}
	alice, bob, carol := v.login(t, "alice"), v.login(t, "bob"), v.login(t, "carol")
	v.want(t, "bob", "POST /users/v1/1/disable", bob.bearer(), "", 403, "forbidden")
	v.want(t, "nobody", "POST /users/v1/1/disable", "", "", 401, "no_credential")
	v.want(t, "carol, of nobody", "POST /users/v1/99/disable", carol.bearer(), "", 404, "not_found")
	v.want(t, "before", "GET /films/v1/", alice.bearer(), "", 200, "")
	v.want(t, "carol", "POST /users/v1/1/disable", carol.bearer(), "", 204, "")
	v.want(t, "after", "GET /films/v1/", alice.bearer(), "", 401, "unknown_token")
	v.want(t, "after", "POST /users/v1/refresh", "", alice.refreshBody(), 401, "unknown_token")
	v.users.change("1", func(u *user) { u.Disabled = false })
	v.want(t, "once she is back, her old tokens", "GET /films/v1/", alice.bearer(), "", 401, "unknown_token")
	v.pass(t, time.Second)
	v.want(t, "and a new one", "GET /films/v1/", v.login(t, "alice").bearer(), "", 200, "")
}

// TestWhoIsDisabledIsRefusedAtOnce, even if nobody has revoked anything, and so is who was deleted or has lost a role.
func TestWhoIsDisabledIsRefusedAtOnce(t *testing.T) {
	v := newCinema(t, open(t, "memory"), nil)
	for name, shut := range map[string]func(id string){
		"disabled": func(id string) { v.users.change(id, func(u *user) { u.Disabled = true }) },
		"deleted":  v.users.remove,
	} {
		who := map[string]string{"disabled": "alice", "deleted": "carol"}[name]
		p := v.login(t, who)
		v.want(t, "before", "GET /films/v1/", p.bearer(), "", 200, "")
		shut(p.User.ID)
		v.want(t, name, "GET /films/v1/", p.bearer(), "", 401, "unknown_token")
		v.want(t, name, "GET /users/v1/login", "Bearer "+p.Refresh, "", 401, "unknown_token")
		v.want(t, name, "POST /users/v1/refresh", "", p.refreshBody(), 401, "unknown_token")
	}
	p := v.login(t, "bob")
	v.want(t, "before", "GET /films/v1/premium", p.bearer(), "", 200, "")
	v.users.change("2", func(u *user) { u.Role = "basic" })
	v.want(t, "with a lower role", "GET /films/v1/premium", p.bearer(), "", 403, "forbidden")
	v.want(t, "with a lower role", "GET /films/v1/", p.bearer(), "", 200, "")
	next := granted(t, v.ask(t, "POST /users/v1/refresh", "", p.refreshBody()))
	v.users.change("2", func(u *user) { u.Role = "premium" })
	v.want(t, "with a token that was renewed meanwhile", "GET /films/v1/premium", next.bearer(), "", 403, "forbidden")
}

// TestRefresh: a pair for a refresh token that counts once, whatever became of the access token.
func TestRefresh(t *testing.T) {
	eachStore(t, func(t *testing.T, kept stores) {
		v := newCinema(t, kept, nil)
		first := v.login(t, "alice")
		second := granted(t, v.ask(t, "POST /users/v1/refresh", first.bearer(), first.refreshBody()))
		if second.Access == first.Access || second.Refresh == first.Refresh || second.User.ID != "1" {
			t.Errorf("the renewal gives %+v, want other tokens of the same user", second)
		}
		v.want(t, "the access token before", "GET /films/v1/", first.bearer(), "", 200, "")
		v.pass(t, 11*time.Hour)
		v.want(t, "the access token has expired", "GET /films/v1/", second.bearer(), "", 401, "expired_token")
		third := granted(t, v.ask(t, "POST /users/v1/refresh", second.bearer(), second.refreshBody()))
		v.want(t, "and a new one counts", "GET /films/v1/", third.bearer(), "", 200, "")
		for name, body := range map[string]string{
			"an access token": fmt.Sprintf(`{"refresh_token":%q}`, third.Access), "garbage": `{"refresh_token":"garbage"}`, "an opaque one": `{"refresh_token":"gh_refresh.AAAA"}`,
			"a long one": `{"refresh_token":"` + strings.Repeat("x", 9<<10) + `"}`,
		} {
			v.want(t, name, "POST /users/v1/refresh", "", body, 401, "unknown_token")
		}
		for name, body := range map[string]string{"no body": "", "none": `{}`, "an empty one": `{"refresh_token":""}`, "another member": `{"refresh_token":"x","old_access_token":"y"}`} {
			v.want(t, name, "POST /users/v1/refresh", "", body, 400, "broken_body")
		}
		v.pass(t, 13*time.Hour+31*time.Second)
		v.want(t, "a log-in of 24 h", "POST /users/v1/refresh", "", third.refreshBody(), 401, "expired_token")
		v.want(t, "which begins anew", "GET /films/v1/", v.login(t, "alice").bearer(), "", 200, "")
	})
}

// TestRefreshTokenThatComesTwice is answered with the same successor for a moment, and after that ends the log-in: one of the two who have it is a thief.
func TestRefreshTokenThatComesTwice(t *testing.T) {
	eachStore(t, func(t *testing.T, kept stores) {
		v := newCinema(t, kept, nil)
		first, other := v.login(t, "alice"), v.login(t, "alice")
		second := granted(t, v.ask(t, "POST /users/v1/refresh", "", first.refreshBody()))
		v.pass(t, 9*time.Second)
		again := granted(t, v.ask(t, "POST /users/v1/refresh", "", first.refreshBody()))
		if again.Refresh != second.Refresh {
			t.Error("within 10 s a refresh token has got two successors")
		}
		v.pass(t, 2*time.Second)
		v.want(t, "it comes once more", "POST /users/v1/refresh", "", first.refreshBody(), 401, "unknown_token")
		v.want(t, "its successor", "POST /users/v1/refresh", "", second.refreshBody(), 401, "unknown_token")
		for name, p := range map[string]pair{"first": first, "second": second, "again": again} {
			v.want(t, "the access token "+name, "GET /films/v1/", p.bearer(), "", 401, "unknown_token")
		}
		v.want(t, "another log-in", "GET /films/v1/", other.bearer(), "", 200, "")
		v.want(t, "another log-in", "POST /users/v1/refresh", "", other.refreshBody(), 200, "")
	})
}

// TestAccessTokenOfSomebodyElse beside a refresh token: nothing is given, used up or revoked.
func TestAccessTokenOfSomebodyElse(t *testing.T) {
	v := newCinema(t, open(t, "memory"), nil)
	alice, bob := v.login(t, "alice"), v.login(t, "bob")
	v.want(t, "two callers", "POST /users/v1/refresh", bob.bearer(), alice.refreshBody(), 400, "duplicate_credential")
	v.want(t, "bob goes on", "GET /films/v1/", bob.bearer(), "", 200, "")
	v.want(t, "bob goes on", "POST /users/v1/refresh", "", bob.refreshBody(), 200, "")
	v.want(t, "alice goes on", "GET /films/v1/", alice.bearer(), "", 200, "")
	v.want(t, "alice goes on", "POST /users/v1/refresh", alice.bearer(), alice.refreshBody(), 200, "")
}

// TestParallelRefreshes of one token give one successor.
func TestParallelRefreshes(t *testing.T) {
	eachStore(t, func(t *testing.T, kept stores) {
		v := newCinema(t, kept, nil)
		p := v.login(t, "alice")
		var group sync.WaitGroup
		var mu sync.Mutex
		successors, statuses := map[string]bool{}, map[int]int{}
		for range 5 {
			group.Go(func() {
				response, err := http.Post(v.url+"/users/v1/refresh", "application/json", strings.NewReader(p.refreshBody()))
				if err != nil {
					t.Error(err)
					return
				}
				defer response.Body.Close()
				var got pair
				if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				statuses[response.StatusCode]++
				successors[got.Refresh] = true
			})
		}
		group.Wait()
		if statuses[200] != 5 || len(successors) != 1 {
			t.Errorf("5 renewals at once = %v with %d successors, want all 200 with one", statuses, len(successors))
		}
	})
}

// TestLogOut: after it nothing of the log-in works, on any process that shares the store, and other log-ins go on.
func TestLogOut(t *testing.T) {
	eachStore(t, func(t *testing.T, kept stores) {
		v := newCinema(t, kept, nil)
		other := startCinema(t, sampleConfig(t), kept, v.clock) // another process on the same store
		p, phone := v.login(t, "alice"), v.login(t, "alice")
		second := granted(t, v.ask(t, "POST /users/v1/refresh", "", p.refreshBody()))
		other.want(t, "before", "GET /films/v1/", p.bearer(), "", 200, "")
		v.want(t, "a link", "GET /users/v1/logout", p.bearer(), "", 405, "method_not_allowed")
		v.want(t, "nobody", "POST /users/v1/logout", "", "", 401, "no_credential")
		v.want(t, "garbage", "POST /users/v1/logout", "Bearer garbage", "", 401, "unknown_token")
		v.want(t, "a refresh token in the place of an access token", "POST /users/v1/logout", "Bearer "+second.Refresh, "", 401, "unknown_token")
		v.want(t, "still in", "GET /films/v1/", p.bearer(), "", 200, "")

		v.want(t, "log-out", "POST /users/v1/logout", "bearer "+second.Access, "", 204, "")
		other.look(t) // within a second, by itself
		for name, where := range map[string]*cinema{"here": v, "there": other} {
			for which, token := range map[string]string{"the access token": second.Access, "the one before": p.Access} {
				where.want(t, which+" "+name, "GET /films/v1/", "Bearer "+token, "", 401, "unknown_token")
			}
			where.want(t, "the refresh token "+name, "POST /users/v1/refresh", "", second.refreshBody(), 401, "unknown_token")
			where.want(t, "the refresh token "+name, "GET /users/v1/login", "Bearer "+second.Refresh, "", 401, "unknown_token")
			where.want(t, "another log-in "+name, "GET /films/v1/", phone.bearer(), "", 200, "")
		}
		v.want(t, "log-out again", "POST /users/v1/logout", second.bearer(), "", 204, "")
		v.want(t, "log-out again, there", "POST /users/v1/logout", "", second.refreshBody(), 204, "")

		restarted := startCinema(t, sampleConfig(t), kept, v.clock)
		restarted.want(t, "after a restart", "GET /films/v1/", second.bearer(), "", 401, "unknown_token")
		restarted.want(t, "after a restart, another log-in", "GET /films/v1/", phone.bearer(), "", 200, "")
	})
}

// TestLogOutByTheRefreshToken, where the access token has expired. Nobody is ever locked out.
func TestLogOutByTheRefreshToken(t *testing.T) {
	v := newCinema(t, open(t, "memory"), nil)
	p := v.login(t, "alice")
	v.pass(t, 11*time.Hour)
	v.want(t, "with an expired token alone", "POST /users/v1/logout", p.bearer(), "", 401, "expired_token")
	v.want(t, "with what is no refresh token", "POST /users/v1/logout", p.bearer(), `{"refresh_token":"x"}`, 401, "unknown_token")
	v.want(t, "with another form of body", "POST /users/v1/logout", p.bearer(), `{"token":"x"}`, 400, "broken_body")
	v.want(t, "a log-in", "GET /films/v1/", v.login(t, "alice").bearer(), "", 200, "")
	v.want(t, "with both", "POST /users/v1/logout", p.bearer(), p.refreshBody(), 204, "")
	v.want(t, "after that", "POST /users/v1/refresh", "", p.refreshBody(), 401, "unknown_token")
}

// TestWhileRevocationsAreUnknown: what might have been revoked is 503, log-outs included: nobody may believe that it has worked.
func TestWhileRevocationsAreUnknown(t *testing.T) {
	v := newCinema(t, open(t, "memory"), nil)
	p := v.login(t, "alice")
	v.clock.Advance(5 * time.Second)
	v.want(t, "within the bound", "GET /films/v1/", p.bearer(), "", 200, "")
	v.clock.Advance(time.Second)
	v.want(t, "past the bound", "GET /films/v1/", p.bearer(), "", 503, "unavailable")
	v.want(t, "past the bound", "POST /users/v1/refresh", "", p.refreshBody(), 503, "unavailable")
	v.want(t, "past the bound", "GET /users/v1/login", "Bearer "+p.Refresh, "", 503, "unavailable")
	v.want(t, "past the bound", "POST /users/v1/logout", p.bearer(), "", 503, "unavailable")
	v.want(t, "without a token", "GET /films/v1/", "", "", 401, "no_credential")
	v.want(t, "with garbage", "GET /films/v1/", "Bearer garbage", "", 401, "unknown_token")
	v.look(t)
	v.want(t, "once it can be read", "GET /films/v1/", p.bearer(), "", 200, "")
	v.want(t, "once it can be read", "POST /users/v1/refresh", "", p.refreshBody(), 200, "")
}

// TestTokensInMails count once, and what remembers that goes with them.
func TestTokensInMails(t *testing.T) {
	eachStore(t, func(t *testing.T, kept stores) {
		v := newCinema(t, kept, nil)
		mail := "Bearer " + v.verifyToken(t, "2")
		v.pass(t, 55*time.Minute)
		v.want(t, "looking at the link", "GET /users/v1/verify", mail, "", 401, "unknown_token")
		v.want(t, "a click", "POST /users/v1/verify", mail, "", 204, "")
		if !v.users.byID("2").Verified {
			t.Error("bob's address is not verified after the click")
		}
		v.want(t, "a second click", "POST /users/v1/verify", mail, "", 401, "unknown_token")
		page, err := kept.revocations.Since(t.Context(), 0, 100)
		if err != nil || len(page.Entries) != 1 {
			t.Fatalf("Since = %+v, %v, want one entry", page, err)
		}
		if left := page.Entries[0].Expires.Sub(v.clock.Now()); left > 5*time.Minute || left <= 0 {
			t.Errorf("the revocation of a token with 5 minutes left is kept for %v", left)
		}
		v.pass(t, 11*time.Minute)
		if n, err := v.revoked.Prune(t.Context()); n != 1 || err != nil {
			t.Errorf("Prune = %d, %v, want 1 some minutes after the token would have expired", n, err)
		}
		v.want(t, "a click after that", "POST /users/v1/verify", mail, "", 401, "expired_token")
	})
}

// TestForgottenPassword: a mail, a new password, and every log-in there was has ended.
func TestForgottenPassword(t *testing.T) {
	eachStore(t, func(t *testing.T, kept stores) {
		v := newCinema(t, kept, nil)
		p := v.login(t, "alice")
		for _, nobody := range []string{"nobody", "dave"} {
			v.want(t, nobody, "POST /users/v1/forgot", "", fmt.Sprintf(`{"email":"%s@example.org"}`, nobody), 202, "")
		}
		if len(v.mails) != 0 {
			t.Errorf("%d mails to who is nobody or disabled", len(v.mails))
		}
		mail := "Bearer " + v.mailed(t, "alice")
		v.want(t, "a weak password", "POST /users/v1/password", mail, `{"password":"password"}`, 400, "broken_body")
		v.want(t, "no password", "POST /users/v1/password", mail, `{}`, 400, "broken_body")
		v.pass(t, time.Second)
		v.want(t, "a new password", "POST /users/v1/password", mail, `{"password":"a stapler under the bed"}`, 204, "")
		v.want(t, "once more", "POST /users/v1/password", mail, `{"password":"another one under the bed"}`, 401, "unknown_token")
		v.want(t, "the log-in before", "GET /films/v1/", p.bearer(), "", 401, "unknown_token")
		v.want(t, "the log-in before", "POST /users/v1/refresh", "", p.refreshBody(), 401, "unknown_token")
		v.want(t, "the old password", "POST /users/v1/login", "", `{"email":"alice@example.org","password":"correct horse battery"}`, 401, "invalid_credentials")
		in := granted(t, v.ask(t, "POST /users/v1/login", "", `{"email":"alice@example.org","password":"a stapler under the bed"}`))
		v.want(t, "the new one", "GET /films/v1/", in.bearer(), "", 200, "")
	})
}

// TestMappedClaims: the tokens say what other programs look for, under the names that they know.
func TestMappedClaims(t *testing.T) {
	v := newCinema(t, open(t, "memory"), nil)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(v.login(t, "bob").Access, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"user_id": "2", "access_role": "premium", "standard_claim": true, "iss": "fathat.org", "sub": "2"} {
		if claims[name] != want {
			t.Errorf("the claim %s is %v, want %v", name, claims[name], want)
		}
	}
}

// TestFaultyConfigurations stop the program with a message that shows no secret.
func TestFaultyConfigurations(t *testing.T) {
	public := "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
	for name, tt := range map[string]struct {
		change func(*config)
		want   string
	}{
		"a short secret": {func(c *config) { c.Secrets.Access = "testsecret" }, "gatehouse key generate"},
		"no secret":      {func(c *config) { c.Secrets.Refresh = "" }, "secret of refresh tokens"},
		"a public key":   {func(c *config) { c.Secrets.VerifyEmail = public }, "PEM"},
		"no issuer":      {func(c *config) { c.Issuer = "" }, "audience"},
		"no time":        {func(c *config) { c.Hours.ResetPassword = 0 }, "TTL"},
	} {
		c := sampleConfig(t)
		tt.change(&c)
		_, err := newApp(t.Context(), c, open(t, "memory"), time.Now)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tt.want)
		} else if strings.Contains(err.Error(), "testsecret") {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
	write := func(text string) string {
		name := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, args := range map[string][]string{
		"others could reach it": {"-config", "config.json", "-addr", "0.0.0.0:0"}, "a host without an address": {"-config", "config.json", "-addr", ":0"},
		"no file": {"-config", filepath.Join(t.TempDir(), "none.json")}, "no JSON": {"-config", write("issuer: x")}, "an unknown key": {"-config", write(`{"isuer":"x"}`)},
		"an unknown store": {"-config", "config.json", "-store", "redis://x"}, "a store without a file": {"-config", "config.json", "-store", "sqlite:"}, "an unknown flag": {"-x"},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%s: run(%q) = nil, want an error", name, args)
		}
	}
}

// A tap gives what the program writes to who waits for it.
type tap struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	return p.text.Write(b)
}

func (p *tap) until(t *testing.T, text string, ended <-chan error) string {
	t.Helper()
	for {
		p.mu.Lock()
		all := p.text.String()
		p.mu.Unlock()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-p.more:
		case err := <-ended:
			t.Fatalf("it ended with %v before it wrote %q:\n%s", err, text, all)
		}
	}
}

// TestProgram runs the program as it is started, twice on one file: what was revoked before the restart is refused after it, and the rest goes on.
func TestProgram(t *testing.T) {
	file := "sqlite:" + filepath.Join(t.TempDir(), "films.db")
	var in, out pair
	for round := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		printed, ended := &tap{more: make(chan struct{}, 1)}, make(chan error, 1)
		go func() {
			ended <- run(ctx, []string{"-addr", "127.0.0.1:0", "-config", "config.json", "-store", file}, printed)
		}()
		text := printed.until(t, "/refresh    # 401\n", ended)
		_, rest, _ := strings.Cut(text, "listening on ")
		address, _, _ := strings.Cut(rest, "\n")
		v := &cinema{url: address}
		if !strings.Contains(text, "begin with the same 27 characters") || !strings.Contains(text, "known to everybody") {
			t.Errorf("it prints no warning about its secrets:\n%s", text)
		}
		if round == 0 {
			in, out = v.login(t, "alice"), v.login(t, "alice")
			v.want(t, "log-out", "POST /users/v1/logout", out.bearer(), "", 204, "")
			v.want(t, "a mail", "POST /users/v1/forgot", "", `{"email":"alice@example.org"}`, 202, "")
			printed.until(t, "a mail to alice@example.org: choose a password with ey", ended)
		}
		v.want(t, fmt.Sprint("in, round ", round), "GET /films/v1/", in.bearer(), "", 200, "")
		v.want(t, fmt.Sprint("out, round ", round), "GET /films/v1/", out.bearer(), "", 401, "unknown_token")
		v.want(t, fmt.Sprint("out, round ", round), "POST /users/v1/refresh", "", out.refreshBody(), 401, "unknown_token")
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("round %d ends with %v", round, err)
		}
	}
}

// TestMasterKey: the file is made once, for its owner alone, and a database does not open with another one.
func TestMasterKey(t *testing.T) {
	name := filepath.Join(t.TempDir(), "films.db")
	newCinema(t, open(t, "sqlite:"+name), nil)
	info, err := os.Stat(name + ".key")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the master key: %v, %v, want a file of mode 0600", info, err)
	}
	newCinema(t, open(t, "sqlite:"+name), nil)
	if err := os.Remove(name + ".key"); err != nil {
		t.Fatal(err)
	}
	if _, err := newApp(t.Context(), sampleConfig(t), open(t, "sqlite:"+name), gatehousetest.NewClock(noon).Now); err == nil || !strings.Contains(err.Error(), "master key") {
		t.Errorf("with another master key: %v, want an error that says so", err)
	}
}
