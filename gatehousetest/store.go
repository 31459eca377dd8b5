package gatehousetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// ErrDown is an error for [Store.Fail]: what a program sees when its store does not answer.
var ErrDown = errors.New("gatehousetest: the store is down")

// A Call names a method of a session store.
type Call string

// The methods of [session.Store], and of [session.Pruner].
const (
	CallCreate    Call = "Create"
	CallGet       Call = "Get"
	CallUpdate    Call = "Update"
	CallTouch     Call = "Touch"
	CallDelete    Call = "Delete"
	CallList      Call = "List"
	CallDeleteAll Call = "DeleteAll"
	CallPrune     Call = "Prune"
)

// Calls are all of them.
var Calls = []Call{CallCreate, CallGet, CallUpdate, CallTouch, CallDelete, CallList, CallDeleteAll, CallPrune}

// A Store stands in front of another session store: it counts the calls and lets those fail that the test has chosen. A call that fails does not reach the store
// behind. Make it with [NewStore]; it is safe for concurrent use.
type Store struct {
	inner session.Store

	mu     sync.Mutex
	counts map[Call]int
	always map[Call]error
	once   map[Call]error
}

// NewStore returns a store in front of inner, which is not nil. It fails only when it is told to.
func NewStore(inner session.Store) *Store {
	if inner == nil {
		panic("gatehousetest.NewStore: the store is nil: memory.Sessions() will do")
	}
	return &Store{inner: inner, counts: map[Call]int{}, always: map[Call]error{}, once: map[Call]error{}}
}

// Fail lets the given calls, or every call if none is given, fail with err from now on. A nil err mends them.
func (s *Store) Fail(err error, calls ...Call) { s.plan(s.always, err, calls) }

// FailOnce lets the next of each of the given calls, or of every call if none is given, fail with err, in place of what [Store.Fail] says. A nil err takes that back.
func (s *Store) FailOnce(err error, calls ...Call) { s.plan(s.once, err, calls) }

func (s *Store) plan(plan map[Call]error, err error, calls []Call) {
	if len(calls) == 0 {
		calls = Calls
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range calls {
		if plan[call] = err; err == nil {
			delete(plan, call)
		}
	}
}

// Count returns how often the given calls, or all if none is given, were made since [Store.Reset]: those that failed, too.
func (s *Store) Count(calls ...Call) int {
	if len(calls) == 0 {
		calls = Calls
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, call := range calls {
		n += s.counts[call]
	}
	return n
}

// Reset begins to count anew. What fails goes on failing.
func (s *Store) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.counts)
}

// called counts a call and returns the error with which it fails, or nil.
func (s *Store) called(call Call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[call]++
	if err := s.once[call]; err != nil {
		delete(s.once, call)
		return err
	}
	return s.always[call]
}

// Create implements [session.Store].
func (s *Store) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	if err := s.called(CallCreate); err != nil {
		return err
	}
	return s.inner.Create(ctx, rec, replaces)
}

// Get implements [session.Store].
func (s *Store) Get(ctx context.Context, key session.Key) (session.Record, error) {
	if err := s.called(CallGet); err != nil {
		return session.Record{}, err
	}
	return s.inner.Get(ctx, key)
}

// Update implements [session.Store].
func (s *Store) Update(ctx context.Context, rec session.Record) error {
	if err := s.called(CallUpdate); err != nil {
		return err
	}
	return s.inner.Update(ctx, rec)
}

// Touch implements [session.Store].
func (s *Store) Touch(ctx context.Context, key session.Key, seen, deadline time.Time) error {
	if err := s.called(CallTouch); err != nil {
		return err
	}
	return s.inner.Touch(ctx, key, seen, deadline)
}

// Delete implements [session.Store].
func (s *Store) Delete(ctx context.Context, key session.Key) error {
	if err := s.called(CallDelete); err != nil {
		return err
	}
	return s.inner.Delete(ctx, key)
}

// List implements [session.Store].
func (s *Store) List(ctx context.Context, subject string) ([]session.Record, error) {
	if err := s.called(CallList); err != nil {
		return nil, err
	}
	return s.inner.List(ctx, subject)
}

// DeleteAll implements [session.Store].
func (s *Store) DeleteAll(ctx context.Context, subject string, except session.Key) (int, error) {
	if err := s.called(CallDeleteAll); err != nil {
		return 0, err
	}
	return s.inner.DeleteAll(ctx, subject, except)
}

// Prune implements [session.Pruner]. A store behind that removes overdue records by itself is not asked.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.called(CallPrune); err != nil {
		return 0, err
	}
	pruner, ok := s.inner.(session.Pruner)
	if !ok {
		return 0, nil
	}
	return pruner.Prune(ctx, before, limit)
}
