package session

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse"
)

// MaxSealed is how many bytes the cookie of a sealed session may have, its name and its value. Browsers keep 4096 of a cookie with all of its attributes, and drop larger
// ones without a word.
const MaxSealed = 3900

// sealedReserve is what the data of a visitor must leave for the identity, so that nothing that is put keeps anybody from signing in.
const sealedReserve = 1 << 10

// A Sealer encrypts and authenticates. A *keyring.Ring of the algorithm A256GCM is one. It must be safe for concurrent use.
type Sealer interface {
	// Seal returns plaintext as text that fits into a cookie, encrypted and authenticated together with data, which is no part of it.
	Seal(plaintext, data []byte) (string, error)
	// Open returns what was sealed with the same data. The error wraps gatehouse.ErrCredential if text was not sealed by this Sealer with this data, or was changed; any other
	// error means that it could not be found out.
	Open(text string, data []byte) ([]byte, error)
}

// sealed is how a table keeps sessions that travel.
type sealed struct {
	Sealer
	cookie string
	data   []byte // what is authenticated beside a session
	forged atomic.Int64
}

// NewSealed returns a table of sessions that their browsers keep, in the cookie of this name, which is the whole one, with its prefix: see carrier.Sealed, which gives it. Nothing is
// stored, so that any number of servers share them that share sealer and [Config.Revocations].
//
// A cookie holds the session's id, its limits, the identity and the data, sealed and bound to the cookie's name: nobody can read or change it, and it is nothing anywhere else. Nobody can take it back
// either: ending a session revokes its id, and that is why Revocations is required. Whoever gives an old value of the cookie again gets the data of then, as long as the
// session lasts: do not keep in it what must not come back, such as a voucher that is spent. Of requests at the same time, the one whose answer arrives last decides what
// the data is. Sessions cannot be listed, nor ended one by one by their owner, nor limited in number. A visitor's session, which is nobody's, is not revoked when it is ended.
//
// A cookie opens as long as sealer has its key, which is to say that a ring keeps retired keys for Config.Absolute at least. It is sealed with the key in use whenever it is given anew: when data
// was put, and when its use is to be written down, see Config.Touch. For that the answer must reach the browser: behind a proxy that only asks, as in forward-auth, a
// sealed session is overdue when Config.Idle has passed since it was given.
//
// NewSealed panics if sealer or Revocations is nil, cookie is empty, or the Config asks for what there cannot be: mistakes in a program, not in its input.
func NewSealed(sealer Sealer, cookie string, c Config) *Table {
	switch {
	case sealer == nil:
		panic("session.NewSealed: the sealer is nil")
	case c.Revocations == nil:
		panic("session.NewSealed: there are no Revocations: nobody who has copied a cookie could be logged out")
	case cookie == "" || len(cookie) > 128:
		panic("session.NewSealed: give the whole name of the cookie")
	case c.MaxPerSubject != 0:
		panic("session.NewSealed: sealed sessions cannot be counted: leave MaxPerSubject out")
	}
	return &Table{sealed: &sealed{Sealer: sealer, cookie: cookie, data: []byte("gatehouse session cookie " + cookie)}, Config: c.complete("session.NewSealed")}
}

// Cookie returns the name of the cookie that the sessions of a sealed table are bound to, and "" of other tables.
func (t *Table) Cookie() string {
	if t.sealed == nil {
		return ""
	}
	return t.sealed.cookie
}

// Forged returns how many cookies of a sealed table did not open: damaged, made up, of another cookie, or sealed with a key that is gone. They count as no session. If it grows after a change of
// keys, the old ones were taken away too early.
func (t *Table) Forged() int64 {
	if t.sealed == nil {
		return 0
	}
	return t.sealed.forged.Load()
}

// A travelling is what is sealed. Fields may be added; none may change its meaning, since old cookies stay.
type travelling struct {
	ID      string `json:"id"`
	Created int64  `json:"created"` // ms
	Seen    int64  `json:"seen"`    // ms
	body
}

// unseal returns the session in a cookie's value, if it counts. With a *gatehouse.StaleError it returns one that may.
func (t *Table) unseal(ctx context.Context, text string) (Record, body, error) {
	if len(t.sealed.cookie)+len(text) > MaxSealed {
		return Record{}, body{}, t.forgery(ctx, errors.New("it is larger than any that was given"))
	}
	plaintext, err := t.sealed.Open(text, t.sealed.data)
	if errors.Is(err, gatehouse.ErrCredential) {
		return Record{}, body{}, t.forgery(ctx, err)
	}
	if err != nil {
		return Record{}, body{}, fmt.Errorf("session: a cookie could not be opened: %w", err)
	}
	var s travelling
	if err := json.Unmarshal(plaintext, &s); err != nil || s.ID == "" || s.Created <= 0 || s.Seen < s.Created {
		return Record{}, body{}, t.forgery(ctx, errors.New("it was sealed with our key, and is no session"))
	}
	rec := Record{Key: sha256.Sum256([]byte(s.ID)), ID: s.ID, Subject: s.Identity.restored().Value, Version: 1,
		Created: time.UnixMilli(s.Created), Seen: time.UnixMilli(s.Seen)}
	rec.Deadline = t.expires(rec, s.body)
	return t.judge(rec, s.body)
}

