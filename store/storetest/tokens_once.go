package storetest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// oneUse: of many who present a token for one use, one is let through; of a token for three, three.
func (s *tokenSuite) oneUse() {
	stores, purpose, c := s.stores(), token.ResetPassword(), &clock{now: s.now}
	purpose.MaxUses = 3
	purpose.Audience = []string{testAudience}
	minter, err := token.NewMinter(token.MinterConfig{Issuer: testIssuer, Purpose: purpose, Store: s.Store, Revocations: revoke.None, Now: c.Now})
	s.ok("NewMinter", err)
	verifiers := make([]*token.Verifier, len(stores))
	for i := range verifiers {
		verifiers[i], err = token.NewVerifier(token.VerifierConfig{Issuer: testIssuer, Purpose: purpose, Store: stores[i], Revocations: revoke.None, Now: c.Now})
		s.ok("NewVerifier", err)
	}
	for range s.rounds(rounds / 10) {
		made, err := minter.Mint(s.Context(), token.Claims{Subject: "anna"}, token.Uses(1))
		s.ok("Mint", err)
		errs := together(crowd, verifiers, func(v *token.Verifier, _ int) error {
			_, err := v.Verify(s.Context(), made.Text.Reveal())
			return err
		})
		s.winner("Verify of a token for one use", errs, gatehouse.ErrCredential)
	}
	s.threeUses(minter, verifiers)
}

func (s *tokenSuite) threeUses(minter *token.Minter, verifiers []*token.Verifier) {
	made, err := minter.Mint(s.Context(), token.Claims{Subject: "anna"}, token.Uses(3))
	s.ok("Mint", err)
	errs := together(10, verifiers, func(v *token.Verifier, _ int) error {
		_, err := v.Verify(s.Context(), made.Text.Reveal())
		return err
	})
	n := 0
	for _, err := range errs {
		if err == nil {
			n++
		} else if !errors.Is(err, gatehouse.ErrCredential) {
			s.Errorf("Verify = %v, want nil or an error that wraps %q", err, gatehouse.ErrCredential)
		}
	}
	if n != 3 {
		s.Errorf("%d of %d were let through with a token for 3 uses", n, len(errs))
	}
}

// assertionOnce: what a client signs to prove who it is counts once, whichever process it is shown to.
func (s *tokenSuite) assertionOnce() {
	key, err := keyring.Generate(keyring.EdDSA)
	s.ok("Generate", err)
	client := func(_ context.Context, id string) (token.Client, error) {
		return token.Client{ID: id, Keys: []*keyring.Key{key.Public()}}, nil
	}
	stores := s.stores()
	assertions := make([]*token.Assertions, len(stores))
	for i := range assertions {
		assertions[i], err = token.NewAssertions(token.AssertionsConfig{Audience: []string{testIssuer}, Client: client, Store: stores[i]})
		s.ok("NewAssertions", err)
	}
	for round := range s.rounds(rounds / 20) {
		for _, id := range []string{"batch", "batch2"} { // the same jti of another client is another one
			text := s.assertion(key, id, fmt.Sprint("number ", round))
			errs := together(crowd, assertions, func(a *token.Assertions, _ int) error {
				_, err := a.Verify(s.Context(), text)
				return err
			})
			s.winner("Verify of one assertion in parallel", errs, gatehouse.ErrCredential)
		}
	}
}

// assertion returns what a client has signed.
func (s *tokenSuite) assertion(key *keyring.Key, client, jti string) string {
	s.Helper()
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	text := part(fmt.Sprintf(`{"alg":"EdDSA","kid":%q}`, key.ID())) + "." +
		part(fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"jti":%q,"exp":%d}`, client, client, testIssuer, jti, time.Now().Add(time.Minute).Unix()))
	signature, err := key.Sign(nil, []byte(text))
	s.ok("Sign", err)
	return text + "." + part(string(signature))
}
