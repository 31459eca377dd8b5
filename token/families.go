package token

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// The defaults of a [FamiliesConfig].
const (
	DefaultRefreshIdle     = 30 * 24 * time.Hour
	DefaultRefreshAbsolute = 90 * 24 * time.Hour
	DefaultGrace           = 10 * time.Second
)

var (
	// ErrReused wraps ErrInvalid: a refresh token came again that had been used. Either of those who have it is a thief, so that the log-in was ended.
	ErrReused = fmt.Errorf("%w: used before, so that the log-in was ended", ErrInvalid)
)

// A Revoker takes what is revoked: a *revoke.List.
type Revoker interface {
	revoke.Checker
	// RevokeSession revokes whatever belongs to the session called sid, none of which is valid after expires. It is durable when it returns nil.
	RevokeSession(ctx context.Context, sid string, expires time.Time) error
	// RevokeSubject revokes whatever was issued to subject until now.
	RevokeSubject(ctx context.Context, subject string) error
}

// A FamiliesConfig is what [Families] are made of.
type FamiliesConfig struct {
	// Issuer is who makes the tokens. Required.
	Issuer string
	// Purpose is that of the refresh tokens, as a rule [Refresh] with an Audience: opaque, or JWTs. Its TTL is not used. Required.
	Purpose Purpose
	// Ring has the keys of refresh tokens that are JWTs: a ring for them alone. Nil for opaque ones.
	Ring *keyring.Ring
	// Store keeps the refresh tokens, in either form. Required.
	Store Store
	// Access makes the access tokens. Required.
	Access *Minter
	// Idle ends a log-in that was not renewed for so long, Absolute one of this age. Zero means 30 and 90 days.
	Idle, Absolute time.Duration
	// Grace is how long a refresh token that was used is answered with the same successor again, as long as the successor was not used: the first answer may have been
	// lost, or a second tab may have asked at the same time. Zero means 10 s; negative, never.
	Grace time.Duration
	// TokenLife is how long a token of a log-in lives at most, of whatever purpose it is: the end of a log-in is remembered for so long at least. It need not be set where only Access
	// mints tokens with the session of a log-in, and none of that age.
	TokenLife time.Duration
	// Revocations says what was revoked, and takes the log-ins that end. Required.
	Revocations Revoker
	// Allow is asked at each renewal whether the subject may go on, and returns the claims of the new tokens: c, or with what has changed since. An error that
	// wraps gatehouse.ErrCredential or gatehouse.ErrForbidden refuses; any other means that it could not be found out. Either way the refresh token is not used up. Nil: everybody may.
	Allow func(ctx context.Context, c Claims) (Claims, error)
	// Leeway is how far the clocks of processes that share the store may be apart. Zero means 30 s; negative, nothing.
	Leeway time.Duration
	// Logger gets what did not change an answer. Nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Families are log-ins that live on by refresh tokens (RFC 9700, section 4.14). Each refresh token works once and is replaced by its successor; all that descend from one
// log-in are a family, whose id is the session (sid) of its access tokens. They are safe for concurrent use. Make them with [NewFamilies].
type Families struct {
	c        FamiliesConfig
	refresh  *Minter
	verifier *Verifier
}

// A Pair is what a log-in, and each renewal of it, gives.
type Pair struct{ Access, Refresh Token }

// NewFamilies returns the families of one store. The error says what is wrong with c.
func NewFamilies(c FamiliesConfig) (*Families, error) {
	c = c.defaults()
	if c.Store == nil || c.Access == nil || c.Revocations == nil {
		return nil, errors.New("token: families need a store, a minter of access tokens, and a list of revocations")
	}
	if c.Idle < time.Second || c.Absolute < c.Idle {
		return nil, fmt.Errorf("token: families: Idle is %v and Absolute %v: Idle must be a second at least, and Absolute no less than Idle", c.Idle, c.Absolute)
	}
	c.Purpose.TTL, c.Purpose.MaxTTL, c.Purpose.MaxUses, c.Purpose.Delay = c.Absolute, c.Absolute, 0, 0
	refresh, err := NewMinter(MinterConfig{Issuer: c.Issuer, Purpose: c.Purpose, Ring: c.Ring, Store: c.Store, Revocations: c.Revocations, Now: c.Now})
	if err != nil {
		return nil, err
	}
	v, err := NewVerifier(VerifierConfig{Issuer: c.Issuer, Purpose: c.Purpose, Ring: c.Ring, Store: c.Store, Revocations: c.Revocations, Leeway: c.Leeway, Now: c.Now, Cache: -1})
	if err != nil {
		return nil, err
	}
	return &Families{c, refresh, v}, nil
}

func (c FamiliesConfig) defaults() FamiliesConfig {
	if c.Idle == 0 {
		c.Idle = DefaultRefreshIdle
	}
	if c.Absolute == 0 {
		c.Absolute = max(DefaultRefreshAbsolute, c.Idle)
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Leeway == 0 {
		c.Leeway = DefaultLeeway
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Purpose returns what the refresh tokens are good for.
func (f *Families) Purpose() Purpose { return f.verifier.Purpose() }

// Start begins a log-in: it makes the first refresh token and an access token, both of a new session. Session, Audience and NotBefore of c are ignored.
func (f *Families) Start(ctx context.Context, c Claims) (Pair, error) {
	c.Session = newID()
	now := f.c.Now()
	start := f.c.Revocations.IssuedAt(c.Subject, now) // not before what was revoked a moment ago
	next, rec, err := f.next(ctx, c, start, now)
	if err != nil {
		return Pair{}, err
	}
	if err := f.c.Store.Create(ctx, rec); err != nil {
		return Pair{}, fmt.Errorf("token: %w", err)
	}
	return f.pair(ctx, c, next, start)
}

// next makes a refresh token of a log-in that began at start, and its record.
func (f *Families) next(ctx context.Context, c Claims, start, now time.Time) (Token, Record, error) {
	p := f.Purpose()
	end := start.Add(f.c.Absolute)
	if idle := now.Add(f.c.Idle); idle.Before(end) {
		end = idle
	}
	r, err := f.refresh.fill(Claims{Subject: c.Subject, Session: c.Session, Client: c.Client, Scopes: c.Scopes, Roles: c.Roles, AuthTime: c.AuthTime, Methods: c.Methods,
		Email: c.Email, Custom: c.Custom}, mintOptions{ttl: f.c.Absolute})
	if err != nil {
		return Token{}, Record{}, err
	}
	r.ExpiresAt = end.Truncate(time.Second)
	t := Token{gatehouse.NewSecret(newOpaque(p.Name)), r}
	if p.Form == JWT {
		bare := r
		bare.Custom, bare.Email = nil, "" // what is in the record need not travel
		if t, err = f.refresh.signed(ctx, bare); err != nil {
			return Token{}, Record{}, err
		}
	}
	rec, err := recordOf(t.Text.Reveal(), r, 0, start)
	if err != nil {
		return Token{}, Record{}, err
	}
	rec.Family = c.Session
	rec.Expires = start.Add(f.c.Absolute + recordMargin) // for as long as the family may live: its reuse is to be noticed
	return t, rec, nil
}

// pair mints the access token that belongs to a refresh token of a log-in that began at start, and makes sure that the log-in was not ended meanwhile: what was revoked since must not get a
// token that says that it was issued after. An access token never outlives the refresh token by more than its own time.
func (f *Families) pair(ctx context.Context, c Claims, refresh Token, start time.Time) (Pair, error) {
	c.Audience, c.NotBefore = nil, time.Time{} // which are those of the access token's own purpose
	access, err := f.c.Access.Mint(ctx, c)
	if err != nil {
		return Pair{}, err
	}
	if err := f.c.Revocations.Check(revoke.Claim{Session: c.Session, Subject: c.Subject, Issued: start}); err != nil {
		return Pair{}, err
	}
	return Pair{access, refresh}, nil
}

// A member is a refresh token as the store knows it.
type member struct {
	rec    Record
	claims Claims
	start  time.Time
	key    string // what has signed it, if it is a JWT
}

// find returns the record of a refresh token, which may have been used, or have expired.
func (f *Families) find(ctx context.Context, text string) (member, error) {
	p := f.Purpose()
	if len(text) > MaxSize {
		return member{}, errForm("longer than 8 KiB")
	}
	if p.Form == Opaque && !isOpaque(p.Name, text) {
		return member{}, errForm("not a refresh token")
	}
	key := ""
	if p.Form == JWT { // whether its time is over is judged by the record: a used one that comes back is noticed however late
		signer, err := f.verifier.signedBy(ctx, text)
		if err != nil {
			return member{}, err
		}
		key = signer.ID()
	}
	rec, err := f.c.Store.Get(ctx, keyOf(text))
	if err != nil {
		return member{}, storeError(err)
	}
	c, b, err := claimsOf(rec)
	if err != nil {
		return member{}, err
	}
	if rec.Purpose != p.Name || rec.Family == "" || rec.Family != c.Session {
		return member{}, ErrPurpose
	}
	return member{rec, c, time.UnixMilli(b.Start), key}, nil
}

// judge says whether a refresh token counts, apart from whether it was used.
func (f *Families) judge(m member) error {
	now := f.c.Now()
	if !now.Before(m.claims.ExpiresAt) || !now.Before(m.start.Add(f.c.Absolute)) {
		return ErrExpired
	}
	if err := f.verifier.checkOwn(&m.claims); err != nil {
		return err
	}
	if !isName(m.claims.Subject) {
		return errForm("its subject is no name") // none like it is minted any more
	}
	// A family lives as long as its first token would: it began then, whenever this token was made.
	return f.c.Revocations.Check(revoke.Claim{Token: m.claims.ID, Session: m.rec.Family, Subject: m.claims.Subject, Key: m.key, Issued: m.start})
}

// Verify returns what a refresh token says, if it would be renewed now. It does not use it. For errors see [Verifier.Verify].
func (f *Families) Verify(ctx context.Context, text string) (Claims, error) {
	m, err := f.find(ctx, text)
	if err == nil {
		err = f.judge(m)
	}
	if err == nil && !m.rec.Used.IsZero() {
		err = fmt.Errorf("%w: %w", ErrInvalid, ErrSpent)
	}
	if err != nil {
		return Claims{}, err
	}
	return m.claims, nil
}

// Peek is [Families.Verify].
func (f *Families) Peek(ctx context.Context, text string) (Claims, error) { return f.Verify(ctx, text) }

// Identity returns whom a refresh token stands for, without using it, for rules that name the purpose.
func (f *Families) Identity(ctx context.Context, text string) (gatehouse.Identity, error) {
	c, err := f.Verify(ctx, text)
	if err != nil {
		return gatehouse.Identity{}, err
	}
	id := c.identity()
	id.Purpose = c.Purpose
	return id, nil
}

// Refresh renews a log-in: it uses the refresh token and returns its successor with a new access token. No access token is needed.
//
// A token that was used within the grace, and whose successor was not, is answered with the same successor. Any other reuse ends the log-in: every access token of it is
// revoked, durably, before the error comes back, which wraps [ErrReused]. Other errors are those of [Verifier.Verify] and of Config.Allow.
func (f *Families) Refresh(ctx context.Context, text string) (Pair, error) {
	m, err := f.find(ctx, text)
	if err != nil {
		return Pair{}, err
	}
	if !m.rec.Used.IsZero() {
		return f.again(ctx, text, m)
	}
	if err := f.judge(m); err != nil {
		return Pair{}, err
	}
	c, err := f.allowed(ctx, m.claims)
	if err != nil {
		return Pair{}, err
	}
	now := f.c.Now()
	next, rec, err := f.next(ctx, c, m.start, now)
	if err != nil {
		return Pair{}, err
	}
	sealed, err := sealNext(text, next.Text.Reveal())
	if err != nil {
		return Pair{}, err
	}
	was, err := f.c.Store.Rotate(ctx, m.rec.Key, now, sealed, rec)
	switch {
	case errors.Is(err, ErrSpent): // somebody else was faster
		m.rec = was
		return f.again(ctx, text, m)
	case err != nil:
		return Pair{}, storeError(err)
	}
	return f.give(ctx, c, next, m.start)
}

// allowed asks Config.Allow. Whatever it returns, the log-in stays the same subject's, session and client.
func (f *Families) allowed(ctx context.Context, c Claims) (_ Claims, err error) {
	if f.c.Allow == nil {
		return c, nil
	}
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("token: Allow panicked (%T)", value)
		}
	}()
	now, err := f.c.Allow(ctx, c)
	if err != nil {
		return Claims{}, err
	}
	now.Subject, now.Session, now.Client = c.Subject, c.Session, c.Client
	return now, nil
}

// give answers a renewal, unless the log-in was ended while it was renewed.
func (f *Families) give(ctx context.Context, c Claims, next Token, start time.Time) (Pair, error) {
	pair, err := f.pair(ctx, c, next, start)
	if err != nil {
		return Pair{}, err
	}
	if _, err := f.c.Store.Get(ctx, keyOf(next.Text.Reveal())); err != nil {
		return Pair{}, storeError(err)
	}
	return pair, nil
}

// again answers a refresh token that was used.
func (f *Families) again(ctx context.Context, text string, m member) (Pair, error) {
	// Another process, whose clock is ahead, may have used it in the future.
	if age := f.c.Now().Sub(m.rec.Used); f.c.Grace > 0 && age <= f.c.Grace && age >= -max(f.c.Leeway, 0) {
		next, err := f.c.Store.Get(ctx, m.rec.Next)
		if err != nil {
			return Pair{}, storeError(err)
		}
		if next.Used.IsZero() {
			return f.repeat(ctx, text, m, next)
		}
	}
	if err := f.punish(ctx, m.rec.Family); err != nil {
		return Pair{}, err
	}
	f.c.Logger.LogAttrs(ctx, slog.LevelWarn, "a refresh token was used twice: the log-in was ended", slog.String("session", m.rec.Family), slog.String("token_id", m.rec.ID))
	return Pair{}, ErrReused
}

// punishTimeout is how long the end of a log-in may take whose token was stolen, if nobody waits for the answer any more.
const punishTimeout = 10 * time.Second

// punish ends a log-in one of whose tokens came twice, also if whoever has sent it is gone: a thief must not be able to prevent it, and the owner not by accident.
func (f *Families) punish(ctx context.Context, sid string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), punishTimeout)
	defer cancel()
	return f.End(ctx, sid)
}

