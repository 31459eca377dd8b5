package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// A KeyStore is a [keyring.Store] in memory. It is safe for concurrent use. Make one with [Keys].
//
// Its only errors are the ones that keyring.Store names, the context's, and that of two keys with one id; every call looks at its context first, and
// once it has begun it is done in one step. With the process the keys are gone, and with them everything that they have signed.
type KeyStore struct {
	mu    sync.RWMutex
	rings map[string]ring
}

// A ring is never changed: it is replaced.
type ring struct {
	version int64
	keys    []keyring.Record
}

var _ keyring.Store = (*KeyStore)(nil)

// Keys returns an empty store. Each call makes another one: rings that shall have the same keys share one store.
func Keys() *KeyStore { return &KeyStore{rings: map[string]ring{}} }

// Load implements [keyring.Store].
func (s *KeyStore) Load(ctx context.Context, name string) ([]keyring.Record, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	s.mu.RLock()
	r := s.rings[name]
	s.mu.RUnlock()
	return copyKeys(r.keys), r.version, nil
}

// Save implements [keyring.Store].
func (s *KeyStore) Save(ctx context.Context, name string, version int64, keys []keyring.Record) error {
	if err := distinct(keys); err != nil {
		return err
	}
	next := ring{version + 1, copyKeys(keys)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.rings[name].version != version {
		return keyring.ErrConflict
	}
	s.rings[name] = next
	return nil
}

// distinct refuses what a database refuses.
func distinct(keys []keyring.Record) error {
	seen := map[string]bool{}
	for _, key := range keys {
		if seen[key.ID] {
			return fmt.Errorf("two keys of the ring have the id %.64q: give each its own", key.ID)
		}
		seen[key.ID] = true
	}
	return nil
}

// Rings implements [keyring.Store].
func (s *KeyStore) Rings(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.rings)), nil
}

// copyKeys returns keys as a store gives them back.
func copyKeys(keys []keyring.Record) []keyring.Record {
	all := slices.Clone(keys)
	for i := range all {
		k := &all[i]
		k.Created, k.Active, k.Gone = orZero(k.Created), orZero(k.Active), orZero(k.Gone)
		k.Material = bytes.Clone(k.Material)
	}
	return all
}

// orZero is precise for times that may be zero, and stay so.
func orZero(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return precise(t)
}
