package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestTokenForAClient: the token is the client's own, says so, and no more than the client may.
func TestTokenForAClient(t *testing.T) {
	d := newDesk(t, setting{})
	for name, got := range map[string]answer{
		"by its secret":    d.post("/oauth/token", basic("reports"), form{"grant_type", "client_credentials"}),
		"by its proof":     d.post("/oauth/token", "", form{"grant_type", "client_credentials", "client_assertion_type", byAssertion, "client_assertion", d.signed(d.assertion(), d.worker)}),
		"by its assertion": d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", d.signed(d.assertion(), d.worker)}),
	} {
		var body struct {
			AccessToken  string  `json:"access_token"`
			TokenType    string  `json:"token_type"`
			ExpiresIn    int     `json:"expires_in"`
			Scope        string  `json:"scope"`
			RefreshToken *string `json:"refresh_token"`
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != 200 {
			t.Fatalf("a token %s = %d %s, %v, want 200 and JSON", name, got.status, got.body, err)
		}
		if body.TokenType != "Bearer" || body.ExpiresIn != 600 || body.RefreshToken != nil || got.header.Get("Content-Type") != "application/json" || got.header.Get("Pragma") != "no-cache" {
			t.Errorf("a token %s = %s %v, want a Bearer of 600 s and no refresh token", name, got.body, got.header)
		}
		c, err := d.verifier.Verify(t.Context(), body.AccessToken)
		client := d.clients[c.Client]
		if err != nil || c.Subject == "" || c.Subject != c.Client || c.Session != c.ID || c.Issuer != issuer || !slices.Equal(c.Scopes, client.Scopes) || strings.Join(c.Scopes, " ") != body.Scope {
			t.Errorf("a token %s says %+v, %v, want the client's own with its scopes", name, c, err)
		}
		if id, err := d.verifier.Identity(t.Context(), body.AccessToken); err != nil || id.Kind != gatehouse.KindService || len(id.Roles) > 0 {
			t.Errorf("a token %s stands for %+v, %v, want a service without roles", name, id, err)
		}
		var members map[string]any
		if err := json.Unmarshal(decoded(t, strings.Split(body.AccessToken, ".")[1]), &members); err != nil {
			t.Fatal(err)
		}
		for _, claim := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "sid"} { // RFC 9068, section 2.2
			if members[claim] == nil {
				t.Errorf("a token %s has no %s: %v", name, claim, members)
			}
		}
		if head := string(decoded(t, strings.Split(body.AccessToken, ".")[0])); !strings.Contains(head, `"typ":"at+jwt"`) || !strings.Contains(head, `"alg":"ES256"`) {
			t.Errorf("a token %s has the header %s, want at+jwt", name, head)
		}
	}
}

// TestTokensAreNeverTheSame: each request gets a token of its own.
func TestTokensAreNeverTheSame(t *testing.T) {
	d := newDesk(t, setting{})
	if first, second := d.token("reports"), d.token("reports"); first == second {
		t.Error("two requests got the same token")
	}
}

// TestScopes: a client gets what it asks for if it may have all of it, and everything it may have if it does not ask.
func TestScopes(t *testing.T) {
	d := newDesk(t, setting{})
	for asked, want := range map[string]string{
		"": "films.read films.write", "films.read": "films.read", "films.write": "films.write", "films.write films.read": "films.write films.read",
		" films.read": "films.read", "films.read ": "films.read", "films.read  films.write": "films.read films.write", "films.read films.read": "films.read", " ": "films.read films.write",
		"films": "-", "films.read films.delete": "-", "FILMS.READ": "-", "films.read,films.write": "-", "films.*": "-", "*": "-", "films.read\tfilms.write": "-", "films.read\u00a0films.write": "-",
		"films.read\nfilms.write": "-", "\x00": "-", `"films.read"`: "-", "openid": "-", "offline_access": "-", strings.Repeat("x", 10_000): "-",
	} {
		got := d.post("/oauth/token", basic("reports"), form{"grant_type", "client_credentials", "scope", asked})
		if want == "-" {
			if !got.is(400, "invalid_scope") || got.member("access_token") != "" {
				t.Errorf("scope %.40q = %d %s, want 400 invalid_scope", asked, got.status, got.body)
			}
			continue
		}
		c, err := d.verifier.Verify(t.Context(), got.member("access_token"))
		if err != nil || strings.Join(c.Scopes, " ") != want || got.member("scope") != want {
			t.Errorf("scope %q = %d %s, want %q", asked, got.status, got.body, want)
		}
	}
	for client, want := range map[string]int{"other": 400, "resource": 400, "worker": 401} {
		if got := d.post("/oauth/token", basic(client), form{"grant_type", "client_credentials", "scope", "films.write"}); got.status != want {
			t.Errorf("films.write for %s = %d %s, want %d", client, got.status, got.body, want)
		}
	}
	if got := d.post("/oauth/token", basic("resource"), form{"grant_type", "client_credentials"}); got.status != 200 || strings.Contains(got.body, "scope") {
		t.Errorf("a token for a client without scopes = %d %s, want 200 without scope", got.status, got.body)
	}
}

