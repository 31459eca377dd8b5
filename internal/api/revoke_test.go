package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// revoke revokes a token.
func (d *desk) revoke(client, text string, more ...string) answer {
	d.Helper()
	return d.post("/oauth/revoke", basic(client), append(form{"token", text}, more...))
}

// durable reports whether a node that starts now refuses what the claims are of.
func (d *desk) durable(c token.Claims) bool {
	d.Helper()
	l := revoke.New(d.store.feed, revoke.Config{Now: d.Now})
	d.load(l.Load(d.Context()))
	return l.Check(revoke.Claim{Token: c.ID, Session: c.Session, Subject: c.Subject, Issued: c.IssuedAt}) != nil
}

// TestRevokingAnAccessToken ends that token, durably, and nothing else of the log-in.
func TestRevokingAnAccessToken(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		pair := d.start("reports")
		text, claims := pair.Access.Text.Reveal(), pair.Access.Claims
		for range 2 {
			got := d.revoke("reports", text)
			if got.status != 200 || got.body != "" || d.counts(text) || !d.durable(claims) {
				t.Errorf("revoking an access token = %d %s, want 200 and its end", got.status, got.body)
			}
			if d.log.line("level=INFO", "a token was revoked", "client=reports", "purpose=access", "principal=jack", "token_id="+claims.ID, "request_id="+got.header.Get("X-Request-Id")) == "" {
				t.Errorf("the log does not say that a token was revoked:\n%s", d.log)
			}
		}
		if got := d.get("/ping", "Authorization", "Bearer "+text); got.status != 401 {
			t.Errorf("GET /ping with it = %d, want 401", got.status)
		}
		if got := d.renew(pair.Refresh.Text.Reveal(), basic("reports")); got.status != 200 || !d.counts(got.member("access_token")) {
			t.Errorf("renewing the log-in then = %d %s, want 200: it has not ended", got.status, got.body)
		}
	})
}

// TestRevokingARefreshToken ends its log-in, with every access token that came of it, and no other of the same person.
func TestRevokingARefreshToken(t *testing.T) {
	for name, spend := range map[string]bool{"new": false, "used": true} {
		both(t, func(t *testing.T, s setting) {
			d := newDesk(t, s)
			first, bystander := d.start("reports"), d.start("reports")
			access := []string{first.Access.Text.Reveal()}
			last := first.Refresh.Text.Reveal()
			if spend {
				d.later(time.Second)
				got := d.renew(last, basic("reports"))
				access, last = append(access, got.member("access_token")), got.member("refresh_token")
			}
			got := d.revoke("reports", first.Refresh.Text.Reveal())
			if got.status != 200 || got.body != "" || !d.durable(first.Access.Claims) {
				t.Errorf("revoking a %s refresh token = %d %s, want 200", name, got.status, got.body)
			}
			for _, text := range access {
				if d.counts(text) {
					t.Errorf("after a %s refresh token was revoked, an access token of its log-in counts", name)
				}
			}
			if got := d.renew(last, basic("reports")); !got.is(400, "invalid_grant") {
				t.Errorf("renewing a log-in of which a %s token was revoked = %d %s, want 400 invalid_grant", name, got.status, got.body)
			}
			if d.log.line("a token was revoked", "client=reports", "purpose=refresh", "session="+first.Access.Claims.Session) == "" {
				t.Errorf("the log does not say which log-in has ended:\n%s", d.log)
			}
			for range 2 {
				if got := d.revoke("reports", first.Refresh.Text.Reveal()); got.status != 200 {
					t.Errorf("revoking it again = %d %s, want 200", got.status, got.body)
				}
			}
			if !d.counts(bystander.Access.Text.Reveal()) || d.renew(bystander.Refresh.Text.Reveal(), basic("reports")).status != 200 {
				t.Error("another log-in of the same person and client has ended as well")
			}
		})
	}
}

// TestRevokingAnExpiredRefreshToken ends what is left of its log-in: an access token may live on.
func TestRevokingAnExpiredRefreshToken(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		change := s.families
		s.families = func(c *token.FamiliesConfig) {
			if change != nil {
				change(c)
			}
			c.Idle = time.Minute
		}
		d := newDesk(t, s)
		pair := d.start("reports")
		d.later(5 * time.Minute)
		if !d.counts(pair.Access.Text.Reveal()) {
			t.Fatal("the access token has expired already")
		}
		if got := d.revoke("reports", pair.Refresh.Text.Reveal()); got.status != 200 || d.counts(pair.Access.Text.Reveal()) {
			t.Errorf("revoking an expired refresh token = %d %s, want 200 and the end of its access token", got.status, got.body)
		}
	})
}

