package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
)

// context: what is asked for with a context that is done is not done, and is neither an answer nor a success.
func (s *keySuite) context() {
	keys := s.keys(2)
	s.save("access", 0, keys...)
	s.needContext([]call{
		{"Load", func(ctx context.Context) error { _, _, err := s.Store.Load(ctx, "access"); return err }},
		{"Load of none", func(ctx context.Context) error { _, _, err := s.Store.Load(ctx, "none"); return err }},
		{"Save", func(ctx context.Context) error { return s.Store.Save(ctx, "access", 1, s.keys(1)) }},
		{"Save of a new ring", func(ctx context.Context) error { return s.Store.Save(ctx, "none", 0, s.keys(1)) }},
		{"Save of another version", func(ctx context.Context) error { return s.Store.Save(ctx, "access", 7, s.keys(1)) }},
		{"Rings", func(ctx context.Context) error { _, err := s.Store.Rings(ctx); return err }},
	}, []error{keyring.ErrConflict}, func() {
		s.Helper()
		s.has("access", 1, keys...)
		s.has("none", 0)
		s.named("access")
	})
}

// cancelDuring: a Save that is cancelled on its way is done or not done, never half. That it is done although the caller was told otherwise cannot be excluded,
// and may come to light a moment later: each round has a ring of its own.
func (s *keySuite) cancelDuring() {
	ring := func(round int) string { return fmt.Sprint("ring ", round) }
	before, after := make([][]keyring.Record, rounds+1), make([][]keyring.Record, rounds+1)
	for round := range before {
		before[round], after[round] = s.keys(3), s.keys(4)
		s.save(ring(round), 0, before[round]...)
	}
	s.cancelledCalls("Save", func(ctx context.Context, round int) error {
		return s.Store.Save(ctx, ring(round), 1, after[round])
	}, func(round int, err error) {
		s.Helper()
		if err == nil {
			s.has(ring(round), 2, after[round]...)
			return
		}
		s.await("Save was cancelled, and there is neither what was before nor what was asked for, or both", nil, func() bool {
			keys, version, err := s.Store.Load(s.Context(), ring(round))
			return err == nil && (version == 1 && differInKeys(keys, before[round]) == "" || version == 2 && differInKeys(keys, after[round]) == "")
		})
	})
}

// parallelSaves: of several that have loaded the same version, one saves, and what it has saved is there as a whole.
func (s *keySuite) parallelSaves() {
	stores := s.stores()
	s.save("access", 0, s.key())
	for version := range int64(5) {
		s.saveTogether(stores, "access", version+1)
	}
}

// parallelFirst: so it is with a ring that nobody has saved before.
func (s *keySuite) parallelFirst() {
	stores := s.stores()
	for i := range s.rounds(rounds / 20) {
		s.saveTogether(stores, fmt.Sprint("ring ", i), 0)
	}
}

func (s *keySuite) saveTogether(stores []keyring.Store, ring string, version int64) {
	s.Helper()
	next := make([][]keyring.Record, crowd)
	for i := range next {
		next[i] = s.keys(1 + i%3)
	}
	errs := together(crowd, stores, func(store keyring.Store, i int) error { return store.Save(s.Context(), ring, version, next[i]) })
	s.has(ring, version+1, next[s.winner("Save of one version in parallel", errs, keyring.ErrConflict)]...)
}

// parallelCounting: who tries again after a conflict gets through, and no change is lost.
func (s *keySuite) parallelCounting() {
	const workers, times = 8, 10
	s.save("access", 0)
	add := func(store keyring.Store) error {
		keys, version, err := store.Load(s.Context(), "access")
		if err != nil {
			return err
		}
		runtime.Gosched()
		return store.Save(s.Context(), "access", version, append(keys, s.key()))
	}
	errs := together(workers, s.stores(), func(store keyring.Store, _ int) error {
		done := 0
		for tries := 0; done < times; tries++ {
			switch err := add(store); {
			case err == nil:
				done++
			case tries > 100*workers*times || !errors.Is(err, keyring.ErrConflict):
				return err
			}
		}
		return nil
	})
	s.ok("adding keys in parallel", errors.Join(errs...))
	if keys, version, err := s.Store.Load(s.Context(), "access"); len(keys) != workers*times || version != 1+workers*times || err != nil {
		s.Errorf("Load = %d keys, version %d, %v, want %d, %d, nil", len(keys), version, err, workers*times, 1+workers*times)
	}
}