// TestNoTokenWithoutAKey: where nothing can be signed, nothing is given.
func TestNoTokenWithoutAKey(t *testing.T) {
	d := newDesk(t, setting{oauth: func(c *api.OAuthConfig) {
		empty := must[*token.Minter](t)(token.NewMinter(token.MinterConfig{Issuer: issuer, Purpose: c.Access.Purpose(), Ring: unloaded(t), Revocations: c.Revocations, Now: c.Now}))
		c.Access = empty
	}})
	if got := d.post("/oauth/token", basic("reports"), forms["/oauth/token"]); !got.is(503, "temporarily_unavailable") || strings.Contains(got.body, "ring") {
		t.Errorf("a token without a key = %d %s, want 503", got.status, got.body)
	}
}

// TestTokensAreLogged: what was issued, and to whom, stands in the log with the request's id; what was not is there as well.
func TestTokensAreLogged(t *testing.T) {
	d := newDesk(t, setting{})
	got := d.post("/oauth/token", basic("reports"), form{"grant_type", "client_credentials", "scope", "films.read"})
	c, err := d.verifier.Verify(t.Context(), got.member("access_token"))
	if err != nil {
		t.Fatal(err)
	}
	if d.log.line("level=INFO", "a token was issued", "client=reports", "grant=client_credentials", "scope=films.read", "token_id="+c.ID, "request_id="+got.header.Get("X-Request-Id")) == "" {
		t.Errorf("the log does not say that a token was issued:\n%s", d.log)
	}
	for what, tt := range map[string]struct {
		got   answer
		words []string
	}{
		"a wrong secret":     {d.post("/oauth/token", encoded("reports", "wrong"), forms["/oauth/token"]), []string{"client=reports", "invalid_client"}},
		"another name":       {d.post("/oauth/token", basic("reports"), append(form{"client_id", "hunter2-hunter2-hunter2"}, forms["/oauth/token"]...)), []string{"client=reports", "invalid_client"}},
		"an unknown client":  {d.post("/oauth/introspect", encoded("hunter2-hunter2-hunter2", "wrong"), forms["/oauth/introspect"]), []string{"path=/oauth/introspect", "invalid_client"}},
		"a scope too many":   {d.post("/oauth/token", basic("reports"), form{"grant_type", "client_credentials", "scope", "root"}), []string{"client=reports", "invalid_scope"}},
		"a stale assertion":  {d.post("/oauth/token", "", form{"grant_type", jwtBearer, "assertion", d.signed(d.assertion("exp", d.Now().Add(-time.Hour).Unix()), d.worker)}), []string{"invalid_client", "expired"}},
		"no right to follow": {d.get("/oauth/revocations", "Authorization", basic("reports")), []string{"client=reports", "unauthorized_client"}},
	} {
		if d.log.line(append(tt.words, "a client was refused", "request_id="+tt.got.header.Get("X-Request-Id"))...) == "" {
			t.Errorf("the log does not say that %s was refused:\n%s", what, d.log)
		}
	}
	if strings.Contains(d.log.String(), "hunter2") {
		t.Errorf("the log holds a name that is no client's, which may be a secret in the wrong place")
	}
}

// TestSecondsLeft: a client is told how long its token is valid at most, and never that this is no time at all, which would read as for ever.
func TestSecondsLeft(t *testing.T) {
	for late, want := range map[time.Duration]int{0: 600, time.Millisecond: 599, 598 * time.Second: 2, 599 * time.Second: 1, 599*time.Second + 999*time.Millisecond: 1} {
		var d *desk
		d = newDesk(t, setting{oauth: func(c *api.OAuthConfig) { c.Now = func() time.Time { return d.Now().Add(late) } }})
		var body struct {
			ExpiresIn int `json:"expires_in"`
		}
		got := d.post("/oauth/token", basic("reports"), form{"grant_type", "client_credentials"})
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.ExpiresIn != want {
			t.Errorf("an answer that takes %v = %d %s, %v, want expires_in %d", late, got.status, got.body, err, want)
		}
	}
}
