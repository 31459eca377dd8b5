package session_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
)

// noon is when the clocks of the tests begin. It is no whole number of milliseconds, as no real time is.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 123_456_789, time.UTC)

// A clock stands still until it is moved.
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

// A watchedStore counts the calls of a store in memory by their method, calls before ahead of each, and fails those that it is told to.
type watchedStore struct {
	*memory.SessionStore
	before func(ctx context.Context, method string) // must be set before the store is used

	mu    sync.Mutex
	calls map[string]int
	fails map[string]error
}

func newStore() *watchedStore {
	return &watchedStore{SessionStore: memory.Sessions(), calls: map[string]int{}, fails: map[string]error{}}
}

// fail makes the method return err from now on, or work again if err is nil.
func (s *watchedStore) fail(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails[method] = err
}

// count returns how often one of the methods was called since it was asked the last time.
func (s *watchedStore) count(methods ...string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, method := range methods {
		n += s.calls[method]
		delete(s.calls, method)
	}
	return n
}

// writes returns how many calls that may change something were made since it was asked the last time.
func (s *watchedStore) writes() int {
	return s.count("Create", "Update", "Touch", "Delete", "DeleteAll", "Prune")
}

func (s *watchedStore) called(ctx context.Context, method string) error {
	if s.before != nil {
		s.before(ctx, method)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	return s.fails[method]
}

func (s *watchedStore) Create(ctx context.Context, rec session.Record, replaces session.Key) error {
	if err := s.called(ctx, "Create"); err != nil {
		return err
	}
	return s.SessionStore.Create(ctx, rec, replaces)
}

func (s *watchedStore) Get(ctx context.Context, key session.Key) (session.Record, error) {
	if err := s.called(ctx, "Get"); err != nil {
		return session.Record{}, err
	}
	return s.SessionStore.Get(ctx, key)
}

func (s *watchedStore) Update(ctx context.Context, rec session.Record) error {
	if err := s.called(ctx, "Update"); err != nil {
		return err
	}
	return s.SessionStore.Update(ctx, rec)
}

func (s *watchedStore) Touch(ctx context.Context, key session.Key, seen, deadline time.Time) error {
	if err := s.called(ctx, "Touch"); err != nil {
		return err
	}
	return s.SessionStore.Touch(ctx, key, seen, deadline)
}

func (s *watchedStore) Delete(ctx context.Context, key session.Key) error {
	if err := s.called(ctx, "Delete"); err != nil {
		return err
	}
	return s.SessionStore.Delete(ctx, key)
}

func (s *watchedStore) List(ctx context.Context, subject string) ([]session.Record, error) {
	if err := s.called(ctx, "List"); err != nil {
		return nil, err
	}
	return s.SessionStore.List(ctx, subject)
}

func (s *watchedStore) DeleteAll(ctx context.Context, subject string, except session.Key) (int, error) {
	if err := s.called(ctx, "DeleteAll"); err != nil {
		return 0, err
	}
	return s.SessionStore.DeleteAll(ctx, subject, except)
}

func (s *watchedStore) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := s.called(ctx, "Prune"); err != nil {
		return 0, err
	}
	return s.SessionStore.Prune(ctx, before, limit)
}

// A buffer is what was logged.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A house is a table under test, with all that is around it. Its methods end the test on an error that no test wants.
type house struct {
	*session.Table
	t     testing.TB
	store *watchedStore
	clock *clock
	log   *buffer
}

func newHouse(t testing.TB, c session.Config) *house {
	t.Helper()
	return newHouseOn(t, newStore(), &clock{now: noon}, c)
}

// newHouseOn returns one more table over a store, as another process or a changed configuration has it.
func newHouseOn(t testing.TB, store *watchedStore, clock *clock, c session.Config) *house {
	t.Helper()
	h := &house{t: t, store: store, clock: clock, log: &buffer{}}
	c.Now = clock.Now
	c.Logger = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.Table = session.New(store, c)
	return h
}

// with returns a table over the same store with another configuration.
func (h *house) with(c session.Config) *house { return newHouseOn(h.t, h.store, h.clock, c) }

func (h *house) ok(what string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s = %v, want nil", what, err)
	}
}

