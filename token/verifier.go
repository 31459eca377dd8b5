package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// DefaultLeeway is how far the clock of who made a token may be from ours.
const DefaultLeeway = 30 * time.Second

// MaxLeeway is the longest leeway that there may be: lists of revocations forget what has expired some minutes after that, and a verifier that took tokens for longer would accept again
// what was revoked.
const MaxLeeway = 2 * time.Minute

var errLeeway = fmt.Errorf("the leeway is more than %v: what was revoked could count again", MaxLeeway)

// A VerifierConfig is what a [Verifier] is made of.
type VerifierConfig struct {
	// Issuer is who must have made the tokens. Required.
	Issuer string
	// Purpose is what the tokens must be good for: one, and no other. Required.
	Purpose Purpose
	// Ring has the keys, for tokens of the form JWT.
	Ring *keyring.Ring
	// Store keeps tokens of the form Opaque.
	Store Store
	// Revocations says what was revoked; [revoke.None] if nothing can be. Required.
	Revocations revoke.Checker
	// Leeway is how far the clocks may be apart. Zero means 30 s; negative, nothing; at most [MaxLeeway].
	Leeway time.Duration
	// Identify says whom a token stands for. Nil: its subject. Claims are verified when it is called, and must not be changed. An error that wraps
	// gatehouse.ErrCredential refuses the token, and so does an identity without a value; any other error means that it could not be found out. What it returns
	// is remembered with the token, so that it is asked once for each, as long as the cache has it.
	Identify func(ctx context.Context, c Claims) (gatehouse.Identity, error)
	// Cache is how many verified tokens are remembered, so that their signatures are checked once: 64 at least. Zero means [DefaultCache]; negative, none.
	Cache int
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A Verifier verifies tokens of one purpose. It is safe for concurrent use. Make it with [NewVerifier] or [NewForeign].
type Verifier struct {
	c       VerifierConfig
	keys    keySource
	foreign *foreign // nil: the tokens are our own
	cache   *cache
	// anywhere: whoever they are for, and whenever they begin; for who revokes them.
	anywhere bool
}

// A keySource finds the keys that may have signed a token with this header: as a rule one.
type keySource interface {
	find(ctx context.Context, h header) ([]*keyring.Key, error)
	// live reports whether key is still the one that its name stands for. The error means that it could not be found out.
	live(ctx context.Context, key *keyring.Key) (bool, error)
}

// NewVerifier returns a verifier of our own tokens. The error says what is wrong with c: nothing that is not set counts as "any".
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	var err error
	if c.Purpose, err = c.Purpose.complete(); err != nil {
		return nil, err
	}
	switch {
	case c.Issuer == "":
		err = errors.New("there is no issuer: anybody's tokens would count")
	case c.Revocations == nil:
		err = errors.New("there is no list of revocations: use revoke.None if nothing can be revoked")
	case c.Leeway > MaxLeeway:
		err = errLeeway
	case c.Purpose.Form == JWT && c.Ring == nil:
		err = errors.New("there is no key ring to verify with")
	case c.Purpose.Form == Opaque && c.Store == nil:
		err = errors.New("there is no store to find tokens in")
	}
	if err != nil {
		return nil, fmt.Errorf("token: the purpose %q: %w", c.Purpose.Name, err)
	}
	return newVerifier(c, ringKeys{c.Ring}), nil
}

func newVerifier(c VerifierConfig, keys keySource) *Verifier {
	if c.Leeway == 0 {
		c.Leeway = DefaultLeeway
	}
	c.Leeway = max(c.Leeway, 0)
	if c.Now == nil {
		c.Now = time.Now
	}
	v := &Verifier{c: c, keys: keys}
	if c.Purpose.Form == JWT {
		v.cache = newCache(c.Cache)
	}
	return v
}

// ringKeys are the keys of a ring, by the kid that each of our own tokens has.
type ringKeys struct{ ring *keyring.Ring }

func (r ringKeys) find(ctx context.Context, h header) ([]*keyring.Key, error) {
	if h.Key == "" {
		return nil, errForm("the header names no key")
	}
	key, err := r.ring.Find(ctx, h.Key)
	if errors.Is(err, keyring.ErrUnknownKey) {
		return nil, errUnknownKey
	}
	if err != nil {
		return nil, err
	}
	return []*keyring.Key{key}, nil
}

