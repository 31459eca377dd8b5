package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"
)

// files returns migrations 1, 2, … with these statements.
func files(statements ...string) fstest.MapFS {
	all := fstest.MapFS{}
	for i, statement := range statements {
		all[fmt.Sprintf("%05d_part.sql", i+1)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + statement + "\n")}
	}
	return all
}

const one, two, three = `CREATE TABLE one (n BIGINT);`, `ALTER TABLE one ADD COLUMN m BIGINT; INSERT INTO one VALUES (1, 2);`, `CREATE TABLE three (n BIGINT);`

// version returns the number of the last migration, -1 if there is no table of them.
func version(t *testing.T, db *DB) int {
	t.Helper()
	return number(t, db.Read, `SELECT max(version_id) FROM gatehouse_migrations`)
}

// TestMigrate: each migration is applied once, in order, also when more of them come later.
func TestMigrate(t *testing.T) {
	db := empty(t)
	for i, part := range []fs.FS{files(one), files(one), files(one, two), files(one, two, three), files(one, two, three)} {
		if err := db.Migrate(t.Context(), part); err != nil {
			t.Fatalf("Migrate number %d = %v, want nil", i, err)
		}
	}
	if got := number(t, db.Read, `SELECT count(*) FROM one WHERE n = 1 AND m = 2`); got != 1 {
		t.Errorf("the second migration was applied %d times, want once", got)
	}
	if got := number(t, db.Read, `SELECT count(*) FROM gatehouse_migrations`); got != 4 || version(t, db) != 3 {
		t.Errorf("gatehouse_migrations has %d rows and version %d, want 4 and 3", got, version(t, db))
	}
}

// TestFailedMigration: nothing of a run that fails stays, the parts before the failure included.
func TestFailedMigration(t *testing.T) {
	for what, test := range map[string]struct {
		bad  string
		want string
	}{
		"no SQL":               {`CREATE TABEL three (n BIGINT);`, "syntax error"},
		"the second statement": {`CREATE TABLE three (n BIGINT); CREATE TABLE three (n BIGINT);`, "already exists"},
		"no table":             {`INSERT INTO nowhere VALUES (1);`, "no such table"},
	} {
		for _, before := range []int{0, 1} {
			db := empty(t)
			if before > 0 {
				if err := db.Migrate(t.Context(), files(one)); err != nil {
					t.Fatal(err)
				}
			}
			err := db.Migrate(t.Context(), files(one, two, test.bad))
			if err == nil || !strings.HasPrefix(err.Error(), "test: the tables could not be brought up to date: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Migrate with %s = %v, want an error that says %q", what, err, test.want)
			}
			if got, want := number(t, db.Read, `SELECT count(*) FROM sqlite_schema WHERE name IN ('one', 'three')`), before; got != want {
				t.Errorf("after %s there are %d tables, want the %d from before", what, got, want)
			}
			if got, want := version(t, db), 2*before-1; got != want { // -1: there is no table of them
				t.Errorf("after %s the version is %d, want %d", what, got, want)
			}
			if err := db.Migrate(t.Context(), files(one, two, three)); err != nil || version(t, db) != 3 {
				t.Errorf("Migrate after %s = %v with version %d, want nil and 3", what, err, version(t, db))
			}
		}
	}
}

func TestNewer(t *testing.T) {
	db := empty(t)
	if err := db.Migrate(t.Context(), files(one, two, three)); err != nil {
		t.Fatal(err)
	}
	err := db.Migrate(t.Context(), files(one, two))
	if !errors.Is(err, ErrNewer) {
		t.Errorf("Migrate of a newer database = %v, want an error that wraps ErrNewer", err)
	}
	if got := version(t, db); got != 3 {
		t.Errorf("the version is %d, want 3 as before", got)
	}
}

// TestNothingToDo: where there is nothing to do, nobody is waited for.
func TestNothingToDo(t *testing.T) {
	db := migrated(t)
	tx, err := db.Write.BeginTx(t.Context(), nil) // has the write lock
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if err := db.Migrate(t.Context(), Schema()); err != nil {
		t.Errorf("Migrate = %v, want nil", err)
	}
}

func TestMigrateRefuses(t *testing.T) {
	db := empty(t)
	for what, all := range map[string]fs.FS{
		"no files":        fstest.MapFS{},
		"a number twice":  fstest.MapFS{"00001_a.sql": files(one)["00001_part.sql"], "1_b.sql": files(one)["00001_part.sql"]},
		"no goose":        fstest.MapFS{"00001_a.sql": {Data: []byte(one)}},
		"something else ": fstest.MapFS{"00000_a.sql": files(one)["00001_part.sql"]},
	} {
		if err := db.Migrate(t.Context(), all); err == nil {
			t.Errorf("Migrate of %s = nil, want an error", what)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Migrate(cancelled, files(one)); !errors.Is(err, context.Canceled) {
		t.Errorf("Migrate that is cancelled = %v, want an error that wraps context.Canceled", err)
	}
	if got := version(t, db); got != -1 {
		t.Errorf("the version is %d, want none", got)
	}
	if err := db.Write.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), files(one)); err == nil {
		t.Error("Migrate of a closed database = nil, want an error")
	}
}

