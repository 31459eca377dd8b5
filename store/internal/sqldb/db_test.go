package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/gatehouse-auth/gatehouse/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// empty returns a database without tables.
func empty(t *testing.T) *DB {
	t.Helper()
	pool, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return &DB{Name: "test", Write: pool, Read: pool, Dialect: goose.DialectSQLite3}
}

// migrated returns a database with the tables of this version.
func migrated(t *testing.T) *DB {
	t.Helper()
	db := empty(t)
	if err := db.Migrate(t.Context(), Schema()); err != nil {
		t.Fatal(err)
	}
	return db
}

func must(t *testing.T, db querier, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s = %v, want nil", statement, err)
	}
}

// number runs a query for a number, and returns -1 if it fails.
func number(t *testing.T, db querier, query string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Logf("%s = %v", query, err)
		return -1
	}
	return n
}

var errYield, errBroken = errors.New("given up"), errors.New("broken")

// TestRun: what is given up is tried again, three times, and nothing else is.
func TestRun(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for what, test := range map[string]struct {
		ctx     context.Context
		results []error // of one attempt after the other; the last one stays
		want    error
		calls   int
	}{
		"done":                           {t.Context(), []error{nil}, nil, 1},
		"given up once":                  {t.Context(), []error{errYield, nil}, nil, 2},
		"given up three times":           {t.Context(), []error{errYield, errYield, errYield, nil}, nil, 4},
		"given up always":                {t.Context(), []error{errYield}, errYield, 4},
		"given up, then broken":          {t.Context(), []error{errYield, errBroken, nil}, errBroken, 2},
		"given up, then gone":            {t.Context(), []error{errYield, session.ErrNotFound}, session.ErrNotFound, 2},
		"broken":                         {t.Context(), []error{errBroken, nil}, errBroken, 1},
		"gone":                           {t.Context(), []error{session.ErrNotFound, nil}, session.ErrNotFound, 1},
		"exists":                         {t.Context(), []error{session.ErrExists, nil}, session.ErrExists, 1},
		"changed":                        {t.Context(), []error{session.ErrConflict, nil}, session.ErrConflict, 1},
		"cancelled":                      {done, []error{errBroken}, context.Canceled, 1},
		"cancelled, and the cause":       {done, []error{errBroken}, errBroken, 1},
		"cancelled while being given up": {done, []error{errYield}, context.Canceled, 1},
		"cancelled, but done":            {done, []error{nil}, nil, 1},
		"cancelled, but an outcome":      {done, []error{session.ErrConflict}, session.ErrConflict, 1},
	} {
		db := &DB{Name: "test", Again: func(err error) bool { return errors.Is(err, errYield) }}
		calls := 0
		err := db.run(test.ctx, "it failed", func(_ context.Context, again bool) error {
			if again != (calls > 0) {
				t.Errorf("%s: call %d gets again = %v", what, calls, again)
			}
			result := test.results[min(calls, len(test.results)-1)]
			calls++
			return result
		})
		if !errors.Is(err, test.want) || calls != test.calls || (err == nil) != (test.want == nil) {
			t.Errorf("%s: run = %v after %d calls, want %v after %d", what, err, calls, test.want, test.calls)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "test: ") {
			t.Errorf("%s: run = %q, want it to begin with the name", what, err)
		}
		if named(err) && (errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "it failed")) {
			t.Errorf("%s: run = %v, want the outcome alone", what, err)
		}
	}
}

// TestRunWithoutAgain: where nothing says that it may go through another time, nothing is tried again.
func TestRunWithoutAgain(t *testing.T) {
	calls := 0
	err := (&DB{Name: "test"}).run(t.Context(), "it failed", func(context.Context, bool) error { calls++; return errYield })
	if !errors.Is(err, errYield) || calls != 1 {
		t.Errorf("run = %v after %d calls, want %v after 1", err, calls, errYield)
	}
}