// forgery counts a cookie that is no session. Anybody can send any number of them: the log has them at its lowest level only.
func (t *Table) forgery(ctx context.Context, why error) error {
	t.sealed.forged.Add(1)
	t.Logger.LogAttrs(ctx, slog.LevelDebug, "a cookie does not open: it counts for nothing", slog.String("cookie", t.sealed.cookie), slog.Any("error", why))
	return ErrUnknown
}

// judge returns a session that came sealed, unless it has ended.
func (t *Table) judge(rec Record, b body) (Record, body, error) {
	if t.overdue(rec, b) {
		return Record{}, body{}, ErrOverdue
	}
	return t.unlessRevoked(rec, b)
}

// refreshSealed is refresh for a session that its request has brought along, so that there is nothing newer.
func (t *Table) refreshSealed(old Record, had body) error {
	_, _, err := t.judge(old, had)
	if errors.Is(err, gatehouse.ErrSession) && old.Subject == "" {
		return nil // what a visitor put goes on in the new session
	}
	return err
}

// seal returns rec with its key, and what the browser is given.
func (t *Table) seal(rec Record, b body) (Record, gatehouse.Secret, error) {
	text, err := t.sealText(rec, b, 0)
	if err != nil {
		return Record{}, gatehouse.Secret{}, err
	}
	rec.Key = sha256.Sum256([]byte(rec.ID))
	return rec, gatehouse.NewSecret(text), nil
}

// sealText seals a session, and refuses one for whose cookie, or for one of so many bytes more, browsers have no room.
func (t *Table) sealText(rec Record, b body, reserve int) (string, error) {
	plaintext, err := json.Marshal(travelling{rec.ID, rec.Created.UnixMilli(), rec.Seen.UnixMilli(), b})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(plaintext)+reserve > MaxSealed { // the sealer might not like it
		return "", tooLarge(len(plaintext) + reserve)
	}
	text, err := t.sealed.Seal(append(plaintext, make([]byte, reserve)...), t.sealed.data)
	if err != nil {
		return "", fmt.Errorf("session: %w", err)
	}
	if strings.ContainsAny(text, "; ,\"\\\r\n") {
		return "", fmt.Errorf("session: the sealer has made what no cookie can hold")
	}
	if n := len(t.sealed.cookie) + len(text); n > MaxSealed {
		return "", tooLarge(n)
	}
	return text, nil
}

func tooLarge(n int) error {
	return fmt.Errorf("%w: its cookie would have %d bytes, and %d is the limit: keep less in it, or keep sessions in a store", ErrTooLarge, n, MaxSealed)
}

// fitsSealed returns an error if the cookie of rec could not hold b.
func (t *Table) fitsSealed(rec Record, b body) error {
	reserve := 0
	if rec.Subject == "" {
		reserve = sealedReserve
	}
	if rec.ID == "" { // of the size of one that is to come
		rec = Record{ID: strings.Repeat("x", 26), Created: t.now(), Seen: t.now()}
	}
	_, err := t.sealText(rec, b, reserve)
	return err
}

// reseal seals s anew, with what was put.
func (t *Table) reseal(s *Session) error {
	rec := s.rec
	if _, _, err := t.judge(rec, s.body); errors.Is(err, gatehouse.ErrCredential) {
		return err // ended since it was opened
	}
	rec.Seen = t.now()
	if rec.Seen.Before(rec.Created) {
		rec.Seen = rec.Created
	}
	rec.Deadline = t.expires(rec, s.body)
	rec, secret, err := t.seal(rec, s.body)
	if err != nil {
		return err
	}
	s.set(t, rec, s.body, secret)
	return nil
}

var errNotListed = fmt.Errorf("session: sealed sessions are with their browsers and cannot be listed: %w", errors.ErrUnsupported)

// endAllSealed revokes whatever subject has.
func (t *Table) endAllSealed(ctx context.Context, subject, except string) error {
	revoker, ok := t.Revocations.(interface {
		RevokeSubject(ctx context.Context, subject string) error
	})
	switch {
	case subject == "":
		return errors.New("session: visitors have no subject, so their sessions cannot be ended together")
	case except != "":
		return fmt.Errorf("session: of sealed sessions none can be spared: end all, and sign the caller in again: %w", errors.ErrUnsupported)
	case !ok:
		return fmt.Errorf("session: Revocations cannot revoke subjects: %w", errors.ErrUnsupported)
	}
	if err := revoker.RevokeSubject(ctx, subject); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}
