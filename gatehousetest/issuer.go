package gatehousetest

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/token"
)

// Revocations is a list of revocations in memory that is always fresh, whatever the clock says, until it is told to get lost. It is what session.Config, token.MinterConfig and
// token.VerifierConfig take, and is safe for concurrent use. Make it with [NewRevocations].
type Revocations struct {
	list  *revoke.List
	store *RevocationStore
	lost  atomic.Bool
}

// NewRevocations returns an empty list. now is the clock; nil means time.Now.
func NewRevocations(now func() time.Time) *Revocations {
	store := NewRevocationStore(memory.Revocations())
	r := &Revocations{list: revoke.New(store, revoke.Config{Now: now}), store: store}
	r.fresh()
	return r
}

// Lose cuts the list off, or back on: while it is lost, it grows older as the clock goes on, and past the bound of 5 s it knows of nothing for sure that it was not revoked. What is
// revoked then still counts: a program that revokes finds out by the error of another list.
func (r *Revocations) Lose(lost bool) {
	r.lost.Store(lost)
	if lost {
		r.store.Fail(ErrDown, CallSince)
	} else {
		r.store.Fail(nil)
	}
}

func (r *Revocations) fresh() {
	if !r.lost.Load() {
		_ = r.list.Load(context.Background()) // of a store in memory, which fails only when it was just told to
	}
}

// Check implements [revoke.Checker].
func (r *Revocations) Check(c revoke.Claim) error {
	r.fresh()
	return r.list.Check(c)
}

// IssuedAt implements [revoke.Checker].
func (r *Revocations) IssuedAt(subject string, now time.Time) time.Time {
	return r.list.IssuedAt(subject, now)
}

// SessionRevoked lets package session ask, see revoke.List.
func (r *Revocations) SessionRevoked(sid, subject string, began time.Time) error {
	r.fresh()
	return r.list.SessionRevoked(sid, subject, began)
}

// RevokeSessions revokes what belongs to the sessions, see revoke.List.
func (r *Revocations) RevokeSessions(ctx context.Context, expires time.Time, sids ...string) error {
	return r.list.RevokeSessions(ctx, expires, sids...)
}

// RevokeSession revokes what belongs to one session, see revoke.List.
func (r *Revocations) RevokeSession(ctx context.Context, sid string, expires time.Time) error {
	return r.list.RevokeSession(ctx, sid, expires)
}

// RevokeSubject revokes what was issued to subject until now, see revoke.List.
func (r *Revocations) RevokeSubject(ctx context.Context, subject string) error {
	return r.list.RevokeSubject(ctx, subject)
}

// RevokeToken revokes one token, see revoke.List.
func (r *Revocations) RevokeToken(ctx context.Context, jti string, expires time.Time) error {
	return r.list.RevokeToken(ctx, jti, expires)
}

// RevokeKey revokes what was signed with the key called kid, see revoke.List.
func (r *Revocations) RevokeKey(ctx context.Context, kid string) error {
	return r.list.RevokeKey(ctx, kid)
}

// testIssuer is who has made the tokens of an [Issuer], testAudience who they are for.
const (
	testIssuer   = "https://issuer.test"
	testAudience = "test"
)

// An Issuer makes tokens of any purpose for tests, with keys of its own that nobody keeps. It is safe for concurrent use. Make it with [NewIssuer].
type Issuer struct {
	// Revocations is what its tokens are revoked in.
	Revocations *Revocations

	minters map[string]*token.Minter
	set     *token.Set
}

// NewIssuer returns an issuer of access tokens, and of tokens of the other purposes. now is the clock; nil means time.Now. What a purpose leaves out, its audience and how long
// its tokens live, is filled in.
func NewIssuer(t T, now func() time.Time, others ...token.Purpose) *Issuer {
	t.Helper()
	i := &Issuer{Revocations: NewRevocations(now), minters: map[string]*token.Minter{}}
	var verifiers []token.Identifier
	for _, p := range append([]token.Purpose{token.Access()}, others...) {
		v, err := i.add(p, now)
		if err != nil {
			t.Fatalf("gatehousetest: the purpose %q: %v", p.Name, err)
		}
		verifiers = append(verifiers, v)
	}
	set, err := token.NewSet(verifiers...)
	if err != nil {
		t.Fatalf("gatehousetest: %v", err)
	}
	i.set = set
	return i
}

func (i *Issuer) add(p token.Purpose, now func() time.Time) (*token.Verifier, error) {
	if len(p.Audience) == 0 {
		p.Audience = []string{testAudience}
	}
	if p.TTL == 0 {
		p.TTL = time.Hour
	}
	key, err := keyring.Generate(keyring.ES256)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Static(p.Name, key)
	if err != nil {
		return nil, err
	}
	store := memory.Tokens()
	minter, err := token.NewMinter(token.MinterConfig{Issuer: testIssuer, Purpose: p, Ring: ring, Store: store, Revocations: i.Revocations, Now: now})
	if err != nil {
		return nil, err
	}
	i.minters[p.Name] = minter
	return token.NewVerifier(token.VerifierConfig{Issuer: testIssuer, Purpose: p, Ring: ring, Store: store, Revocations: i.Revocations, Now: now})
}

// Identity says whom a token of this issuer stands for, so that an Issuer is what carrier.Bearer takes.
func (i *Issuer) Identity(ctx context.Context, text string) (gatehouse.Identity, error) {
	return i.set.Identity(ctx, text)
}

// Token returns a new token that says what c says. It is an access token if c has no Purpose. The test ends if there is no such token, or no such purpose.
func (i *Issuer) Token(t T, c token.Claims, options ...token.MintOption) string {
	t.Helper()
	name := c.Purpose
	if name == "" {
		name = token.PurposeAccess
	}
	minter := i.minters[name]
	if minter == nil {
		t.Fatalf("gatehousetest: there is no purpose %q: give it to NewIssuer", name)
	}
	made, err := minter.Mint(context.Background(), c, options...)
	if err != nil {
		t.Fatalf("gatehousetest: %v", err)
	}
	return made.Text.Reveal()
}
