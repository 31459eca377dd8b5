package token_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestPeekRevokedTells: who revokes a token can read it although it was revoked; nobody else can, and nobody reads what is no token.
func TestPeekRevokedTells(t *testing.T) {
	c := noon()
	list, store, ring := listOf(t, c), memory.Tokens(), ringOf(t, "access", "ES256")
	ticket := token.Purpose{Name: "ticket", Form: token.Opaque, TTL: time.Hour, MaxUses: 2, Audience: audience}
	for name, purpose := range map[string]token.Purpose{"jwt": access(), "opaque": ticket} {
		m := minterOf(t, token.MinterConfig{Purpose: purpose, Ring: ring, Store: store, Revocations: list, Now: c.now})
		stands := error(nil)
		v := verifierOf(t, token.VerifierConfig{Purpose: purpose, Ring: ring, Store: store, Revocations: list, Now: c.now,
			Identify: func(_ context.Context, c token.Claims) (gatehouse.Identity, error) {
				return gatehouse.Identity{Value: c.Subject}, stands
			}})
		text, said := mint(t, m)
		if got, err := v.PeekRevoked(t.Context(), text); err != nil || got.ID != said.ID {
			t.Errorf("%s: PeekRevoked = %+v, %v, want what was minted", name, got, err)
		}
		if err := list.RevokeToken(t.Context(), said.ID, said.ExpiresAt); err != nil {
			t.Fatal(err)
		}
		stands = gatehouse.ErrCredential // for nobody: the account is gone, and the token can still be revoked
		if got, err := v.PeekRevoked(t.Context(), text); err != nil || got.ID != said.ID || got.Purpose != purpose.Name {
			t.Errorf("%s: PeekRevoked of a revoked token = %+v, %v, want what was minted", name, got, err)
		}
		got, err := v.Verify(t.Context(), text)
		refused(t, name+": Verify after PeekRevoked", got, err, revoke.ErrRevoked)
		got, err = v.PeekRevoked(t.Context(), text[:len(text)-1])
		refused(t, name+": a token cut by one character", got, err, token.ErrInvalid)
		got, err = v.PeekRevoked(t.Context(), "")
		refused(t, name+": nothing", got, err, token.ErrInvalid)
	}
}

// TestPeekRevokedOfWhatWillCount: a token that does not count here and now may count later, or for others: it must be possible to revoke it. One that is over, or somebody else's, is no token.
func TestPeekRevokedOfWhatWillCount(t *testing.T) {
	c := noon()
	list, store, ring := listOf(t, c), memory.Tokens(), ringOf(t, "access", "ES256")
	for _, form := range []token.Form{token.JWT, token.Opaque} {
		purpose := token.Purpose{Name: "window", Form: form, TTL: time.Minute, Delay: 20 * time.Second, Audience: audience}
		m := minterOf(t, token.MinterConfig{Purpose: purpose, Ring: ring, Store: store, Revocations: list, Now: c.now})
		asks := func(change func(*token.VerifierConfig)) *token.Verifier {
			vc := token.VerifierConfig{Purpose: purpose, Ring: ring, Store: store, Revocations: list, Now: c.now}
			change(&vc)
			return verifierOf(t, vc)
		}
		elsewhere := asks(func(c *token.VerifierConfig) { c.Purpose.Audience = []string{"elsewhere"} })
		stricter := asks(func(c *token.VerifierConfig) { c.Purpose.Required = []string{"films"} })
		other := asks(func(c *token.VerifierConfig) { c.Purpose.Name, c.Issuer = "other", "https://other.example" })
		text, said := mint(t, m)
		for name, v := range map[string]*token.Verifier{"not yet valid": asks(func(*token.VerifierConfig) {}), "for another audience": elsewhere, "without a claim that is required now": stricter} {
			if got, err := v.Peek(t.Context(), text); err == nil {
				t.Errorf("%s, %s: Peek = %+v, want an error", form, name, got)
			}
			if got, err := v.PeekRevoked(t.Context(), text); err != nil || got.ID != said.ID || got.Subject != said.Subject {
				t.Errorf("%s, %s: PeekRevoked = %+v, %v, want what was minted", form, name, got, err)
			}
		}
		got, err := other.PeekRevoked(t.Context(), text)
		refused(t, string(form)+", of another purpose: PeekRevoked", got, err, token.ErrInvalid)
		c.pass(3 * time.Minute)
		got, err = elsewhere.PeekRevoked(t.Context(), text)
		refused(t, string(form)+", over: PeekRevoked", got, err, token.ErrExpired)
	}
}

// TestPeekRevokedOfFamilies: a refresh token tells whose it is in every state, until its log-in is gone.
func TestPeekRevokedOfFamilies(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		first := d.start()
		next := d.refresh(first)
		sid := first.Access.Claims.Session
		tells := func(what string, p token.Pair) {
			t.Helper()
			if c, err := d.families.PeekRevoked(t.Context(), p.Refresh.Text.Reveal()); err != nil || c.Session != sid || c.Subject != "jack" {
				t.Errorf("%s: PeekRevoked = %+v, %v, want jack's of the session", what, c, err)
			}
		}
		tells("used", first)
		tells("good", next)
		if err := d.list.RevokeSession(t.Context(), sid, d.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		tells("revoked", next)
		d.later(31 * 24 * time.Hour)
		tells("expired", next)
		d.dead("after it was looked at", next)
		if err := d.families.End(t.Context(), sid); err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"ended": next.Refresh.Text.Reveal(), "access token": next.Access.Text.Reveal(), "nothing": ""} {
			c, err := d.families.PeekRevoked(t.Context(), text)
			refused(t, what, c, err, token.ErrInvalid)
		}
	})
}

// TestPeekRevokedCannotTell: a store that is away is no answer.
func TestPeekRevokedCannotTell(t *testing.T) {
	forms(t, func(t *testing.T, change func(*token.FamiliesConfig)) {
		d := newDesk(t, change)
		pair := d.start()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the store in memory looks at its context first
		if c, err := d.families.PeekRevoked(ctx, pair.Refresh.Text.Reveal()); err == nil || errors.Is(err, gatehouse.ErrCredential) || c.Subject != "" {
			t.Errorf("PeekRevoked with a store that is away = %+v, %v, want an error that is nobody's fault", c, err)
		}
	})
}
