package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// context: what is asked for with a context that is done is not done.
func (s *revocationSuite) context() {
	all := s.added(s.entries(3)...)
	s.needContext([]call{
		{"Add", func(ctx context.Context) error { _, err := s.Store.Add(ctx, s.entries(2)...); return err }},
		{"Since", func(ctx context.Context) error { _, err := s.Store.Since(ctx, 0, 10); return err }},
		{"Since the end", func(ctx context.Context) error { _, err := s.Store.Since(ctx, 3, 10); return err }},
		{"Prune", func(ctx context.Context) error { _, err := s.Store.Prune(ctx, s.now.AddDate(1, 0, 0), 10); return err }},
	}, nil, func() {
		s.Helper()
		s.has(3, all...)
	})
}

// cancelDuring: an Add that is cancelled on its way is done or not done, never half. That it is done although the caller was told otherwise cannot be
// excluded, and may come to light a moment later.
func (s *revocationSuite) cancelDuring() {
	const batch = 5
	s.cancelledCalls("Add", func(ctx context.Context, round int) error {
		entries := s.entries(batch)
		for i := range entries {
			entries[i].ID = fmt.Sprintf("%d of %d", i, round)
		}
		_, err := s.Store.Add(ctx, entries...)
		return err
	}, func(round int, err error) {
		s.Helper()
		all, failed := s.whole(s.Store, 1000)
		s.ok("Since", failed)
		there := map[int]int{}
		for _, e := range all {
			var i, of int
			if n, _ := fmt.Sscanf(e.ID, "%d of %d", &i, &of); n != 2 || i != there[of] {
				s.Fatalf("the feed has %q where entry %d of a call is due", e.ID, there[of])
			}
			there[of]++
		}
		for of, n := range there {
			if n != batch {
				s.Errorf("of the %d entries of call %d, %d are there", batch, of, n)
			}
		}
		if err == nil && there[round] != batch {
			s.Errorf("Add = nil, and %d of its %d entries are there", there[round], batch)
		}
	})
}

// parallelAdds: each entry gets a place of its own, those of one call next to each other, and none is lost.
func (s *revocationSuite) parallelAdds() {
	given := make([][]revoke.Entry, crowd)
	for i := range given {
		given[i] = s.entries(1 + i%4)
	}
	errs := together(crowd, s.stores(), func(store revoke.Store, i int) error {
		last, err := store.Add(s.Context(), given[i]...)
		given[i] = numbered(last, given[i])
		return err
	})
	s.ok("Add in parallel", errors.Join(errs...))
	all := slices.Concat(given...)
	slices.SortFunc(all, func(a, b revoke.Entry) int { return int(a.Seq - b.Seq) })
	s.has(int64(len(all)), all...)
}

// parallelPrunes: each entry is removed by one.
func (s *revocationSuite) parallelPrunes() {
	stores := s.stores()
	for range s.rounds(rounds / 10) {
		s.added(s.entries(20)...)
		removed := make([]int, 6)
		errs := together(len(removed), stores, func(store revoke.Store, i int) (err error) {
			removed[i], err = store.Prune(s.Context(), s.now.AddDate(1, 0, 0), 10)
			return err
		})
		s.ok("Prune in parallel", errors.Join(errs...))
		total := 0
		for _, n := range removed {
			if total += n; n > 10 {
				s.Errorf("Prune(10) = %d", n)
			}
		}
		rest, err := s.whole(s.Store, 100)
		s.ok("Since", err)
		if total+len(rest) != 20 {
			s.Errorf("Prune in parallel says that it removed %v of 20 entries, and %d are left", removed, len(rest))
		}
		s.prunes(s.now.AddDate(1, 0, 0), 100, len(rest))
	}
}

// noGaps: whoever has seen a place has seen every place below it: a reader that goes on from where it stands misses nothing, whoever writes meanwhile.
func (s *revocationSuite) noGaps() {
	const writers, adds = 6, 40
	stores := s.stores()
	var writing, pages atomic.Int64
	writing.Store(writers)
	seen := make([][]revoke.Entry, 2)
	errs := together(writers+len(seen), stores, func(store revoke.Store, i int) error {
		if i < len(seen) {
			return s.follow(store, &seen[i], func() bool { pages.Add(1); return writing.Load() > 0 })
		}
		defer writing.Add(-1)
		for n := 0; n < adds || n < 3*adds && pages.Load() < 5*adds; n++ { // readers shall get somewhere meanwhile
			dawdle()
			if _, err := store.Add(s.Context(), s.entries(1+n%3)...); err != nil {
				return err
			}
		}
		return nil
	})
	s.ok("reading a feed that is written to", errors.Join(errs...))
	all, err := s.whole(s.Store, 1000)
	s.ok("Since", err)
	for i, got := range seen {
		if diff := differInEntries(got, all); diff != "" {
			s.Errorf("reader %d, who has gone on from the last place that it had seen, has missed something: %s", i, diff)
		}
	}
}