// TestRevokingOpaqueTokens: tokens of every purpose can be revoked, without using them up.
func TestRevokingOpaqueTokens(t *testing.T) {
	d := newDesk(t, setting{})
	made := must[token.Token](t)(d.ticket.Mint(t.Context(), token.Claims{Subject: "jack", Client: "reports"}))
	if got := d.revoke("reports", made.Text.Reveal()); got.status != 200 || !d.durable(made.Claims) {
		t.Errorf("revoking an opaque token = %d %s, want 200", got.status, got.body)
	}
	if got := d.introspect("reports", made.Text.Reveal()); got.body != inactive {
		t.Errorf("introspection after that = %s, want %s", got.body, inactive)
	}
}

// TestRevokingNothing: what is no token, or is none any more, is 200, and nothing happens.
func TestRevokingNothing(t *testing.T) {
	d := newDesk(t, setting{})
	old := d.token("reports")
	d.later(11 * time.Minute)
	good := d.token("reports")
	before := d.list.Len()
	for name, text := range map[string]string{
		"garbage": "garbage", "an expired token": old, "a cut one": good[:len(good)-1], "an assertion": d.signed(d.assertion(), d.worker), "bytes": "\x00\xff", "very long garbage": strings.Repeat("x", 60_000),
		"a refresh token that there is not": "gh_refresh." + strings.Repeat("A", 48), "a secret": "reports" + secretOf,
	} {
		if got := d.revoke("reports", text); got.status != 200 || got.body != "" {
			t.Errorf("revoking %s = %d %s, want 200", name, got.status, got.body)
		}
	}
	if d.list.Len() != before || !d.counts(good) {
		t.Error("revoking nothing has revoked something")
	}
}

// TestRevokingWhatIsAnothers is refused, and has no effect.
func TestRevokingWhatIsAnothers(t *testing.T) {
	d := newDesk(t, setting{})
	pair, nobodys, own := d.start("reports"), d.start(""), d.token("reports")
	spent := d.start("reports")
	successor := d.renew(spent.Refresh.Text.Reveal(), basic("reports")).member("refresh_token")
	for name, text := range map[string]string{
		"a client's own token": own, "a log-in's access token": pair.Access.Text.Reveal(), "a refresh token": pair.Refresh.Text.Reveal(), "a used refresh token": spent.Refresh.Text.Reveal(),
		"a token that was given to no client": nobodys.Access.Text.Reveal(), "a refresh token that was given to no client": nobodys.Refresh.Text.Reveal(),
	} {
		for _, client := range []string{"other", "resource", "watcher"} {
			if got := d.revoke(client, text); !got.is(400, "unauthorized_client") || strings.Contains(got.body, "jack") {
				t.Errorf("revoking %s as %s = %d %s, want 400 unauthorized_client", name, client, got.status, got.body)
			}
		}
	}
	if !d.counts(own) || !d.counts(pair.Access.Text.Reveal()) || !d.counts(nobodys.Access.Text.Reveal()) || d.list.Len() > 0 {
		t.Error("another client has ended an access token")
	}
	for _, text := range []string{pair.Refresh.Text.Reveal(), successor} {
		if got := d.renew(text, basic("reports")); got.status != 200 {
			t.Errorf("renewing what another client tried to end = %d %s, want 200", got.status, got.body)
		}
	}
	if d.log.line("a client was refused", "client=other", "unauthorized_client", "token_id="+pair.Access.Claims.ID) == "" {
		t.Errorf("the log does not say that another client's token was to be revoked:\n%s", d.log)
	}
}

// TestRevokingWithTheRight: a client that may revoke ends everybody's tokens.
func TestRevokingWithTheRight(t *testing.T) {
	d := newDesk(t, setting{})
	own, nobodys := d.token("reports"), d.start("")
	if got := d.revoke("janitor", own); got.status != 200 || d.counts(own) {
		t.Errorf("revoking a client's token = %d %s, want 200 and its end", got.status, got.body)
	}
	if got := d.revoke("janitor", nobodys.Refresh.Text.Reveal()); got.status != 200 || d.counts(nobodys.Access.Text.Reveal()) {
		t.Errorf("revoking a log-in = %d %s, want 200 and its end", got.status, got.body)
	}
}

