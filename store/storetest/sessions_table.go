package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
)

// A clock is set by the test. It begins with the real time and only goes forward, since the store's own may be the real one.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A counter counts what is written to a store.
type counter struct {
	session.Store
	writes atomic.Int64
}

func (c *counter) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	c.writes.Add(1)
	return c.Store.Create(ctx, rec, replaces)
}

func (c *counter) Update(ctx context.Context, rec session.Record) error {
	c.writes.Add(1)
	return c.Store.Update(ctx, rec)
}

func (c *counter) Touch(ctx context.Context, key session.Key, seen, deadline time.Time) error {
	c.writes.Add(1)
	return c.Store.Touch(ctx, key, seen, deadline)
}

func (c *counter) Delete(ctx context.Context, key session.Key) error {
	c.writes.Add(1)
	return c.Store.Delete(ctx, key)
}

func (c *counter) DeleteAll(ctx context.Context, subject string, except session.Key) (int, error) {
	c.writes.Add(1)
	return c.Store.DeleteAll(ctx, subject, except)
}

// A table is a session.Table over the store, with a clock and the words for its tests.
type table struct {
	*suite
	*session.Table
	clock *clock
}

// table returns a table over the store. Nil stands for a clock that begins now.
func (s *suite) table(store session.Store, c *clock, config session.Config) *table {
	if c == nil {
		c = &clock{now: s.now}
	}
	config.Now, config.Logger = c.Now, slog.New(slog.DiscardHandler)
	return &table{suite: s, Table: session.New(store, config), clock: c}
}

// signIn starts a session of subject.
func (t *table) signIn(subject string) *session.Session {
	t.Helper()
	s := new(session.Session)
	t.ok("Open", t.Open(t.Context(), s, ""))
	t.ok("Start", t.Start(t.Context(), s, gatehouse.Identity{Value: subject}, session.Options{}))
	return s
}

// open returns the session of a later request with the cookie of s, or the error.
func (t *table) open(s *session.Session) (*session.Session, error) {
	later := new(session.Session)
	return later, t.Open(t.Context(), later, s.Secret().Reveal())
}

// again is open for a session that must be there.
func (t *table) again(s *session.Session) *session.Session {
	t.Helper()
	later, err := t.open(s)
	if err != nil {
		t.Fatalf("Open of a session of %q = %v, want nil", s.Subject(), err)
	}
	if later.ID() != s.ID() || later.Subject() != s.Subject() || later.Identity().Value != s.Subject() {
		t.Fatalf("Open has session %s of %q, want %s of %q", later.ID(), later.Subject(), s.ID(), s.Subject())
	}
	return later
}

// over reports a session that can still be opened, or whose error is not want.
func (t *table) over(s *session.Session, want error) {
	t.Helper()
	_, err := t.open(s)
	t.refused(fmt.Sprintf("Open of a session of %q that is over", s.Subject()), err, want)
	if !errors.Is(err, gatehouse.ErrSession) {
		t.Errorf("Open = %v, want an error that wraps %q", err, gatehouse.ErrSession)
	}
}

// testTableIdle: a session ends when it was not used for as long as the limit, to the millisecond, and its record is deleted.
func testTableIdle(s *suite) {
	t := s.table(s.Store, nil, session.Config{Idle: 30 * time.Minute, Absolute: 8 * time.Hour, Touch: time.Minute})
	used, left := t.signIn("anna"), t.signIn("anna")
	t.clock.advance(30*time.Minute - time.Millisecond)
	t.again(used)
	t.clock.advance(time.Millisecond)
	t.over(left, session.ErrOverdue)
	t.over(left, session.ErrUnknown) // it is not there any more
	t.again(used)
	if list := t.list("anna"); len(list) != 1 || list[0].ID != used.ID() {
		t.Errorf("the store has %s, want the session that is used", showAll(list))
	}
	t.clock.advance(30 * time.Minute)
	t.over(used, session.ErrOverdue)
	t.lists("anna")
}

// testTableAbsolute: no activity extends a session beyond its age.
func testTableAbsolute(s *suite) {
	t := s.table(s.Store, nil, session.Config{Idle: 30 * time.Minute, Absolute: 8 * time.Hour, Touch: time.Minute})
	used := t.signIn("anna")
	for range 8*4 - 1 {
		t.clock.advance(15 * time.Minute)
		later := t.again(used)
		t.ok("Put", session.Put(later, "at", t.clock.Now()))
		_, err := t.Save(t.Context(), later)
		t.ok("Save", err)
	}
	t.clock.advance(15*time.Minute - time.Millisecond)
	t.again(used)
	t.clock.advance(time.Millisecond)
	t.over(used, session.ErrOverdue)
	t.over(used, session.ErrUnknown)
}

