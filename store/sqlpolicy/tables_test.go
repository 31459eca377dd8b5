package sqlpolicy_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/store/sqlpolicy"
)

func TestCreateTables(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		p := fill(t, db)
		if err := sqlpolicy.CreateTables(t.Context(), db.DB); err != nil {
			t.Fatalf("CreateTables once more = %v, want no error", err)
		}
		if ok, err := p.Permits(t.Context(), named("user"), "public", nil); !ok || err != nil {
			t.Errorf("Permits after CreateTables once more = %v, %v, want true: nothing is lost", ok, err)
		}
		for what, statement := range map[string]string{
			"a username twice":                     `INSERT INTO users (id, username, password) VALUES (50, 'user', 'x')`,
			"a user without a name":                `INSERT INTO users (id, username, password) VALUES (51, NULL, 'x')`,
			"a user without a hash":                `INSERT INTO users (id, username) VALUES (52, 'new')`,
			"a permission twice":                   `INSERT INTO permissions (user_id, name) VALUES (3, 'public')`,
			"a permission of nobody":               `INSERT INTO permissions (user_id, name) VALUES (1234, 'public')`,
			"a permission without a name":          `INSERT INTO permissions (user_id, name) VALUES (3, NULL)`,
			"a flag that is neither":               `INSERT INTO users (id, username, password, disabled) VALUES (53, 'new', 'x', NULL)`,
			"a superuser flag that is neither":     `INSERT INTO users (id, username, password, is_superuser) VALUES (54, 'new', 'x', NULL)`,
			"a permission that belongs to no user": `INSERT INTO permissions (user_id, name) VALUES (NULL, 'public')`,
		} {
			if _, err := db.Exec(statement); err == nil {
				t.Errorf("%s: %s succeeds, want that the table refuses it", what, statement)
			}
		}
		db.must(t, `DELETE FROM users WHERE username = 'user'`)
		left := -1
		if err := db.QueryRow(`SELECT count(*) FROM permissions WHERE user_id = 3`).Scan(&left); err != nil || left != 0 {
			t.Errorf("a removed user leaves %d permissions, %v, want 0", left, err)
		}
	})
}

// TestNewUsers: a user may do nothing until somebody says so, and does not inherit from one who is gone.
func TestNewUsers(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		db := openSQLite(t, ":memory:")
		db.must(t, `PRAGMA foreign_keys = OFF`) // as they are by default: the permissions of who is gone stay
		testNewUsers(t, db)
	})
	t.Run("postgres", func(t *testing.T) { testNewUsers(t, openPostgres(t)) })
}

func testNewUsers(t *testing.T, db *testDB) {
	if err := sqlpolicy.CreateTables(t.Context(), db.DB); err != nil {
		t.Fatal(err)
	}
	p := sqlpolicy.New(db.DB)
	for _, name := range []string{"first", "second"} {
		db.must(t, `INSERT INTO users (username, password) VALUES ($1, 'x')`, name)
		if ok, err := p.Permits(t.Context(), named(name), "public", nil); ok || err != nil {
			t.Errorf("Permits(%s, public) = %v, %v for a new user, want false", name, ok, err)
		}
		db.must(t, `INSERT INTO permissions (user_id, name) SELECT id, 'public' FROM users WHERE username = $1`, name)
		if ok, err := p.Permits(t.Context(), named(name), "public", nil); !ok || err != nil {
			t.Errorf("Permits(%s, public) = %v, %v, want true", name, ok, err)
		}
		db.must(t, `DELETE FROM users WHERE username = $1`, name)
	}
}

// TestCreateTablesInParallel: several processes start at the same time on an empty database.
func TestCreateTablesInParallel(t *testing.T) {
	onEach(t, func(t *testing.T, db *testDB) {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if err := sqlpolicy.CreateTables(t.Context(), db.DB); err != nil {
					t.Errorf("CreateTables = %v, want no error", err)
				}
			})
		}
		group.Wait()
	})
}

func TestCreateTablesRefuses(t *testing.T) {
	if err := sqlpolicy.CreateTables(t.Context(), nil); err == nil {
		t.Error("CreateTables without a database = nil, want an error")
	}
	onEach(t, func(t *testing.T, db *testDB) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := sqlpolicy.CreateTables(ctx, db.DB); !errors.Is(err, context.Canceled) {
			t.Errorf("CreateTables(cancelled) = %v, want %v", err, context.Canceled)
		}
		db.must(t, `CREATE TABLE other (x INTEGER)`)
		db.must(t, `CREATE INDEX users ON other (x)`)
		if err := sqlpolicy.CreateTables(t.Context(), db.DB); err == nil || !strings.Contains(err.Error(), "could not be created") {
			t.Errorf("CreateTables beside an index called users = %v, want that they could not be created", err)
		}
		db.must(t, `DROP INDEX users`)
		if err := sqlpolicy.CreateTables(t.Context(), db.DB); err != nil {
			t.Errorf("CreateTables after a failed attempt = %v, want no error", err)
		}
	})
}

// A flagRow is a user with flags as another program has stored them, and what becomes of the user.
type flagRow struct {
	superuser, disabled any
	resolved, super     bool
}

