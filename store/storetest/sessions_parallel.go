package storetest

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// stores returns the store, and the one beside it if there can be one: what holds among goroutines must hold among processes.
func (s *suite) stores() []session.Store {
	if s.Beside == nil {
		return []session.Store{s.Store}
	}
	return []session.Store{s.Store, s.Beside(s.T)}
}

// testParallelUpdates: one version is changed once.
func testParallelUpdates(s *suite) {
	rec := s.stored("anna")
	numbered := func(i int) session.Record {
		next := rec
		next.Body, next.Seen = fmt.Append(nil, i), s.now.Add(time.Duration(i)*time.Millisecond)
		return next
	}
	errs := together(crowd, s.stores(), func(store session.Store, i int) error { return store.Update(s.Context(), numbered(i)) })
	next := numbered(s.winner("Update of one version in parallel", errs, session.ErrConflict))
	next.Version = 2
	s.has(next)
}

// testParallelCounting: who tries again after a conflict gets through, and no change is lost.
func testParallelCounting(s *suite) {
	rec := s.record("anna")
	rec.Body = []byte{0}
	s.create(rec)
	const workers, times = 8, 10
	increment := func(store session.Store) error {
		got, err := store.Get(s.Context(), rec.Key)
		if err != nil {
			return err
		}
		got.Body[0]++
		runtime.Gosched()
		return store.Update(s.Context(), got)
	}
	errs := together(workers, s.stores(), func(store session.Store, _ int) error {
		done := 0
		for tries := 0; done < times; tries++ {
			switch err := increment(store); {
			case err == nil:
				done++
			case tries > 100*workers*times || !errors.Is(err, session.ErrConflict):
				return err
			}
		}
		return nil
	})
	s.ok("counting in parallel", errors.Join(errs...))
	rec.Body[0], rec.Version = workers*times, 1+workers*times
	s.has(rec)
}

// testParallelTouches: the latest use counts, in whatever order they are written down, and no change of the body is undone by them.
func testParallelTouches(s *suite) {
	for range s.rounds(rounds / 20) {
		s.touchTogether()
		s.touchAndUpdateTogether()
	}
}

func (s *suite) touchTogether() {
	rec := s.stored("anna")
	at := func(i int) (seen, deadline time.Time) {
		return rec.Seen.Add(time.Duration(i+1) * time.Millisecond), rec.Deadline.Add(time.Duration(crowd-i) * time.Second)
	}
	errs := together(crowd, s.stores(), func(store session.Store, i int) error {
		seen, deadline := at(i)
		return store.Touch(s.Context(), rec.Key, seen, deadline)
	})
	s.ok("Touch in parallel", errors.Join(errs...))
	rec.Seen, rec.Deadline = at(crowd - 1)
	s.has(rec)
}

func (s *suite) touchAndUpdateTogether() {
	const changes = 20
	rec := s.stored("anna")
	errs := together(crowd, s.stores(), func(store session.Store, i int) error {
		if i > 0 {
			return store.Touch(s.Context(), rec.Key, rec.Seen.Add(time.Duration(i)*time.Millisecond), rec.Deadline)
		}
		for version := range int64(changes) {
			next := rec
			next.Version, next.Body = version+1, fmt.Append(nil, version)
			if err := store.Update(s.Context(), next); err != nil {
				return err
			}
		}
		return nil
	})
	s.ok("Touch and Update in parallel", errors.Join(errs...))
	got, err := s.Store.Get(s.Context(), rec.Key)
	s.ok("Get", err)
	if want := fmt.Sprint(changes - 1); got.Version != changes+1 || string(got.Body) != want {
		s.Errorf("after %d changes among touches: version %d, body %q, want %d, %q", changes, got.Version, got.Body, changes+1, want)
	}
}

// testParallelReplace: a session is renewed once.
func testParallelReplace(s *suite) {
	old := s.stored("anna")
	next := make([]session.Record, crowd)
	for i := range next {
		next[i] = s.record("anna")
	}
	errs := together(crowd, s.stores(), func(store session.Store, i int) error { return store.Create(s.Context(), next[i], old.Key) })
	winner := s.winner("Create in place of the same one in parallel", errs, session.ErrNotFound)
	s.gone(old)
	s.gone(next[:winner]...)
	s.gone(next[winner+1:]...)
	s.lists("anna", next[winner])
}