// testTableTouch: a session that is only read costs a write once a minute.
func testTableTouch(s *suite) {
	store := &counter{Store: s.Store}
	t := s.table(store, nil, session.Config{Idle: 30 * time.Minute, Touch: time.Minute})
	used := t.signIn("anna")
	writes := func(want int64) {
		t.Helper()
		if got := store.writes.Swap(0); got != want {
			t.Errorf("the store was written to %d times, want %d", got, want)
		}
	}
	writes(1)
	for range 3 {
		for range 59 {
			t.again(used)
			t.clock.advance(time.Second)
		}
		writes(0)
		t.clock.advance(time.Second)
		for range 10 {
			t.again(used)
		}
		writes(1)
		if list := t.list("anna"); len(list) != 1 || !list[0].Seen.Equal(t.clock.Now()) || !list[0].Deadline.Equal(t.clock.Now().Add(30*time.Minute)) {
			t.Errorf("the store has not kept when the session was used: %v", list)
		}
	}
}

// testTableTightened: new limits count for the sessions that exist, without a write to each.
func testTableTightened(s *suite) {
	t := s.table(s.Store, nil, session.Config{Idle: 12 * time.Hour, Absolute: 30 * 24 * time.Hour})
	idle, old := t.signIn("anna"), t.signIn("bert")
	t.clock.advance(2 * time.Hour)
	t.again(old)
	shorterIdle := s.table(s.Store, t.clock, session.Config{Idle: time.Hour})
	shorterIdle.again(old)
	shorterIdle.over(idle, session.ErrOverdue)
	shorterAge := s.table(s.Store, t.clock, session.Config{Idle: 12 * time.Hour, Absolute: 2 * time.Hour})
	shorterAge.over(old, session.ErrOverdue)
	t.over(idle, session.ErrUnknown) // nor is it there for who still has the old limits
	t.over(old, session.ErrUnknown)
}

// testTableMost: one too many ends the oldest, of this subject only.
func testTableMost(s *suite) {
	t := s.table(s.Store, nil, session.Config{MaxPerSubject: 3})
	other := t.signIn("bert")
	var all []*session.Session
	for i := range 6 {
		all = append(all, t.signIn("anna"))
		t.clock.advance(time.Minute)
		for _, s := range all[:max(0, i-2)] {
			t.over(s, session.ErrUnknown)
		}
		for _, s := range all[max(0, i-2):] {
			t.again(s)
		}
	}
	t.again(other)
	if infos, err := t.List(t.Context(), "anna"); len(infos) != 3 || err != nil {
		t.Errorf("List = %d sessions, %v, want 3, nil", len(infos), err)
	}
}

// testTableEnds: signing in again, signing out, ending one and ending all.
func testTableEnds(s *suite) {
	t := s.table(s.Store, nil, session.Config{})
	here, phone, tablet, other := t.signIn("anna"), t.signIn("anna"), t.signIn("anna"), t.signIn("bert")
	renewed := t.again(here)
	t.ok("Start", t.Start(t.Context(), renewed, gatehouse.Identity{Value: "anna"}, session.Options{}))
	t.over(here, session.ErrUnknown)
	t.again(renewed)
	stale, err := t.open(phone)
	t.ok("Open", err)

	t.refused("EndOne of another subject's", t.EndOne(t.Context(), "anna", other.ID()), session.ErrNotFound)
	t.refused("EndOne of one that is gone", t.EndOne(t.Context(), "anna", here.ID()), session.ErrNotFound)
	t.ok("EndOne", t.EndOne(t.Context(), "anna", phone.ID()))
	t.over(phone, session.ErrUnknown)
	t.ok("Put", session.Put(stale, "a", 1))
	_, err = t.Save(t.Context(), stale)
	t.refused("Save of a session that was ended", err, gatehouse.ErrSession)
	t.refused("Start on a session that was ended", t.Start(t.Context(), stale, gatehouse.Identity{Value: "anna"}, session.Options{}), gatehouse.ErrSession)
	t.over(phone, session.ErrUnknown)

	if n, err := t.EndAll(t.Context(), "anna", renewed.ID()); n != 1 || err != nil {
		t.Errorf("EndAll = %d, %v, want 1, nil", n, err)
	}
	t.over(tablet, session.ErrUnknown)
	end := t.again(renewed)
	t.ok("End", t.End(t.Context(), end))
	t.over(renewed, session.ErrUnknown)
	t.again(other)
}

