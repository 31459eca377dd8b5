package token_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// TestErrorsTell: which errors wrap which, also through another wrapping, and which do not: what has expired is not invalid, and what could not be checked is nobody's fault.
func TestErrorsTell(t *testing.T) {
	all := map[string]error{"ErrCredential": gatehouse.ErrCredential, "gatehouse.ErrExpired": gatehouse.ErrExpired, "ErrMalformed": gatehouse.ErrMalformed, "ErrUnavailable": gatehouse.ErrUnavailable, "ErrInvalid": token.ErrInvalid,
		"ErrExpired": token.ErrExpired, "ErrNotYet": token.ErrNotYet, "ErrPurpose": token.ErrPurpose, "ErrIssuer": token.ErrIssuer, "ErrAudience": token.ErrAudience, "ErrReused": token.ErrReused, "ErrClient": token.ErrClient, "ErrRevoked": revoke.ErrRevoked}
	for name, wraps := range map[string][]string{
		"ErrInvalid": {"ErrCredential"}, "ErrExpired": {"ErrCredential", "gatehouse.ErrExpired"}, "ErrNotYet": {"ErrCredential", "ErrInvalid"}, "ErrPurpose": {"ErrCredential", "ErrInvalid"}, "ErrIssuer": {"ErrCredential", "ErrInvalid"},
		"ErrAudience": {"ErrCredential", "ErrInvalid"}, "ErrReused": {"ErrCredential", "ErrInvalid"}, "ErrClient": {"ErrCredential"}, "ErrRevoked": {"ErrCredential"},
	} {
		err := fmt.Errorf("in a handler: %w", fmt.Errorf("in a carrier: %w", all[name]))
		for other, target := range all {
			want := other == name
			for _, one := range wraps {
				want = want || other == one
			}
			if errors.Is(err, target) != want {
				t.Errorf("errors.Is(%s, %s) = %v, want %v", name, other, !want, want)
			}
		}
	}
	for _, err := range []error{token.ErrTTL, token.ErrNotFound, token.ErrSpent, token.ErrExists} {
		if errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("%v wraps ErrCredential: it is not the token's fault", err)
		}
	}
}

// TestErrorsOfVerify: each thing that can be wrong has its error, there are no claims beside any, and the worst comes first: a token that is expired and revoked, or badly signed as well, is not
// merely expired.
func TestErrorsOfVerify(t *testing.T) {
	s := newSmith(t, keyring.HS256)
	list := listOf(t, s.clock)
	if err := list.RevokeToken(t.Context(), "gone", s.Add(1e12)); err != nil {
		t.Fatal(err)
	}
	v := verifierOf(t, token.VerifierConfig{Purpose: access(), Ring: s.ring, Now: s.now, Revocations: list})
	other := must(keyring.Generate(keyring.HS256)).WithID(s.key.ID())
	for what, tt := range map[string]struct {
		text string
		want error
		not  error
	}{
		"bad signature and expired":      {forge(t, other, s.head(), s.payload("exp", "1")), token.ErrInvalid, token.ErrExpired},
		"bad signature and revoked":      {forge(t, other, s.head(), s.payload("jti", `"gone"`)), keyring.ErrSignature, revoke.ErrRevoked},
		"another issuer's and expired":   {forge(t, s.key, s.head(), s.payload("exp", "1", "iss", `"evil"`)), token.ErrIssuer, token.ErrExpired},
		"another audience's and expired": {forge(t, s.key, s.head(), s.payload("exp", "1", "aud", `"evil"`)), token.ErrAudience, token.ErrExpired},
		"no subject and expired":         {forge(t, s.key, s.head(), s.payload("exp", "1", "sub", "")), token.ErrInvalid, token.ErrExpired},
		"expired":                        {forge(t, s.key, s.head(), s.payload("exp", "1")), token.ErrExpired, token.ErrInvalid},
		"revoked":                        {forge(t, s.key, s.head(), s.payload("jti", `"gone"`)), revoke.ErrRevoked, token.ErrInvalid},
	} {
		c, err := v.Verify(t.Context(), tt.text)
		refused(t, what, c, err, tt.want)
		if errors.Is(err, tt.not) {
			t.Errorf("%s: %v wraps %q, want that it does not", what, err, tt.not)
		}
		c, err = v.Peek(t.Context(), tt.text)
		refused(t, what+", looked at", c, err, tt.want)
		if id, err := v.Identity(t.Context(), tt.text); id.Value != "" || !errors.Is(err, tt.want) {
			t.Errorf("%s: Identity = %+v, %v, want nobody and the same error", what, id, err)
		}
	}
}
