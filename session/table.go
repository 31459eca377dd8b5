package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse"
)

// The defaults of a [Config].
const (
	DefaultIdle     = 12 * time.Hour
	DefaultAbsolute = 30 * 24 * time.Hour
	DefaultTouch    = time.Minute
	DefaultToken    = 24 * time.Hour
)

// A Config says how long sessions last.
type Config struct {
	// Idle ends a session that nobody has used for so long. Zero means 12 hours.
	Idle time.Duration
	// Absolute ends a session of this age, whatever was done with it. Zero means 30 days.
	Absolute time.Duration
	// Touch is how often at most the use of a session is written down: a request that only reads costs a write that often, and a session may end by
	// so much too early. Zero means a minute, or a quarter of Idle if that is less; negative: reading does not count as use, only changes do.
	Touch time.Duration
	// MaxPerSubject is how many sessions one subject may have: a new one ends the oldest. Zero means any number.
	MaxPerSubject int
	// Revocations takes the sessions that end, so that what was given out for them, such as access tokens, ends as well, and says which have ended elsewhere: a
	// *revoke.List. Nil: sessions end by being deleted, and nothing else does.
	Revocations Revocations
	// TokenLife is how long a token lives at most that is minted for a session: the end of a session is remembered for so long at least. Zero means 24 hours. It
	// matters where there are Revocations.
	TokenLife time.Duration
	// StoreIsCache says that the store may still have what has ended, or may have lost that it has, so that a session counts only if Revocations is up to date.
	StoreIsCache bool
	// Logger gets what went wrong and did not change an answer. Nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A Table starts, finds, changes and ends sessions. It is safe for concurrent use.
type Table struct {
	store  Store   // nil if sessions are sealed
	sealed *sealed // nil if there is a store
	Config
	turns [64]sync.Mutex // of log-ins where MaxPerSubject limits them, by subject
}

// New returns the table of the sessions in store. The same store may have several tables, in several processes; each judges what it finds by its
// own Config, so that a shorter Idle or Absolute counts for the sessions that exist. New panics if store is nil or a duration makes no sense: both
// are mistakes in a program, not in its input.
func New(store Store, c Config) *Table {
	if store == nil {
		panic("session.New: the store is nil")
	}
	if c.StoreIsCache && c.Revocations == nil {
		panic("session.New: a store that is a cache needs Revocations")
	}
	return &Table{store: store, Config: c.complete("session.New")}
}

// complete returns c with its defaults.
func (c Config) complete(caller string) Config {
	if c.Idle < 0 || c.Absolute < 0 || c.MaxPerSubject < 0 || c.TokenLife < 0 {
		panic(caller + ": Idle, Absolute, MaxPerSubject and TokenLife cannot be negative")
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.Absolute == 0 {
		c.Absolute = DefaultAbsolute
	}
	if c.Touch == 0 {
		c.Touch = DefaultTouch
	}
	c.Touch = min(c.Touch, c.Idle/4)
	if c.TokenLife == 0 {
		c.TokenLife = DefaultToken
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// now has the precision of records, so that what is compared with a record was rounded alike.
func (t *Table) now() time.Time { return t.Now().Truncate(time.Millisecond) }

// endsBy returns when a session ends however it is used.
func (t *Table) endsBy(rec Record, b body) time.Time {
	end := rec.Created.Add(t.Absolute)
	if until := time.UnixMilli(b.Until); b.Until != 0 && until.Before(end) {
		return until
	}
	return end
}

// expires returns when a session ends if nobody uses it any more.
func (t *Table) expires(rec Record, b body) time.Time {
	end := t.endsBy(rec, b)
	if idle := rec.Seen.Add(t.Idle); idle.Before(end) {
		return idle
	}
	return end
}

// Open makes s the session that has the secret. An empty secret stands for a visitor without one: then s is empty, and belongs to t. The error wraps
// gatehouse.ErrSession if no session has the secret, or it is overdue, and s is empty then; any other error means that it could not be found out. It is a
// *gatehouse.StaleError if only that is unknown whether the session was revoked: s is empty then, and takes no data, until [Session.AcceptStale].
// Using a session moves its idle limit, see [Config].
func (t *Table) Open(ctx context.Context, s *Session, secret string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.set(t, Record{}, body{}, gatehouse.Secret{})
	if secret == "" {
		return nil
	}
	rec, b, err := t.open(ctx, secret)
	_, stale := errors.AsType[*gatehouse.StaleError](err)
	if err != nil && !stale {
		return err
	}
	due, gone := t.touch(ctx, &rec, b)
	if gone != nil {
		return gone
	}
	if stale {
		s.hold(&held{rec, b, gatehouse.NewSecret(secret), err})
		return err
	}
	s.set(t, rec, b, gatehouse.NewSecret(secret))
	s.setDue(due)
	return nil
}

// open returns the record that has the secret, if it counts. With a *gatehouse.StaleError it returns one that may.
func (t *Table) open(ctx context.Context, secret string) (Record, body, error) {
	if t.sealed != nil {
		return t.unseal(ctx, secret)
	}
	key, ok := keyOf(secret)
	if !ok {
		return Record{}, body{}, ErrUnknown
	}
	return t.find(ctx, key)
}

// overdue reports whether a session has ended by itself.
func (t *Table) overdue(rec Record, b body) bool { return !t.now().Before(t.expires(rec, b)) }

// find returns the live record under key. One that is overdue is deleted, so that a clock that is set back does not bring it to life. With a *gatehouse.StaleError it
// returns one that may have been revoked.
func (t *Table) find(ctx context.Context, key Key) (Record, body, error) {
	rec, err := t.store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return Record{}, body{}, ErrUnknown
	}
	if err != nil {
		return Record{}, body{}, fmt.Errorf("session: %w", err)
	}
	var b body
	if err := json.Unmarshal(rec.Body, &b); err != nil || rec.Key != key || b.Identity.restored().Value != rec.Subject {
		t.Logger.LogAttrs(ctx, slog.LevelError, "a session's record is damaged: it counts for nothing", slog.String("session", rec.ID))
		return Record{}, body{}, ErrUnknown
	}
	if t.overdue(rec, b) {
		if err := t.store.Delete(ctx, key); err != nil {
			t.warn(ctx, "an overdue session could not be deleted", rec.ID, err)
		}
		return Record{}, body{}, ErrOverdue
	}
	return t.unlessRevoked(rec, b)
}

// unlessRevoked returns a record that was not revoked. With a *gatehouse.StaleError it returns one that may have been.
func (t *Table) unlessRevoked(rec Record, b body) (Record, body, error) {
	err := t.revoked(rec, b)
	if _, stale := errors.AsType[*gatehouse.StaleError](err); err != nil && !stale {
		return Record{}, body{}, err
	}
	return rec, b, err
}

// touch writes down that rec is used, if that is due. That it could not be written down changes nothing for this request: the session only ends earlier. Of a sealed
// session it reports that it is due to the browser to keep what was written.
func (t *Table) touch(ctx context.Context, rec *Record, b body) (due bool, err error) {
	now := t.now()
	if t.Touch < 0 || now.Sub(rec.Seen) < t.Touch {
		return false, nil
	}
	next := *rec
	next.Seen = now
	next.Deadline = t.expires(next, b)
	if t.sealed != nil {
		*rec = next
		return true, nil
	}
	switch err := t.store.Touch(ctx, rec.Key, next.Seen, next.Deadline); {
	case errors.Is(err, ErrNotFound):
		return false, ErrUnknown // ended since it was read
	case err != nil:
		t.warn(ctx, "the use of a session could not be written down", rec.ID, err)
	default:
		*rec = next
	}
	return false, nil
}

func (t *Table) warn(ctx context.Context, message, id string, err error) {
	t.Logger.LogAttrs(ctx, slog.LevelWarn, message, slog.String("session", id), slog.Any("error", err))
}

// Options are what a new session has of its own.
type Options struct {
	// MaxAge ends the session after so long, a millisecond at least, if that is earlier than what the table's Config says. Zero: no limit of its own.
	MaxAge time.Duration
	// UserAgent is shown to the owner of the session when sessions are listed. It is cut to 200 bytes of printable text.
	UserAgent string
	// Attributes is JSON that the carrier wants to find again with the session; at most 1 KiB. Nil: nothing.
	Attributes []byte
}

// Start makes s a new session of id, with a new secret. The record that s had is removed in the same step. Its data stays if it was put by a visitor or by the same
// subject, and is lost if the session was another subject's. Where s was a session of the same subject that has been ended meanwhile, the error
// wraps gatehouse.ErrSession: a session that was ended is not renewed. It wraps [ErrInvalid] if id or o make no session. Any error means that there is no new session, and s is as it was.
// An AuthTime of zero means now; ExpiresAt, if it is not zero, limits the session.
//
// Where there are [Config.Revocations], the id of a log-in that s had is revoked before the new session is made, and with it the tokens that were minted for it: let
// clients fetch new ones after a second Remember. If the new session cannot be stored then, the old one has ended all the same.
func (t *Table) Start(ctx context.Context, s *Session, id gatehouse.Identity, o Options) error {
	if err := checkIdentity(id, o, t.now()); err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.held != nil {
		return s.held.err // nobody could end it
	}
	old, had := s.rec, s.body
	if s.table != t {
		old, had = Record{}, body{}
	}
	if err := t.refresh(ctx, s, old, &had, id.Value); err != nil {
		return err
	}
	b := t.bodyFor(id, o)
	if old.Subject == "" || old.Subject == id.Value {
		b.Data = had.Data
	}
	if old.Subject == id.Value {
		b.Lineage, b.Began = had.lineage(old.ID), had.began(old).UnixMilli()
	}
	unlock, after := t.queue(ctx, id.Value)
	defer unlock()
	rec, secret, err := t.renew(ctx, b, id.Value, old, after)
	if err != nil {
		return err
	}
	s.set(t, rec, b, secret)
	t.cap(ctx, rec)
	return nil
}

// bodyFor returns the body of a new session, without data.
func (t *Table) bodyFor(id gatehouse.Identity, o Options) body {
	b := body{Identity: storedIdentity(id, t.now()), UserAgent: printable(o.UserAgent), Carrier: o.Attributes, Until: t.until(id, o)}
	if t.sealed != nil {
		b.UserAgent = "" // the browser knows its name, and nobody else reads it
	}
	return b
}

// renew creates the record of a log-in in place of old, which is nobody's, the same subject's, or somebody else's.
func (t *Table) renew(ctx context.Context, b body, subject string, old Record, after time.Time) (rec Record, secret gatehouse.Secret, err error) {
	if rec, secret, err = t.newRecord(&b, subject, after); err != nil {
		return Record{}, gatehouse.Secret{}, err
	}
	if err := t.revokeReplaced(ctx, old); err != nil {
		return Record{}, gatehouse.Secret{}, err
	}
	if t.sealed != nil {
		return rec, secret, nil
	}
	err = t.store.Create(ctx, rec, old.Key)
	if errors.Is(err, ErrNotFound) && old.Subject != subject {
		err = t.store.Create(ctx, rec, Key{}) // somebody else's or a visitor's: that it is gone already ends nothing of subject's
	}
	if errors.Is(err, ErrNotFound) {
		return Record{}, gatehouse.Secret{}, ErrUnknown
	}
	if err != nil {
		return Record{}, gatehouse.Secret{}, fmt.Errorf("session: %w", err)
	}
	return rec, secret, nil
}

// refresh brings had, the body of the record that is about to be replaced, up to date, so that nothing is lost that another request has put since. Where both put the
// same value, that of s counts. The error wraps gatehouse.ErrSession if the session was subject's, and has ended.
func (t *Table) refresh(ctx context.Context, s *Session, old Record, had *body, subject string) error {
	if old.Key.IsZero() || old.Subject != "" && old.Subject != subject {
		return nil // there is none, or nothing of it comes along
	}
	if t.sealed != nil {
		return t.refreshSealed(old, *had)
	}
	_, b, err := t.find(ctx, old.Key)
	if errors.Is(err, gatehouse.ErrSession) && old.Subject == "" {
		return nil // what a visitor put goes on in the new session
	}
	if err != nil {
		return err
	}
	data := maps.Clone(b.Data)
	if data == nil {
		data = map[string]json.RawMessage{}
	}
	for key := range s.dirty {
		delete(data, key)
		if value, ok := had.Data[key]; ok {
			data[key] = value
		}
	}
	had.Data = data
	return nil
}

// until returns the session's own limit in ms, or 0.
func (t *Table) until(id gatehouse.Identity, o Options) int64 {
	end := id.ExpiresAt
	if limit := t.now().Add(o.MaxAge); o.MaxAge > 0 && (end.IsZero() || limit.Before(end)) {
		end = limit
	}
	if end.IsZero() {
		return 0
	}
	return end.UnixMilli()
}

// checkIdentity refuses what would come back as something else, or as nobody, or not at all.
func checkIdentity(id gatehouse.Identity, o Options, now time.Time) error {
	texts := slices.Concat([]string{id.Value, string(id.Kind), id.Email}, id.Roles, id.Scopes, id.Methods)
	why := ""
	switch {
	case id.Value == "":
		why = "the identity has no value, so it would be nobody's"
	case len(id.Value) > 1024:
		why = "the identity's value is longer than 1024 bytes"
	case slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) }):
		why = "a text of the identity is not UTF-8"
	case id.Kind == gatehouse.KindAnonymous:
		why = "the identity's kind is anonymous, so it would be nobody's"
	case !id.ExpiresAt.IsZero() && id.ExpiresAt.UnixMilli() <= now.UnixMilli():
		why = "the identity has expired"
	case o.MaxAge != 0 && o.MaxAge < time.Millisecond:
		why = "MaxAge is negative, or less than a millisecond: end the session instead"
	case len(o.Attributes) > 1024:
		why = "the attributes are longer than 1 KiB"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInvalid, why)
}