// testTableSubjects: whoever signs in is nobody else, through the whole table.
func testTableSubjects(s *suite) {
	t := s.table(s.Store, nil, session.Config{})
	var all []*session.Session
	for _, subject := range []string{"anna", "Anna", "anna ", "anna\x00", "ann%", "*", "'; DROP TABLE sessions; --", "é", "e\u0301", "\u0430nna", "a:{b}"} {
		all = append(all, t.signIn(subject))
	}
	for i, s := range all {
		if infos, err := t.List(t.Context(), s.Subject()); len(infos) != 1 || err != nil || infos[0].ID != s.ID() {
			t.Errorf("List(%q) = %v, %v, want one session, of this subject", s.Subject(), infos, err)
		}
		if n, err := t.EndAll(t.Context(), s.Subject(), ""); n != 1 || err != nil {
			t.Errorf("EndAll(%q) = %d, %v, want 1, nil", s.Subject(), n, err)
		}
		t.over(s, session.ErrUnknown)
		for _, other := range all[i+1:] {
			t.again(other)
		}
	}
}

// testTableData: changes of different values at the same time all stay; of two changes of one value the later is refused.
func testTableData(s *suite) {
	t := s.table(s.Store, nil, session.Config{})
	visitor := new(session.Session)
	t.ok("Open", t.Open(t.Context(), visitor, ""))
	t.ok("Put", session.Put(visitor, "cart", []string{"a\x00b", "é"}))
	_, err := t.Save(t.Context(), visitor)
	t.ok("Save", err)
	signedIn, err := t.open(visitor)
	t.ok("Open", err)
	t.ok("Start", t.Start(t.Context(), signedIn, gatehouse.Identity{Value: "anna"}, session.Options{}))
	t.over(visitor, session.ErrUnknown)
	cart, ok, err := session.Get[[]string](t.again(signedIn), "cart")
	if want := []string{"a\x00b", "é"}; !ok || err != nil || !slices.Equal(cart, want) {
		t.Errorf("Get(cart) after signing in = %q, %v, %v, want %q", cart, ok, err, want)
	}

	const requests = 8
	errs := together(requests, []session.Store{nil}, func(_ session.Store, i int) error {
		one, err := t.open(signedIn)
		if err != nil {
			return err
		}
		_, err = t.Save(t.Context(), put(one, fmt.Sprint("key ", i), i))
		return err
	})
	t.ok("Save of different values in parallel", errors.Join(errs...))
	if keys := t.again(signedIn).Keys(); len(keys) != requests+1 {
		t.Errorf("Keys = %q, want cart and %d more", keys, requests)
	}

	first, second := t.again(signedIn), t.again(signedIn)
	_, err = t.Save(t.Context(), put(first, "cart", 1))
	t.ok("Save", err)
	_, err = t.Save(t.Context(), put(second, "cart", 2))
	t.refused("Save of a value that was changed", err, session.ErrConflict)
}

// put puts a number, which cannot fail, and returns s.
func put(s *session.Session, key string, n int) *session.Session {
	if err := session.Put(s, key, n); err != nil {
		panic(err)
	}
	return s
}

// testTableRenewAgainstEndAll: who is signed out everywhere is signed out, whatever a request that still runs does.
func testTableRenewAgainstEndAll(s *suite) {
	t := s.table(s.Store, nil, session.Config{})
	for range s.rounds(rounds / 4) {
		here := t.signIn("anna")
		renewed := t.again(here)
		errs := together(2, []session.Store{nil}, func(_ session.Store, i int) error {
			if i == 0 {
				return t.Start(t.Context(), renewed, gatehouse.Identity{Value: "anna"}, session.Options{})
			}
			_, err := t.EndAll(t.Context(), "anna", "")
			return err
		})
		if !errors.Is(errs[0], gatehouse.ErrSession) {
			t.ok("Start while all sessions are ended", errs[0])
		}
		t.ok("EndAll", errs[1])
		t.over(here, session.ErrUnknown)
		t.over(renewed, session.ErrUnknown)
		t.lists("anna")
	}
}

// testTablePrune: pruning removes what is overdue, and nothing that could still be used.
func testTablePrune(s *suite) {
	t := s.table(s.Store, nil, session.Config{Idle: time.Hour, Absolute: 8 * time.Hour})
	for range 5 {
		t.signIn("anna")
	}
	t.clock.advance(30 * time.Minute)
	used := t.signIn("anna")
	t.clock.advance(31 * time.Minute)
	want := 5
	if _, ok := s.Store.(session.Pruner); !ok {
		want = 0
	}
	if n, err := t.Prune(t.Context()); n != want || err != nil {
		t.Errorf("Prune = %d, %v, want %d, nil", n, err, want)
	}
	t.again(used)
	if infos, err := t.List(t.Context(), "anna"); len(infos) != 1 || err != nil {
		t.Errorf("List = %d sessions, %v, want 1, nil", len(infos), err)
	}
}
