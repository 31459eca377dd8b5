package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse"
)

var (
	// ErrDetached: there is no guard with a session carrier in front of the handler, so that nothing could be kept.
	ErrDetached = errors.New("no session here: put a guard with carrier.Session in front of the handler")
	// ErrTooLate: the answer has begun, and a visitor without a session would have to be given a cookie.
	ErrTooLate = errors.New("the answer has begun: a new session cannot be given any more")
	// ErrTooLarge: the session would hold more than [MaxData], or more than [MaxIdentity] of an identity; or it is sealed, and its cookie would be larger than
	// [MaxSealed].
	ErrTooLarge = errors.New("session too large")
)

// A Session is the session of one request: loaded once, changed in memory, and stored before the answer begins. Without a record it is empty, and
// gets one when something is put. It is safe for concurrent use. The zero Session belongs to no table: it is empty, and nothing can be put.
type Session struct {
	// changing is held by whoever changes the fields, while the store is asked, too. mu is held for the moment of the change only, so that a store
	// or a logger may ask the session of its context who it is. Whoever holds changing may read without mu.
	changing, mu sync.Mutex

	table  *Table
	rec    Record // Key is zero if there is no record
	body   body
	secret gatehouse.Secret
	stored map[string]json.RawMessage // the data as the store has it; never changed in place
	dirty  map[string]bool            // keys that were put or deleted since
	begun  bool                       // the answer has begun
	due    bool                       // sealed, and to be sealed anew although nothing was put
	held   *held                      // what the session is if somebody accepts that it may have been revoked
}

// held is a session of which it is not known whether it was revoked.
type held struct {
	rec    Record
	body   body
	secret gatehouse.Secret
	err    error // a *gatehouse.StaleError
}

type contextKey struct{ table *Table }

// FromContext returns the session of the request that ctx belongs to. It is never nil; without a guard that has a session carrier it is empty and
// nothing can be put into it.
func FromContext(ctx context.Context) *Session {
	if s, ok := ctx.Value(contextKey{}).(*Session); ok {
		return s
	}
	return new(Session)
}

// FromContext returns the session of t of the request that ctx belongs to, for programs with several tables behind nested guards. It is never the
// session of another table.
func (t *Table) FromContext(ctx context.Context) *Session {
	if s, ok := ctx.Value(contextKey{t}).(*Session); ok {
		return s
	}
	if s := FromContext(ctx); s.owner() == nil {
		return s // not opened yet
	}
	return new(Session)
}

// NewContext returns a context that carries s. The guard does this by itself; programs need it in tests only.
func NewContext(ctx context.Context, s *Session) context.Context { return sessionContext{ctx, s} }

type sessionContext struct {
	context.Context
	session *Session
}

// Value implements [context.Context].
func (c sessionContext) Value(key any) any {
	if c.session.Answers(key) {
		return c.session
	}
	return c.Context.Value(key)
}

// Answers reports whether key asks a context for s, for contexts that answer Value themselves.
func (s *Session) Answers(key any) bool {
	k, ok := key.(contextKey)
	return ok && (k.table == nil || k.table == s.owner())
}

func (s *Session) owner() *Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table
}

// ID names the session; it is no secret. It is empty as long as there is no record.
func (s *Session) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rec.ID
}

// Subject returns whose session it is: the value of the identity that was remembered, or "" for a visitor.
func (s *Session) Subject() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rec.Subject
}

// Identity returns what was remembered, with Session, IssuedAt and ExpiresAt filled in. Its Value is empty for a visitor. Claims have the types
// that JSON gives them, and the program's own value (gatehouse.WithValue) is not kept.
func (s *Session) Identity() gatehouse.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.body.Identity == nil {
		return gatehouse.Identity{}
	}
	return identityOf(s.rec, s.body, s.table.expires(s.rec, s.body))
}

// identityOf returns the identity of a session that ends at expires.
func identityOf(rec Record, b body, expires time.Time) gatehouse.Identity {
	id := b.Identity.restored()
	if id.Value != "" {
		id.Session, id.IssuedAt, id.ExpiresAt = rec.ID, rec.Created, expires
	}
	return id
}

// Expires returns when the session ends if nobody uses it any more, zero if there is no record.
func (s *Session) Expires() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rec.Key.IsZero() {
		return time.Time{}
	}
	return s.table.expires(s.rec, s.body)
}

// EndsBy returns when the session ends however it is used, zero if there is no record.
func (s *Session) EndsBy() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rec.Key.IsZero() {
		return time.Time{}
	}
	return s.table.endsBy(s.rec, s.body)
}

// Secret returns what the browser is given, for carriers. It is empty as long as there is no record.
func (s *Session) Secret() gatehouse.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secret
}

// Attributes returns what the carrier stored with the session, see [Options], or nil.
func (s *Session) Attributes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		return bytes.Clone(s.held.body.Carrier)
	}
	return bytes.Clone(s.body.Carrier)
}

