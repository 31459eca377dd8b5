package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when most tests begin. It has nothing of a clock that nobody can set back.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: noon} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var errStore = errors.New("the store is away")

// A store is a revoke.Store that can lose what it has, and fail.
type store struct {
	mu      sync.Mutex
	entries []revoke.Entry
	last    int64
	reads   int
	adds    int
	down    bool                               // every call fails
	lose    bool                               // Add does what it should and then fails
	onSince func(after int64)                  // before a reading
	forge   func(p revoke.Page) revoke.Page    // after it
	onAdd   func(entries []revoke.Entry) error // before an addition
}

func (s *store) Since(ctx context.Context, after int64, limit int) (revoke.Page, error) {
	if s.onSince != nil {
		s.onSince(after)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.down || ctx.Err() != nil {
		return revoke.Page{}, errStore
	}
	p := revoke.Page{Last: s.last}
	for _, e := range s.entries {
		if e.Seq > after && len(p.Entries) < limit {
			p.Entries = append(p.Entries, e)
		}
	}
	if s.forge != nil {
		p = s.forge(p)
	}
	return p, nil
}

func (s *store) Add(ctx context.Context, entries ...revoke.Entry) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adds++
	if s.onAdd != nil {
		if err := s.onAdd(entries); err != nil {
			return 0, err
		}
	}
	if s.down || ctx.Err() != nil {
		return 0, errStore
	}
	for _, e := range entries {
		s.last++
		e.Seq = s.last
		s.entries = append(s.entries, e)
	}
	if s.lose {
		return 0, errStore
	}
	return s.last, nil
}

func (s *store) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down || ctx.Err() != nil {
		return 0, errStore
	}
	n := 0
	s.entries = slices.DeleteFunc(s.entries, func(e revoke.Entry) bool {
		gone := n < limit && e.Expires.Before(before)
		if gone {
			n++
		}
		return gone
	})
	return n, nil
}

// set changes the store under its lock.
func (s *store) set(f func(s *store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// A backup is what a store was.
type backup struct {
	entries []revoke.Entry
	last    int64
}

func (s *store) backup() backup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return backup{slices.Clone(s.entries), s.last}
}

func (s *store) restore(b backup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries, s.last = slices.Clone(b.entries), b.last
}

func (s *store) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

func (s *store) readings() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// logs keeps what is logged.
type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logs) WithGroup(string) slog.Handler            { return l }
func (l *logs) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += fmt.Sprintf(" %s=%v", a.Key, a.Value); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

// count returns how many lines contain text.
func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// newList returns a list that says nothing, and has read nothing.
func newList(source revoke.Source, c *clock) *revoke.List {
	return revoke.New(source, revoke.Config{Now: c.Now, Logger: slog.New(slog.DiscardHandler)})
}

// loaded returns a list that has read everything.
func loaded(t testing.TB, source revoke.Source, c *clock) *revoke.List {
	t.Helper()
	l := newList(source, c)
	load(t, l)
	return l
}

func load(t testing.TB, l *revoke.List) {
	t.Helper()
	if err := l.Load(t.Context()); err != nil {
		t.Fatalf("Load() = %v, want nil", err)
	}
}

// must ends the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A verdict is what Check says.
type verdict string

const (
	good    verdict = "good"
	revoked verdict = "revoked"
	stale   verdict = "stale"
)

func verdictOf(err error) verdict {
	var s *gatehouse.StaleError
	switch {
	case err == nil:
		return good
	case errors.Is(err, revoke.ErrRevoked) && errors.Is(err, gatehouse.ErrCredential) && !errors.As(err, &s):
		return revoked
	case errors.As(err, &s) && errors.Is(err, gatehouse.ErrUnavailable) && !errors.Is(err, gatehouse.ErrCredential):
		return stale
	}
	return verdict("no such error: " + err.Error())
}

// want fails unless Check(c) says so.
func want(t testing.TB, l *revoke.List, c revoke.Claim, v verdict) {
	t.Helper()
	if got := verdictOf(l.Check(c)); got != v {
		t.Errorf("Check(%+v) = %v, want %v", c, got, v)
	}
}

// start runs the list until the test ends.
func start(t testing.TB, l *revoke.List) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run() = %v, want context.Canceled", err)
		}
	})
}