func (r ringKeys) live(ctx context.Context, key *keyring.Key) (bool, error) {
	now, err := r.ring.Find(ctx, key.ID())
	if errors.Is(err, keyring.ErrUnknownKey) {
		return false, nil
	}
	return now == key, err
}

// Purpose returns what the verifier's tokens are good for.
func (v *Verifier) Purpose() Purpose { return v.c.Purpose }

// Verify returns what a token says, if it counts now. With a purpose whose tokens have their uses counted, this is one use; see [Verifier.Peek].
//
// The error wraps gatehouse.ErrCredential if the token does not count: [ErrExpired], [ErrNotYet], [ErrPurpose], [ErrIssuer], [ErrAudience] and others that wrap
// [ErrInvalid], or revoke.ErrRevoked. It is a *gatehouse.StaleError if the token would count, but may have been revoked; any other error means that it could not be checked. There
// are no claims with an error.
func (v *Verifier) Verify(ctx context.Context, text string) (Claims, error) {
	found, err := v.verified(ctx, text, true)
	if err != nil {
		return Claims{}, err
	}
	return found.claims, nil
}

// Peek is Verify without using the token.
func (v *Verifier) Peek(ctx context.Context, text string) (Claims, error) {
	found, err := v.verified(ctx, text, false)
	if err != nil {
		return Claims{}, err
	}
	return found.claims, nil
}

// Identity returns whom a token stands for: it is a carrier.Lookup. Errors are those of [Verifier.Verify]; a *gatehouse.StaleError has the identity inside.
func (v *Verifier) Identity(ctx context.Context, text string) (gatehouse.Identity, error) {
	found, err := v.verified(ctx, text, true)
	if err == nil {
		return found.identity, nil
	}
	if stale, ok := errors.AsType[*gatehouse.StaleError](err); ok && found != nil {
		return gatehouse.Identity{}, &gatehouse.StaleError{Age: stale.Age, Identity: found.identity}
	}
	return gatehouse.Identity{}, err
}

// verified returns a token that counts. With a *gatehouse.StaleError it returns one that would; with any other error, none.
func (v *Verifier) verified(ctx context.Context, text string, use bool) (*cached, error) {
	if len(text) > MaxSize {
		return nil, errForm("longer than 8 KiB")
	}
	if v.c.Purpose.Form == Opaque {
		return v.opaque(ctx, text, use)
	}
	key := keyOf(text)
	found := v.cache.get(key)
	if found == nil {
		return v.fresh(ctx, text, key)
	}
	live, err := v.keys.live(ctx, found.key)
	switch {
	case err != nil:
		return nil, err
	case !live: // its key is gone, or was read anew
		v.cache.drop(key)
		return v.fresh(ctx, text, key)
	}
	return v.recheck(key, found)
}

// recheck asks what can have changed about a token that was verified before, apart from its key. Its results are those of verified.
func (v *Verifier) recheck(key Key, found *cached) (*cached, error) {
	err := v.checkTime(&found.claims)
	if err == nil {
		err = v.checkRevoked(&found.claims)
	}
	if err == nil {
		return found, nil
	}
	if _, stale := errors.AsType[*gatehouse.StaleError](err); stale {
		return found, err
	}
	v.cache.drop(key)
	return nil, err
}

// fresh verifies a token that is not remembered.
func (v *Verifier) fresh(ctx context.Context, text string, key Key) (*cached, error) {
	t, err := parse(text)
	if err != nil {
		return nil, err
	}
	signer, err := v.signer(ctx, &t)
	if err != nil {
		return nil, err
	}
	c, err := parseClaims(t.payload)
	if err != nil {
		return nil, err
	}
	c.Key, c.Purpose = signer.ID(), v.c.Purpose.Name
	if err := v.check(&c); err != nil {
		return nil, err
	}
	return v.remember(ctx, key, &cached{claims: c, key: signer})
}

// signedBy returns the key that has signed text, if it is of the verifier's purpose, and says nothing of what stands in it.
func (v *Verifier) signedBy(ctx context.Context, text string) (*keyring.Key, error) {
	t, err := parse(text)
	if err != nil {
		return nil, err
	}
	return v.signer(ctx, &t)
}

// signer returns the key that has signed t.
func (v *Verifier) signer(ctx context.Context, t *jws) (*keyring.Key, error) {
	if v.foreign != nil {
		if err := v.foreign.concerns(t); err != nil {
			return nil, err
		}
	} else if t.Type != v.c.Purpose.Type {
		return nil, ErrPurpose
	} else if t.Brings {
		return nil, errBrings
	}
	keys, err := v.keys.find(ctx, t.header)
	if err != nil {
		return nil, err
	}
	err = errUnknownKey
	for _, key := range keys {
		if err = t.verify(key); err == nil {
			return key, nil
		}
	}
	return nil, err
}

