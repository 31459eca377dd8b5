package token_test

import (
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestTheLeewayIsBounded: lists forget a revocation some minutes after the token expired, so that no verifier may take it for longer.
func TestTheLeewayIsBounded(t *testing.T) {
	key, err := keyring.Generate(keyring.ES256)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Static("access", key)
	if err != nil {
		t.Fatal(err)
	}
	purpose := token.Access()
	purpose.Audience = []string{"https://app.example.org"}
	for leeway, want := range map[time.Duration]bool{
		-1: true, 0: true, time.Minute: true, token.MaxLeeway: true, token.MaxLeeway + 1: false, time.Hour: false,
	} {
		_, err := token.NewVerifier(token.VerifierConfig{Issuer: "https://app.example.org", Purpose: purpose, Ring: ring, Revocations: revoke.None, Leeway: leeway})
		if (err == nil) != want {
			t.Errorf("NewVerifier with a leeway of %v = %v, want it taken: %v", leeway, err, want)
		}
		_, err = token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.ES256}, Keys: ring, Revocations: revoke.None, Leeway: leeway})
		if (err == nil) != want {
			t.Errorf("NewForeign with a leeway of %v = %v, want it taken: %v", leeway, err, want)
		}
	}
}

// TestSigningInAfterASubjectWasRevoked counts at once, although what is made then says the next second, also where no leeway is given; what says a later time than that does not.
func TestSigningInAfterASubjectWasRevoked(t *testing.T) {
	c, ring := noon(), ringOf(t, "access", keyring.ES256)
	c.pass(300 * time.Millisecond)
	list := listOf(t, c)
	m := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring, Revocations: list, Now: c.now})
	v := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: ring, Revocations: list, Now: c.now, Leeway: -1})
	before, _ := mint(t, m)
	if err := list.RevokeSubject(t.Context(), "jack"); err != nil {
		t.Fatal(err)
	}
	again, said := mint(t, m)
	for range 2 { // cold and remembered
		if _, err := v.Verify(t.Context(), again); err != nil || !said.IssuedAt.After(c.now()) {
			t.Errorf("what was issued at %v for %v: %v, want nil", c.now(), said.IssuedAt, err)
		}
	}
	got, err := v.Verify(t.Context(), before)
	refused(t, "what was issued before", got, err, revoke.ErrRevoked)
	ahead := minterOf(t, token.MinterConfig{Purpose: access(), Ring: ring, Revocations: list, Now: func() time.Time { return c.now().Add(3 * time.Second) }})
	later, _ := mint(t, ahead)
	got, err = v.Verify(t.Context(), later)
	refused(t, "what says a time that nobody would give now", got, err, token.ErrNotYet)
}