// TestOtherMigrations: a program may use goose for tables of its own, in the same database and with migrations that it has registered.
func TestOtherMigrations(t *testing.T) {
	db := empty(t)
	goose.SetBaseFS(nil)
	goose.AddNamedMigrationContext("00777_program.go", func(context.Context, *sql.Tx) error { return errors.New("the program's own") }, nil)
	t.Cleanup(goose.ResetGlobalMigrations)
	must(t, db.Write, `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY, version_id INTEGER NOT NULL)`)
	must(t, db.Write, `INSERT INTO goose_db_version (version_id) VALUES (999)`)
	if err := db.Migrate(t.Context(), Schema()); err != nil {
		t.Errorf("Migrate beside a program's own migrations = %v, want nil", err)
	}
}

// TestSchema: the migrations that are there have consecutive numbers, no way back, and touch nothing that is not ours.
func TestSchema(t *testing.T) {
	names, err := fs.Glob(Schema(), "*")
	if err != nil || len(names) == 0 {
		t.Fatalf("Schema has %q, %v, want some", names, err)
	}
	object := regexp.MustCompile(`(?i)\b(?:TABLE|INDEX|INTO|UPDATE|FROM|ON) +(\w+)`)
	for i, name := range names {
		if !strings.HasPrefix(name, fmt.Sprintf("%05d_", i+1)) || !strings.HasSuffix(name, ".sql") {
			t.Errorf("file %d is called %q, want %05d_what.sql", i+1, name, i+1)
		}
		data, err := fs.ReadFile(Schema(), name)
		if err != nil {
			t.Fatal(err)
		}
		comment := regexp.MustCompile(`(?m)^--.*$`)
		text := string(data)
		if strings.Contains(text, "+goose Down") || strings.Contains(text, "NO TRANSACTION") {
			t.Errorf("%s goes back, or outside a transaction: what is needed then is a backup", name)
		}
		found := object.FindAllStringSubmatch(comment.ReplaceAllString(text, ""), -1)
		for _, match := range found {
			if !strings.HasPrefix(match[1], "gatehouse_") {
				t.Errorf("%s has %q, want names that begin with gatehouse_", name, match[0])
			}
		}
		if len(found) == 0 {
			t.Errorf("%s does nothing that this test recognises", name)
		}
	}
}

// conn returns a connection of db.
func conn(t *testing.T, db *DB) *sql.Conn {
	t.Helper()
	conn, err := db.Write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestWithin: transactions within a transaction are done or undone one by one, and all of them with the outer one.
func TestWithin(t *testing.T) {
	for _, commit := range []bool{true, false} {
		db := empty(t)
		must(t, db.Write, `CREATE TABLE one (n BIGINT)`)
		conn := conn(t, db)
		outer, err := conn.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = within(conn, func(inner *sql.DB) error {
			for n := range 4 {
				tx, err := inner.BeginTx(t.Context(), nil)
				if err != nil {
					return err
				}
				must(t, tx, `INSERT INTO one VALUES ($1)`, n)
				if n%2 == 0 {
					err = tx.Commit()
				} else {
					err = tx.Rollback()
				}
				if err != nil {
					return err
				}
			}
			must(t, inner, `INSERT INTO one VALUES (4)`)
			return inner.PingContext(t.Context())
		})
		if err != nil {
			t.Errorf("within = %v, want nil", err)
		}
		if n := number(t, outer, `SELECT count(*) + 10 * sum(n) FROM one`); n != 3+10*(0+2+4) {
			t.Errorf("the outer transaction sees %d, want 0, 2 and 4", n)
		}
		if want := map[bool]int{true: 3}[commit]; commit {
			err = outer.Commit()
			if n := number(t, db.Read, `SELECT count(*) FROM one`); n != want || err != nil {
				t.Errorf("Commit = %v with %d rows, want nil and %d", err, n, want)
			}
			continue
		}
		err = outer.Rollback()
		if n := number(t, db.Read, `SELECT count(*) FROM one`); n != 0 || err != nil {
			t.Errorf("Rollback = %v with %d rows, want nil and none", err, n)
		}
	}
}

// TestWithinLeavesTheConnection: what the inner pool does at its end is not done to the connection.
func TestWithinLeavesTheConnection(t *testing.T) {
	db := empty(t)
	conn := conn(t, db)
	if err := within(conn, func(*sql.DB) error { return errBroken }); !errors.Is(err, errBroken) {
		t.Errorf("within = %v, want the function's error", err)
	}
	if err := within(conn, func(inner *sql.DB) error { return inner.Close() }); err != nil {
		t.Errorf("within = %v, want nil", err)
	}
	if err := conn.PingContext(t.Context()); err != nil {
		t.Errorf("PingContext = %v, want nil", err)
	}
	if fixed := (fixed{}); fixed.Driver() != nil {
		t.Error("Driver() of a fixed connection is something, want nil: it opens nothing")
	}
}

// TestSavepointFails: an end that cannot be made is an error.
func TestSavepointFails(t *testing.T) {
	conn := conn(t, empty(t)) // in no transaction
	err := within(conn, func(inner *sql.DB) error {
		tx, err := inner.BeginTx(t.Context(), nil)
		if err != nil {
			return err
		}
		must(t, tx, `RELEASE SAVEPOINT gatehouse_within`)
		return tx.Rollback()
	})
	if err == nil || !strings.Contains(err.Error(), "gatehouse_within") {
		t.Errorf("Rollback without a savepoint = %v, want an error that names it", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	err = within(conn, func(inner *sql.DB) error {
		c, err := inner.Conn(t.Context())
		if err != nil {
			return err
		}
		defer c.Close()
		cancel()
		_, err = c.BeginTx(cancelled, nil)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("BeginTx that is cancelled = %v, want an error that wraps context.Canceled", err)
	}
}
