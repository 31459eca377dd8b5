package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/token"
)

// errTokens are the errors that say something about a record.
var errTokens = []error{token.ErrNotFound, token.ErrExists, token.ErrSpent}

// context: what is asked for with a context that is done is not done, and is neither an answer nor a success.
func (s *tokenSuite) context() {
	all, rec, overdue, spent := s.lineage("anna", newID(), 1), s.record("anna"), s.record("anna"), s.record("anna")
	rec.Left, spent.Left = 3, 0
	s.stored(rec, spent)
	if !s.Expires {
		overdue.Expires = s.now.Add(-time.Hour)
		s.stored(overdue)
		all = append(all, overdue)
	}
	rotate := func(key token.Key) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.Store.Rotate(ctx, key, s.now, []byte("lost"), s.member("anna", all[0].Family))
			return err
		}
	}
	s.needContext([]call{
		{"Create", func(ctx context.Context) error { return s.Store.Create(ctx, s.record("anna")) }},
		{"Create of what is there", func(ctx context.Context) error { return s.Store.Create(ctx, rec) }},
		{"Create of a family that is there", func(ctx context.Context) error { return s.Store.Create(ctx, s.member("anna", all[0].Family)) }},
		{"Get", func(ctx context.Context) error { _, err := s.Store.Get(ctx, rec.Key); return err }},
		{"Get of none", func(ctx context.Context) error { _, err := s.Store.Get(ctx, token.Key(newKey())); return err }},
		{"Use", func(ctx context.Context) error { _, err := s.Store.Use(ctx, rec.Key); return err }},
		{"Use of none", func(ctx context.Context) error { _, err := s.Store.Use(ctx, token.Key(newKey())); return err }},
		{"Use of one that is used up", func(ctx context.Context) error { _, err := s.Store.Use(ctx, spent.Key); return err }},
		{"Rotate", rotate(all[1].Key)},
		{"Rotate of one that was rotated", rotate(all[0].Key)},
		{"Rotate of none", rotate(token.Key(newKey()))},
		{"Delete", func(ctx context.Context) error { return s.Store.Delete(ctx, rec.Key, "") }},
		{"Delete of a family", func(ctx context.Context) error { return s.Store.Delete(ctx, none, all[0].Family) }},
		{"DeleteSubject", func(ctx context.Context) error { _, err := s.Store.DeleteSubject(ctx, "anna"); return err }},
		{"DeleteSubject of one purpose", func(ctx context.Context) error { _, err := s.Store.DeleteSubject(ctx, "anna", "reset"); return err }},
		{"Prune", func(ctx context.Context) error { _, err := s.Store.Prune(ctx, s.now, 100); return err }},
	}, errTokens, func() {
		s.Helper()
		s.has(all...)
		s.has(rec, spent)
	})
}

// cancelDuring: a call that is cancelled on its way is done or not done, never half. That it is done although the caller was told otherwise cannot be
// excluded, and may come to light a moment later: each round has a family of its own.
func (s *tokenSuite) cancelDuring() {
	s.cancelRotate()
	s.cancelEnd("Delete of a family", func(ctx context.Context, rec token.Record) error { return s.Store.Delete(ctx, none, rec.Family) })
	s.cancelEnd("DeleteSubject", func(ctx context.Context, rec token.Record) error {
		_, err := s.Store.DeleteSubject(ctx, rec.Subject)
		return err
	})
}

func (s *tokenSuite) cancelRotate() {
	first, next := make([]token.Record, rounds+1), make([]token.Record, rounds+1)
	for i := range first {
		first[i] = s.member(newSubject(), newID())
		next[i] = s.member(first[i].Subject, first[i].Family)
	}
	s.stored(first...)
	s.cancelledCalls("Rotate", func(ctx context.Context, round int) error {
		_, err := s.Store.Rotate(ctx, first[round].Key, s.now, []byte("sealed"), next[round])
		return err
	}, func(round int, err error) {
		s.Helper()
		rotated := first[round]
		rotated.Used, rotated.Next, rotated.Sealed = s.now, next[round].Key, []byte("sealed")
		if err == nil {
			s.has(rotated, next[round])
			return
		}
		s.await("Rotate was cancelled, and there is neither what was before nor what was asked for, or both", nil, func() bool {
			return s.are(first[round]) && s.areNot(next[round]) || s.are(rotated, next[round])
		})
	})
}

// are reports whether the store has these records as they are here.
func (s *tokenSuite) are(records ...token.Record) bool {
	return !slices.ContainsFunc(records, func(rec token.Record) bool {
		got, err := s.Store.Get(s.Context(), rec.Key)
		return err != nil || differInToken(got, rec) != ""
	})
}

