package gatehousetest

import (
	"context"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/token"
)

// The methods of [keyring.Store], [token.Store] and [revoke.Store] that [session.Store] has not.
const (
	CallLoad          Call = "Load"
	CallSave          Call = "Save"
	CallRings         Call = "Rings"
	CallUse           Call = "Use"
	CallRotate        Call = "Rotate"
	CallDeleteSubject Call = "DeleteSubject"
	CallAdd           Call = "Add"
	CallSince         Call = "Since"
)

var (
	// KeyCalls are the calls of a [KeyStore].
	KeyCalls = []Call{CallLoad, CallSave, CallRings}
	// TokenCalls are the calls of a [TokenStore].
	TokenCalls = []Call{CallCreate, CallGet, CallUse, CallRotate, CallDelete, CallDeleteSubject, CallPrune}
	// RevocationCalls are the calls of a [RevocationStore].
	RevocationCalls = []Call{CallAdd, CallSince, CallPrune}
)

// A KeyStore is a [keyring.Store] in front of another one. It counts the calls and lets those fail that the test has chosen. Make it with [NewKeyStore]; it is
// safe for concurrent use.
type KeyStore struct {
	*Faults
	inner keyring.Store
}

// NewKeyStore returns a store in front of inner, which is not nil. It fails only when it is told to.
func NewKeyStore(inner keyring.Store) *KeyStore {
	if inner == nil {
		panic("gatehousetest.NewKeyStore: the store is nil: memory.Keys() will do")
	}
	return &KeyStore{newFaults(KeyCalls), inner}
}

// Load implements [keyring.Store].
func (s *KeyStore) Load(ctx context.Context, ring string) ([]keyring.Record, int64, error) {
	if err := s.called(CallLoad); err != nil {
		return nil, 0, err
	}
	return s.inner.Load(ctx, ring)
}

// Save implements [keyring.Store].
func (s *KeyStore) Save(ctx context.Context, ring string, version int64, keys []keyring.Record) error {
	if err := s.called(CallSave); err != nil {
		return err
	}
	return s.inner.Save(ctx, ring, version, keys)
}

// Rings implements [keyring.Store].
func (s *KeyStore) Rings(ctx context.Context) ([]string, error) {
	if err := s.called(CallRings); err != nil {
		return nil, err
	}
	return s.inner.Rings(ctx)
}

// A TokenStore is a [token.Store] in front of another one. It counts the calls and lets those fail that the test has chosen. Make it with [NewTokenStore]; it
// is safe for concurrent use.
type TokenStore struct {
	*Faults
	inner token.Store
}

// NewTokenStore returns a store in front of inner, which is not nil. It fails only when it is told to.
func NewTokenStore(inner token.Store) *TokenStore {
	if inner == nil {
		panic("gatehousetest.NewTokenStore: the store is nil: memory.Tokens() will do")
	}
	return &TokenStore{newFaults(TokenCalls), inner}
}

// Create implements [token.Store].
func (s *TokenStore) Create(ctx context.Context, rec token.Record) error {
	if err := s.called(CallCreate); err != nil {
		return err
	}
	return s.inner.Create(ctx, rec)
}

// Get implements [token.Store].
func (s *TokenStore) Get(ctx context.Context, key token.Key) (token.Record, error) {
	if err := s.called(CallGet); err != nil {
		return token.Record{}, err
	}
	return s.inner.Get(ctx, key)
}

// Use implements [token.Store].
func (s *TokenStore) Use(ctx context.Context, key token.Key) (token.Record, error) {
	if err := s.called(CallUse); err != nil {
		return token.Record{}, err
	}
	return s.inner.Use(ctx, key)
}

// Rotate implements [token.Store].
func (s *TokenStore) Rotate(ctx context.Context, key token.Key, used time.Time, sealed []byte, next token.Record) (token.Record, error) {
	if err := s.called(CallRotate); err != nil {
		return token.Record{}, err
	}
	return s.inner.Rotate(ctx, key, used, sealed, next)
}

// Delete implements [token.Store].
func (s *TokenStore) Delete(ctx context.Context, key token.Key, family string) error {
	if err := s.called(CallDelete); err != nil {
		return err
	}
	return s.inner.Delete(ctx, key, family)
}

// DeleteSubject implements [token.Store].
func (s *TokenStore) DeleteSubject(ctx context.Context, subject string, purposes ...string) ([]string, error) {
	if err := s.called(CallDeleteSubject); err != nil {
		return nil, err
	}
	return s.inner.DeleteSubject(ctx, subject, purposes...)
}

// Prune implements [token.Store].
func (s *TokenStore) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.called(CallPrune); err != nil {
		return 0, err
	}
	return s.inner.Prune(ctx, before, limit)
}

// A RevocationStore is a [revoke.Store] in front of another one. It counts the calls and lets those fail that the test has chosen. Make it with
// [NewRevocationStore]; it is safe for concurrent use.
type RevocationStore struct {
	*Faults
	inner revoke.Store
}

// NewRevocationStore returns a store in front of inner, which is not nil. It fails only when it is told to.
func NewRevocationStore(inner revoke.Store) *RevocationStore {
	if inner == nil {
		panic("gatehousetest.NewRevocationStore: the store is nil: memory.Revocations() will do")
	}
	return &RevocationStore{newFaults(RevocationCalls), inner}
}

// Add implements [revoke.Store].
func (s *RevocationStore) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	if err := s.called(CallAdd); err != nil {
		return 0, err
	}
	return s.inner.Add(ctx, entries...)
}

// Since implements [revoke.Source].
func (s *RevocationStore) Since(ctx context.Context, after int64, limit int) (revoke.Page, error) {
	if err := s.called(CallSince); err != nil {
		return revoke.Page{}, err
	}
	return s.inner.Since(ctx, after, limit)
}

// Prune implements [revoke.Store].
func (s *RevocationStore) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.called(CallPrune); err != nil {
		return 0, err
	}
	return s.inner.Prune(ctx, before, limit)
}
