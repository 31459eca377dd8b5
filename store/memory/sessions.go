package memory

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// A SessionStore is a [session.Store] and a [session.Pruner] in memory. It is safe for concurrent use. Make one with [Sessions].
//
// Its only errors are the ones that session.Store names, and the context's: every call looks at its context first, and once it has begun it is
// done in one step.
type SessionStore struct {
	mu        sync.RWMutex
	byKey     map[session.Key]*entry
	byID      map[string]*entry
	bySubject map[string]map[session.Key]*entry // no empty inner maps
	queue     queue[*entry]                     // every entry, the first deadline first
}

var (
	_ session.Store  = (*SessionStore)(nil)
	_ session.Pruner = (*SessionStore)(nil)
)

// Sessions returns an empty store. Each call makes another one: tables that shall see the same sessions share one store.
func Sessions() *SessionStore {
	return &SessionStore{byKey: map[session.Key]*entry{}, byID: map[string]*entry{}, bySubject: map[string]map[session.Key]*entry{}}
}

// An entry is a record and its place in the queue. The bytes of its Body are never changed in place, so that they can be copied without a lock.
type entry struct {
	session.Record
	place int
}

func (e *entry) due() time.Time  { return e.Deadline }
func (e *entry) moved(place int) { e.place = place }

// precise returns t as all stores keep it, so that a program that is tested with this one meets no surprise with another.
func precise(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }

// Create implements [session.Store].
func (s *SessionStore) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	rec.Body = bytes.Clone(rec.Body)
	rec.Created, rec.Seen, rec.Deadline = precise(rec.Created), precise(rec.Seen), precise(rec.Deadline)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.byKey[rec.Key] != nil || s.byID[rec.ID] != nil {
		return session.ErrExists
	}
	if !replaces.IsZero() {
		old := s.byKey[replaces]
		if old == nil {
			return session.ErrNotFound
		}
		s.remove(old)
	}
	s.add(&entry{Record: rec})
	return nil
}

// Get implements [session.Store].
func (s *SessionStore) Get(ctx context.Context, key session.Key) (session.Record, error) {
	if err := ctx.Err(); err != nil {
		return session.Record{}, err
	}
	s.mu.RLock()
	e := s.byKey[key]
	if e == nil {
		s.mu.RUnlock()
		return session.Record{}, session.ErrNotFound
	}
	rec := e.Record
	s.mu.RUnlock()
	rec.Body = bytes.Clone(rec.Body)
	return rec, nil
}

// Update implements [session.Store].
func (s *SessionStore) Update(ctx context.Context, rec session.Record) error {
	text := bytes.Clone(rec.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	e := s.byKey[rec.Key]
	switch {
	case e == nil:
		return session.ErrNotFound
	case e.Version != rec.Version:
		return session.ErrConflict
	}
	e.Body = text
	e.Version++
	s.move(e, rec.Seen, rec.Deadline)
	return nil
}

// Touch implements [session.Store].
func (s *SessionStore) Touch(ctx context.Context, key session.Key, seen, deadline time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	e := s.byKey[key]
	if e == nil {
		return session.ErrNotFound
	}
	if precise(seen).After(e.Seen) {
		s.move(e, seen, deadline)
	}
	return nil
}

// Delete implements [session.Store].
func (s *SessionStore) Delete(ctx context.Context, key session.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if e := s.byKey[key]; e != nil {
		s.remove(e)
	}
	return nil
}

// List implements [session.Store].
func (s *SessionStore) List(ctx context.Context, subject string) ([]session.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	list := make([]session.Record, 0, len(s.bySubject[subject]))
	for _, e := range s.bySubject[subject] {
		list = append(list, e.Record)
	}
	s.mu.RUnlock()
	for i := range list {
		list[i].Body = bytes.Clone(list[i].Body)
	}
	slices.SortFunc(list, func(a, b session.Record) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// DeleteAll implements [session.Store].
func (s *SessionStore) DeleteAll(ctx context.Context, subject string, except session.Key) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := 0
	for key, e := range s.bySubject[subject] {
		if key != except {
			s.remove(e)
			n++
		}
	}
	return n, nil
}

// Prune implements [session.Pruner].
func (s *SessionStore) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := 0
	for n < limit && s.queue.isDue(before) {
		s.remove(s.queue[0])
		n++
	}
	return n, nil
}

// add, remove and move keep the indexes right. Their callers hold s.mu for writing.
func (s *SessionStore) add(e *entry) {
	s.byKey[e.Key], s.byID[e.ID] = e, e
	of := s.bySubject[e.Subject]
	if of == nil {
		of = map[session.Key]*entry{}
		s.bySubject[e.Subject] = of
	}
	of[e.Key] = e
	heap.Push(&s.queue, e)
}

func (s *SessionStore) remove(e *entry) {
	delete(s.byKey, e.Key)
	delete(s.byID, e.ID)
	of := s.bySubject[e.Subject]
	if delete(of, e.Key); len(of) == 0 {
		delete(s.bySubject, e.Subject)
	}
	heap.Remove(&s.queue, e.place)
}

func (s *SessionStore) move(e *entry, seen, deadline time.Time) {
	e.Seen, e.Deadline = precise(seen), precise(deadline)
	heap.Fix(&s.queue, e.place)
}
