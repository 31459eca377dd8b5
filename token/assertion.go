package token

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
)

// ErrClient wraps gatehouse.ErrCredential: there is no such client, or it has not proved that it is the one. Which of these it was is nobody's business.
var ErrClient = fmt.Errorf("%w: the client is not authenticated", gatehouse.ErrCredential)

// A Client is a program that proves who it is.
type Client struct {
	// ID is its name.
	ID string
	// Keys are its public keys, by which it signs assertions. None: it cannot.
	Keys []*keyring.Key
	// Secrets are the SHA-256 of its secrets, several while it changes from one to the next. None: it has no secret. A secret must be random, of 128 bits at least: the
	// hash is a fast one.
	Secrets [][sha256.Size]byte
	// Scopes are what its tokens may permit.
	Scopes []string
}

// CheckSecret returns nil if secret is one of the client's, and else an error that wraps [ErrClient].
func (c Client) CheckSecret(secret string) error {
	sum, found := sha256.Sum256([]byte(secret)), 0
	for _, one := range c.Secrets {
		found |= subtle.ConstantTimeCompare(sum[:], one[:])
	}
	if found != 1 || secret == "" {
		return ErrClient
	}
	return nil
}

// DefaultAssertionAge is how long the life of an assertion may be.
const DefaultAssertionAge = 5 * time.Minute

// An AssertionsConfig is what [Assertions] are made of.
type AssertionsConfig struct {
	// Audience are the names by which clients know this server: its issuer, the URL of its token endpoint. An assertion must be for one of them. Required.
	Audience []string
	// Client returns the client called id. The error wraps [ErrClient] if there is none; any other means that it could not be found out. Required.
	Client func(ctx context.Context, id string) (Client, error)
	// Store remembers the ids of assertions, so that none counts twice, for all processes that share it. Required.
	Store Store
	// MaxAge is how far in the future an assertion may expire. Zero means 5 minutes.
	MaxAge time.Duration
	// Leeway is how far the clocks may be apart. Zero means 30 s; negative, nothing.
	Leeway time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Assertions verify what clients sign with their private keys to prove who they are (RFC 7523). They are safe for concurrent use. Make them with [NewAssertions].
type Assertions struct{ c AssertionsConfig }

// NewAssertions returns the verifier of assertions. The error says what is wrong with c.
func NewAssertions(c AssertionsConfig) (*Assertions, error) {
	if len(c.Audience) == 0 || slices.Contains(c.Audience, "") || c.Client == nil || c.Store == nil || c.MaxAge < 0 {
		return nil, errors.New("token: assertions need an audience, clients, and a store, so that none counts twice")
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultAssertionAge
	}
	if c.Leeway == 0 {
		c.Leeway = DefaultLeeway
	}
	c.Leeway = max(c.Leeway, 0)
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Assertions{c}, nil
}

// Verify returns the client that has just signed assertion: a JWT whose iss and sub are the client's id, with our names and no others as aud, an exp that is not far, and a jti that has not
// come before. It is signed with one of the client's registered keys, which it names by kid unless there is one only; the algorithm is the key's. The assertion is used up then.
//
// The error wraps gatehouse.ErrMalformed if it is no JWT at all and [ErrClient] if it proves nothing; any other means that it could not be checked.
func (a *Assertions) Verify(ctx context.Context, assertion string) (Client, error) {
	t, err := parse(assertion)
	if errors.Is(err, errUnsigned) {
		return Client{}, ErrClient
	}
	if err != nil {
		return Client{}, fmt.Errorf("%w: %w", gatehouse.ErrMalformed, err)
	}
	unverified, err := parseClaims(t.payload)
	if err != nil {
		return Client{}, fmt.Errorf("%w: %w", gatehouse.ErrMalformed, err)
	}
	client, err := a.signer(ctx, &t, unverified)
	if err != nil {
		return Client{}, err
	}
	verified := unverified // from here on
	if err := a.check(verified); err != nil {
		return Client{}, fmt.Errorf("%w: %w", ErrClient, err)
	}
	if err := a.spend(ctx, client.ID, verified); err != nil {
		return Client{}, err
	}
	return client, nil
}

// signer returns the client that c claims to be, if it has signed t. Nothing of c is believed before but which keys are to be tried.
func (a *Assertions) signer(ctx context.Context, t *jws, c Claims) (Client, error) {
	if c.Issuer == "" || c.Issuer != c.Subject || len(c.Issuer) > 256 || t.Type == accessType {
		return Client{}, ErrClient
	}
	client, err := a.c.Client(ctx, c.Issuer)
	if err != nil {
		return Client{}, err
	}
	if client.ID != c.Issuer { // a look-up that does not tell cases apart
		return Client{}, ErrClient
	}
	for _, key := range client.Keys {
		named := t.Key == key.ID() || t.Key == "" && len(client.Keys) == 1
		if named && !t.Brings && !key.Algorithm().Symmetric() && t.verify(key) == nil {
			return client, nil
		}
	}
	return Client{}, ErrClient
}

// check checks what the client has said.
func (a *Assertions) check(c Claims) error {
	now, leeway := a.c.Now(), a.c.Leeway
	switch {
	case len(c.Audience) == 0 || slices.ContainsFunc(c.Audience, func(one string) bool { return !slices.Contains(a.c.Audience, one) }):
		return ErrAudience // for another server too, which could have sent it here
	case c.ID == "" || len(c.ID) > 256 || c.ExpiresAt.IsZero():
		return errForm("it has no jti or no exp")
	case !now.Before(c.ExpiresAt.Add(leeway)):
		return ErrExpired
	case c.ExpiresAt.After(now.Add(a.c.MaxAge + leeway)):
		return errForm("it expires too late")
	case now.Add(leeway).Before(c.NotBefore), now.Add(leeway).Before(c.IssuedAt):
		return ErrNotYet
	}
	return nil
}

// assertionPurpose is what the records of assertions are for: nothing verifies by it.
const assertionPurpose = "client-assertion"

// spend remembers that an assertion has come. Its key is made of both names with their lengths in front, so that no two pairs are one.
func (a *Assertions) spend(ctx context.Context, client string, c Claims) error {
	text := binary.BigEndian.AppendUint32([]byte("gatehouse assertion\x00"), uint32(len(client)))
	text = append(append(text, client...), c.ID...)
	// It has no subject: what is removed with everything of a client's would let its assertions count again.
	err := a.c.Store.Create(ctx, Record{Key: sha256.Sum256(text), ID: newID(), Purpose: assertionPurpose,
		Expires: c.ExpiresAt.Add(a.c.Leeway + recordMargin), Left: 0, Body: []byte("{}")})
	if errors.Is(err, ErrExists) {
		return fmt.Errorf("%w: the assertion has come before", ErrClient)
	}
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	return nil
}
