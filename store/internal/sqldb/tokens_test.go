package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/keyring"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
	"github.com/gatehouse-auth/gatehouse/token"
)

// locked returns a database with one connection, and with locks as one has them that needs some.
func locked(t *testing.T) *DB {
	t.Helper()
	db := migrated(t)
	db.Lock, db.LockShared, db.Ring = `SELECT $1`, `SELECT $1`, `'rung'`
	db.Write.SetMaxOpenConns(1)
	return db
}

func TestKeys(t *testing.T) {
	storetest.TestKeys(t, func(t *testing.T) storetest.Keys { return storetest.Keys{Store: NewKeys(locked(t))} })
}

func TestTokens(t *testing.T) {
	storetest.TestTokens(t, func(t *testing.T) storetest.Tokens { return storetest.Tokens{Store: NewTokens(locked(t))} })
}

func TestRevocations(t *testing.T) {
	storetest.TestRevocations(t, func(t *testing.T) storetest.Revocations {
		return storetest.Revocations{Store: NewRevocations(locked(t))}
	})
}

// now is when the records of these tests are made.
var now = time.UnixMilli(1_700_000_000_000)

// tokenOf returns the token number n of a family.
func tokenOf(family string, n int) token.Record {
	rec := token.Record{ID: fmt.Sprintf("%s-%d", family, n), Purpose: "refresh", Subject: "anna", Family: family, Expires: now.Add(time.Hour), Left: -1}
	copy(rec.Key[:], rec.ID)
	return rec
}

func created(t *testing.T, store *Tokens, records ...token.Record) {
	t.Helper()
	for _, rec := range records {
		if err := store.Create(t.Context(), rec); err != nil {
			t.Fatalf("Create(%s) = %v, want nil", rec.ID, err)
		}
	}
}

