package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// tokens make and verify the tokens of all purposes. Each purpose has a secret of its own, and its tokens say what they are for (typ), so that none counts for another even if two
// had the same secret.
type tokens struct {
	revoked  *revoke.List
	rings    []*keyring.Ring
	families *token.Families          // access and refresh tokens: log-ins
	minters  map[string]*token.Minter // of the other purposes
	bearer   *token.Set               // what a request may carry; the rule says which purpose
}

// A smith makes tokens; it is what they have in common.
type smith struct {
	ctx    context.Context
	config config
	stores stores
	list   *revoke.List
	now    func() time.Time
}

// purpose returns p as the configuration has it, with the ring of its secret.
func (s *smith) purpose(p token.Purpose, hours int, secret string) (token.Purpose, *keyring.Ring, error) {
	p.Form, p.MaxUses = token.JWT, 0 // the secrets exist already; without them these purposes are opaque, and counted by the store
	p.TTL, p.MaxTTL = time.Duration(hours)*time.Hour, 0
	p.Audience = []string{s.config.Issuer}
	key, err := keyring.Secret(keyring.HS256, secret, false) // its UTF-8 bytes; one that is too short, or looks like a public key, is refused
	if err != nil {
		return p, nil, fmt.Errorf("the secret of %s tokens: %w", p.Name, err)
	}
	ring, err := keyring.New(s.stores.keys, keyring.Config{Name: p.Name, Algorithm: keyring.HS256, Import: []*keyring.Key{key}, Lifetime: p.TTL, Master: s.stores.master, Now: s.now})
	if err != nil {
		return p, nil, err
	}
	return p, ring, ring.Load(s.ctx)
}

// newTokens makes the tokens of c. users is asked at each renewal.
func newTokens(ctx context.Context, c config, kept stores, users *table, now func() time.Time) (*tokens, error) {
	list := revoke.New(kept.revocations, revoke.Config{Bells: kept.bells, Now: now})
	if err := list.Load(ctx); err != nil {
		return nil, err
	}
	s := &smith{ctx, c, kept, list, now}
	t := &tokens{revoked: list, minters: map[string]*token.Minter{}}
	access, err := s.logIns(t, users)
	if err != nil {
		return nil, err
	}
	verifiers := []token.Identifier{access, t.families}
	for _, one := range []struct {
		purpose token.Purpose
		hours   int
		secret  string
	}{
		{token.VerifyEmail(), c.Hours.VerifyEmail, c.Secrets.VerifyEmail},
		{token.ResetPassword(), c.Hours.ResetPassword, c.Secrets.ResetPassword},
	} {
		verifier, err := s.action(t, one.purpose, one.hours, one.secret)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, verifier)
	}
	if c.Legacy {
		old, err := s.legacy()
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, old)
	}
	t.bearer, err = token.NewSet(verifiers...)
	return t, err
}

// logIns makes what log-ins need, and returns the verifier of access tokens.
func (s *smith) logIns(t *tokens, users *table) (*token.Verifier, error) {
	access, ring, err1 := s.purpose(token.Access(), s.config.Hours.Access, s.config.Secrets.Access)
	refresh, refreshRing, err2 := s.purpose(token.Refresh(), s.config.Hours.Refresh, s.config.Secrets.Refresh)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	t.rings = append(t.rings, ring, refreshRing)
	minter, err := token.NewMinter(token.MinterConfig{Issuer: s.config.Issuer, Purpose: access, Ring: ring, Revocations: s.list, Now: s.now,
		Map: map[string]string{"user_id": "subject", "access_role": "role", "standard_claim": "true"}}) // for programs that look for these names
	if err != nil {
		return nil, err
	}
	life := time.Duration(s.config.Hours.Refresh) * time.Hour
	t.families, err = token.NewFamilies(token.FamiliesConfig{Issuer: s.config.Issuer, Purpose: refresh, Ring: refreshRing, Store: s.stores.tokens, Access: minter,
		Idle: life, Absolute: life, Revocations: s.list, Allow: users.renew, Now: s.now})
	if err != nil {
		return nil, err
	}
	return token.NewVerifier(token.VerifierConfig{Issuer: s.config.Issuer, Purpose: access, Ring: ring, Revocations: s.list, Now: s.now})
}

// action makes the minter and the verifier of tokens that are good for one action.
func (s *smith) action(t *tokens, purpose token.Purpose, hours int, secret string) (*token.Verifier, error) {
	purpose, ring, err := s.purpose(purpose, hours, secret)
	if err != nil {
		return nil, err
	}
	t.rings = append(t.rings, ring)
	minter, err := token.NewMinter(token.MinterConfig{Issuer: s.config.Issuer, Purpose: purpose, Ring: ring, Revocations: s.list, Now: s.now})
	if err != nil {
		return nil, err
	}
	t.minters[purpose.Name] = minter
	return token.NewVerifier(token.VerifierConfig{Issuer: s.config.Issuer, Purpose: purpose, Ring: ring, Revocations: s.list, Now: s.now,
		Identify: func(_ context.Context, c token.Claims) (gatehouse.Identity, error) {
			return gatehouse.WithValue(gatehouse.Identity{Value: c.Subject}, c), nil // so that the handler can revoke it once it has been used
		}})
}

// legacy takes the access tokens that the system before has made with the same secret: without kid and typ, the kind in a claim, the user in user_id. They never count for another purpose.
func (s *smith) legacy() (*token.Verifier, error) {
	key, err := keyring.Secret(keyring.HS256, s.config.Secrets.Access, false)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Static("legacy", key)
	if err != nil {
		return nil, err
	}
	return token.NewForeign(token.ForeignConfig{Algorithms: []keyring.Algorithm{keyring.HS256}, Keys: ring, Issuer: s.config.Issuer, SubjectClaim: "user_id", RoleClaim: "access_role",
		Required: map[string]any{"standard_claim": true}, Revocations: s.list, Now: s.now})
}
