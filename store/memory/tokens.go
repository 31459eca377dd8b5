package memory

import (
	"bytes"
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// A TokenStore is a [token.Store] in memory. It is safe for concurrent use. Make one with [Tokens].
//
// Its only errors are the ones that token.Store names, and the context's: every call looks at its context first, and once it has begun it is done in
// one step. Rotate to a key that is taken changes nothing, and its error wraps token.ErrExists. A family that has ended is remembered until its last
// token would have been overdue and Prune has come by: until then it cannot begin again.
type TokenStore struct {
	mu        sync.RWMutex
	byKey     map[token.Key]*tokenEntry
	bySubject map[string]map[token.Key]*tokenEntry // no empty inner maps
	families  map[string]*family
	queue     queue[*tokenEntry] // every record, the first that expires first
	overdue   queue[*family]     // every family
}

var _ token.Store = (*TokenStore)(nil)

// Tokens returns an empty store. Each call makes another one: whoever shall know the same tokens shares one store.
func Tokens() *TokenStore {
	return &TokenStore{
		byKey: map[token.Key]*tokenEntry{}, bySubject: map[string]map[token.Key]*tokenEntry{}, families: map[string]*family{},
	}
}

// A tokenEntry is a record and its place in the queue. The bytes of its Body and Sealed are never changed in place, so that they can be copied without
// a lock.
type tokenEntry struct {
	token.Record
	place int
}

func (e *tokenEntry) due() time.Time  { return e.Expires }
func (e *tokenEntry) moved(place int) { e.place = place }

// A family is remembered until its last record is overdue, whether it has ended or not.
type family struct {
	id      string
	ended   bool
	expires time.Time // no record of it expires later
	records map[token.Key]*tokenEntry
	place   int
}

func (f *family) due() time.Time  { return f.expires }
func (f *family) moved(place int) { f.place = place }

// kept returns rec as the store keeps it and gives it back.
func kept(rec token.Record) token.Record {
	rec.Expires, rec.Used = orZero(rec.Expires), orZero(rec.Used)
	return cloned(rec)
}

// cloned returns rec with bytes of its own.
func cloned(rec token.Record) token.Record {
	rec.Body, rec.Sealed = bytes.Clone(rec.Body), bytes.Clone(rec.Sealed)
	return rec
}

// Create implements [token.Store].
func (s *TokenStore) Create(ctx context.Context, rec token.Record) error {
	e := &tokenEntry{Record: kept(rec)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.byKey[e.Key] != nil || s.families[e.Family] != nil {
		return token.ErrExists
	}
	if e.Family != "" {
		f := &family{id: e.Family, expires: e.Expires, records: map[token.Key]*tokenEntry{}}
		s.families[f.id] = f
		heap.Push(&s.overdue, f)
	}
	s.add(e)
	return nil
}

// Get implements [token.Store].
func (s *TokenStore) Get(ctx context.Context, key token.Key) (token.Record, error) {
	if err := ctx.Err(); err != nil {
		return token.Record{}, err
	}
	s.mu.RLock()
	e := s.byKey[key]
	if e == nil {
		s.mu.RUnlock()
		return token.Record{}, token.ErrNotFound
	}
	rec := e.Record
	s.mu.RUnlock()
	return cloned(rec), nil
}

// Use implements [token.Store].
func (s *TokenStore) Use(ctx context.Context, key token.Key) (token.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return token.Record{}, err
	}
	e := s.byKey[key]
	switch {
	case e == nil:
		return token.Record{}, token.ErrNotFound
	case e.Left == 0:
		return token.Record{}, token.ErrSpent
	case e.Left > 0:
		e.Left--
	}
	return cloned(e.Record), nil
}

// Rotate implements [token.Store].
func (s *TokenStore) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	sealed, after := bytes.Clone(sealed), &tokenEntry{Record: kept(next)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return token.Record{}, err
	}
	e := s.byKey[key]
	switch {
	case e == nil:
		return token.Record{}, token.ErrNotFound
	case !e.Used.IsZero() || e.Next != token.Key{}:
		return cloned(e.Record), token.ErrSpent
	case s.byKey[next.Key] != nil:
		return token.Record{}, token.ErrExists
	}
	e.Used, e.Next, e.Sealed = orZero(used), next.Key, sealed
	after.Family = e.Family
	s.add(after)
	return cloned(e.Record), nil
}

// Delete implements [token.Store].
func (s *TokenStore) Delete(ctx context.Context, key token.Key, family string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if family != "" {
		s.end(s.families[family])
	} else if e := s.byKey[key]; e != nil {
		s.remove(e)
	}
	return nil
}

// DeleteSubject implements [token.Store].
func (s *TokenStore) DeleteSubject(ctx context.Context, subject string, purposes ...string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var ended []string
	for _, e := range s.bySubject[subject] {
		if len(purposes) > 0 && !slices.Contains(purposes, e.Purpose) {
			continue
		}
		if s.end(s.families[e.Family]) {
			ended = append(ended, e.Family)
		} else if e.Family == "" {
			s.remove(e)
		}
	}
	slices.Sort(ended)
	return ended, nil
}

// Prune implements [token.Store].
func (s *TokenStore) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := 0
	for ; n < limit && s.queue.isDue(before); n++ {
		s.remove(s.queue[0])
	}
	for m := 0; m < limit && s.overdue.isDue(before) && len(s.overdue[0].records) == 0; m++ {
		delete(s.families, s.overdue[0].id)
		heap.Remove(&s.overdue, 0)
	}
	return n, nil
}

// add, remove and end keep the indexes right. Their callers hold s.mu for writing.
func (s *TokenStore) add(e *tokenEntry) {
	s.byKey[e.Key] = e
	of := s.bySubject[e.Subject]
	if of == nil {
		of = map[token.Key]*tokenEntry{}
		s.bySubject[e.Subject] = of
	}
	of[e.Key] = e
	heap.Push(&s.queue, e)
	f := s.families[e.Family]
	if f == nil {
		return
	}
	f.records[e.Key] = e
	if e.Expires.After(f.expires) {
		f.expires = e.Expires
		heap.Fix(&s.overdue, f.place)
	}
}

func (s *TokenStore) remove(e *tokenEntry) {
	delete(s.byKey, e.Key)
	of := s.bySubject[e.Subject]
	if delete(of, e.Key); len(of) == 0 {
		delete(s.bySubject, e.Subject)
	}
	if f := s.families[e.Family]; f != nil {
		delete(f.records, e.Key)
	}
	heap.Remove(&s.queue, e.place)
}

// end removes the records of f and reports whether it was there and had not ended before.
func (s *TokenStore) end(f *family) bool {
	if f == nil || f.ended {
		return false
	}
	for _, e := range f.records {
		s.remove(e)
	}
	f.ended = true
	return true
}