// create stores the record of a visitor.
func (t *Table) create(ctx context.Context, b body) (Record, gatehouse.Secret, error) {
	rec, secret, err := t.newRecord(&b, "", time.Time{})
	if err != nil || t.sealed != nil {
		return rec, secret, err
	}
	if err := t.store.Create(ctx, rec, Key{}); err != nil {
		return Record{}, gatehouse.Secret{}, fmt.Errorf("session: %w", err)
	}
	return rec, secret, nil
}

// newRecord makes a record, which begins now and not before after, and its secret.
func (t *Table) newRecord(b *body, subject string, after time.Time) (Record, gatehouse.Secret, error) {
	rec := Record{ID: strings.ToLower(rand.Text()), Subject: subject, Created: t.now(), Version: 1}
	if rec.Created.Before(after) {
		rec.Created = after
	}
	if err := t.begin(&rec, *b); err != nil {
		return Record{}, gatehouse.Secret{}, err
	}
	rec.Seen = rec.Created
	rec.Deadline = t.expires(rec, *b)
	if t.sealed != nil {
		return t.seal(rec, *b)
	}
	var err error
	if rec.Body, err = encode(*b); err != nil {
		return Record{}, gatehouse.Secret{}, err
	}
	secret := newSecret()
	rec.Key, _ = keyOf(secret)
	return rec, gatehouse.NewSecret(secret), nil
}