// areNot reports whether the store has none of these records.
func (s *tokenSuite) areNot(records ...token.Record) bool {
	return !slices.ContainsFunc(records, func(rec token.Record) bool {
		_, err := s.Store.Get(s.Context(), rec.Key)
		return !errors.Is(err, token.ErrNotFound)
	})
}

func (s *tokenSuite) cancelEnd(what string, end func(ctx context.Context, rec token.Record) error) {
	s.Helper()
	all := make([][]token.Record, rounds+1)
	for i := range all {
		all[i] = s.lineage(newSubject(), newID(), 3)
	}
	s.cancelledCalls(what, func(ctx context.Context, round int) error { return end(ctx, all[round][0]) }, func(round int, err error) {
		s.Helper()
		if err == nil {
			s.gone(all[round]...)
			return
		}
		s.await(what+" was cancelled, and there is a part of the family", nil, func() bool { return s.are(all[round]...) || s.areNot(all[round]...) })
	})
}

// cancelStorm: among calls that are cancelled at any moment, those that are answered get the answer to their own question. GO-2025-3849 was a
// driver's way to give them somebody else's.
func (s *tokenSuite) cancelStorm() {
	var all []token.Record
	for range 16 {
		all = append(all, s.stored(s.record("anna"), s.record("bert"))...)
	}
	get := func(ctx context.Context, want token.Record) error {
		got, err := s.Store.Get(ctx, want.Key)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("no answer of Get: %w", err)
		}
		if diff := differInToken(got, want); diff != "" {
			return errors.New("another record's data in the answer of Get: " + diff)
		}
		return nil
	}
	longest := s.measured("Get", func() error { return get(s.Context(), all[0]) })
	inStorm := func(rec token.Record) error { // every other call is not cancelled, so that no more are under way than the store can bear
		if pick(2) == 0 {
			return get(s.Context(), rec)
		}
		ctx, wait := s.cancelledWithin(longest * time.Duration(1+pick(2)))
		defer wait()
		return get(ctx, rec)
	}
	errs := together(8, s.stores(), func(token.Store, int) error {
		for range 2 * rounds {
			if err := inStorm(all[pick(len(all))]); err != nil {
				return err
			}
		}
		return nil
	})
	s.ok("reading among calls that are cancelled", errors.Join(errs...))
	s.has(all...)
}

// parallelCreates: a key is given once, and what is created at the same time is all there.
func (s *tokenSuite) parallelCreates() {
	same, stores := make([]token.Record, crowd), s.stores()
	for i := range same {
		same[i] = s.record("anna")
		same[i].Key = same[0].Key
	}
	errs := together(crowd, stores, func(store token.Store, i int) error { return store.Create(s.Context(), same[i]) })
	s.has(same[s.winner("Create under the same key in parallel", errs, token.ErrExists)])

	all := make([]token.Record, crowd)
	var families []string
	for i := range all {
		if all[i] = s.record("bert"); i%2 == 0 {
			all[i] = s.member("bert", newID())
			families = append(families, all[i].Family)
		}
	}
	errs = together(crowd, stores, func(store token.Store, i int) error { return store.Create(s.Context(), all[i]) })
	s.ok("Create in parallel", errors.Join(errs...))
	s.has(all...)
	s.deletes("bert", nil, families...)
	s.gone(all...)
}

// parallelFamilies: a family begins once.
func (s *tokenSuite) parallelFamilies() {
	stores := s.stores()
	for range s.rounds(rounds / 20) {
		all, family := make([]token.Record, crowd), newID()
		for i := range all {
			all[i] = s.member("anna", family)
		}
		errs := together(crowd, stores, func(store token.Store, i int) error { return store.Create(s.Context(), all[i]) })
		winner := s.winner("Create of the same family in parallel", errs, token.ErrExists)
		s.has(all[winner])
		s.gone(slices.Concat(all[:winner], all[winner+1:])...)
		s.deletes("anna", nil, family)
	}
}

// parallelUses: of n uses, n succeed, however many come at once.
func (s *tokenSuite) parallelUses() {
	stores := s.stores()
	for _, uses := range []int{1, 7, crowd - 1, crowd, crowd + 1} {
		rec := s.record("anna")
		rec.Left = uses
		s.stored(rec)
		left := make([]int, crowd)
		errs := together(crowd, stores, func(store token.Store, i int) error {
			got, err := store.Use(s.Context(), rec.Key)
			left[i] = got.Left
			return err
		})
		var seen []int
		for i, err := range errs {
			if err == nil {
				seen = append(seen, left[i])
			} else if !errors.Is(err, token.ErrSpent) {
				s.Fatalf("Use in parallel = %v, want nil or an error that wraps %q", err, token.ErrSpent)
			}
		}
		if want := min(uses, crowd); len(seen) != want {
			s.Errorf("%d of %d calls have used a token with %d uses, want %d", len(seen), crowd, uses, want)
		}
		slices.Sort(seen)
		if same := slices.Compact(slices.Clone(seen)); len(same) != len(seen) {
			s.Errorf("those who used it were told that %v uses are left, want another number each", seen)
		}
		rec.Left = max(0, uses-crowd)
		s.has(rec)
	}
}