// testParallelSame: a key and an id are given once.
func testParallelSame(s *suite) {
	rec := s.record("anna")
	errs := together(crowd, s.stores(), func(store session.Store, _ int) error { return store.Create(s.Context(), rec, session.Key{}) })
	s.winner("Create of the same record in parallel", errs, session.ErrExists)
	s.lists("anna", rec)

	sameID := make([]session.Record, crowd)
	for i := range sameID {
		sameID[i] = s.recordID("bert", "the same")
	}
	errs = together(crowd, s.stores(), func(store session.Store, i int) error { return store.Create(s.Context(), sameID[i], session.Key{}) })
	s.lists("bert", sameID[s.winner("Create with the same id in parallel", errs, session.ErrExists)])
}

// testParallelCreates: none is forgotten in the list.
func testParallelCreates(s *suite) {
	all := make([]session.Record, crowd)
	for i := range all {
		all[i] = s.record("anna")
		all[i].Created = s.now.Add(time.Duration(i-crowd) * time.Second)
	}
	errs := together(crowd, s.stores(), func(store session.Store, i int) error { return store.Create(s.Context(), all[i], session.Key{}) })
	s.ok("Create in parallel", errors.Join(errs...))
	s.has(all...)
	s.lists("anna", all...)
	s.deletes("anna", all[7].Key, crowd-1)
	s.lists("anna", all[7])
}

// testParallelDeleteAll: each record is ended by one, whoever they are and in whatever order they find them.
func testParallelDeleteAll(s *suite) {
	for range s.rounds(rounds / 3) {
		subject := newSubject()
		var all []session.Record
		for range 10 {
			rec := s.record(subject)
			if !s.Expires {
				rec.Deadline = s.now.Add(-time.Hour)
			}
			s.create(rec)
			all = append(all, rec)
		}
		removed := make([]int, 6)
		errs := together(len(removed), s.stores(), func(store session.Store, i int) (err error) {
			if pruner, ok := store.(session.Pruner); ok && i%3 == 2 {
				removed[i], err = pruner.Prune(s.Context(), s.now, 20)
				return err
			}
			removed[i], err = store.DeleteAll(s.Context(), subject, session.Key{})
			return err
		})
		s.ok("DeleteAll and Prune in parallel", errors.Join(errs...))
		total := 0
		for _, n := range removed {
			total += n
		}
		if total != len(all) {
			s.Errorf("DeleteAll and Prune in parallel say that they removed %v of %d records", removed, len(all))
		}
		s.gone(all...)
	}
}

// testReplaceAgainstDeleteAll: who ends all sessions of a subject has ended the ones that are renewed at the same moment as well.
func testReplaceAgainstDeleteAll(s *suite) {
	stores := s.stores()
	for range s.rounds(rounds) {
		rec := s.stored(newSubject())
		made := []session.Record{rec}
		done := make(chan struct{})
		errs := together(2, stores, func(store session.Store, i int) error {
			if i == 0 {
				var err error
				made, err = s.renew(store, rec, done)
				return err
			}
			defer close(done)
			if n, err := store.DeleteAll(s.Context(), rec.Subject, session.Key{}); n != 1 || err != nil {
				return fmt.Errorf("DeleteAll among renewals = %d, %w, want 1: there is one at each moment", n, err)
			}
			return nil
		})
		for _, err := range errs {
			if err != nil {
				s.Error(err)
			}
		}
		s.gone(made...)
	}
}

// renew replaces rec by another, and that one by the next, until there is none to replace, and once more after done is closed. It does not go on for
// ever, because some locks are given to whoever asks again at once.
func (s *suite) renew(store session.Store, rec session.Record, done <-chan struct{}) ([]session.Record, error) {
	made := []session.Record{rec}
	for last := false; ; {
		next := s.record(rec.Subject)
		err := store.Create(s.Context(), next, made[len(made)-1].Key)
		switch {
		case errors.Is(err, session.ErrNotFound):
			return append(made, next), nil
		case err != nil:
			return made, fmt.Errorf("Create in place of one that DeleteAll removes at the same time = %w, want nil or ErrNotFound", err)
		case last:
			return append(made, next), errors.New("after DeleteAll had returned, a record was still there to be replaced")
		}
		made = append(made, next)
		last = isDone(done, len(made) > rounds)
	}
}