// errUnknownKey: there is no key that the token could have been signed with.
var errUnknownKey = fmt.Errorf("%w: %w", ErrInvalid, keyring.ErrUnknownKey)

// check checks what c says. The signature has been verified.
func (v *Verifier) check(c *Claims) error {
	if v.foreign != nil {
		if err := v.foreign.check(c); err != nil {
			return err
		}
	} else if err := v.checkOwn(c); err != nil {
		return err
	}
	if err := lacks(v.c.Purpose.Required, c); err != nil {
		return err
	}
	return v.checkTime(c)
}

// checkOwn checks what all of our own tokens must say.
func (v *Verifier) checkOwn(c *Claims) error {
	if c.Issuer != v.c.Issuer {
		return ErrIssuer
	}
	if !v.anywhere && !intersect(c.Audience, v.c.Purpose.Audience) {
		return ErrAudience
	}
	if c.Subject == "" || c.ID == "" || c.Session == "" || c.IssuedAt.IsZero() || c.ExpiresAt.IsZero() {
		return errForm("it lacks a claim that each of ours has")
	}
	return nil
}

// lacks refuses claims among which a required one is missing.
func lacks(required []string, c *Claims) error {
	if name := missing(required, c); name != "" {
		return fmt.Errorf("%w: it has no claim %q", ErrInvalid, name)
	}
	return nil
}

// intersect reports whether one of is is among may, to the letter.
func intersect(is, may []string) bool {
	return slices.ContainsFunc(is, func(one string) bool { return one != "" && slices.Contains(may, one) })
}

// checkTime checks exp, nbf and iat. A token that was issued in the future is one whose time has not come, unless any that is made now would say so, because its subject was revoked a moment ago.
func (v *Verifier) checkTime(c *Claims) error {
	now, leeway := v.c.Now(), v.c.Leeway
	early := leeway
	if v.c.Purpose.Delay > 0 {
		early = 0 // the delay is meant: it would be over before it began
	}
	switch {
	case !now.Before(c.ExpiresAt.Add(leeway)):
		return ErrExpired
	case v.anywhere: // whenever it begins
	case now.Add(early).Before(c.NotBefore):
		return ErrNotYet
	case now.Add(leeway).Before(c.IssuedAt) && c.IssuedAt.After(v.c.Revocations.IssuedAt(c.Subject, now)):
		return ErrNotYet
	}
	return nil
}

func (v *Verifier) checkRevoked(c *Claims) error {
	return v.c.Revocations.Check(revoke.Claim{Token: c.ID, Session: c.Session, Subject: c.Subject, Key: c.Key, Issued: c.IssuedAt})
}

// remember finds out whom a verified token stands for, and keeps it, unless it was revoked.
func (v *Verifier) remember(ctx context.Context, key Key, found *cached) (*cached, error) {
	revoked := v.checkRevoked(&found.claims)
	_, stale := errors.AsType[*gatehouse.StaleError](revoked)
	if revoked != nil && !stale {
		return nil, revoked
	}
	var err error
	if found.identity, err = v.identify(ctx, found.claims); err != nil {
		return nil, err
	}
	if v.cache != nil && found.key != nil {
		v.cache.put(key, found)
	}
	return found, revoked
}

// identify asks Config.Identify. What it forgets to say about the token is filled in, so that the token can be logged, expire, and be revoked.
func (v *Verifier) identify(ctx context.Context, c Claims) (id gatehouse.Identity, err error) {
	id = c.identity()
	if v.c.Identify != nil {
		defer func() {
			if value := recover(); value != nil {
				id, err = gatehouse.Identity{}, fmt.Errorf("token: Identify panicked (%T)", value)
			}
		}()
		if id, err = v.c.Identify(ctx, c); err != nil {
			return gatehouse.Identity{}, err
		}
	}
	if id.Value == "" {
		return gatehouse.Identity{}, fmt.Errorf("%w: it stands for nobody", ErrInvalid)
	}
	id.TokenID, id.Session, id.Purpose = c.ID, c.Session, c.Purpose
	id.IssuedAt, id.ExpiresAt = c.IssuedAt, c.ExpiresAt.Add(v.c.Leeway)
	return id, nil
}
