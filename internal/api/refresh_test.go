package api_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/internal/api"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/token"
)

// renew sends a refresh token.
func (d *desk) renew(text, authorization string, more ...string) answer {
	d.Helper()
	return d.post("/oauth/token", authorization, append(form{"grant_type", "refresh_token", "refresh_token", text}, more...))
}

// both runs a test with refresh tokens of both forms.
func both(t *testing.T, test func(t *testing.T, s setting)) {
	t.Run("opaque", func(t *testing.T) { test(t, setting{}) })
	t.Run("jwt", func(t *testing.T) {
		key := must[*keyring.Key](t)(keyring.Generate(keyring.HS256))
		ring := must[*keyring.Ring](t)(keyring.Static("refresh", key))
		test(t, setting{families: func(c *token.FamiliesConfig) { c.Purpose.Form, c.Ring = token.JWT, ring }})
	})
}

// TestRenewal: a log-in goes on by its refresh token alone, each of which works once, also when its access token has expired.
func TestRenewal(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		first := d.start("", "films.read", "films.write")
		text := first.Refresh.Text.Reveal()
		for range 3 {
			d.later(time.Hour)
			got := d.renew(text, "")
			c, err := d.verifier.Verify(t.Context(), got.member("access_token"))
			if got.status != 200 || err != nil || c.Subject != "jack" || c.Session != first.Access.Claims.Session || c.Roles[0] != "basic" || got.member("scope") != "films.read films.write" {
				t.Fatalf("a renewal = %d %s: %+v, %v, want a new pair of the same log-in", got.status, got.body, c, err)
			}
			next := got.member("refresh_token")
			if next == "" || next == text || !strings.Contains(got.body, `"token_type":"Bearer"`) || !strings.Contains(got.body, `"expires_in":600`) {
				t.Errorf("a renewal = %s, want another refresh token and a Bearer", got.body)
			}
			if d.log.line("a log-in was renewed", "principal=jack", "session="+c.Session, "token_id="+c.ID, "request_id="+got.header.Get("X-Request-Id")) == "" {
				t.Errorf("the log does not say that a log-in was renewed:\n%s", d.log)
			}
			text = next
		}
	})
}

// TestNoRenewal: what is no refresh token, or is one no more, is invalid_grant, whatever it is.
func TestNoRenewal(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		pair := d.start("")
		text := pair.Refresh.Text.Reveal()
		ended := d.start("")
		if err := d.families.End(t.Context(), ended.Access.Claims.Session); err != nil {
			t.Fatal(err)
		}
		ticket, err := d.ticket.Mint(t.Context(), token.Claims{Subject: "jack"})
		if err != nil {
			t.Fatal(err)
		}
		for name, bad := range map[string]string{
			"garbage": "garbage", "its access token": pair.Access.Text.Reveal(), "cut by one": text[:len(text)-1], "longer by one": text + "A", "in another case": strings.ToUpper(text),
			"of a log-in that has ended": ended.Refresh.Text.Reveal(), "a token of another purpose": ticket.Text.Reveal(), "two of them": text + " " + text, "with a space": " " + text,
			"very long": strings.Repeat("x", 20_000), "bytes": "\x00\xff", "a wildcard": "*", "another of the form": "gh_refresh." + strings.Repeat("A", 48),
		} {
			if got := d.renew(bad, ""); !got.is(400, "invalid_grant") {
				t.Errorf("a refresh token that is %s = %d %s, want 400 invalid_grant", name, got.status, got.body)
			}
		}
		if got := d.renew("", ""); !got.is(400, "invalid_request") {
			t.Errorf("no refresh token = %d %s, want 400 invalid_request", got.status, got.body)
		}
		if got := d.renew(text, ""); got.status != 200 {
			t.Errorf("the right one after all these = %d %s, want 200", got.status, got.body)
		}
		d.later(31 * 24 * time.Hour)
		idle := d.start("")
		if got := d.renew(pair.Refresh.Text.Reveal(), ""); !got.is(400, "invalid_grant") {
			t.Errorf("a refresh token after a month = %d %s, want 400 invalid_grant", got.status, got.body)
		}
		d.later(30 * 24 * time.Hour)
		if got := d.renew(idle.Refresh.Text.Reveal(), ""); !got.is(400, "invalid_grant") {
			t.Errorf("a refresh token that was idle = %d %s, want 400 invalid_grant", got.status, got.body)
		}
	})
}