// TestRevocationsThatAreNotCertain: 200 is said only when nobody will accept the token any more, however often it was tried before.
func TestRevocationsThatAreNotCertain(t *testing.T) {
	for _, call := range []string{"Add", "Delete", "Get", "all"} {
		both(t, func(t *testing.T, s setting) {
			d := newDesk(t, s)
			pair := d.start("reports")
			access, refresh := pair.Access, pair.Refresh
			for _, tt := range []token.Token{access, refresh} {
				name := tt.Claims.Purpose + " token"
				if tt.Claims.Purpose == "access" && (call == "Delete" || call == "Get") {
					continue // it is in no store
				}
				d.store.lose(call)
				for range 3 {
					got := d.revoke("reports", tt.Text.Reveal())
					if !got.is(503, "temporarily_unavailable") || got.header.Get("Retry-After") == "" {
						t.Errorf("revoking %s without %s = %d %s, want 503", name, call, got.status, got.body)
					}
				}
				d.store.lose()
				if got := d.revoke("reports", tt.Text.Reveal()); got.status != 200 || !d.durable(tt.Claims) {
					t.Errorf("revoking %s when %s is back = %d %s, durable %v, want 200 and durable", name, call, got.status, got.body, d.durable(tt.Claims))
				}
			}
			if got := d.renew(refresh.Text.Reveal(), basic("reports")); !got.is(400, "invalid_grant") || d.counts(access.Text.Reveal()) {
				t.Errorf("the log-in in the end = %d %s, want 400 invalid_grant", got.status, got.body)
			}
		})
	}
}

// TestRevokingWhileRevocationsAreUnknown: who does not know what was revoked can still revoke, as long as the store takes it.
func TestRevokingWhileRevocationsAreUnknown(t *testing.T) {
	d := newDesk(t, setting{})
	pair := d.start("reports")
	d.store.lose("Since")
	d.Advance(time.Minute)
	for _, tt := range []token.Token{pair.Access, pair.Refresh} {
		if got := d.revoke("reports", tt.Text.Reveal()); got.status != 200 || !d.durable(tt.Claims) {
			t.Errorf("revoking %s = %d %s, want 200", tt.Claims.Purpose, got.status, got.body)
		}
	}
}

// TestRevokedForOthersToo: another process that shares the store refuses what was revoked here, at its next look.
func TestRevokedForOthersToo(t *testing.T) {
	d := newDesk(t, setting{})
	other := revoke.New(d.store.feed, revoke.Config{Now: d.Now})
	d.load(other.Load(t.Context()))
	verifier := must[*token.Verifier](t)(token.NewVerifier(token.VerifierConfig{Issuer: issuer, Purpose: d.verifier.Purpose(), Ring: d.ring, Revocations: other, Store: memory.Tokens(), Now: d.Now}))
	text := d.token("reports")
	if _, err := verifier.Verify(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if got := d.revoke("reports", text); got.status != 200 {
		t.Fatalf("revoking = %d %s", got.status, got.body)
	}
	d.load(other.Load(t.Context()))
	if _, err := verifier.Verify(t.Context(), text); err == nil {
		t.Error("another process accepts what was revoked here")
	}
}

// TestRevokingWhatAnotherNodeHasEnded: once this node has said that a token is of no use, what came of it is of no use here either, although another node has ended it and this one had not heard.
func TestRevokingWhatAnotherNodeHasEnded(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		var c token.FamiliesConfig
		change := s.families
		s.families = func(made *token.FamiliesConfig) {
			if change != nil {
				change(made)
			}
			c = *made
		}
		d := newDesk(t, s)
		other := revoke.New(feed{d.store}, revoke.Config{Now: d.Now})
		d.load(other.Load(t.Context()))
		c.Revocations = other
		node := must[*token.Families](t)(token.NewFamilies(c))
		pair := d.start("reports")
		d.load(node.End(t.Context(), pair.Access.Claims.Session))
		if !d.counts(pair.Access.Text.Reveal()) {
			t.Fatal("this node has heard by itself")
		}
		d.store.lose("Since")
		if got := d.revoke("reports", pair.Refresh.Text.Reveal()); !got.is(503, "temporarily_unavailable") {
			t.Errorf("revoking while this node cannot hear = %d %s, want 503", got.status, got.body)
		}
		d.store.lose()
		if got := d.revoke("reports", pair.Refresh.Text.Reveal()); got.status != 200 || d.counts(pair.Access.Text.Reveal()) {
			t.Errorf("revoking = %d %s, want 200 and the end of the access token here as well", got.status, got.body)
		}
	})
}
