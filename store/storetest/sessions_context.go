package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// calls returns every method, each of which would change rec, or find it.
func (s *suite) calls(rec session.Record) []call {
	changed := rec
	changed.Body, changed.Seen, changed.Deadline = []byte("lost"), s.now, s.now.Add(72*time.Hour)
	all := []call{
		{"Create", func(ctx context.Context) error { return s.Store.Create(ctx, s.record(rec.Subject), session.Key{}) }},
		{"Create in place of another", func(ctx context.Context) error { return s.Store.Create(ctx, s.record(rec.Subject), rec.Key) }},
		{"Get", func(ctx context.Context) error { _, err := s.Store.Get(ctx, rec.Key); return err }},
		{"Get of none", func(ctx context.Context) error { _, err := s.Store.Get(ctx, newKey()); return err }},
		{"Update", func(ctx context.Context) error { return s.Store.Update(ctx, changed) }},
		{"Touch", func(ctx context.Context) error { return s.Store.Touch(ctx, rec.Key, changed.Seen, changed.Deadline) }},
		{"Delete", func(ctx context.Context) error { return s.Store.Delete(ctx, rec.Key) }},
		{"List", func(ctx context.Context) error { _, err := s.Store.List(ctx, rec.Subject); return err }},
		{"DeleteAll", func(ctx context.Context) error {
			_, err := s.Store.DeleteAll(ctx, rec.Subject, session.Key{})
			return err
		}},
	}
	if pruner, ok := s.Store.(session.Pruner); ok {
		all = append(all, call{"Prune", func(ctx context.Context) error { _, err := pruner.Prune(ctx, s.now.AddDate(1, 0, 0), 100); return err }})
	}
	return all
}

// testContext: what is asked for with a context that is done is not done, and is neither "not found" nor a success.
func testContext(s *suite) {
	rec := s.stored("anna")
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	late, cancel := context.WithDeadline(s.Context(), s.now.Add(-time.Hour))
	defer cancel()
	for _, c := range s.calls(rec) {
		s.refused(c.name+" with a cancelled context", c.do(cancelled), context.Canceled)
		s.refused(c.name+" after the context's deadline", c.do(late), context.DeadlineExceeded)
		for _, err := range []error{c.do(cancelled), c.do(late)} {
			if errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrExists) || errors.Is(err, session.ErrConflict) {
				s.Errorf("%s with a context that is done = %v: it says what it cannot know", c.name, err)
			}
		}
		s.has(rec)
		s.lists("anna", rec)
	}
}

// testCancelDuring: a call that is cancelled on its way is done or not done, never half. That it is done although the caller was told otherwise
// cannot be excluded, and may come to light a moment later: each round has a subject of its own.
func testCancelDuring(s *suite) {
	replace := func(ctx context.Context, old, next session.Record) error { return s.Store.Create(ctx, next, old.Key) }
	update := func(ctx context.Context, _, next session.Record) error {
		next.Version--
		return s.Store.Update(ctx, next)
	}
	s.cancelDuring("Create in place of another", replace, func(old session.Record) session.Record { return s.record(old.Subject) })
	s.cancelDuring("Update", update, func(old session.Record) session.Record {
		old.Body, old.Seen, old.Version = []byte("changed"), s.now, old.Version+1
		return old
	})
}

// cancelDuring cancels do, which makes the only record of a subject the next one, at moments at random.
func (s *suite) cancelDuring(what string, do func(ctx context.Context, old, next session.Record) error, nextOf func(session.Record) session.Record) {
	s.Helper()
	old := s.stored(newSubject())
	longest := s.measured(what, func() error { return do(s.Context(), old, nextOf(old)) })
	for range s.rounds(rounds) {
		old := s.stored(newSubject())
		next := nextOf(old)
		ctx, wait := s.cancelledWithin(longest)
		began := time.Now()
		err := do(ctx, old, next)
		longest = min(longest+longest/8, time.Second) // calls take now more and now less
		if err == nil {
			longest = time.Since(began) * 5 / 4
		}
		wait()
		s.oneOf(what, err, old, next)
	}
}

// oneOf reports a store that, after a call with a context that was cancelled on its way returned err, is neither in the state before nor in the
// state after it. Both are a subject's only record.
func (s *suite) oneOf(what string, err error, before, after session.Record) {
	s.Helper()
	if err == nil {
		s.has(after)
		s.lists(after.Subject, after)
		return
	}
	s.refused(what+", cancelled,", err, context.Canceled)
	is := func(rec session.Record) bool {
		got, err := s.Store.Get(s.Context(), rec.Key)
		list := s.list(rec.Subject)
		return err == nil && differ(got, rec) == "" && len(list) == 1 && differ(list[0], rec) == ""
	}
	s.eventually(what+" was cancelled, and there is neither what was before nor what was asked for, or both", func() bool {
		return is(after) || is(before)
	})
}

// testCancelStorm: among calls that are cancelled at any moment, those that are answered get the answer to their own question. GO-2025-3849 was a
// driver's way to give them somebody else's.
func testCancelStorm(s *suite) {
	var all []session.Record
	for range 16 {
		all = append(all, s.stored("anna"), s.stored("bert"))
	}
	longest := s.measured("Get and List", func() error { return s.read(s.Context(), all[0]) })
	errs := together(8, []session.Store{nil}, func(session.Store, int) error {
		for range 2 * rounds {
			if err := s.readInStorm(all[pick(len(all))], longest*time.Duration(pick(2))); err != nil {
				return err
			}
		}
		return nil
	})
	s.ok("reading among calls that are cancelled", errors.Join(errs...))
	s.has(all...)
}

// read gets rec, and lists the 16 records of its subject. The error says which answer is wrong, or wraps the store's.
func (s *suite) read(ctx context.Context, rec session.Record) error {
	got, err := s.Store.Get(ctx, rec.Key)
	if err != nil {
		return fmt.Errorf("no answer of Get: %w", err)
	}
	if diff := differ(got, rec); diff != "" {
		return errors.New("another record's data in the answer of Get: " + diff)
	}
	list, err := s.Store.List(ctx, rec.Subject)
	if err != nil {
		return fmt.Errorf("no answer of List: %w", err)
	}
	other := func(r session.Record) bool { return r.Subject != rec.Subject }
	if len(list) != 16 || slices.ContainsFunc(list, other) {
		return fmt.Errorf("an answer of List(%q) that is not its 16 records: %s", rec.Subject, showAll(list))
	}
	return nil
}

// readInStorm reads rec with a context that is cancelled within the given time, or never if that is 0.
func (s *suite) readInStorm(rec session.Record, within time.Duration) error {
	if within == 0 {
		return s.read(s.Context(), rec)
	}
	ctx, wait := s.cancelledWithin(within)
	defer wait()
	if err := s.read(ctx, rec); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