// TestReuseEndsTheLogIn: a used token that comes back after the grace ends the log-in, access token included, and is a warning in the log.
func TestReuseEndsTheLogIn(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		first, bystander := d.start(""), d.start("")
		next := d.renew(first.Refresh.Text.Reveal(), "")
		d.later(11 * time.Second)
		got := d.renew(first.Refresh.Text.Reveal(), "")
		if !got.is(400, "invalid_grant") || d.counts(first.Access.Text.Reveal()) || d.counts(next.member("access_token")) {
			t.Errorf("a used token = %d %s, want 400 invalid_grant and the end of its access tokens", got.status, got.body)
		}
		if again := d.renew(next.member("refresh_token"), ""); !again.is(400, "invalid_grant") {
			t.Errorf("its successor = %d %s, want 400 invalid_grant", again.status, again.body)
		}
		if d.log.line("level=WARN", "a client was refused", "used before", "principal=jack", "session="+first.Access.Claims.Session, "request_id="+got.header.Get("X-Request-Id")) == "" {
			t.Errorf("the log does not warn that a token came twice:\n%s", d.log)
		}
		if !d.counts(bystander.Access.Text.Reveal()) || d.renew(bystander.Refresh.Text.Reveal(), "").status != 200 {
			t.Error("another log-in of the same person has ended as well")
		}
	})
}

// TestGraceAnswersTheSame: a lost answer is given again, with the same refresh token, and both of the access tokens count.
func TestGraceAnswersTheSame(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		first := d.start("", "films.read", "films.write")
		once := d.renew(first.Refresh.Text.Reveal(), "")
		d.later(9 * time.Second)
		twice := d.renew(first.Refresh.Text.Reveal(), "", "scope", "films.read")
		if twice.status != 200 || twice.member("refresh_token") != once.member("refresh_token") || !d.counts(once.member("access_token")) || !d.counts(twice.member("access_token")) {
			t.Errorf("the same token within the grace = %d %s, want the same pair as %s", twice.status, twice.body, once.body)
		}
		if twice.member("scope") != "films.read" {
			t.Errorf("the same token within the grace, for less = %s, want less", twice.body)
		}
		if got := d.renew(once.member("refresh_token"), ""); got.status != 200 || got.member("scope") != "films.read films.write" {
			t.Errorf("the successor = %d %s, want a pair with everything", got.status, got.body)
		}
	})
}

// TestRenewedAtOnce: of many that bring the same token at once, all get the same successor, and one log-in goes on.
func TestRenewedAtOnce(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		first := d.start("")
		var mu sync.Mutex
		successors := map[string]int{}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				got := d.renew(first.Refresh.Text.Reveal(), "")
				if got.status != 200 {
					t.Errorf("one of many = %d %s, want 200", got.status, got.body)
				}
				mu.Lock()
				defer mu.Unlock()
				successors[got.member("refresh_token")]++
			})
		}
		all.Wait()
		if len(successors) != 1 {
			t.Errorf("50 at once got %d successors, want one", len(successors))
		}
		for text := range successors {
			if got := d.renew(text, ""); got.status != 200 {
				t.Errorf("the successor = %d %s, want 200", got.status, got.body)
			}
		}
	})
}

