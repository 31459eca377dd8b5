package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

// introspect asks about a token.
func (d *desk) introspect(client, text string, more ...string) answer {
	d.Helper()
	return d.post("/oauth/introspect", basic(client), append(form{"token", text}, more...))
}

const inactive = `{"active":false}` + "\n"

// TestIntrospection: an active token says what it is to the client that it was given to, and to those that may ask about every token.
func TestIntrospection(t *testing.T) {
	d := newDesk(t, setting{})
	own := d.token("reports")
	pair := d.start("reports", "films.read")
	ticket, err := d.ticket.Mint(t.Context(), token.Claims{Subject: "jill", Client: "reports"})
	if err != nil {
		t.Fatal(err)
	}
	now := d.Now().Unix()
	for name, tt := range map[string]struct {
		text string
		want map[string]any
	}{
		"a client's own":  {own, map[string]any{"sub": "reports", "scope": "films.read films.write", "token_type": "Bearer", "purpose": "access", "exp": now + 600}},
		"a log-in's":      {pair.Access.Text.Reveal(), map[string]any{"sub": "jack", "scope": "films.read", "token_type": "Bearer", "purpose": "access", "exp": now + 600, "sid": pair.Access.Claims.Session, "roles": []any{"basic"}}},
		"a refresh token": {pair.Refresh.Text.Reveal(), map[string]any{"sub": "jack", "scope": "films.read", "token_type": nil, "purpose": "refresh", "sid": pair.Access.Claims.Session, "exp": now + 30*86400}},
		"an opaque one":   {ticket.Text.Reveal(), map[string]any{"sub": "jill", "token_type": nil, "purpose": "ticket", "exp": now + 3600}},
	} {
		for _, client := range []string{"reports", "resource"} {
			got := d.introspect(client, tt.text)
			var said map[string]any
			if err := json.Unmarshal([]byte(got.body), &said); err != nil || got.status != 200 || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s to %s = %d %s, want 200 and JSON", name, client, got.status, got.body)
			}
			maps.Copy(tt.want, map[string]any{"active": true, "client_id": "reports", "iss": issuer, "aud": []any{issuer}, "iat": now})
			for member, want := range tt.want {
				if fmt.Sprint(said[member]) != fmt.Sprint(want) && !(member == "iat" || member == "exp") || (member == "iat" || member == "exp") && said[member] != float64(want.(int64)) {
					t.Errorf("%s to %s: %s = %v, want %v", name, client, member, said[member], want)
				}
			}
			if id, _ := said["jti"].(string); id == "" {
				t.Errorf("%s to %s has no jti: %s", name, client, got.body)
			}
		}
		for range 3 { // asked three times, and not used up
			if got := d.introspect("reports", tt.text); !strings.Contains(got.body, `"active":true`) {
				t.Errorf("%s, asked again = %d %s, want active", name, got.status, got.body)
			}
		}
	}
}

// TestInactive: whatever is wrong with a token, the answer is the same to the byte.
func TestInactive(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		old, idle := d.token("reports"), d.start("reports")
		d.later(11 * time.Minute)
		revoked, ended, spent := d.token("reports"), d.start("reports"), d.start("reports")
		claims, err := d.verifier.Verify(t.Context(), revoked)
		if err != nil {
			t.Fatal(err)
		}
		d.load(d.list.RevokeToken(t.Context(), claims.ID, claims.ExpiresAt))
		d.load(d.families.End(t.Context(), ended.Access.Claims.Session))
		if got := d.renew(spent.Refresh.Text.Reveal(), basic("reports")); got.status != 200 {
			t.Fatalf("a renewal = %d %s", got.status, got.body)
		}
		good := d.token("reports")
		stranger := must[*keyring.Key](t)(keyring.Generate(keyring.ES256))
		var first answer
		for i, tt := range []struct{ name, client, text string }{
			{"a revoked one", "reports", revoked},
			{"an expired one", "reports", old},
			{"another client's", "other", good},
			{"another client's to one that may revoke", "janitor", good},
			{"a log-in's that belongs to nobody", "reports", d.start("").Access.Text.Reveal()},
			{"another client's refresh token", "other", d.start("reports").Refresh.Text.Reveal()},
			{"one of a log-in that has ended", "resource", ended.Access.Text.Reveal()},
			{"a refresh token of a log-in that has ended", "resource", ended.Refresh.Text.Reveal()},
			{"a refresh token that was used", "resource", spent.Refresh.Text.Reveal()},
			{"another issuer's", "resource", d.signed(assertion{"iss": "https://evil.example", "aud": issuer, "sub": "jack", "jti": "x", "sid": "x", "iat": d.Now().Unix(), "exp": d.Now().Add(time.Hour).Unix()}, stranger, "typ", "at+jwt")},
			{"one signed by a stranger in our name", "resource", d.signed(assertion{"iss": issuer, "aud": issuer, "sub": "jack", "jti": "x", "sid": "x", "iat": d.Now().Unix(), "exp": d.Now().Add(time.Hour).Unix()}, stranger, "typ", "at+jwt", "kid", d.ring.All()[0].ID())},
			{"a client's assertion", "resource", d.signed(d.assertion(), d.worker)},
			{"garbage", "resource", "garbage"},
			{"a cut one", "resource", good[:len(good)-1]},
			{"a longer one", "resource", good + "A"},
			{"very long garbage", "resource", strings.Repeat("x", 60_000)},
			{"dots", "resource", strings.Repeat(".", 60_000)},
			{"bytes", "resource", "\x00\xff"},
			{"one in two pieces", "resource", good[:10] + " " + good[10:]},
			{"with the scheme in front", "resource", "Bearer " + good},
			{"a secret of a client", "resource", "reports" + secretOf},
		} {
			got := d.introspect(tt.client, tt.text)
			got.header.Del("X-Request-Id")
			if i == 0 {
				first = got
			}
			if got.status != 200 || got.body != inactive || !maps.EqualFunc(got.header, first.header, slices.Equal[[]string]) {
				t.Errorf("%s = %d %q %v, want %q and nothing else", tt.name, got.status, got.body, got.header, inactive)
			}
		}
		d.later(31 * 24 * time.Hour)
		if got := d.introspect("resource", idle.Refresh.Text.Reveal()); got.body != inactive {
			t.Errorf("a refresh token that was idle = %d %s, want %s", got.status, got.body, inactive)
		}
	})
}