// queue lets the log-ins of one subject take turns where their number is limited, so that each sees those before it, and returns when the next one must begin to
// be the youngest, whatever the clocks say. Log-ins in other processes take no turns: of two at the same moment, each ends only sessions that are older by
// (Created, ID), so that they never end each other; there may be one too many then, until the next log-in.
func (t *Table) queue(ctx context.Context, subject string) (unlock func(), after time.Time) {
	if t.MaxPerSubject == 0 {
		return func() {}, time.Time{}
	}
	turn := &t.turns[maphash.String(turnSeed, subject)%uint64(len(t.turns))]
	turn.Lock()
	if list, err := t.live(ctx, subject); err == nil && len(list) > 0 { // what is wrong with the store shows a moment later
		after = list[len(list)-1].Created.Add(time.Millisecond)
	}
	return turn.Unlock, after
}

var turnSeed = maphash.MakeSeed()

// cap ends the oldest sessions of rec's subject that are too many: none that is younger than rec.
func (t *Table) cap(ctx context.Context, rec Record) {
	if t.MaxPerSubject == 0 {
		return
	}
	list, err := t.live(ctx, rec.Subject)
	if err != nil {
		t.warn(ctx, "sessions could not be counted", rec.ID, err)
		return
	}
	for excess := len(list) - t.MaxPerSubject; excess > 0 && list[0].Key != rec.Key; excess-- {
		if err := t.drop(ctx, list[0].Record, list[0].body); err != nil {
			t.warn(ctx, "a session over the limit could not be ended", list[0].ID, err)
		}
		list = list[1:]
	}
}