// parallelRotates: of several that rotate the same key, one succeeds, and the others get what that one has made of it.
func (s *tokenSuite) parallelRotates() {
	stores := s.stores()
	for round := range s.rounds(rounds / 10) {
		all := s.lineage(newSubject(), newID(), round%2)
		rec, before := all[len(all)-1], all[:len(all)-1]
		next, got := make([]token.Record, crowd), make([]token.Record, crowd)
		for i := range next {
			next[i] = s.member(rec.Subject, rec.Family)
		}
		errs := together(crowd, stores, func(store token.Store, i int) (err error) {
			got[i], err = store.Rotate(s.Context(), rec.Key, s.now.Add(time.Duration(i)*time.Millisecond), fmt.Append(nil, i), next[i])
			return err
		})
		i := s.winner("Rotate of one record in parallel", errs, token.ErrSpent)
		rec.Used, rec.Next, rec.Sealed = s.now.Add(time.Duration(i)*time.Millisecond), next[i].Key, fmt.Append(nil, i)
		for _, rotated := range got {
			s.is("Rotate in parallel", rotated, rec)
		}
		s.has(rec, next[i])
		s.has(before...)
		if lost := slices.Concat(next[:i], next[i+1:]); !s.areNot(lost...) {
			s.Error("a successor that was not taken is there")
		}
	}
}

// parallelDeletes: each family is ended by one.
func (s *tokenSuite) parallelDeletes() {
	stores := s.stores()
	for range s.rounds(rounds / 5) {
		subject := newSubject()
		var all []token.Record
		var want []string
		for range 5 {
			line := s.lineage(subject, newID(), 1)
			all, want = append(all, line...), append(want, line[0].Family)
		}
		all = append(all, s.stored(s.record(subject))...)
		ended := make([][]string, 6)
		errs := together(len(ended), stores, func(store token.Store, i int) (err error) {
			ended[i], err = store.DeleteSubject(s.Context(), subject, [][]string{nil, {"refresh"}, {"refresh", "reset"}}[i%3]...)
			return err
		})
		s.ok("DeleteSubject in parallel", errors.Join(errs...))
		got := slices.Concat(ended...)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			s.Errorf("DeleteSubject in parallel has ended %q, want each of %q once", ended, want)
		}
		s.gone(all...)
	}
}

// parallelPrunes: each record is removed by one, and a family that is in use is not taken away.
func (s *tokenSuite) parallelPrunes() {
	if s.Expires {
		s.Log("does not apply: the store removes overdue records by itself")
		return
	}
	stores := s.stores()
	for range s.rounds(rounds / 10) {
		var overdue []token.Record
		for range 20 {
			overdue = append(overdue, s.record(newSubject()))
			overdue[len(overdue)-1].Expires = s.now.Add(-time.Hour)
		}
		first := s.member(newSubject(), newID())
		first.Expires = s.now.Add(-time.Hour)
		line := s.stored(first)
		s.stored(overdue...)
		removed := make([]int, 5)
		next := s.member(first.Subject, first.Family)
		errs := together(len(removed)+1, stores, func(store token.Store, i int) (err error) {
			if i == len(removed) {
				_, err = store.Rotate(s.Context(), first.Key, s.now, []byte("sealed"), next)
				return err
			}
			removed[i], err = store.Prune(s.Context(), s.now, 10)
			return err
		})
		s.ok("Prune in parallel", errors.Join(errs[:len(removed)]...))
		total := 0
		for _, n := range removed {
			if total += n; n > 10 {
				s.Errorf("Prune(10) = %d", n)
			}
		}
		if total != len(overdue)+1 {
			s.Errorf("Prune in parallel says that it removed %v of %d records", removed, len(overdue)+1)
		}
		s.gone(overdue...)
		s.gone(line...)
		if err := errs[len(removed)]; errors.Is(err, token.ErrNotFound) {
			s.gone(next)
		} else if s.ok("Rotate of an overdue record while others prune", err); err == nil {
			s.has(next)
		}
	}
}