// TestTheHintMakesNoDifference: RFC 7662, section 2.1, and RFC 7009: a wrong or unknown token_type_hint is looked past.
func TestTheHintMakesNoDifference(t *testing.T) {
	d := newDesk(t, setting{})
	pair := d.start("reports")
	for _, hint := range []string{"access_token", "refresh_token", "", "id_token", "\x00", strings.Repeat("x", 1000)} {
		for _, text := range []string{pair.Access.Text.Reveal(), pair.Refresh.Text.Reveal()} {
			if got := d.introspect("reports", text, "token_type_hint", hint); !strings.Contains(got.body, `"active":true`) {
				t.Errorf("introspection with the hint %.20q = %d %s, want an active token", hint, got.status, got.body)
			}
		}
		text := d.token("reports")
		if got := d.revoke("reports", text, "token_type_hint", hint); got.status != 200 || d.counts(text) {
			t.Errorf("revocation with the hint %.20q = %d %s, want 200 and an end", hint, got.status, got.body)
		}
	}
}

// TestIntrospectionThatCannotBeMade: "not active" is said only where that is known.
func TestIntrospectionThatCannotBeMade(t *testing.T) {
	d := newDesk(t, setting{})
	text, dead := d.token("reports"), d.token("reports")
	pair := d.start("reports")
	d.load(d.list.RevokeToken(t.Context(), must[token.Claims](t)(d.verifier.Verify(t.Context(), dead)).ID, d.Now().Add(time.Hour)))
	d.store.lose("Get")
	if got := d.introspect("reports", pair.Refresh.Text.Reveal()); !got.is(503, "temporarily_unavailable") {
		t.Errorf("a refresh token while the store is away = %d %s, want 503", got.status, got.body)
	}
	if got := d.introspect("reports", text); !strings.Contains(got.body, `"active":true`) {
		t.Errorf("an access token while the store is away = %d %s, want active: it needs none", got.status, got.body)
	}
	d.store.lose("Since")
	d.Advance(6 * time.Second)
	if got := d.introspect("reports", text); !got.is(503, "temporarily_unavailable") {
		t.Errorf("an access token while revocations are unknown = %d %s, want 503", got.status, got.body)
	}
	for name, bad := range map[string]string{"revoked": dead, "garbage": "garbage"} {
		if got := d.introspect("reports", bad); got.body != inactive {
			t.Errorf("a token that is %s while revocations are unknown = %d %s, want %s", name, got.status, got.body, inactive)
		}
	}
}

// TestIntrospectionOfAWithdrawnKey: what was signed with a key that is gone is not active.
func TestIntrospectionOfAWithdrawnKey(t *testing.T) {
	d := newDesk(t, setting{})
	text := d.token("reports")
	d.load(d.ring.Retire(t.Context(), d.ring.All()[0].ID()))
	if got := d.introspect("reports", text); got.body != inactive {
		t.Errorf("a token of a key that is gone = %d %s, want %s", got.status, got.body, inactive)
	}
	if got := d.introspect("reports", d.token("reports")); !strings.Contains(got.body, `"active":true`) {
		t.Errorf("a token of the next key = %d %s, want active", got.status, got.body)
	}
}

// TestRightsAreSeparate: what a client may do beyond its own is each right by itself.
func TestRightsAreSeparate(t *testing.T) {
	d := newDesk(t, setting{})
	for _, right := range []string{"", api.MayIntrospect, api.MayRevoke, api.MayFollow, "Introspect", "*", "everything"} {
		d.clients["one"] = withSecret(api.Client{Client: token.Client{ID: "one"}, May: []string{right}}, "one"+secretOf)
		text := d.token("reports")
		if got := d.introspect("one", text); (got.body != inactive) != (right == api.MayIntrospect) {
			t.Errorf("introspection with the right %q = %d %s", right, got.status, got.body)
		}
		if got := d.revoke("one", text); (got.status == 200) != (right == api.MayRevoke) || d.counts(text) == (right == api.MayRevoke) {
			t.Errorf("revocation with the right %q = %d %s", right, got.status, got.body)
		}
		r := d.request("HEAD", "/oauth/revocations", "Authorization", basic("one"))
		if got := d.send(r); (got.status == 200) != (right == api.MayFollow) || got.status != 200 && got.status != 403 {
			t.Errorf("HEAD /oauth/revocations with the right %q = %d %s", right, got.status, got.body)
		}
	}
}
