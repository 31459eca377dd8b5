package guard_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/carrier"
	"github.com/gatehouse-auth/gatehouse/gatehousetest"
	"github.com/gatehouse-auth/gatehouse/guard"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/policy"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A mint makes access and refresh tokens, and a handler that takes both where its rules say so.
type mint struct {
	clock       *gatehousetest.Clock
	revocations *gatehousetest.Revocations
	families    *token.Families
	guard       *guard.Guard
}

func newMint(t *testing.T, form token.Form) *mint {
	t.Helper()
	m := &mint{clock: gatehousetest.NewClock(time.Time{})}
	m.revocations = gatehousetest.NewRevocations(m.clock.Now)
	ring := func(name string) *keyring.Ring {
		key, err := keyring.Generate(keyring.ES256)
		if err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.Static(name, key)
		if err != nil {
			t.Fatal(err)
		}
		return ring
	}
	access, refresh, keys := token.Access(), token.Refresh(), ring("access")
	access.Audience, refresh.Audience, refresh.Form = []string{"films"}, []string{"films"}, form
	minter, err := token.NewMinter(token.MinterConfig{Issuer: "gate", Purpose: access, Ring: keys, Revocations: m.revocations, Now: m.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{Issuer: "gate", Purpose: access, Ring: keys, Revocations: m.revocations, Now: m.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	c := token.FamiliesConfig{Issuer: "gate", Purpose: refresh, Store: memory.Tokens(), Access: minter, Revocations: m.revocations, Now: m.clock.Now}
	if form == token.JWT {
		c.Ring = ring("refresh")
	}
	if m.families, err = token.NewFamilies(c); err != nil {
		t.Fatal(err)
	}
	set, err := token.NewSet(verifier, m.families)
	if err != nil {
		t.Fatal(err)
	}
	m.guard = makeGuard(t, guard.Config{Now: m.clock.Now, Carriers: []carrier.Carrier{carrier.Bearer(set)}, Rules: rules(t, policy.Config{Rules: []policy.Rule{
		{Path: "/films", Allow: policy.Authenticated()},
		{Path: "/renewal", Allow: policy.Authenticated(), Purpose: token.PurposeRefresh},
		{Path: "/renewal/open", Allow: policy.Anyone(), Purpose: token.PurposeRefresh},
		{Path: "/renewal/lenient", Allow: policy.Authenticated(), Purpose: token.PurposeRefresh, OnStoreLoss: time.Minute},
	}})})
	return m
}

func (m *mint) reply(path, text string) string {
	return reply(m.guard.Handler(who), path, "Bearer "+text)
}

// TestRuleOfRefreshTokensUsesNoneUp: a rule that asks for a refresh token looks at it as often as it likes. Only renewing uses it up, and then the rule takes the next one.
func TestRuleOfRefreshTokensUsesNoneUp(t *testing.T) {
	for _, form := range []token.Form{token.Opaque, token.JWT} {
		m := newMint(t, form)
		pair, err := m.families.Start(t.Context(), token.Claims{Subject: "jack"})
		if err != nil {
			t.Fatal(err)
		}
		first, access := pair.Refresh.Text.Reveal(), pair.Access.Text.Reveal()
		for range 3 {
			for path, want := range map[string]string{"/renewal": "200 jack", "/renewal/open": "200 jack", "/films": "401 unknown_token"} {
				if got := m.reply(path, first); got != want {
					t.Errorf("%s: a refresh token on %s = %s, want %s", form, path, got, want)
				}
			}
			m.guard.Judge(httptest.NewRequest("GET", "/renewal", nil))
		}
		m.clock.Advance(time.Hour)
		if got := m.reply("/renewal", first); got != "200 jack" {
			t.Errorf("%s: a refresh token whose access token has expired = %s", form, got)
		}
		if got := m.reply("/films", access); got != "401 expired_token" {
			t.Errorf("%s: the access token = %s", form, got)
		}
		next, err := m.families.Refresh(t.Context(), first)
		if err != nil {
			t.Fatalf("%s: renewing after it was looked at = %v", form, err)
		}
		if got := m.reply("/renewal", next.Refresh.Text.Reveal()); got != "200 jack" {
			t.Errorf("%s: the next refresh token = %s", form, got)
		}
		m.clock.Advance(time.Minute)
		if got := m.reply("/renewal", first); got != "401 unknown_token" {
			t.Errorf("%s: a refresh token that was used up = %s", form, got)
		}
		if again, err := m.families.Refresh(t.Context(), next.Refresh.Text.Reveal()); err != nil || m.reply("/films", again.Access.Text.Reveal()) != "200 jack" {
			t.Errorf("%s: that the used one was looked at has ended the log-in: %v", form, err)
		}
	}
}

// TestRuleOfRefreshTokensWhileRevocationsAreUnknown: they are refused like others, and even where the rule goes on for a while with access tokens.
func TestRuleOfRefreshTokensWhileRevocationsAreUnknown(t *testing.T) {
	for _, form := range []token.Form{token.Opaque, token.JWT} {
		m := newMint(t, form)
		pair, err := m.families.Start(t.Context(), token.Claims{Subject: "jack"})
		if err != nil {
			t.Fatal(err)
		}
		gone, err := m.families.Start(t.Context(), token.Claims{Subject: "amy"})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.revocations.RevokeSubject(t.Context(), "amy"); err != nil {
			t.Fatal(err)
		}
		m.revocations.Lose(true)
		m.clock.Advance(7 * time.Second)
		for _, tt := range []struct{ path, text, want string }{
			{"/films", pair.Access.Text.Reveal(), "503 unavailable"},
			{"/renewal", pair.Refresh.Text.Reveal(), "503 unavailable"},
			{"/renewal/lenient", pair.Refresh.Text.Reveal(), "503 unavailable"}, // whoever renews for ever must be known
			{"/renewal/open", pair.Refresh.Text.Reveal(), "200 -"},
			{"/renewal/lenient", pair.Access.Text.Reveal(), "401 unknown_token"},
			{"/films", gone.Access.Text.Reveal(), "401 unknown_token"},
			{"/renewal", gone.Refresh.Text.Reveal(), "401 unknown_token"},
			{"/renewal/lenient", gone.Refresh.Text.Reveal(), "401 unknown_token"},
		} {
			if got := m.reply(tt.path, tt.text); got != tt.want {
				t.Errorf("%s: %s = %s, want %s", form, tt.path, got, tt.want)
			}
		}
		if _, err := m.families.Refresh(t.Context(), pair.Refresh.Text.Reveal()); err == nil || errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("%s: renewing while revocations are unknown = %v, want that it cannot be checked", form, err)
		}
		m.revocations.Lose(false)
		if _, err := m.families.Refresh(t.Context(), pair.Refresh.Text.Reveal()); err != nil {
			t.Errorf("%s: renewing afterwards = %v: the refresh token was used up by what failed", form, err)
		}
	}
}