// Get returns the value under key, and whether there is one. The error says that the value is not a T, as JSON sees it. The value is a copy: to
// change what is kept, [Put] it again.
func Get[T any](s *Session, key string) (value T, ok bool, err error) {
	s.mu.Lock()
	raw, ok := s.body.Data[key]
	s.mu.Unlock()
	if !ok {
		return value, false, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		var zero T
		return zero, true, fmt.Errorf("session: the value of %q is not a %v: %w", key, reflect.TypeFor[T](), err)
	}
	return value, true, nil
}

// Put keeps value, in the form of encoding/json, under key. The error says why it cannot be kept: it has no such form, the key is empty or not UTF-8, the session
// would hold more than [MaxData] ([ErrTooLarge]), there is no session carrier ([ErrDetached]), or the answer has begun and there is no session
// yet ([ErrTooLate]). What is put after the answer has begun is stored when the handler returns; into a sealed session nothing can be put any more then ([ErrTooLate]).
// While it is not known whether the session was revoked, the error is a *gatehouse.StaleError.
func Put[T any](s *Session, key string, value T) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("session: the value of %q cannot be kept: %w", key, err)
	}
	return s.change(key, raw)
}

// Delete removes the value under key. It is no error if there is none.
func (s *Session) Delete(key string) error {
	s.mu.Lock()
	_, ok := s.body.Data[key]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	return s.change(key, nil)
}

// Keys returns the keys under which there are values, sorted.
func (s *Session) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.body.Data))
}

// change puts raw under key, or removes the key if raw is nil.
func (s *Session) change(key string, raw json.RawMessage) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	switch {
	case key == "" || !utf8.ValidString(key): // JSON would make one key of many that are not UTF-8
		return fmt.Errorf("session: the key %q is empty or not UTF-8", key)
	case s.table == nil:
		return ErrDetached
	case s.held != nil:
		return s.held.err // a new session would take the place of one that may be good
	case s.begun && (s.rec.Key.IsZero() || s.table.sealed != nil):
		return ErrTooLate
	}
	data := maps.Clone(s.body.Data)
	if data == nil {
		data = map[string]json.RawMessage{}
	}
	data[key] = raw
	if raw == nil {
		delete(data, key)
	}
	next := s.body
	next.Data = data
	if err := s.table.fits(s.rec, next); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty == nil {
		s.dirty = map[string]bool{}
	}
	s.body, s.dirty[key] = next, true
	return nil
}

// fits returns an error if the session of rec cannot hold the data of b.
func (t *Table) fits(rec Record, b body) error {
	if t.sealed != nil {
		return t.fitsSealed(rec, b)
	}
	_, err := encode(body{Data: b.Data})
	return err
}

// encode returns b as a record holds it.
func encode(b body) ([]byte, error) {
	data, rest := b.Data, b
	rest.Data = nil
	for _, part := range []struct {
		value any
		limit int
	}{{data, MaxData}, {rest, MaxIdentity}} {
		text, err := json.Marshal(part.value)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if len(text) > part.limit {
			return nil, fmt.Errorf("%w: %d bytes, and %d is the limit", ErrTooLarge, len(text), part.limit)
		}
	}
	text, err := json.Marshal(b)
	if err == nil && !json.Valid(text) { // JSON is written in any depth, and read to a depth of 10000: nobody could open the session any more
		err = fmt.Errorf("%w: a value is nested too deeply", ErrInvalid)
	}
	return text, err
}

// Discard forgets what was put and not yet stored.
func (s *Session) Discard() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body.Data, s.dirty = s.stored, nil
}

// Changed reports whether something was put or deleted that is not stored yet.
func (s *Session) Changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.dirty) > 0
}

// Begin says that the answer has begun: from now on no cookie can be given. The guard calls it.
func (s *Session) Begin() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
}

// Begun reports whether the answer has begun.
func (s *Session) Begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// set makes s the session of rec. Callers hold s.changing.
func (s *Session) set(t *Table, rec Record, b body, secret gatehouse.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table, s.rec, s.body, s.secret = t, rec, b, secret
	s.stored, s.dirty, s.due, s.held = b.Data, nil, false, nil
}

func (s *Session) setDue(due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = due
}

// hold keeps a session that may have been revoked apart. Callers hold s.changing.
func (s *Session) hold(h *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = h
}

// AcceptStale makes s the session that [Table.Open] has found, although it could not be found out whether it was revoked. The guard calls it where the matched rule
// allows that. Otherwise it does nothing.
func (s *Session) AcceptStale() {
	s.changing.Lock()
	defer s.changing.Unlock()
	if h := s.held; h != nil {
		s.set(s.table, h.rec, h.body, h.secret)
	}
}

// Due reports whether the session is sealed and the browser should be given it anew, although nothing was put: its use is to be written down.
func (s *Session) Due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.due
}