// Save stores what was put into s, and reports whether s has got a new secret by it, as the first value of a visitor does. Where somebody else has changed
// other values meanwhile, both changes stay; where it was the same value, nothing is stored and the error wraps ErrConflict. It wraps
// gatehouse.ErrSession if the session has been ended meanwhile. Without a change nothing is done.
//
// A sealed session gets a new secret whenever it is saved. Of two requests that change one at the same time, the answer that the browser reads last counts.
func (t *Table) Save(ctx context.Context, s *Session) (created bool, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	switch {
	case len(s.dirty) == 0 && !s.due:
		return false, nil
	case s.table != t:
		return false, ErrDetached
	case t.sealed != nil && s.begun:
		return false, ErrTooLate
	case s.rec.Key.IsZero() && len(s.body.Data) == 0: // put, and deleted again
		s.set(t, Record{}, body{}, gatehouse.Secret{})
		return false, nil
	case s.rec.Key.IsZero():
		rec, secret, err := t.create(ctx, s.body)
		if err != nil {
			return false, err
		}
		s.set(t, rec, s.body, secret)
		return true, nil
	}
	if t.sealed != nil {
		return true, t.reseal(s)
	}
	return false, t.update(ctx, s)
}

// maxMerges bounds how often an update is tried again: each time somebody else's has gone through, so that so many can change a session at once.
const maxMerges = 100