// TestManyFamilies: there are more of them than one statement takes parameters for.
func TestManyFamilies(t *testing.T) {
	db := locked(t)
	store := NewTokens(db)
	tx, err := db.Write.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for n := range 2*chunk + 1 {
		rec := tokenOf(fmt.Sprintf("f%05d", n), 1)
		if err := errors.Join(beginFamily(t.Context(), tx, rec), insertToken(t.Context(), tx, rec)); err != nil {
			t.Fatal(err)
		}
		want = append(want, rec.Family)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	ended, err := store.DeleteSubject(t.Context(), "anna", "other", "refresh")
	if err != nil || !slices.Equal(ended, want) {
		t.Errorf("DeleteSubject = %d families, %v, want %d, sorted", len(ended), err, len(want))
	}
	if n := number(t, db.Read, `SELECT count(*) FROM gatehouse_tokens`); n != 0 {
		t.Errorf("%d tokens are left, want none", n)
	}
}

// TestPruneForgetsFamilies: families whose tokens are gone long since are forgotten, however many there are more than tokens to remove. One with a token
// that is not overdue, or which was raised by one that was rotated, is not.
func TestPruneForgetsFamilies(t *testing.T) {
	db := locked(t)
	store := NewTokens(db)
	for n := range 10 {
		rec := tokenOf(fmt.Sprint("ended", n), 1)
		created(t, store, rec)
		if err := store.Delete(t.Context(), token.Key{}, rec.Family); err != nil {
			t.Fatal(err)
		}
	}
	overdue, raised := tokenOf("overdue", 1), tokenOf("raised", 1)
	created(t, store, overdue, raised)
	next := tokenOf("raised", 2)
	next.Expires = now.Add(3 * time.Hour)
	if _, err := store.Rotate(t.Context(), raised.Key, now, nil, next); err != nil {
		t.Fatal(err)
	}
	for call, want := range []int{2, 0} {
		if n, err := store.Prune(t.Context(), now.Add(2*time.Hour), 3); n != want || err != nil {
			t.Errorf("Prune number %d = %d, %v, want %d, nil", call, n, err, want)
		}
		if families, err := texts(t.Context(), db.Read, `SELECT id FROM gatehouse_families`); err != nil || !slices.Equal(families, []string{"raised"}) {
			t.Errorf("after Prune number %d there are the families %q, %v, want the one that was raised", call, families, err)
		}
	}
	if err := store.Delete(t.Context(), token.Key{}, "raised"); err != nil {
		t.Fatal(err)
	}
	if n, err := store.Prune(t.Context(), now.Add(2*time.Hour), 3); n != 0 || err != nil {
		t.Errorf("Prune = %d, %v, want 0, nil", n, err)
	}
	if err := store.Create(t.Context(), tokenOf("raised", 3)); !errors.Is(err, token.ErrExists) {
		t.Errorf("Create in a family that has ended and could have a token still = %v, want an error that wraps ErrExists", err)
	}
	for _, limit := range []int{0, -1} {
		if n, err := store.Prune(t.Context(), now.AddDate(1, 0, 0), limit); n != 0 || err != nil {
			t.Errorf("Prune(%d) = %d, %v, want 0, nil", limit, n, err)
		}
	}
}

// TestDamagedTokens: a key that is none is an error, not a key that ends with zeros.
func TestDamagedTokens(t *testing.T) {
	db := locked(t)
	must(t, db.Write, `PRAGMA ignore_check_constraints = ON`)
	for _, size := range []int{1, 31, 33} {
		key := make([]byte, size)
		must(t, db.Write, `INSERT INTO gatehouse_tokens VALUES ($1, x'01', x'', x'', NULL, 0, 0, 0, NULL, x'', x'')`, key)
		must(t, db.Write, `INSERT INTO gatehouse_tokens VALUES ($1, x'01', x'', x'', NULL, 0, 0, 0, $2, x'', x'')`, make([]byte, 32), key)
		for _, where := range []string{`length(key) <> 32`, `length(next) <> 32`} {
			_, err := oneToken(t.Context(), db.Read, `SELECT `+tokenColumns+` FROM gatehouse_tokens WHERE `+where)
			if err == nil || !strings.Contains(err.Error(), "a row of gatehouse_tokens has keys of") {
				t.Errorf("a token with %s, of %d bytes = %v, want an error that says so", where, size, err)
			}
		}
		must(t, db.Write, `DELETE FROM gatehouse_tokens`)
	}
}

// TestTokenTablesRefuse: what none of our statements writes, nobody else's does by mistake.
func TestTokenTablesRefuse(t *testing.T) {
	db := locked(t)
	must(t, db.Write, `PRAGMA foreign_keys = ON`)
	must(t, db.Write, `INSERT INTO gatehouse_rings VALUES (x'01', 1)`)
	must(t, db.Write, `INSERT INTO gatehouse_keys VALUES (x'01', 0, x'01', x'', 0, 0, 0, 0, x'')`)
	must(t, db.Write, `INSERT INTO gatehouse_families VALUES (x'01', FALSE, 0)`)
	must(t, db.Write, `INSERT INTO gatehouse_tokens VALUES (zeroblob(32), x'01', x'', x'', x'01', 0, 0, 0, NULL, x'', x'')`)
	must(t, db.Write, `INSERT INTO gatehouse_revocations VALUES (1, x'', x'', 0, 0)`)
	for what, statement := range map[string]string{
		"a key of no ring":               `INSERT INTO gatehouse_keys VALUES (x'02', 0, x'02', x'', 0, 0, 0, 0, x'')`,
		"an id twice in a ring":          `INSERT INTO gatehouse_keys VALUES (x'01', 1, x'01', x'', 0, 0, 0, 0, x'')`,
		"a place twice in a ring":        `INSERT INTO gatehouse_keys VALUES (x'01', 0, x'02', x'', 0, 0, 0, 0, x'')`,
		"a key without material":         `INSERT INTO gatehouse_keys VALUES (x'01', 1, x'02', x'', 0, 0, 0, 0, NULL)`,
		"a ring with keys removed":       `DELETE FROM gatehouse_rings`,
		"a family twice":                 `INSERT INTO gatehouse_families VALUES (x'01', FALSE, 0)`,
		"a family that is ended or not":  `INSERT INTO gatehouse_families VALUES (x'02', NULL, 0)`,
		"a family with a token removed":  `DELETE FROM gatehouse_families`,
		"a token with a short key":       `INSERT INTO gatehouse_tokens VALUES (x'00', x'01', x'', x'', NULL, 0, 0, 0, NULL, x'', x'')`,
		"a token under a key that is":    `INSERT INTO gatehouse_tokens VALUES (zeroblob(32), x'01', x'', x'', NULL, 0, 0, 0, NULL, x'', x'')`,
		"a token with a short successor": `UPDATE gatehouse_tokens SET next = x'00'`,
		"a token of no family":           `UPDATE gatehouse_tokens SET family = x'02'`,
		"a token without an end":         `UPDATE gatehouse_tokens SET expires = NULL`,
		"a second feed":                  `INSERT INTO gatehouse_feed VALUES (2, 0)`,
		"a feed twice":                   `INSERT INTO gatehouse_feed VALUES (1, 0)`,
		"a seq twice":                    `INSERT INTO gatehouse_revocations VALUES (1, x'', x'', 0, 0)`,
		"a revocation without an end":    `UPDATE gatehouse_revocations SET expires = NULL`,
	} {
		if _, err := db.Write.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s is taken, want an error", what)
		}
	}
}

// TestTimesThatAreNotSet: a time that is zero stays zero in every respect, and one of 1970 is none of them.
func TestTimesThatAreNotSet(t *testing.T) {
	if got := timeOf(time.Time{}.UnixMilli()); got != (time.Time{}) {
		t.Errorf("timeOf of no time = %#v, want the zero time", got)
	}
	for _, ms := range []int64{0, -1, 1, 1_700_000_000_123} {
		if got := timeOf(ms); got.IsZero() || got.UnixMilli() != ms {
			t.Errorf("timeOf(%d) = %v, want the same time", ms, got)
		}
	}
}

// A recorder is a connector that notes which statements are run.
type recorder struct {
	driver.Connector
	mu         sync.Mutex
	statements map[string]int // and how many parameters they had
}

