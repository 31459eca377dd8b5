package keyring_test

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// ringStore is a store in memory. It copies what goes in and out, counts its calls, and fails on demand.
type ringStore struct {
	mu           sync.Mutex
	rings        map[string]ringState
	loads, saves int
	conflicts    int
	failLoad     error
	failSave     error
	beforeSave   func() // called without the lock, before a save is looked at
}

type ringState struct {
	version int64
	keys    []keyring.Record
}

func newStore() *ringStore { return &ringStore{rings: map[string]ringState{}} }

func copyRecords(recs []keyring.Record) []keyring.Record {
	recs = slices.Clone(recs)
	for i := range recs {
		recs[i].Material = slices.Clone(recs[i].Material)
	}
	return recs
}

func (s *ringStore) Load(_ context.Context, ring string) ([]keyring.Record, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	if s.failLoad != nil {
		return nil, 0, s.failLoad
	}
	state := s.rings[ring]
	return copyRecords(state.keys), state.version, nil
}

func (s *ringStore) Save(_ context.Context, ring string, version int64, keys []keyring.Record) error {
	s.mu.Lock()
	before := s.beforeSave
	s.mu.Unlock()
	if before != nil {
		before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failSave != nil {
		return s.failSave
	}
	if s.rings[ring].version != version {
		s.conflicts++
		return keyring.ErrConflict
	}
	s.saves++
	s.rings[ring] = ringState{version + 1, copyRecords(keys)}
	return nil
}

func (s *ringStore) Rings(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.rings)), nil
}

// fail makes the store fail, or work again if err is nil.
func (s *ringStore) fail(load, save error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failLoad, s.failSave = load, save
}

func (s *ringStore) counts() (loads, saves int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads, s.saves
}

// records returns what is kept of a ring.
func (s *ringStore) records(ring string) []keyring.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return copyRecords(s.rings[ring].keys)
}

// edit changes what is kept of a ring behind everybody's back.
func (s *ringStore) edit(ring string, change func([]keyring.Record) []keyring.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.rings[ring]
	s.rings[ring] = ringState{state.version + 1, change(state.keys)}
}

// between sets what is called before a save, without the lock.
func (s *ringStore) between(call func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beforeSave = call
}

// saved returns how often the store was saved.
func (s *ringStore) saved() int {
	_, saves := s.counts()
	return saves
}