// repeat gives the successor again, which only who has the used token can open.
func (f *Families) repeat(ctx context.Context, text string, m member, rec Record) (Pair, error) {
	successor, err := openNext(text, m.rec.Sealed)
	if err != nil || keyOf(successor) != rec.Key {
		return Pair{}, errors.New("token: the successor of a refresh token is damaged")
	}
	c, b, err := claimsOf(rec)
	if err != nil {
		return Pair{}, err
	}
	start := time.UnixMilli(b.Start)
	if err := f.judge(member{rec, c, start, m.key}); err != nil {
		return Pair{}, err
	}
	said := Token{gatehouse.NewSecret(successor), c}
	if c, err = f.allowed(ctx, c); err != nil {
		return Pair{}, err
	}
	return f.give(ctx, c, said, start)
}

// End ends the log-in of the session called sid: its access tokens are revoked first, then its refresh tokens are removed. It is no error if there is none. When it returns nil,
// nothing of the log-in works any more, what is minted at the same moment included.
func (f *Families) End(ctx context.Context, sid string) error {
	if sid == "" {
		return nil
	}
	if err := f.c.Revocations.RevokeSession(ctx, sid, f.over()); err != nil {
		return err
	}
	if err := f.c.Store.Delete(ctx, Key{}, sid); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	return nil
}

