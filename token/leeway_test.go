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
