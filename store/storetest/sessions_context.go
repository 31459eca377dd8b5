package storetest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// A call is one method with a context of the test's choice.
type call struct {
	name string
	do   func(ctx context.Context) error
}

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

// cancelledSoon returns a context that another goroutine cancels some time during the next call, and what waits for that goroutine.
func (s *suite) cancelledSoon() (context.Context, func()) {
	ctx, cancel := context.WithCancel(s.Context())
	gone := make(chan struct{})
	yields := pick(64) * pick(64) / 8
	go func() {
		defer close(gone)
		for range yields {
			runtime.Gosched()
		}
		cancel()
	}()
	return ctx, func() { <-gone }
}

// testCancelDuring: a call that is cancelled on its way is done or not done, never half. That it is done although the caller was told otherwise
// cannot be excluded, and may come to light a moment later: each round has a subject of its own.
func testCancelDuring(s *suite) {
	for range rounds {
		old := s.stored(newSubject())
		next := s.record(old.Subject)
		ctx, wait := s.cancelledSoon()
		err := s.Store.Create(ctx, next, old.Key)
		wait()
		s.oneOf("Create", err, old, next)

		old = s.stored(newSubject())
		next = old
		next.Body, next.Seen = []byte("changed"), s.now
		ctx, wait = s.cancelledSoon()
		err = s.Store.Update(ctx, next)
		wait()
		next.Version++
		s.oneOf("Update", err, old, next)
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
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2 * rounds {
				if fault := s.getInStorm(all[pick(len(all))], i%2 == 0); fault != "" {
					s.Error(fault)
					return
				}
			}
		})
	}
	wg.Wait()
	s.has(all...)
}

// getInStorm reads a record, with a context that may be cancelled at the same time, and says what is wrong with the answer.
func (s *suite) getInStorm(rec session.Record, cancelled bool) string {
	ctx, wait := s.Context(), func() {}
	if cancelled {
		ctx, wait = s.cancelledSoon()
	}
	defer wait()
	got, err := s.Store.Get(ctx, rec.Key)
	switch {
	case err == nil:
		if diff := differ(got, rec); diff != "" {
			return "Get, among cancelled ones, has another record's data: " + diff
		}
	case !cancelled:
		return "Get, among cancelled ones, = " + err.Error() + ", want nil"
	case !errors.Is(err, context.Canceled):
		return "Get, cancelled, = " + err.Error() + ", want nil or an error that wraps context.Canceled"
	}
	list, err := s.Store.List(ctx, rec.Subject)
	switch {
	case err == nil && len(list) != 16:
		return "List, among cancelled calls, = " + showAll(list) + ", want 16 records"
	case err != nil && !cancelled:
		return "List, among cancelled calls, = " + err.Error() + ", want nil"
	}
	for _, r := range list {
		if r.Subject != rec.Subject {
			return "List, among cancelled calls, has another subject's record"
		}
	}
	return ""
}