// TestALogInIsItsClients: a log-in that was given to a client is renewed for that client alone, whatever state its token is in, and nobody else can even end it.
func TestALogInIsItsClients(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		strangers := func(text, state string) {
			t.Helper()
			for name, tt := range map[string]struct {
				header string
				more   []string
				status int
				code   string
			}{
				"nobody":                     {"", nil, 401, "invalid_client"},
				"who names the client":       {"", []string{"client_id", "reports"}, 401, "invalid_client"},
				"a wrong secret":             {encoded("reports", "x"), nil, 401, "invalid_client"},
				"another client":             {basic("other"), nil, 400, "invalid_grant"},
				"another that names it":      {basic("other"), []string{"client_id", "reports"}, 401, "invalid_client"},
				"one that may revoke":        {basic("janitor"), nil, 400, "invalid_grant"},
				"the holder of its token":    {"Bearer " + d.token("reports"), nil, 401, "invalid_client"},
				"another's signed assertion": {"", []string{"client_assertion_type", byAssertion, "client_assertion", d.signed(d.assertion(), d.worker)}, 400, "invalid_grant"},
			} {
				if got := d.renew(text, tt.header, tt.more...); !got.is(tt.status, tt.code) {
					t.Errorf("a %s token by %s = %d %s, want %d %s", state, name, got.status, got.body, tt.status, tt.code)
				}
			}
		}
		first := d.start("reports", "films.read").Refresh.Text.Reveal()
		strangers(first, "new")
		got := d.renew(first, basic("reports"), "client_id", "reports")
		if c, err := d.verifier.Verify(t.Context(), got.member("access_token")); got.status != 200 || err != nil || c.Client != "reports" || c.Subject != "jack" {
			t.Fatalf("the client itself = %d %s: %+v, %v, want a pair of its own", got.status, got.body, c, err)
		}
		strangers(first, "used")
		if again := d.renew(first, "", "client_id", "reports", "client_secret", "reports"+secretOf); again.status != 200 || again.member("refresh_token") != got.member("refresh_token") {
			t.Errorf("the client itself within the grace = %d %s, want the same pair", again.status, again.body)
		}
		d.later(time.Hour)
		strangers(first, "long used")
		if got := d.renew(got.member("refresh_token"), basic("reports")); got.status != 200 {
			t.Errorf("the successor, after strangers brought the used token = %d %s, want 200", got.status, got.body)
		}
		if got := d.renew(first, basic("reports")); !got.is(400, "invalid_grant") {
			t.Errorf("the used token by the client itself = %d %s, want 400 invalid_grant", got.status, got.body)
		}
	})
}

// TestALogInOfNobody: who authenticates without need must be right all the same, and anything wrong leaves the token as it is.
func TestALogInOfNobody(t *testing.T) {
	d := newDesk(t, setting{})
	text := d.start("").Refresh.Text.Reveal()
	foreign := d.start("").Access.Text.Reveal()
	for name, header := range map[string]string{"a wrong secret": encoded("reports", "x"), "an unknown client": encoded("ghost", "x"), "somebody's access token": "Bearer " + foreign} {
		if got := d.renew(text, header); !got.is(401, "invalid_client") {
			t.Errorf("with %s = %d %s, want 401 invalid_client", name, got.status, got.body)
		}
	}
	if !d.counts(foreign) {
		t.Error("the access token that somebody sent along was revoked")
	}
	if got := d.renew(text, basic("reports"), "client_id", "reports"); got.status != 200 {
		t.Errorf("with a right secret = %d %s, want 200", got.status, got.body)
	}
}

// TestScopesOfARenewal: a narrower access token does not make the log-in narrower, and a wider one is never given.
func TestScopesOfARenewal(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		text := d.start("", "films.read", "films.write").Refresh.Text.Reveal()
		for _, asked := range []string{"films.delete", "films.read films.delete", "FILMS.READ", "films.*", "films.read\tfilms.write"} {
			if got := d.renew(text, "", "scope", asked); !got.is(400, "invalid_scope") {
				t.Errorf("scope %q = %d %s, want 400 invalid_scope", asked, got.status, got.body)
			}
		}
		for _, tt := range [][2]string{{"films.read", "films.read"}, {"films.write films.read", "films.write films.read"}, {"films.write films.write", "films.write"}, {"", "films.read films.write"}} {
			got := d.renew(text, "", "scope", tt[0])
			c, err := d.verifier.Verify(t.Context(), got.member("access_token"))
			if got.status != 200 || err != nil || strings.Join(c.Scopes, " ") != tt[1] || got.member("scope") != tt[1] || c.Custom["user"] != "jack" || c.Custom["own"] != true {
				t.Fatalf("scope %q = %d %s: %+v, %v, want %q", tt[0], got.status, got.body, c, err, tt[1])
			}
			text = got.member("refresh_token")
		}
	})
}