func (r *recorder) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return recorded{conn.(driverConn), conn.(driver.ConnBeginTx), r}, nil
}

func (r *recorder) note(statement string, args int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements[statement] = args
}

type recorded struct {
	driverConn
	driver.ConnBeginTx
	*recorder
}

func (c recorded) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.note(query, len(args))
	return c.driverConn.ExecContext(ctx, query, args)
}

func (c recorded) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.note(query, len(args))
	return c.driverConn.QueryContext(ctx, query, args)
}

// A source is a connector by a data source's name.
type source struct {
	driver driver.Driver
	name   string
}

func (s source) Connect(context.Context) (driver.Conn, error) { return s.driver.Open(s.name) }
func (s source) Driver() driver.Driver                        { return s.driver }

// everything calls every method of every store.
func everything(t *testing.T, db *DB) {
	t.Helper()
	ctx, later := t.Context(), now.AddDate(1, 0, 0)
	rec := session.Record{ID: "1", Subject: "anna", Created: now, Seen: now, Deadline: now, Version: 1}
	sessions := NewSessions(db)
	_ = sessions.Create(ctx, rec, session.Key{})
	next := rec
	next.Key, next.ID = session.Key{1}, "2"
	_ = sessions.Create(ctx, next, rec.Key)
	_ = sessions.Update(ctx, rec)
	_ = sessions.Touch(ctx, rec.Key, now, now)
	_ = sessions.Delete(ctx, rec.Key)
	_, _ = sessions.Get(ctx, rec.Key)
	_, _ = sessions.List(ctx, "anna")
	_, _ = sessions.DeleteAll(ctx, "anna", rec.Key)
	_, _ = sessions.Prune(ctx, later, 10)

	keys := NewKeys(db)
	_ = keys.Save(ctx, "ring", 0, []keyring.Record{{ID: "1"}})
	_ = keys.Save(ctx, "ring", 1, []keyring.Record{{ID: "2"}})
	_, _, _ = keys.Load(ctx, "ring")
	_, _ = keys.Rings(ctx)

	tokens := NewTokens(db)
	one := tokenOf("f", 1)
	created(t, tokens, one, tokenOf("g", 1), tokenOf("", 1))
	_, _ = tokens.Get(ctx, one.Key)
	_, _ = tokens.Use(ctx, one.Key)
	_, _ = tokens.Rotate(ctx, one.Key, now, nil, tokenOf("f", 2))
	_, _ = tokens.Rotate(ctx, one.Key, now, nil, tokenOf("f", 3))
	_ = tokens.Delete(ctx, tokenOf("", 1).Key, "")
	_ = tokens.Delete(ctx, token.Key{}, "g")
	_, _ = tokens.DeleteSubject(ctx, "anna", "refresh", "access")
	created(t, tokens, tokenOf("h", 1))
	_, _ = tokens.DeleteSubject(ctx, "anna")
	_, _ = tokens.Prune(ctx, later, 10)

	revocations := NewRevocations(db)
	_, _ = revocations.Add(ctx)
	_, _ = revocations.Add(ctx, revoke.Entry{Kind: revoke.Session, ID: "1", Expires: now}, revoke.Entry{Kind: revoke.Session, ID: "2", Expires: now})
	_, _ = revocations.Since(ctx, 0, 10)
	_, _ = revocations.Prune(ctx, later, 10)
}

// small are the tables, or parts of statements, that are read from one end to the other: they have one row, or as many as are asked for.
var small = regexp.MustCompile(`^SCAN (gatehouse_feed|f|r|due|CONSTANT ROW|gatehouse_rings USING COVERING INDEX sqlite_autoindex_gatehouse_rings_1|[0-9]+-ROW VALUES CLAUSE)\b`)

// sorted are the statements that sort what they have found: a subject's sessions, and a page.
var sorted = regexp.MustCompile(`ORDER BY (created, id|r\.seq)$`)

// TestPlans: nothing that a store does reads all of a table that grows, or sorts what an index has in order.
func TestPlans(t *testing.T) {
	db := empty(t)
	note := &recorder{Connector: source{db.Write.Driver(), t.TempDir() + "/plans.db?_txlock=immediate"}, statements: map[string]int{}}
	db.Write = sql.OpenDB(note)
	db.Read = db.Write
	t.Cleanup(func() { _ = db.Write.Close() })
	if err := db.Migrate(t.Context(), Schema()); err != nil {
		t.Fatal(err)
	}
	clear(note.statements)
	everything(t, db)
	statements := maps.Clone(note.statements)
	if len(statements) < 35 {
		t.Errorf("there are %d statements, want more: the test shows little", len(statements))
	}
	for statement, args := range statements {
		rows, err := db.Read.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+statement, make([]any, args)...)
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(detail, "SCAN") && !small.MatchString(detail) || strings.Contains(detail, "TEMP B-TREE") && !sorted.MatchString(statement) {
				t.Errorf("%s:\n%s", statement, detail)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
