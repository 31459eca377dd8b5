package postgres_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
)

// schema makes an empty schema for the test, which is removed at its end, and returns the url of a database in which it is the only one.
func schema(t *testing.T) *url.URL {
	t.Helper()
	u := base(t)
	admin := pool(t, u)
	name := "gatehouse_test_" + strings.ToLower(rand.Text())
	must(t, admin, `CREATE SCHEMA `+name)
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), `DROP SCHEMA `+name+` CASCADE`); err != nil {
			t.Errorf("DROP SCHEMA = %v", err)
		}
	})
	return with(u, "search_path", name)
}

// pool returns connections of the test itself, past the package.
func pool(t *testing.T, u *url.URL) *sql.DB {
	t.Helper()
	pool, err := sql.Open("pgx", u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// must runs a statement.
func must(t *testing.T, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s = %v, want nil", statement, err)
	}
}

// number runs a query for a number.
func number(t *testing.T, db *sql.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s = %v, want nil", query, err)
	}
	return n
}

// open opens the database at u, and closes it when the test ends.
func open(t *testing.T, u *url.URL, options ...postgres.Option) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), u.String(), options...)
	if err != nil {
		t.Fatalf("Open = %v, want nil", err)
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

func sessions(db *postgres.DB) session.Store { return postgres.Sessions(db) }

// suite runs the suite of sessions on databases that are empty.
func suite(t *testing.T, database func(*testing.T) *url.URL) {
	storetest.TestSessions(t, func(t *testing.T) storetest.Sessions {
		c := gather(t, database(t), sessions)
		return storetest.Sessions{Store: sessions(c.db), Beside: c.another, Reopen: c.reopened}
	})
}

func TestSessions(t *testing.T) { suite(t, schema) }

// TestSessionsOnAStricterServer: a server may be set to an isolation in which a transaction sees only what was there when it began, and is given up
// when that is not so any more.
func TestSessionsOnAStricterServer(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole suite once more: not with -short")
	}
	suite(t, func(t *testing.T) *url.URL { return with(schema(t), "default_transaction_isolation", "serializable") })
}