// TestScopesThatWereTakenAway: what the subject may no more is not given by asking for it.
func TestScopesThatWereTakenAway(t *testing.T) {
	d := newDesk(t, setting{})
	text := d.start("", "films.read", "films.write").Refresh.Text.Reveal()
	d.allow = func(_ context.Context, c token.Claims) (token.Claims, error) {
		c.Scopes, c.Roles = []string{"films.read"}, nil
		return c, nil
	}
	got := d.renew(text, "", "scope", "films.read films.write")
	c, err := d.verifier.Verify(t.Context(), got.member("access_token"))
	if got.status != 200 || err != nil || strings.Join(c.Scopes, " ") != "films.read" || len(c.Roles) > 0 {
		t.Errorf("a renewal for more than is left = %d %s: %+v, %v, want what is left", got.status, got.body, c, err)
	}
}

// TestRevokedWhileItIsNarrowed: what ends the log-in between two tokens of one renewal ends the renewal.
func TestRevokedWhileItIsNarrowed(t *testing.T) {
	minted := 0
	d := newDesk(t, setting{oauth: func(c *api.OAuthConfig) {
		c.Access = must[*token.Minter](t)(token.NewMinter(token.MinterConfig{Issuer: issuer, Purpose: c.Access.Purpose(), Ring: c.Rings[0], Revocations: c.Revocations, Now: func() time.Time {
			if minted++; minted == 1 { // the second token is about to be made
				if err := c.Revocations.RevokeSubject(t.Context(), "jack"); err != nil {
					t.Error(err)
				}
			}
			return c.Now()
		}}))
	}})
	got := d.renew(d.start("", "films.read", "films.write").Refresh.Text.Reveal(), "", "scope", "films.read")
	if !got.is(400, "invalid_grant") || minted == 0 {
		t.Errorf("a renewal that was overtaken = %d %s, want 400 invalid_grant", got.status, got.body)
	}
}

// TestWhoMayNotGoOn: a subject that is disabled gets nothing, one of whom that cannot be found out gets 503, and neither uses the token up.
func TestWhoMayNotGoOn(t *testing.T) {
	d := newDesk(t, setting{})
	text := d.start("").Refresh.Text.Reveal()
	for name, tt := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"disabled":         {fmt.Errorf("%w: disabled", gatehouse.ErrForbidden), 400, "invalid_grant"},
		"gone":             {gatehouse.ErrCredential, 400, "invalid_grant"},
		"expired":          {gatehouse.ErrExpired, 400, "invalid_grant"},
		"not known":        {errAway, 503, "temporarily_unavailable"},
		"not known either": {gatehouse.ErrUnavailable, 503, "temporarily_unavailable"},
		"a panic":          {nil, 503, "temporarily_unavailable"},
	} {
		d.allow = func(context.Context, token.Claims) (token.Claims, error) {
			if tt.err == nil {
				panic("a secret of the accounts")
			}
			return token.Claims{}, tt.err
		}
		if got := d.renew(text, ""); !got.is(tt.status, tt.code) {
			t.Errorf("a subject that is %s = %d %s, want %d %s", name, got.status, got.body, tt.status, tt.code)
		}
	}
	d.allow = nil
	if got := d.renew(text, ""); got.status != 200 {
		t.Errorf("the subject may again = %d %s, want 200", got.status, got.body)
	}
	if strings.Contains(d.log.String(), "a secret of the accounts") {
		t.Error("the log holds what the accounts panicked with")
	}
}