// parallelRings: rings do not get into each other's way.
func (s *keySuite) parallelRings() {
	keys, names := make([][]keyring.Record, crowd), make([]string, crowd)
	for i := range keys {
		keys[i], names[i] = s.keys(3), fmt.Sprintf("ring %02d", i)
	}
	errs := together(crowd, s.stores(), func(store keyring.Store, i int) error {
		if err := store.Save(s.Context(), names[i], 0, keys[i][:1]); err != nil {
			return err
		}
		return store.Save(s.Context(), names[i], 1, keys[i])
	})
	s.ok("Save of different rings in parallel", errors.Join(errs...))
	for i, name := range names {
		s.has(name, 2, keys[i]...)
	}
	s.named(names...)
}

// loadAgainstSave: keys and version belong together, whatever is saved at the same moment.
func (s *keySuite) loadAgainstSave() {
	numbered := func(version int64) []keyring.Record {
		keys := s.keys(1 + int(version)%5)
		for i := range keys {
			keys[i].ID, keys[i].Lifetime = fmt.Sprintf("%d of version %d", i, version), time.Duration(version)*time.Second
		}
		return keys
	}
	s.save("access", 0, numbered(1)...)
	done := make(chan struct{})
	var loads atomic.Int64
	errs := together(5, s.stores(), func(store keyring.Store, i int) error {
		if i == 0 {
			defer close(done)
			for version := int64(1); version <= rounds || version <= 10*rounds && loads.Load() < rounds; version++ { // readers shall get somewhere meanwhile
				dawdle()
				if err := store.Save(s.Context(), "access", version, numbered(version+1)); err != nil {
					return err
				}
			}
			return nil
		}
		last := int64(0)
		for !isDone(done, false) {
			keys, version, err := store.Load(s.Context(), "access")
			if err != nil {
				return err
			}
			for i, key := range keys {
				if key.ID != fmt.Sprintf("%d of version %d", i, version) || key.Lifetime != time.Duration(version)*time.Second {
					return fmt.Errorf("the answer of Load has key %q, of %v, in version %d", key.ID, key.Lifetime, version)
				}
			}
			if len(keys) != 1+int(version)%5 || version < last {
				return fmt.Errorf("the answer of Load has %d keys in version %d, which comes after %d", len(keys), version, last)
			}
			last = version
			loads.Add(1)
		}
		return nil
	})
	s.ok("Load and Save at the same time", errors.Join(errs...))
}

// beside: what one process has done, the other one sees when the call has returned.
func (s *keySuite) beside() {
	if s.Keys.Beside == nil {
		s.Log("does not apply: no second store can have the same rings: Keys.Beside is nil")
		return
	}
	here, there := s.Store, s.Keys.Beside(s.T)
	s.namedIn(there)
	s.hasIn(there, "access", 0)
	one, two := s.keys(2), s.keys(1)
	s.save("access", 0, one...)
	s.hasIn(there, "access", 1, one...)
	s.namedIn(there, "access")
	s.ok("Save there", there.Save(s.Context(), "access", 1, two))
	s.refused("Save here of what was saved there", here.Save(s.Context(), "access", 1, one), keyring.ErrConflict)
	s.has("access", 2, two...)
	s.save("access", 2, one...)
	s.hasIn(there, "access", 3, one...)
	s.ok("Save there", there.Save(s.Context(), "refresh", 0, one))
	s.named("access", "refresh")
	s.has("refresh", 1, one...)
}

// reopen: what was acknowledged is still there after a restart, and what was replaced is not.
func (s *keySuite) reopen() {
	if s.Keys.Reopen == nil {
		s.Log("does not apply: the rings do not survive the process: Keys.Reopen is nil")
		return
	}
	first, second, other := s.keys(3), s.keys(2), s.keys(1)
	other[0].Material, other[0].Gone = []byte{0, 0xff}, s.now
	s.save("access", 0, first...)
	s.save("access", 1, second...)
	s.save("other", 0, other...)
	s.save("empty", 0)
	s.Store = s.Keys.Reopen(s.T)
	s.has("access", 2, second...)
	s.has("other", 1, other...)
	s.has("empty", 1)
	s.named("access", "empty", "other")
	s.refused("Save of an old version", s.Store.Save(s.Context(), "access", 1, first), keyring.ErrConflict)
	s.save("access", 2, first...)
	s.has("access", 3, first...)
}