// follow reads a feed from the beginning for as long as it is written to, and once more. Its pages are large, so that it sees the very end of the feed.
func (s *revocationSuite) follow(store revoke.Store, seen *[]revoke.Entry, writing func() bool) error {
	at, last := int64(0), int64(0)
	for more := true; more; {
		more = writing()
		for {
			page, err := store.Since(s.Context(), at, 1000)
			if err != nil {
				return err
			}
			if page.Last < last {
				return fmt.Errorf("the value of Last was %d, and is %d", last, page.Last)
			}
			last = page.Last
			for _, e := range page.Entries {
				if e.Seq != at+1 || e.Seq > page.Last {
					return fmt.Errorf("the page has %d after %d, with Last = %d", e.Seq, at, page.Last)
				}
				at = e.Seq
			}
			if *seen = append(*seen, page.Entries...); len(page.Entries) == 0 {
				if at != page.Last {
					return fmt.Errorf("there is nothing after %d, but Last = %d", at, page.Last)
				}
				break
			}
		}
	}
	return nil
}

// addAgainstPrune: pruning takes nothing that has not expired, and no place is given twice.
func (s *revocationSuite) addAgainstPrune() {
	given := make([][]revoke.Entry, 6)
	done := make(chan struct{})
	var writing, pruned atomic.Int64
	writing.Store(int64(len(given)))
	errs := together(len(given)+2, s.stores(), func(store revoke.Store, i int) error {
		if i >= len(given) {
			for !isDone(done, false) {
				if _, err := store.Prune(s.Context(), s.now, 3); err != nil {
					return err
				}
				pruned.Add(1)
			}
			return nil
		}
		defer func() {
			if writing.Add(-1) == 0 {
				close(done)
			}
		}()
		for n := 0; n < rounds/4 || n < rounds && pruned.Load() < 20; n++ { // pruning shall get somewhere meanwhile
			dawdle()
			entries := s.entries(2)
			entries[pick(2)].Expires = s.now.Add(-time.Minute)
			last, err := store.Add(s.Context(), entries...)
			if err != nil {
				return err
			}
			given[i] = append(given[i], numbered(last, entries)...)
		}
		return nil
	})
	s.ok("Add and Prune at the same time", errors.Join(errs...))
	all := slices.Concat(given...)
	slices.SortFunc(all, func(a, b revoke.Entry) int { return int(a.Seq - b.Seq) })
	if last := all[len(all)-1].Seq; last != int64(len(all)) {
		s.Errorf("the %d entries have places up to %d", len(all), last)
	}
	if _, err := s.Store.Prune(s.Context(), s.now, 1000); err != nil {
		s.Errorf("Prune = %v, want nil", err)
	}
	s.has(int64(len(all)), slices.DeleteFunc(all, func(e revoke.Entry) bool { return e.Expires.Before(s.now) })...)
}

// beside: what one process has done, the other one sees when the call has returned.
func (s *revocationSuite) beside() {
	if s.Revocations.Beside == nil {
		s.Log("does not apply: no second store can have the same feed: Revocations.Beside is nil")
		return
	}
	there := s.Revocations.Beside(s.T)
	s.hasSince(there, 0, 10, 0)
	one := s.added(s.entries(2)...)
	s.hasSince(there, 0, 10, 2, one...)
	two := s.entries(1)
	last, err := there.Add(s.Context(), two...)
	if last != 3 || err != nil {
		s.Fatalf("Add there = %d, %v, want 3, nil", last, err)
	}
	all := append(one, numbered(last, two)...)
	s.has(3, all...)
	s.hasSince(there, 2, 10, 3, all[2])
	if n, err := there.Prune(s.Context(), s.now.AddDate(1, 0, 0), 10); n != 3 || err != nil {
		s.Errorf("Prune there = %d, %v, want 3, nil", n, err)
	}
	s.has(3)
	s.hasSince(there, 0, 10, 3)
	s.has(4, s.added(s.entry())...)
}

// reopen: what was acknowledged is still there after a restart, and places go on where they were, even if nothing is left.
func (s *revocationSuite) reopen() {
	if s.Revocations.Reopen == nil {
		s.Log("does not apply: the feed does not survive the process: Revocations.Reopen is nil")
		return
	}
	entries := s.entries(6)
	for i := range entries[:3] {
		entries[i].Expires = s.now.Add(-time.Minute)
	}
	entries[5].Expires = s.now.Add(-time.Minute)
	all := s.added(entries...)
	s.prunes(s.now, 10, 4)
	s.Store = s.Revocations.Reopen(s.T)
	s.has(6, all[3:5]...)
	more := s.added(s.entries(2)...)
	s.has(8, append(all[3:5:5], more...)...)
	s.prunes(s.now.AddDate(1, 0, 0), 10, 4)
	s.has(8)
	s.Store = s.Revocations.Reopen(s.T)
	s.has(8)
	s.has(9, s.added(s.entry())...)
}
