package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
)

// fileName returns the name of a file in a folder of the test's own, which is not there yet.
func fileName(t *testing.T) string { return filepath.Join(t.TempDir(), "gatehouse.db") }

// open opens the database called name, and closes it when the test ends.
func open(t *testing.T, name string, options ...sqlite.Option) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), name, options...)
	if err != nil {
		t.Fatalf("Open(%q) = %v, want nil", name, err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	})
	return db
}

// record returns the record number n of subject: its key, id and body come from the number.
func record(subject string, n int) session.Record {
	start := time.UnixMilli(1_700_000_000_000)
	rec := session.Record{
		ID: fmt.Sprintf("id-%d", n), Subject: subject, Created: start, Seen: start, Deadline: start.Add(time.Hour),
		Version: 1, Body: fmt.Appendf(nil, "body-%d", n),
	}
	copy(rec.Key[:], fmt.Sprintf("key-%d", n))
	return rec
}

// stored creates the records 1 to n of subject.
func stored(t *testing.T, store session.Store, subject string, n int) {
	t.Helper()
	for i := range n {
		if err := store.Create(t.Context(), record(subject, i+1), session.Key{}); err != nil {
			t.Fatalf("Create = %v, want nil", err)
		}
	}
}

// ids returns the ids of subject's sessions.
func ids(t *testing.T, store session.Store, subject string) (all []string) {
	t.Helper()
	list, err := store.List(t.Context(), subject)
	if err != nil {
		t.Fatalf("List(%q) = %v, want nil", subject, err)
	}
	for _, rec := range list {
		all = append(all, rec.ID)
	}
	return all
}

// mustSay reports an error that does not have all of parts in its text.
func mustSay(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s = nil, want an error", what)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s = %q, want it to say %q", what, err, part)
		}
	}
}

func TestSessions(t *testing.T) {
	storetest.TestSessions(t, func(t *testing.T) storetest.Sessions {
		name := fileName(t)
		db := open(t, name)
		return storetest.Sessions{
			Store:  sqlite.Sessions(db),
			Beside: func(t *testing.T) session.Store { return sqlite.Sessions(open(t, name)) },
			Reopen: func(t *testing.T) session.Store {
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				return sqlite.Sessions(open(t, name))
			},
		}
	})
}

func TestSessionsInMemory(t *testing.T) {
	storetest.TestSessions(t, func(t *testing.T) storetest.Sessions {
		store := sqlite.Sessions(open(t, ":memory:"))
		return storetest.Sessions{Store: store, Beside: func(*testing.T) session.Store { return store }}
	})
}

// TestSubjectsAreNoSQL: what is a statement to somebody who pastes texts together is a subject and an id here, and does nothing.
func TestSubjectsAreNoSQL(t *testing.T) {
	db := open(t, fileName(t))
	store := sqlite.Sessions(db)
	stored(t, store, "anna", 3)
	for i, evil := range []string{
		"'; DROP TABLE gatehouse_sessions; --", "' OR '1'='1", "x' OR subject <> '", "anna'/*", "\"; DELETE FROM gatehouse_sessions; --",
		"$1", "?1", ":subject", "x'616e6e61'", "anna'; ATTACH 'evil.db' AS evil; --", "\x00'; PRAGMA writable_schema=ON; --", "%", "_nn_", "*",
	} {
		rec := record(evil, 100+i)
		rec.ID = evil
		if err := store.Create(t.Context(), rec, session.Key{}); err != nil {
			t.Errorf("Create of %q = %v, want nil", evil, err)
		}
		if got := ids(t, store, evil); !slices.Equal(got, []string{evil}) {
			t.Errorf("List(%q) = %q, want its own", evil, got)
		}
		if n, err := store.DeleteAll(t.Context(), evil, session.Key{}); n != 1 || err != nil {
			t.Errorf("DeleteAll(%q) = %d, %v, want 1, nil", evil, n, err)
		}
	}
	if got := ids(t, store, "anna"); len(got) != 3 {
		t.Errorf("List(anna) = %q, want her 3", got)
	}
}

// TestMemoryOutlivesCancelledCalls: the database is the connection, so that none of it may be given up with a call that is.
func TestMemoryOutlivesCancelledCalls(t *testing.T) {
	db := open(t, ":memory:")
	store := sqlite.Sessions(db)
	stored(t, store, "anna", 5)
	for i := range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		calls.Go(func() { _, _ = store.List(ctx, "anna") })
		calls.Go(func() { _ = store.Create(ctx, record("bert", 100+i), session.Key{1}) })
		calls.Go(func() { _, _ = db.SQL().ExecContext(ctx, endless) })
		cancel()
		calls.Wait()
	}
	if got := ids(t, store, "anna"); len(got) != 5 {
		t.Errorf("List(anna) = %q, want all 5", got)
	}
}

// endless is a statement that does not end by itself in a test's time.
const endless = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`

func TestMemoryIsNobodyElses(t *testing.T) {
	one, other := sqlite.Sessions(open(t, ":memory:")), sqlite.Sessions(open(t, ":memory:"))
	stored(t, one, "anna", 1)
	if got := ids(t, other, "anna"); len(got) != 0 {
		t.Errorf("List(anna) of another database = %q, want none", got)
	}
}

// TestClosed: a store that cannot look says so; it does not say that there is nothing.
func TestClosed(t *testing.T) {
	db, err := sqlite.Open(t.Context(), fileName(t))
	if err != nil {
		t.Fatal(err)
	}
	store := sqlite.Sessions(db)
	stored(t, store, "anna", 1)
	for range 2 {
		if err := db.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	}
	rec := record("anna", 1)
	_, getErr := store.Get(t.Context(), rec.Key)
	_, listErr := store.List(t.Context(), "anna")
	_, allErr := store.DeleteAll(t.Context(), "anna", session.Key{})
	_, pruneErr := store.Prune(t.Context(), time.Now(), 10)
	for what, err := range map[string]error{
		"Get": getErr, "List": listErr, "DeleteAll": allErr, "Prune": pruneErr,
		"Create": store.Create(t.Context(), record("anna", 2), session.Key{}), "Update": store.Update(t.Context(), rec),
		"Touch": store.Touch(t.Context(), rec.Key, rec.Seen, rec.Deadline), "Delete": store.Delete(t.Context(), rec.Key),
	} {
		mustSay(t, what+" after Close", err, "sqlite: ", "closed")
		if errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrExists) || errors.Is(err, session.ErrConflict) {
			t.Errorf("%s after Close = %v, which is an outcome", what, err)
		}
	}
}

func TestPruneOfNone(t *testing.T) {
	store := sqlite.Sessions(open(t, fileName(t)))
	stored(t, store, "anna", 2)
	for _, limit := range []int{0, -1} {
		if n, err := store.Prune(t.Context(), time.Now(), limit); n != 0 || err != nil {
			t.Errorf("Prune(%d) = %d, %v, want 0, nil", limit, n, err)
		}
	}
}