func TestTimeout(t *testing.T) {
	wait := func(ctx context.Context, _ bool) error { <-ctx.Done(); return io.ErrUnexpectedEOF }
	db := &DB{Name: "test", Timeout: time.Millisecond, Again: func(error) bool { return true }}
	err := db.run(t.Context(), "it failed", wait)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "no answer within 1ms") {
		t.Errorf("run = %v, want it to say that there was no answer, and to wrap both errors", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	db.Timeout = time.Hour
	if err := db.run(ctx, "it failed", wait); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "no answer") {
		t.Errorf("run whose context ends = %v, want its error and no other reason", err)
	}
	err = db.run(t.Context(), "it failed", func(ctx context.Context, _ bool) error {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Hour {
			t.Errorf("the call's context ends at %v, %v, want within the hour", end, ok)
		}
		return nil
	})
	if err != nil {
		t.Errorf("run = %v, want nil", err)
	}
}

// TestExplain: the words for people come before the cause, and hide nothing.
func TestExplain(t *testing.T) {
	db := &DB{Name: "test", Explain: func(err error) error { return fmt.Errorf("mend it: %w", err) }}
	err := db.run(t.Context(), "it failed", func(context.Context, bool) error { return errBroken })
	if got, want := fmt.Sprint(err), "test: it failed: mend it: broken"; got != want || !errors.Is(err, errBroken) {
		t.Errorf("run = %q, want %q, which wraps the cause", got, want)
	}
	err = db.run(t.Context(), "it failed", func(context.Context, bool) error { return session.ErrNotFound })
	if got, want := fmt.Sprint(err), "test: session not found"; got != want {
		t.Errorf("run = %q, want %q", got, want)
	}
}

// TestSingleGoesOnInTransaction: what was given up outside a transaction is tried again inside one, where the isolation is ours.
func TestSingleGoesOnInTransaction(t *testing.T) {
	db := migrated(t)
	db.Again = func(err error) bool { return errors.Is(err, errYield) }
	var within []bool
	err := db.single(t.Context(), "it failed", db.Write, func(ctx context.Context, q querier) error {
		_, is := q.(*sql.Tx)
		within = append(within, is)
		must(t, q, `INSERT INTO gatehouse_migrations (version_id, is_applied) VALUES (50, 0)`)
		if len(within) < 3 {
			return errYield
		}
		return nil
	})
	if got, want := fmt.Sprint(within), "[false true true]"; got != want || err != nil {
		t.Errorf("single = %v, in a transaction: %s, want nil and %s", err, got, want)
	}
	if n := number(t, db.Read, `SELECT count(*) FROM gatehouse_migrations WHERE version_id = 50`); n != 2 { // the first one was no transaction
		t.Errorf("there are %d rows, want 2: the second attempt was rolled back", n)
	}
}

func TestSeveralRollsBack(t *testing.T) {
	db := migrated(t)
	err := db.several(t.Context(), "it failed", func(_ context.Context, tx *sql.Tx) error {
		must(t, tx, `INSERT INTO gatehouse_migrations (version_id, is_applied) VALUES (50, 0)`)
		return session.ErrConflict
	})
	if n := number(t, db.Read, `SELECT count(*) FROM gatehouse_migrations WHERE version_id = 50`); !errors.Is(err, session.ErrConflict) || n != 0 {
		t.Errorf("several = %v with %d rows left, want ErrConflict and none", err, n)
	}
}

// TestTake: every name has a lock of its own, and it is the same one everywhere and in every version.
func TestTake(t *testing.T) {
	db := migrated(t)
	must(t, db.Write, `CREATE TABLE locks (n BIGINT NOT NULL UNIQUE)`)
	for range 2 {
		tx, err := db.Write.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"migrations", "", "anna", "Anna", "anna\x00", subjectLock(""), subjectLock("anna"), subjectLock("sessions of anna"), "\xff"}
		for _, name := range names {
			if err := take(t.Context(), tx, `INSERT INTO locks VALUES ($1)`, name); err != nil {
				t.Errorf("take(%q) = %v, want nil and a number that no other name has", name, err)
			}
			if err := take(t.Context(), tx, "", name); err != nil {
				t.Errorf("take(%q) without a statement = %v, want nil", name, err)
			}
		}
		if n := number(t, tx, `SELECT count(*) FROM locks`); n != len(names) {
			t.Errorf("there are %d locks, want %d", n, len(names))
		}
		if n := number(t, tx, `SELECT n FROM locks WHERE n = 8708953229601950140`); n == -1 {
			t.Errorf("the lock of the migrations has another number than before: an older version would not wait for it")
		}
		_ = tx.Rollback()
	}
}