// TestRenewalsThatCannotBeMade: a store that fails, or revocations that are not known, is 503, and the token still works.
func TestRenewalsThatCannotBeMade(t *testing.T) {
	both(t, func(t *testing.T, s setting) {
		d := newDesk(t, s)
		text := d.start("", "films.read").Refresh.Text.Reveal()
		for _, call := range []string{"Get", "Rotate", "all"} {
			d.store.lose(call)
			if got := d.renew(text, ""); !got.is(503, "temporarily_unavailable") || strings.Contains(got.body, "store") {
				t.Errorf("a renewal without %s = %d %s, want 503", call, got.status, got.body)
			}
		}
		d.store.lose()
		d.Advance(6 * time.Second) // nobody has read the feed
		if got := d.renew(text, ""); !got.is(503, "temporarily_unavailable") {
			t.Errorf("a renewal while revocations are unknown = %d %s, want 503", got.status, got.body)
		}
		d.later(0)
		got := d.renew(text, "")
		if got.status != 200 {
			t.Fatalf("a renewal after all = %d %s, want 200", got.status, got.body)
		}
		d.later(11 * time.Second)
		d.store.lose("Add")
		if got := d.renew(text, ""); !got.is(503, "temporarily_unavailable") {
			t.Errorf("a reuse that cannot be made durable = %d %s, want 503", got.status, got.body)
		}
		d.store.lose()
		if got := d.renew(text, ""); !got.is(400, "invalid_grant") {
			t.Errorf("the same again = %d %s, want 400 invalid_grant", got.status, got.body)
		}
	})
}

// TestAfterTheEnd: once a log-in was ended, by whatever, its refresh token is of no use.
func TestAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(d *desk, p token.Pair) error{
		"its session": func(d *desk, p token.Pair) error {
			return d.list.RevokeSession(d.Context(), p.Access.Claims.Session, d.Now().Add(100*24*time.Hour))
		},
		"its subject":   func(d *desk, p token.Pair) error { return d.list.RevokeSubject(d.Context(), "jack") },
		"everybody":     func(d *desk, p token.Pair) error { return d.list.RevokeAll(d.Context()) },
		"the family":    func(d *desk, p token.Pair) error { return d.families.End(d.Context(), p.Access.Claims.Session) },
		"the subject's": func(d *desk, p token.Pair) error { return d.families.EndSubject(d.Context(), "jack") },
	} {
		both(t, func(t *testing.T, s setting) {
			d := newDesk(t, s)
			pair := d.start("")
			if err := end(d, pair); err != nil {
				t.Fatal(err)
			}
			if got := d.renew(pair.Refresh.Text.Reveal(), ""); !got.is(400, "invalid_grant") || d.counts(pair.Access.Text.Reveal()) {
				t.Errorf("after %s ended = %d %s, want 400 invalid_grant", name, got.status, got.body)
			}
			if got := d.get("/ping", "Authorization", "Bearer "+pair.Access.Text.Reveal()); got.status != 401 {
				t.Errorf("GET /ping after %s ended = %d, want 401", name, got.status)
			}
		})
	}
}

// TestNoRefreshGrant: where there are no families there is no such grant.
func TestNoRefreshGrant(t *testing.T) {
	d := newDesk(t, setting{oauth: func(c *api.OAuthConfig) { c.Refresh, c.Verifiers = nil, c.Verifiers[1:] }})
	if got := d.renew(d.start("").Refresh.Text.Reveal(), ""); !got.is(400, "unsupported_grant_type") {
		t.Errorf("a renewal = %d %s, want 400 unsupported_grant_type", got.status, got.body)
	}
}

// TestARefreshTokenOpensNothing: it is for the token endpoint, and is used up by nothing else.
func TestARefreshTokenOpensNothing(t *testing.T) {
	d := newDesk(t, setting{})
	text := d.start("").Refresh.Text.Reveal()
	for range 2 {
		for _, path := range []string{"/ping", "/oauth/revocations"} {
			if got := d.get(path, "Authorization", "Bearer "+text); got.status != 401 {
				t.Errorf("GET %s with a refresh token = %d %s, want 401", path, got.status, got.body)
			}
		}
		if got := d.post("/oauth/introspect", basic("resource"), form{"token", text}); got.status != 200 || !strings.Contains(got.body, `"active":true`) || !strings.Contains(got.body, `"purpose":"refresh"`) || strings.Contains(got.body, "token_type") {
			t.Errorf("introspection of a refresh token = %d %s, want an active one that is no Bearer", got.status, got.body)
		}
	}
	if got := d.renew(text, ""); got.status != 200 {
		t.Errorf("the refresh token after that = %d %s, want 200", got.status, got.body)
	}
}