// TestSubjectsAreNoSQL: what is a statement to somebody who pastes texts together is a subject and an id here, and does nothing.
func TestSubjectsAreNoSQL(t *testing.T) {
	store := postgres.Sessions(open(t, schema(t)))
	stored(t, store, "anna", 3)
	for i, evil := range []string{
		"'; DROP TABLE gatehouse_sessions; --", "' OR '1'='1", "x' OR subject <> '", "anna'/*", "$$; DELETE FROM gatehouse_sessions; $$",
		"$1", "$0", "-1", "--", `\x616e6e61`, `\'; SELECT pg_sleep(60); --`, "E'\\x00'", "\x00'; COMMIT; --", "%", "_nn_", "\xbf\x27 OR 1=1 --",
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

// TestLongSubject: what does not fit into the index is refused, and not kept where it could not be found.
func TestLongSubject(t *testing.T) {
	store := postgres.Sessions(open(t, schema(t)))
	random := make([]byte, 8192)
	rand.Read(random)
	for size, fits := range map[int]bool{1024: true, 2600: true, 8192: false} {
		rec := record(string(random[:size]), size)
		if err := store.Create(t.Context(), rec, session.Key{}); (err == nil) != fits {
			t.Errorf("Create of a subject of %d bytes = %v, want it to fit: %v", size, err, fits)
		}
		if got := len(ids(t, store, rec.Subject)); (got == 1) != fits {
			t.Errorf("List of a subject of %d bytes has %d, want 1: %v", size, got, fits)
		}
	}
}

// waiting waits until as many statements as that wait for a lock in the schema's database.
func waiting(t *testing.T, admin *sql.DB, name string, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d statements that wait for a lock", want), func() bool {
		return number(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`, name) == want
	})
}

// named returns u with an application name of the test's own, by which it finds its connections.
func named(u *url.URL) (*url.URL, string) {
	name := "gatehouse-" + rand.Text()
	return with(u, "application_name", name), name
}

// TestReplaceWhileDeletingAll: somebody is signed out everywhere while one of the sessions is being renewed. The renewal has begun, but is not
// done: the deletion must not pass it by.
func TestReplaceWhileDeletingAll(t *testing.T) {
	u := schema(t)
	admin := pool(t, u)
	named, name := named(u)
	store := postgres.Sessions(open(t, named))
	stored(t, store, "anna", 2)

	blocker, err := admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Rollback()
	must(t, blocker, `SELECT 1 FROM gatehouse_sessions WHERE key = $1 FOR UPDATE`, key(1)) // the renewal stops where it would delete this
	var calls sync.WaitGroup
	var created, deleted error
	calls.Go(func() { created = store.Create(t.Context(), record("anna", 3), record("anna", 1).Key) })
	waiting(t, admin, name, 1)
	calls.Go(func() { _, deleted = store.DeleteAll(t.Context(), "anna", session.Key{}) })
	waiting(t, admin, name, 2)
	if err := blocker.Commit(); err != nil {
		t.Fatal(err)
	}
	calls.Wait()
	if created != nil || deleted != nil {
		t.Errorf("Create = %v, DeleteAll = %v, want nil", created, deleted)
	}
	if got := ids(t, store, "anna"); len(got) != 0 {
		t.Errorf("List(anna) = %q, want none: everybody was signed out", got)
	}
}

// key returns the key of record n as a parameter.
func key(n int) []byte {
	k := record("", n).Key
	return k[:]
}

// TestTouchWhilePruning: a session that somebody uses while it is being pruned stays.
func TestTouchWhilePruning(t *testing.T) {
	u := schema(t)
	admin := pool(t, u)
	named, name := named(u)
	store := postgres.Sessions(open(t, named))
	stored(t, store, "anna", 3)
	touch, err := admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer touch.Rollback()
	must(t, touch, `UPDATE gatehouse_sessions SET deadline = $1 WHERE key = $2`, record("", 2).Deadline.Add(time.Hour).UnixMilli(), key(2))
	type result struct {
		n   int
		err error
	}
	pruned := make(chan result)
	go func() {
		n, err := store.Prune(t.Context(), record("", 2).Deadline.Add(time.Minute), 10)
		pruned <- result{n, err}
	}()
	waiting(t, admin, name, 1)
	if err := touch.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := <-pruned; got.n != 2 || got.err != nil {
		t.Errorf("Prune = %d, %v, want 2, nil", got.n, got.err)
	}
	if got := ids(t, store, "anna"); !slices.Equal(got, []string{"id-2"}) {
		t.Errorf("List(anna) = %q, want the one that was touched", got)
	}
}

// TestDeadlock: where two transactions wait for each other the server gives up one of them. If it is ours, it is tried again.
func TestDeadlock(t *testing.T) {
	u := schema(t)
	admin := pool(t, u)
	named, name := named(u)
	store := postgres.Sessions(open(t, named))
	stored(t, store, "anna", 2)
	other, err := admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback()
	must(t, other, `SET LOCAL deadlock_timeout = '1h'`) // it is the store's that finds out, and is given up
	must(t, other, `UPDATE gatehouse_sessions SET seen = seen WHERE key = $1`, key(2))
	deleted := make(chan error)
	go func() {
		_, err := store.DeleteAll(t.Context(), "anna", session.Key{})
		deleted <- err
	}()
	waiting(t, admin, name, 1)
	must(t, other, `UPDATE gatehouse_sessions SET seen = seen WHERE key = $1`, key(1)) // returns once the store's transaction is given up
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-deleted; err != nil {
		t.Errorf("DeleteAll = %v, want nil after trying again", err)
	}
	if got := ids(t, store, "anna"); len(got) != 0 {
		t.Errorf("List(anna) = %q, want none", got)
	}
}

// TestLockedRow: a call waits for a lock no longer than its context or the store's timeout, whichever ends first; nothing of it happens then, and
// nothing of it stays behind on the server.
func TestLockedRow(t *testing.T) {
	u := schema(t)
	admin := pool(t, u)
	named, name := named(u)
	hasty := postgres.Sessions(open(t, named, postgres.Timeout(200*time.Millisecond)))
	patient := postgres.Sessions(open(t, named, postgres.Timeout(time.Hour)))
	stored(t, patient, "anna", 3)
	holder, err := admin.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback()
	must(t, holder, `SELECT 1 FROM gatehouse_sessions WHERE key = $1 FOR UPDATE`, key(3))
	rec := record("anna", 3)
	for what, call := range map[string]func(context.Context, session.Store) error{
		"Update": func(ctx context.Context, s session.Store) error { return s.Update(ctx, rec) },
		"Touch": func(ctx context.Context, s session.Store) error {
			return s.Touch(ctx, rec.Key, rec.Seen.Add(time.Hour), rec.Deadline)
		},
		"Delete": func(ctx context.Context, s session.Store) error { return s.Delete(ctx, rec.Key) },
		"Create": func(ctx context.Context, s session.Store) error { return s.Create(ctx, record("anna", 9), rec.Key) },
		"DeleteAll": func(ctx context.Context, s session.Store) error {
			_, err := s.DeleteAll(ctx, "anna", session.Key{})
			return err
		},
		"Prune": func(ctx context.Context, s session.Store) error {
			_, err := s.(session.Pruner).Prune(ctx, time.Now(), 10)
			return err
		},
	} {
		givesUp[session.Store](t, what+" of a locked row", admin, name, hasty, patient, call)
	}
	if got := ids(t, patient, "anna"); len(got) != 3 {
		t.Errorf("List(anna) = %q, want all 3", got)
	}
	if got, err := patient.Get(t.Context(), rec.Key); err != nil || got.Version != 1 || !got.Seen.Equal(rec.Seen) {
		t.Errorf("Get = %+v, %v, want what it was", got, err)
	}
	if n := number(t, admin, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'`); n != 0 {
		t.Errorf("%d advisory locks are left, want none", n)
	}
}

// TestClosed: a store that cannot look says so; it does not say that there is nothing.
func TestClosed(t *testing.T) {
	db, err := postgres.Open(t.Context(), schema(t).String())
	if err != nil {
		t.Fatal(err)
	}
	store := postgres.Sessions(db)
	stored(t, store, "anna", 1)
	for range 2 {
		if err := db.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	}
	for what, err := range everyCall(t, db) {
		mustSay(t, what+" after Close", err, "postgres: ", "closed")
		noOutcome(t, what+" after Close", err)
	}
}