// testSparedAgainstDeleteAll: the one that is spared may be renewed meanwhile; then it counts as one of the others or as spared, and no other is left.
func testSparedAgainstDeleteAll(s *suite) {
	stores := s.stores()
	for range s.rounds(rounds) {
		subject := newSubject()
		spared, other, next := s.stored(subject), s.stored(subject), s.record(subject)
		errs := together(2, stores, func(store session.Store, i int) error {
			if i == 0 {
				return store.Create(s.Context(), next, other.Key)
			}
			_, err := store.DeleteAll(s.Context(), subject, spared.Key)
			return err
		})
		if !errors.Is(errs[0], session.ErrNotFound) {
			s.ok("Create in place of one that DeleteAll removes at the same time", errs[0])
		}
		s.ok("DeleteAll", errs[1])
		s.gone(other, next)
		s.lists(subject, spared)
	}
}

// testCreateAgainstDeleteAll: what is created at the same moment is removed or stays, and is listed if and only if it is there.
func testCreateAgainstDeleteAll(s *suite) {
	stores := s.stores()
	for range s.rounds(rounds) {
		old := s.stored(newSubject())
		next := s.record(old.Subject)
		removed := 0
		errs := together(2, stores, func(store session.Store, i int) (err error) {
			if i == 0 {
				return store.Create(s.Context(), next, session.Key{})
			}
			removed, err = store.DeleteAll(s.Context(), old.Subject, session.Key{})
			return err
		})
		s.ok("Create and DeleteAll at the same time", errors.Join(errs...))
		s.gone(old)
		switch removed {
		case 1:
			s.lists(old.Subject, next)
			s.has(next)
		case 2:
			s.gone(next)
		default:
			s.Errorf("DeleteAll = %d, want 1 or 2", removed)
		}
	}
}

// testChangeAgainstDelete: a request that still runs does not bring back the session that was ended.
func testChangeAgainstDelete(s *suite) {
	stores := s.stores()
	for round := range s.rounds(rounds) {
		rec := s.stored(newSubject())
		done := make(chan struct{})
		errs := together(3, stores, func(store session.Store, i int) error {
			switch i {
			case 0:
				return repeat(done, func(n int) error {
					next := rec
					next.Version, next.Body = int64(n), fmt.Append(nil, n)
					return store.Update(s.Context(), next)
				})
			case 1:
				return repeat(done, func(n int) error {
					return store.Touch(s.Context(), rec.Key, rec.Seen.Add(time.Duration(n)*time.Millisecond), rec.Deadline)
				})
			}
			defer close(done)
			for range pick(16) {
				runtime.Gosched()
			}
			if round%2 == 0 {
				return store.Delete(s.Context(), rec.Key)
			}
			_, err := store.DeleteAll(s.Context(), rec.Subject, session.Key{})
			return err
		})
		s.ok("ending a session that is used", errors.Join(errs...))
		s.gone(rec)
	}
}

// repeat calls change with 1, 2 and so on until it finds no record, and once more after done is closed. That it still finds one then is for the
// caller to see.
func repeat(done <-chan struct{}, change func(n int) error) error {
	for n, last := 1, false; ; n++ {
		switch err := change(n); {
		case errors.Is(err, session.ErrNotFound):
			return nil
		case err != nil || last:
			return err
		}
		last = isDone(done, n > 10*rounds)
	}
}

// testTouchAgainstPrune: a record whose use was written down is not overdue any more, and stays.
func testTouchAgainstPrune(s *suite) {
	if _, ok := s.Store.(session.Pruner); !ok {
		s.Log("does not apply: the store removes overdue records by itself")
		return
	}
	stores := s.stores()
	for range s.rounds(rounds) {
		rec := s.record(newSubject())
		rec.Deadline = s.now.Add(-time.Minute)
		s.create(rec)
		touched := rec
		touched.Seen, touched.Deadline = s.now, s.now.Add(time.Hour)
		errs := together(2, stores, func(store session.Store, i int) error {
			if i == 0 {
				return store.Touch(s.Context(), rec.Key, touched.Seen, touched.Deadline)
			}
			_, err := store.(session.Pruner).Prune(s.Context(), s.now, 100)
			return err
		})
		s.ok("Prune", errs[1])
		if errors.Is(errs[0], session.ErrNotFound) {
			s.gone(rec)
			continue
		}
		s.ok("Touch", errs[0])
		s.has(touched)
	}
}