// visitor returns the session of a request without a cookie.
func (h *house) visitor() *session.Session {
	h.t.Helper()
	s := new(session.Session)
	h.ok("Open without a secret", h.Open(h.t.Context(), s, ""))
	return s
}

// signIn returns a new session of subject.
func (h *house) signIn(subject string) *session.Session {
	h.t.Helper()
	return h.start(h.visitor(), subject)
}

// start makes s a session of subject.
func (h *house) start(s *session.Session, subject string) *session.Session {
	h.t.Helper()
	h.ok("Start for "+subject, h.Start(h.t.Context(), s, gatehouse.Identity{Value: subject}, session.Options{}))
	return s
}

// find opens the session that a browser with the cookie of s comes with next.
func (h *house) find(s *session.Session) (*session.Session, error) {
	return h.findSecret(s.Secret().Reveal())
}

func (h *house) findSecret(secret string) (*session.Session, error) {
	next := new(session.Session)
	return next, h.Open(h.t.Context(), next, secret)
}

// again is find of a session that must be alive.
func (h *house) again(s *session.Session) *session.Session {
	h.t.Helper()
	next, err := h.find(s)
	h.ok("Open", err)
	return next
}

// over reports a session that is not refused with want.
func (h *house) over(what string, s *session.Session, want error) {
	h.t.Helper()
	next, err := h.find(s)
	h.refused("Open of "+what, err, want)
	h.isEmpty(what, next)
}

// isEmpty reports a session that holds anything.
func (h *house) isEmpty(what string, s *session.Session) {
	h.t.Helper()
	if s.ID() != "" || s.Subject() != "" || s.Identity().Value != "" || !s.Secret().IsZero() || s.Keys() != nil || !s.Expires().IsZero() || !s.EndsBy().IsZero() {
		h.t.Errorf("%s: the session is not empty: id %q of %q, keys %q", what, s.ID(), s.Subject(), s.Keys())
	}
}

// refused reports an error that does not wrap want.
func (h *house) refused(what string, err, want error) {
	h.t.Helper()
	if !errors.Is(err, want) {
		h.t.Errorf("%s = %v, want an error that wraps %q", what, err, want)
	}
}

// unchecked reports an error that does not wrap cause, or passes for an answer: a store that failed has said neither yes nor no.
func (h *house) unchecked(what string, err, cause error) {
	h.t.Helper()
	if !errors.Is(err, cause) || errors.Is(err, gatehouse.ErrCredential) || errors.Is(err, gatehouse.ErrAnonymous) {
		h.t.Errorf("%s = %v, want an error that wraps %q and is nobody's fault", what, err, cause)
	}
}

func (h *house) put(s *session.Session, key string, value any) *session.Session {
	h.t.Helper()
	h.ok("Put of "+key, session.Put(s, key, value))
	return s
}

// save stores s and reports whether it has got a new secret.
func (h *house) save(s *session.Session) bool {
	h.t.Helper()
	created, err := h.Save(h.t.Context(), s)
	h.ok("Save", err)
	return created
}

// get returns the value under key, and "none" if there is none.
func (h *house) get(s *session.Session, key string) any {
	h.t.Helper()
	value, ok, err := session.Get[any](s, key)
	h.ok("Get of "+key, err)
	if !ok {
		return "none"
	}
	return value
}

// records returns how many records of subject are in the store, live or not.
func (h *house) records(subject string) int {
	h.t.Helper()
	list, err := h.store.SessionStore.List(h.t.Context(), subject)
	h.ok("List", err)
	return len(list)
}

// record returns the record of s as the store has it.
func (h *house) record(s *session.Session) session.Record {
	h.t.Helper()
	rec, err := h.store.SessionStore.Get(h.t.Context(), keyOf(h.t, s))
	h.ok("Get of the store", err)
	return rec
}

var errDisk = errors.New("the disk is full")

// lockstep returns a hook that holds each Update back until all savers that are not through yet have come to theirs: all have read the same version, and
// one of them wins.
func lockstep(savers int) func(context.Context, string) {
	var mu sync.Mutex
	waiting, gate := 0, make(chan struct{})
	return func(_ context.Context, method string) {
		if method != "Update" {
			return
		}
		mu.Lock()
		here := gate
		if waiting++; waiting == savers {
			waiting, savers, gate = 0, savers-1, make(chan struct{})
			close(here)
		}
		mu.Unlock()
		<-here
	}
}