func (t *Table) update(ctx context.Context, s *Session) error {
	rec, b := s.rec, s.body
	fresh := !t.overdue(rec, b) // as far as s knows: somebody else may have used it since
	for range maxMerges {
		if !fresh {
			var err error
			if rec, b, err = t.find(ctx, rec.Key); err != nil {
				return err
			}
			if b.Data, err = merge(s.stored, s.body.Data, b.Data, s.dirty); err != nil {
				return err
			}
		}
		fresh = false
		text, err := encode(b)
		if err != nil {
			return err
		}
		rec.Body, rec.Seen = text, t.now()
		rec.Deadline = t.expires(rec, b)
		switch err := t.store.Update(ctx, rec); {
		case err == nil:
			rec.Version++
			s.set(t, rec, b, s.secret)
			return nil
		case errors.Is(err, ErrNotFound):
			return ErrUnknown
		case !errors.Is(err, ErrConflict):
			return fmt.Errorf("session: %w", err)
		}
	}
	return fmt.Errorf("session: too many others change it at the same time: %w", ErrConflict)
}

// merge applies the changes from base to ours, of the keys in dirty, to theirs.
func merge(base, ours, theirs map[string]json.RawMessage, dirty map[string]bool) (map[string]json.RawMessage, error) {
	merged := make(map[string]json.RawMessage, len(theirs)+len(dirty))
	for key, value := range theirs {
		merged[key] = value
	}
	for key := range dirty {
		was, had := base[key]
		is, has := theirs[key]
		if had != has || !bytes.Equal(was, is) {
			return nil, fmt.Errorf("session: the value of %q: %w", key, ErrConflict)
		}
		if value, ok := ours[key]; ok {
			merged[key] = value
		} else {
			delete(merged, key)
		}
	}
	return merged, nil
}

// End deletes the session that s is, and makes s empty. It is no error if there is none. If it could not be deleted, s is as it was: a
// log-out that failed must not look like one that worked.
func (t *Table) End(ctx context.Context, s *Session) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	rec, b := s.rec, s.body
	if s.held != nil {
		rec, b = s.held.rec, s.held.body
	}
	if !rec.Key.IsZero() {
		if err := s.table.end(ctx, rec, b); err != nil {
			return err
		}
	}
	s.set(t, Record{}, body{}, gatehouse.Secret{})
	return nil
}

// maxHeirs bounds how often end looks for what a session was renewed to: a store that keeps what it is told to delete must not keep a request for ever.
const maxHeirs = 16

// end deletes rec, and what has come of it: a request that renewed the session at the same time must not leave it alive under another id. Once a link of
// the lineage is deleted, nobody can renew it, so what is there is all that there will be.
//
// Where sessions are revoked, the lineage is: what was renewed from it counts no more, whoever still finds its record.
func (t *Table) end(ctx context.Context, rec Record, b body) error {
	if err := t.drop(ctx, rec, b); err != nil {
		return err
	}
	if rec.Subject == "" || t.Revocations != nil {
		return nil // visitors' sessions are not renewed
	}
	for range maxHeirs {
		heirs, err := t.endHeirs(ctx, rec.Subject, b.lineage(rec.ID))
		if err != nil || heirs == 0 {
			return err
		}
	}
	return errors.New("session: it is still there after it was deleted, again and again")
}

// endHeirs deletes the sessions of subject that are of the lineage, and returns how many it found.
func (t *Table) endHeirs(ctx context.Context, subject, lineage string) (heirs int, err error) {
	list, err := t.live(ctx, subject)
	if err != nil {
		return 0, err
	}
	for _, f := range list {
		if f.body.lineage(f.ID) != lineage {
			continue
		}
		heirs++ // which may have been renewed before it was deleted here
		if err := t.store.Delete(ctx, f.Key); err != nil {
			return heirs, fmt.Errorf("session: %w", err)
		}
	}
	return heirs, nil
}