// ending are the ways in which a family ends.
func (s *tokenSuite) ending() []func(store token.Store, rec token.Record) error {
	return []func(token.Store, token.Record) error{
		func(store token.Store, rec token.Record) error { return store.Delete(s.Context(), none, rec.Family) },
		func(store token.Store, rec token.Record) error {
			_, err := store.DeleteSubject(s.Context(), rec.Subject)
			return err
		},
		func(store token.Store, rec token.Record) error {
			_, err := store.DeleteSubject(s.Context(), rec.Subject, "verify", "refresh")
			return err
		},
	}
}

// useAgainstDelete: once it has ended, nothing is used any more.
func (s *tokenSuite) useAgainstDelete() {
	stores, ends := s.stores(), s.ending()
	for round := range s.rounds(rounds / 2) {
		rec := s.member(newSubject(), newID())
		s.stored(rec)
		done := make(chan struct{})
		errs := together(2, stores, func(store token.Store, i int) error {
			if i == 0 {
				return untilGone(done, func(int) error { _, err := store.Use(s.Context(), rec.Key); return err })
			}
			defer close(done)
			dawdle()
			return ends[round%len(ends)](store, rec)
		})
		s.ok("ending a token that is used", errors.Join(errs...))
		s.gone(rec)
	}
}

// untilGone calls do with 0, 1 and so on until it finds no record, and once more after done is closed. That it still finds one then is an error.
func untilGone(done <-chan struct{}, do func(n int) error) error {
	for n, last := 0, false; ; n++ {
		switch err := do(n); {
		case errors.Is(err, token.ErrNotFound):
			return nil
		case err != nil:
			return err
		case last:
			return errors.New("after its end had been reported, a record was still found")
		}
		last = isDone(done, n > rounds)
	}
}

// dawdle gives others the time to get somewhere.
func dawdle() {
	for range pick(16) {
		runtime.Gosched()
	}
}

// rotateAgainstDelete: who ends a family, or all of a subject, has ended what is rotated at the same moment as well.
func (s *tokenSuite) rotateAgainstDelete() {
	stores, ends := s.stores(), s.ending()
	for round := range s.rounds(rounds) {
		made := s.stored(s.member(newSubject(), newID()))
		first, done := made[0], make(chan struct{})
		errs := together(2, stores, func(store token.Store, i int) error {
			if i == 0 {
				return untilGone(done, func(int) error {
					next := s.member(first.Subject, first.Family)
					_, err := store.Rotate(s.Context(), made[len(made)-1].Key, s.now, []byte("sealed"), next)
					made = append(made, next)
					return err
				})
			}
			defer close(done)
			dawdle()
			return ends[round%len(ends)](store, first)
		})
		s.ok("ending a family that is rotated", errors.Join(errs...))
		s.gone(made...)
	}
}

// createAgainstDelete: what is created at the same moment is removed or stays, and what stays can be removed.
func (s *tokenSuite) createAgainstDelete() {
	stores := s.stores()
	for round := range s.rounds(rounds) {
		subject := newSubject()
		old, next := s.stored(s.member(subject, newID()))[0], s.member(subject, newID())
		if round%2 == 0 {
			next = s.record(subject)
		}
		var ended []string
		errs := together(2, stores, func(store token.Store, i int) (err error) {
			if i == 0 {
				return store.Create(s.Context(), next)
			}
			ended, err = store.DeleteSubject(s.Context(), subject)
			return err
		})
		s.ok("DeleteSubject", errs[1])
		s.gone(old)
		_, err := s.Store.Get(s.Context(), next.Key)
		switch stays := err == nil; {
		case stays && errs[0] != nil:
			s.Errorf("Create = %v, and the record is there", errs[0])
		case stays && next.Family != "" && slices.Contains(ended, next.Family):
			s.Error("DeleteSubject has ended a family that is there")
		case stays && next.Family != "":
			s.deletes(subject, nil, next.Family)
		case errs[0] == nil && next.Family != "" && !slices.Contains(ended, next.Family):
			s.Errorf("DeleteSubject = %q, but the family %q is gone", ended, next.Family)
		default:
			s.deletes(subject, nil)
		}
		s.gone(next)
	}
}

// rotateAgainstUse: neither undoes the other.
func (s *tokenSuite) rotateAgainstUse() {
	stores := s.stores()
	for range s.rounds(rounds / 4) {
		rec, next := s.record(newSubject()), s.record("anna")
		rec.Left = 20
		s.stored(rec)
		errs := together(11, stores, func(store token.Store, i int) error {
			if i == 10 {
				_, err := store.Rotate(s.Context(), rec.Key, s.now, []byte("sealed"), next)
				return err
			}
			_, err := store.Use(s.Context(), rec.Key)
			return err
		})
		s.ok("Use and Rotate at the same time", errors.Join(errs...))
		rec.Left, rec.Used, rec.Next, rec.Sealed = 10, s.now, next.Key, []byte("sealed")
		s.has(rec, next)
	}
}