// over returns when nothing of a log-in that ends now can be valid any more.
func (f *Families) over() time.Time {
	return f.c.Now().Add(max(f.c.Absolute, f.c.Access.Purpose().MaxTTL, f.c.TokenLife) + recordMargin)
}

// EndSubject ends every log-in of subject, and revokes every token that was issued to it until now.
func (f *Families) EndSubject(ctx context.Context, subject string) error {
	if err := f.c.Revocations.RevokeSubject(ctx, subject); err != nil {
		return err
	}
	families, err := f.c.Store.DeleteSubject(ctx, subject, f.Purpose().Name)
	for _, sid := range families { // a token of one that was minted while this went on may say a later time
		err = errors.Join(err, f.c.Revocations.RevokeSession(ctx, sid, f.over()))
	}
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	return nil
}

// nextBox returns the box in which a token's successor is kept: its key is made from the token, of which the store has only the hash.
func nextBox(text string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(text), nil, "gatehouse refresh successor", 32)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func sealNext(text, successor string) ([]byte, error) {
	box, err := nextBox(text)
	if err != nil {
		return nil, err
	}
	return box.Seal(nil, nil, []byte(successor), nil), nil
}

func openNext(text string, sealed []byte) (string, error) {
	box, err := nextBox(text)
	if err != nil {
		return "", err
	}
	successor, err := box.Open(nil, nil, sealed, nil)
	return string(successor), err
}