// TestFlags: tables that somebody else made may have flags of another type. What is neither yes nor no gives nothing.
func TestFlags(t *testing.T) {
	numbers := []flagRow{
		{0, 0, true, false}, {1, 0, true, true}, {0, 1, false, false}, {1, 1, false, false},
		{nil, 0, true, false}, {2, 0, true, false}, {-1, 0, true, false},
		{1, nil, false, false}, {1, 2, false, false}, {1, -1, false, false}, {nil, nil, false, false},
	}
	texts := []flagRow{
		{"f", "f", true, false}, {"t", "false", true, true}, {"true", "0", true, true}, {"1", "FALSE", true, true}, {"t", "t", false, false},
		{"yes", "f", true, false}, {"on", "f", true, false}, {"", "f", true, false}, {" t", "f", true, false}, {"t", "no", false, false}, {"t", "", false, false}, {"t", "x", false, false},
	}
	bools := []flagRow{
		{false, false, true, false}, {true, false, true, true}, {true, true, false, false}, {nil, false, true, false}, {true, nil, false, false},
	}
	for _, column := range []struct {
		kind string
		rows []flagRow
	}{{"INTEGER", numbers}, {"SMALLINT", numbers}, {"BIGINT", numbers}, {"NUMERIC", numbers}, {"TEXT", texts}, {"VARCHAR(5)", texts}, {"BOOLEAN", bools}} {
		t.Run(column.kind, func(t *testing.T) {
			onEach(t, func(t *testing.T, db *testDB) { testFlags(t, db, column.kind, column.rows) })
		})
	}
}

func testFlags(t *testing.T, db *testDB, kind string, rows []flagRow) {
	db.must(t, fmt.Sprintf(`CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, password TEXT, is_superuser %[1]s, disabled %[1]s)`, kind))
	db.must(t, `CREATE TABLE permissions (user_id INTEGER, name TEXT)`)
	p := sqlpolicy.New(db.DB)
	for i, row := range rows {
		name := fmt.Sprintf("user %d", i)
		db.must(t, `INSERT INTO users VALUES ($1, $2, 'hash', $3, $4)`, i, name, row.superuser, row.disabled)
		db.must(t, `INSERT INTO permissions VALUES ($1, 'own')`, i)
		_, err := p.Resolve(t.Context(), gatehouse.Identity{Value: name})
		if (err == nil) != row.resolved || err != nil && !errors.Is(err, gatehouse.ErrDisabled) {
			t.Errorf("superuser %v, disabled %v: Resolve = %v, want no error: %v", row.superuser, row.disabled, err, row.resolved)
		}
		got, err := p.PermitsEach(t.Context(), named(name), []string{"own", "vault"}, nil)
		if want := []bool{row.resolved, row.super}; !slices.Equal(got, want) || err != nil {
			t.Errorf("superuser %v, disabled %v: PermitsEach(own, vault) = %v, %v, want %v", row.superuser, row.disabled, got, err, want)
		}
		if hash, err := p.PasswordHash(t.Context(), name); (hash != "") != row.resolved || err != nil {
			t.Errorf("superuser %v, disabled %v: PasswordHash = %q, %v, want one: %v", row.superuser, row.disabled, hash, err, row.resolved)
		}
	}
}

// TestCollation: columns that take upper and lower case, or a name with and without accents, for equal do not make users equal.
func TestCollation(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { testCollation(t, openSQLite(t, ":memory:"), "TEXT COLLATE NOCASE") })
	t.Run("postgres", func(t *testing.T) {
		db := openPostgres(t)
		if _, err := db.Exec(`CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)`); err != nil {
			t.Skipf("skipped: this PostgreSQL has no ICU: %v", err)
		}
		testCollation(t, db, "TEXT COLLATE loose")
	})
	t.Run("postgres padded", func(t *testing.T) {
		db := openPostgres(t)
		testCollation(t, db, "CHAR(5)") // pads with spaces, and ignores them when it compares
	})
	t.Run("sqlite numbers", func(t *testing.T) {
		db := openSQLite(t, ":memory:")
		createAs(t, db, "NUMERIC")
		db.must(t, `INSERT INTO users VALUES (1, 7, 'hash', 1, 0)`)
		if _, err := sqlpolicy.New(db.DB).Resolve(t.Context(), gatehouse.Identity{Value: "007"}); !errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("Resolve(007) beside the user 7 = %v, want %v", err, gatehouse.ErrCredential)
		}
	})
}

func createAs(t *testing.T, db *testDB, kind string) {
	t.Helper()
	db.must(t, fmt.Sprintf(`CREATE TABLE users (id INTEGER PRIMARY KEY, username %s, password TEXT, is_superuser INTEGER, disabled INTEGER)`, kind))
	db.must(t, fmt.Sprintf(`CREATE TABLE permissions (user_id INTEGER, name %s)`, kind))
}

