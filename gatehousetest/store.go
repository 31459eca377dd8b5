package gatehousetest

import (
	"context"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

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

// Calls are all of them: the calls of a [Store].
var Calls = []Call{CallCreate, CallGet, CallUpdate, CallTouch, CallDelete, CallList, CallDeleteAll, CallPrune}

// A Store is a [session.Store] in front of another one. It counts the calls and lets those fail that the test has chosen. Make it with [NewStore]; it is safe for
// concurrent use.
type Store struct {
	*Faults
	inner session.Store
}

// NewStore returns a store in front of inner, which is not nil. It fails only when it is told to.
func NewStore(inner session.Store) *Store {
	if inner == nil {
		panic("gatehousetest.NewStore: the store is nil: memory.Sessions() will do")
	}
	return &Store{newFaults(Calls), inner}
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
