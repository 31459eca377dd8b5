package token

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A MinterConfig is what a [Minter] is made of.
type MinterConfig struct {
	// Issuer is who makes the tokens: a URL, as a rule. Required.
	Issuer string
	// Purpose is what the tokens are good for. Required.
	Purpose Purpose
	// Ring signs, for tokens of the form JWT: a ring for this purpose alone. Its Config.Lifetime must be at least the purpose's MaxTTL: nothing would verify a token to its end otherwise.
	Ring *keyring.Ring
	// Store keeps tokens of the form Opaque.
	Store Store
	// Revocations tells since when a subject's tokens count; [revoke.None] if nothing can be revoked. Required.
	Revocations revoke.Checker
	// Map writes more claims into JWTs, for programs that look for names of their own: the name of the claim, and what it says: "subject", "role" (the first one),
	// "roles", "email", "true", or a text in quotation marks.
	Map map[string]string
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A Minter makes tokens of one purpose. It is safe for concurrent use. Make it with [NewMinter].
type Minter struct{ MinterConfig }

// A Token is a new token: its text, which is a secret, and what it says.
type Token struct {
	Text   gatehouse.Secret
	Claims Claims
}

// NewMinter returns a minter. The error says what is wrong with c.
func NewMinter(c MinterConfig) (*Minter, error) {
	var err error
	if c.Purpose, err = c.Purpose.complete(); err != nil {
		return nil, err
	}
	switch {
	case c.Issuer == "":
		err = errors.New("there is no issuer: a token must say who has made it")
	case c.Revocations == nil:
		err = errors.New("there is no list of revocations: use revoke.None if nothing can be revoked")
	case c.Purpose.Form == JWT && c.Ring == nil:
		err = errors.New("there is no key ring to sign with")
	case c.Purpose.Form == Opaque && c.Store == nil:
		err = errors.New("there is no store to keep tokens in")
	case c.Purpose.Form == JWT && c.Ring.Lifetime() < c.Purpose.MaxTTL:
		err = fmt.Errorf("tokens may live for %v, and the keys of the ring %q verify for %v only: raise its Lifetime", c.Purpose.MaxTTL, c.Ring.Name(), c.Ring.Lifetime())
	case c.Purpose.Form == JWT && c.Ring.Algorithm() == keyring.A256GCM:
		err = fmt.Errorf("the keys of the ring %q seal, and do not sign", c.Ring.Name())
	default:
		err = checkMap(c.Map)
	}
	if err != nil {
		return nil, fmt.Errorf("token: the purpose %q: %w", c.Purpose.Name, err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Map = maps.Clone(c.Map)
	return &Minter{c}, nil
}

func checkMap(names map[string]string) error {
	for name, what := range names {
		quoted := len(what) >= 2 && what[0] == '"' && what[len(what)-1] == '"'
		switch {
		case isReserved(name) || name == "":
			return fmt.Errorf("the claim %q has a meaning of its own and cannot be mapped", name)
		case !quoted && !slices.Contains([]string{"subject", "role", "roles", "email", "true"}, what):
			return fmt.Errorf("the claim %q can be subject, role, roles, email, true, or a text in quotation marks, and not %s", name, what)
		}
	}
	return nil
}

// Purpose returns what the minter's tokens are good for.
func (m *Minter) Purpose() Purpose { return m.MinterConfig.Purpose }

// mintOptions are what one token has of its own.
type mintOptions struct {
	ttl     time.Duration
	uses    int
	limited bool // uses was given
}

// A MintOption changes one token.
type MintOption func(*mintOptions)

// TTL makes a token that is valid for d instead of the purpose's TTL: at least a second, at most the purpose's MaxTTL.
func TTL(d time.Duration) MintOption { return func(o *mintOptions) { o.ttl = d } }

// Uses makes an opaque token that may be used n times: once at least, and at most as often as the purpose says.
func Uses(n int) MintOption { return func(o *mintOptions) { o.uses, o.limited = n, true } }

// ErrTTL: a token was to live longer than its purpose allows, or not at all.
var ErrTTL = errors.New("token: no such time to live")

// Mint makes a token that says what c says. The minter itself gives Purpose, ID, Key, Issuer, IssuedAt and ExpiresAt; Audience where it is empty; Session where it is; and
// NotBefore where the purpose has a delay. A token that is made in the second in which its subject was revoked, but after, says that it was issued in the next one.
//
// The error wraps [ErrTTL] if an option asks for a time that the purpose does not allow. It says what is wrong with c, or wraps why there is no key, or no store.
func (m *Minter) Mint(ctx context.Context, c Claims, options ...MintOption) (Token, error) {
	o := mintOptions{ttl: m.MinterConfig.Purpose.TTL}
	for _, option := range options {
		option(&o)
	}
	c, err := m.fill(c, o)
	if err != nil {
		return Token{}, err
	}
	if m.MinterConfig.Purpose.Form == Opaque {
		return mintOpaque(ctx, m, c, o)
	}
	if o.limited {
		return Token{}, errors.New("token: only opaque tokens have their uses counted")
	}
	return m.signed(ctx, c)
}

// fill gives c what the minter has to say.
func (m *Minter) fill(c Claims, o mintOptions) (Claims, error) {
	p := m.MinterConfig.Purpose
	switch {
	case o.ttl < time.Second || o.ttl > p.MaxTTL:
		return Claims{}, fmt.Errorf("%w: %v, where at most %v is allowed for the purpose %s", ErrTTL, o.ttl, p.MaxTTL, p.Name)
	case o.ttl <= p.Delay:
		return Claims{}, fmt.Errorf("%w: %v, where a token for the purpose %s is valid only after a delay of %v", ErrTTL, o.ttl, p.Name, p.Delay)
	}
	if c.Subject == "" || len(c.Subject) > 1024 {
		return Claims{}, errors.New("token: the subject is empty, or longer than 1024 bytes")
	}
	now := m.Now()
	c.Purpose, c.Issuer, c.ID = p.Name, m.Issuer, newID()
	c.IssuedAt = m.Revocations.IssuedAt(c.Subject, now)
	c.ExpiresAt = now.Add(o.ttl).Truncate(time.Second)
	if p.Delay > 0 {
		c.NotBefore = now.Add(p.Delay)
	}
	if !c.NotBefore.IsZero() {
		c.NotBefore = c.NotBefore.Add(time.Second - 1).Truncate(time.Second) // not a moment earlier
	}
	switch {
	case c.NotBefore.Before(c.ExpiresAt):
	case p.Delay > 0:
		return Claims{}, fmt.Errorf("%w: in %v it would expire before it is valid, since times are whole seconds and the purpose %s has a delay of %v", ErrTTL, o.ttl, p.Name, p.Delay)
	default:
		return Claims{}, fmt.Errorf("%w: it would expire before it is valid", ErrTTL)
	}
	if len(c.Audience) == 0 {
		c.Audience = p.Audience
	}
	if c.Session == "" {
		c.Session = c.ID
	}
	for name, what := range m.Map {
		if err := addMapped(&c, name, what); err != nil {
			return Claims{}, err
		}
	}
	if name := missing(p.Required, &c); name != "" {
		return Claims{}, fmt.Errorf("token: the purpose %s requires the claim %q", p.Name, name)
	}
	return c, c.checkTexts()
}

// newID returns an id of 128 random bits.
func newID() string { return strings.ToLower(rand.Text()) }

// addMapped adds one claim of Config.Map, which no custom claim may contradict, in any case.
func addMapped(c *Claims, name, what string) error {
	custom := make(map[string]any, len(c.Custom)+1)
	for k, v := range c.Custom {
		if strings.EqualFold(k, name) {
			return fmt.Errorf("token: the claim %q is given by the configuration and cannot be set", name)
		}
		custom[k] = v
	}
	switch {
	case what == "subject":
		custom[name] = c.Subject
	case what == "role" && len(c.Roles) > 0:
		custom[name] = c.Roles[0]
	case what == "roles" && len(c.Roles) > 0:
		custom[name] = c.Roles
	case what == "email" && c.Email != "":
		custom[name] = c.Email
	case what == "true":
		custom[name] = true
	case what[0] == '"':
		custom[name] = what[1 : len(what)-1]
	default:
		return nil // the caller has no role, or no address
	}
	c.Custom = custom
	return nil
}

// signer returns the key that signs. A key that was retired in an emergency is in the list of revocations at once, and the ring hears of it some seconds later: nobody would take what the
// old key signs meanwhile, so that the ring is read then.
func (m *Minter) signer(ctx context.Context, issued time.Time) (*keyring.Key, error) {
	for again := false; ; again = true {
		key, err := m.Ring.Signer()
		if err != nil || !errors.Is(m.Revocations.Check(revoke.Claim{Key: key.ID(), Issued: issued}), revoke.ErrRevoked) {
			return key, err
		}
		if again {
			return nil, fmt.Errorf("%w: the key %q of the ring %q was revoked and signs still: retire it", gatehouse.ErrUnavailable, key.ID(), m.Ring.Name())
		}
		if err := m.Ring.Load(ctx); err != nil {
			return nil, err
		}
	}
}

// signed returns c as a JWT.
func (m *Minter) signed(ctx context.Context, c Claims) (Token, error) {
	key, err := m.signer(ctx, c.IssuedAt)
	if err != nil {
		return Token{}, fmt.Errorf("token: %w", err)
	}
	c.Key = key.ID()
	payload, err := c.payload()
	if err != nil {
		return Token{}, err
	}
	text, err := sign(key, m.MinterConfig.Purpose.Type, payload)
	if err != nil {
		return Token{}, err
	}
	return Token{gatehouse.NewSecret(text), c}, nil
}