func testCollation(t *testing.T, db *testDB, kind string) {
	createAs(t, db, kind)
	db.must(t, `INSERT INTO users VALUES (1, 'Admin', 'hash', 1, 0), (2, 'user', 'hash', 0, 0), (3, 'USER', 'other hash', 1, 0), (4, 'ghost', 'hash', 1, 1)`)
	db.must(t, `INSERT INTO permissions VALUES (2, 'see'), (2, 'films')`)
	p := sqlpolicy.New(db.DB)
	matches := 0
	if err := db.QueryRow(`SELECT count(*) FROM users WHERE username = 'ADMIN' OR username = 'Admin '`).Scan(&matches); err != nil || matches == 0 {
		t.Fatalf("the column takes %d rows for Admin, %v: this test would see nothing", matches, err)
	}
	for _, name := range []string{"admin", "ADMIN", "Admin ", "ádmin", "User", "Ghost", "uséR"} {
		if principal, err := p.Resolve(t.Context(), gatehouse.Identity{Value: name}); !errors.Is(err, gatehouse.ErrCredential) || errors.Is(err, gatehouse.ErrDisabled) {
			t.Errorf("Resolve(%q) = %+v, %v, want %v: it is nobody's name to the letter", name, principal, err, gatehouse.ErrCredential)
		}
		if ok, err := p.Permits(t.Context(), named(name), "see", nil); ok || err != nil {
			t.Errorf("Permits(%q, see) = %v, %v, want false", name, ok, err)
		}
		if hash, err := p.PasswordHash(t.Context(), name); hash != "" || err != nil {
			t.Errorf("PasswordHash(%q) = %q, %v, want none", name, hash, err)
		}
		if replaced, err := p.SetPasswordHash(t.Context(), name, "hash", "new"); replaced || err != nil {
			t.Errorf("SetPasswordHash(%q) = %v, %v, want false", name, replaced, err)
		}
	}
	for _, permission := range []string{"See", "SEE", "see ", "sée", "vault"} {
		if ok, err := p.Permits(t.Context(), named("user"), permission, nil); ok || err != nil {
			t.Errorf("Permits(user, %q) = %v, %v, want false: neither his own nor what USER may as a superuser", permission, ok, err)
		}
	}
}

// TestOldEncoding: a name that the database's encoding cannot hold is the name of nobody, not a failure.
func TestOldEncoding(t *testing.T) {
	server, err := url.Parse(needPostgres(t))
	if err != nil {
		t.Fatal(err)
	}
	admin := openPostgres(t)
	name := fmt.Sprintf("sqlpolicy_latin1_%d", os.Getpid())
	if _, err := admin.Exec(`CREATE DATABASE ` + name + ` ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`); err != nil {
		t.Skipf("skipped: this server lets nobody create a database: %v", err)
	}
	defer admin.must(t, `DROP DATABASE `+name+` WITH (FORCE)`)
	server.Path = "/" + name
	db := &testDB{kind: "postgres"}
	if db.DB, err = sql.Open("pgx", server.String()); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := sqlpolicy.CreateTables(t.Context(), db.DB); err != nil {
		t.Fatal(err)
	}
	db.must(t, `INSERT INTO users (username, password) VALUES ('Müller', 'hash')`)
	p := sqlpolicy.New(db.DB)
	if _, err := p.Resolve(t.Context(), gatehouse.Identity{Value: "Müller"}); err != nil {
		t.Errorf("Resolve(Müller) = %v, want no error", err)
	}
	for _, name := range []string{"山田", "😀", "Mu\u0308ller", "\ufeffMüller"} {
		if _, err := p.Resolve(t.Context(), gatehouse.Identity{Value: name}); !errors.Is(err, gatehouse.ErrCredential) {
			t.Errorf("Resolve(%q) = %v, want %v", name, err, gatehouse.ErrCredential)
		}
		if hash, err := p.PasswordHash(t.Context(), name); hash != "" || err != nil {
			t.Errorf("PasswordHash(%q) = %q, %v, want none", name, hash, err)
		}
		if ok, err := p.Permits(t.Context(), named(name), "public", nil); ok || err != nil {
			t.Errorf("Permits(%q) = %v, %v, want false", name, ok, err)
		}
	}
}

// TestWithoutDatabase: what cannot be asked denies, and blames nobody.
func TestWithoutDatabase(t *testing.T) {
	closed := openSQLite(t, filepath.Join(t.TempDir(), "users.db"))
	fill(t, closed)
	closed.Close()
	bare := openSQLite(t, ":memory:") // no tables
	var none *sqlpolicy.Policy
	for name, p := range map[string]*sqlpolicy.Policy{
		"closed": sqlpolicy.New(closed.DB), "without tables": sqlpolicy.New(bare.DB), "nil database": sqlpolicy.New(nil), "zero policy": {}, "nil policy": none,
	} {
		for what, err := range failures(t.Context(), p) {
			if err == nil || isRefusal(err) {
				t.Errorf("%s: %s = %v, want an error that is no refusal", name, what, err)
			}
		}
		if p != nil {
			if got := status(behindGuard(t, p), "user", "/public"); got != 503 {
				t.Errorf("%s: GET /public by user = %d, want 503", name, got)
			}
		}
	}
	if err := sqlpolicy.CreateTables(t.Context(), closed.DB); err == nil {
		t.Error("CreateTables on a closed database = nil, want an error")
	}
}
