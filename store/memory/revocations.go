package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A RevocationStore is a [revoke.Store] in memory. It is safe for concurrent use. Make one with [Revocations].
//
// Its only errors are the context's: every call looks at its context first, and once it has begun it is done in one step. With the process the
// revocations are gone: it goes together with keys that are gone with it too, such as those of [Keys], and never with keys that survive.
type RevocationStore struct {
	mu      sync.RWMutex
	last    int64
	entries []revoke.Entry // in the order of Seq
}

var _ revoke.Store = (*RevocationStore)(nil)

// Revocations returns an empty store. Each call makes another one: lists that shall see the same revocations share one store.
func Revocations() *RevocationStore { return &RevocationStore{} }

// Add implements [revoke.Store]. Without entries it changes nothing, and returns the last Seq.
func (s *RevocationStore) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for _, e := range entries {
		s.last++
		e.Seq, e.Before, e.Expires = s.last, orZero(e.Before), orZero(e.Expires)
		s.entries = append(s.entries, e)
	}
	return s.last, nil
}

// Since implements [revoke.Source].
func (s *RevocationStore) Since(ctx context.Context, after int64, limit int) (revoke.Page, error) {
	if err := ctx.Err(); err != nil {
		return revoke.Page{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	first, found := slices.BinarySearchFunc(s.entries, after, func(e revoke.Entry, seq int64) int { return cmp.Compare(e.Seq, seq) })
	if found {
		first++
	}
	rest := s.entries[first:]
	return revoke.Page{Entries: slices.Clone(rest[:max(0, min(limit, len(rest)))]), Last: s.last}, nil
}

// Prune implements [revoke.Store].
func (s *RevocationStore) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := 0
	s.entries = slices.DeleteFunc(s.entries, func(e revoke.Entry) bool {
		if n >= limit || !e.Expires.Before(before) {
			return false
		}
		n++
		return true
	})
	return n, nil
}
