package sqlite_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// answers asks a connection for its settings.
func answers(t *testing.T, conn *sql.Conn, names ...string) (all []string) {
	t.Helper()
	for _, name := range names {
		var value string
		if err := conn.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&value); err != nil {
			t.Fatalf("PRAGMA %s = %v", name, err)
		}
		all = append(all, name+"="+value)
	}
	return all
}

// connection takes one connection out of a pool.
func connection(t *testing.T, pool *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestSettings: each connection has its settings, the ones that replace a lost one as well. What is acknowledged is only on the disk with
// synchronous=FULL (2).
func TestSettings(t *testing.T) {
	db := open(t, fileName(t), sqlite.Readers(3))
	const want = "[journal_mode=wal synchronous=2 busy_timeout=5000 foreign_keys=1 query_only=0]"
	asked := []string{"journal_mode", "synchronous", "busy_timeout", "foreign_keys", "query_only"}
	for range 3 {
		conn := connection(t, db.SQL())
		if got := fmt.Sprint(answers(t, conn, asked...)); got != want {
			t.Errorf("the connection that writes has %s, want %s", got, want)
		}
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the next one is another
		_ = conn.Close()
	}
	for range 3 { // all three at once
		conn := connection(t, db.ReadOnly())
		defer conn.Close()
		if got, want := fmt.Sprint(answers(t, conn, asked...)), strings.Replace(want, "query_only=0", "query_only=1", 1); got != want {
			t.Errorf("a connection that reads has %s, want %s", got, want)
		}
	}
	for name, pool := range map[string]*sql.DB{"SQL": db.SQL(), "ReadOnly": db.ReadOnly()} {
		if got, want := pool.Stats().MaxOpenConnections, map[string]int{"SQL": 1, "ReadOnly": 3}[name]; got != want {
			t.Errorf("%s has at most %d connections, want %d", name, got, want)
		}
	}
}

// TestTransactionsAreImmediate: a transaction that read first and then wrote could find that somebody else had written in between.
func TestTransactionsAreImmediate(t *testing.T) {
	name := fileName(t)
	db, other := open(t, name), open(t, name, sqlite.BusyTimeout(0))
	tx, err := db.SQL().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	_, err = other.SQL().BeginTx(t.Context(), nil)
	mustSay(t, "BeginTx beside another", err, "SQLITE_BUSY")
}

func TestReadOnlyPoolCannotWrite(t *testing.T) {
	db := open(t, fileName(t))
	stored(t, sqlite.Sessions(db), "anna", 1)
	_, err := db.ReadOnly().ExecContext(t.Context(), `DELETE FROM gatehouse_sessions`)
	mustSay(t, "DELETE through ReadOnly", err, "readonly")
	if got := ids(t, sqlite.Sessions(db), "anna"); len(got) != 1 {
		t.Errorf("List(anna) = %q, want 1", got)
	}
}

// TestOwnTables: a program keeps its own tables in the same file.
func TestOwnTables(t *testing.T) {
	name := fileName(t)
	db := open(t, name)
	for _, statement := range []string{
		`CREATE TABLE film (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`,
		`CREATE TABLE part (film INTEGER NOT NULL REFERENCES film(id))`,
	} {
		if _, err := db.SQL().ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.SQL().ExecContext(t.Context(), `INSERT INTO film (id, name) VALUES ($1, $2)`, 1, "M"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.SQL().ExecContext(t.Context(), `INSERT INTO part (film) VALUES ($1)`, 2); err == nil {
		t.Error("INSERT of a part of no film = nil, want an error: foreign keys count")
	}
	var got string
	if err := open(t, name).ReadOnly().QueryRowContext(t.Context(), `SELECT name FROM film WHERE id = $1`, 1).Scan(&got); got != "M" || err != nil {
		t.Errorf("the film is %q, %v, want M", got, err)
	}
}

// TestNames: no character of a file's name is anything but a character of its name.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	for _, base := range []string{
		"plain.db", "a b.db", "a?mode=memory.db", "a?_pragma=synchronous(0)", "a#b.db", "a%41.db", "a%.db", "a%00b.db", "a&b=c.db", "ü.db", "'quoted'.db",
		`back\slash.db`, "a+b.db", ":memory:.db", "semi;colon.db", "new\nline.db", "-dash.db", "\xff.db",
	} {
		name := filepath.Join(dir, base)
		db := open(t, name)
		stored(t, sqlite.Sessions(db), "anna", 1)
		if info, err := os.Stat(name); err != nil || info.Size()+fileSize(name+"-wal") == 0 {
			t.Errorf("Open(%q) has not put anything into a file of that name: %v", base, err)
		}
		conn := connection(t, db.SQL())
		if got := fmt.Sprint(answers(t, conn, "synchronous", "journal_mode")); got != "[synchronous=2 journal_mode=wal]" {
			t.Errorf("Open(%q) has %s", base, got)
		}
		_ = conn.Close()
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 18*3 { // each with -wal and -shm
		t.Errorf("there are %d files, %v, want %d", len(entries), err, 18*3)
	}
}

func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

func TestRelativeName(t *testing.T) {
	t.Chdir(t.TempDir())
	db := open(t, "gatehouse-data/gatehouse.db", sqlite.Readers(2))
	stored(t, sqlite.Sessions(db), "anna", 1)
	t.Chdir(t.TempDir()) // connections that are opened from now on find the same file
	first := connection(t, db.ReadOnly())
	defer first.Close()
	if got := ids(t, sqlite.Sessions(db), "anna"); len(got) != 1 {
		t.Errorf("List(anna) from another folder = %q, want 1", got)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	name := filepath.Join(dir, "gatehouse.db")
	stored(t, sqlite.Sessions(open(t, name)), "anna", 1)
	for path, want := range map[string]os.FileMode{
		dir: os.ModeDir | 0o700, filepath.Dir(dir): os.ModeDir | 0o700, name: 0o600, name + "-wal": 0o600, name + "-shm": 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v, %v, want %v", filepath.Base(path), info.Mode(), err, want)
		}
	}
}

// TestModeStays: who gave others the right to read the file meant it.
func TestModeStays(t *testing.T) {
	name := fileName(t)
	if err := os.WriteFile(name, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	open(t, name)
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("an empty file of mode 0640 has %v, %v after Open, want 0640", info.Mode(), err)
	}
}

func TestOpenRefusesArguments(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	occupied := filepath.Join(dir, "occupied")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "fine.db")
	for _, test := range []struct {
		name   string
		option sqlite.Option
		want   string
	}{
		{"", nil, "no name"},
		{"file:x.db?mode=memory", nil, "is an address"},
		{"sqlite:gatehouse.db", nil, "is an address"},
		{"a\x00b", nil, "zero byte"},
		{dir, nil, "is no file"},
		{os.DevNull, nil, "is no file"},
		{link, nil, "link to a file that is not there"},
		{filepath.Join(occupied, "x.db"), nil, "not a directory"},
		{name, sqlite.Readers(0), "there must be one"},
		{name, sqlite.Readers(-1), "there must be one"},
		{name, sqlite.BusyTimeout(-1), "cannot be negative"},
	} {
		options := []sqlite.Option{}
		if test.option != nil {
			options = append(options, test.option)
		}
		_, err := sqlite.Open(t.Context(), test.name, options...)
		mustSay(t, fmt.Sprintf("Open(%q)", test.name), err, "sqlite: ", test.want)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("%d files are there, want the 2 from before: what is refused is not made", len(entries))
	}
}

func TestOpenWithCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.Open(ctx, fileName(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, want an error that wraps context.Canceled", err)
	}
}

// filled returns a database with something in it, closed, as bytes.
func filled(t *testing.T) []byte {
	t.Helper()
	name := fileName(t)
	db, err := sqlite.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	stored(t, sqlite.Sessions(db), "anna", 200)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil || len(text) < 5*4096 {
		t.Fatalf("the database has %d bytes, %v, want some pages", len(text), err)
	}
	return text
}

// overwritten returns text with n random bytes at offset.
func overwritten(text []byte, offset, n int) []byte {
	text = bytes.Clone(text)
	rand.Read(text[offset : offset+n])
	return text
}

// TestOpenRefusesFiles: what cannot be used is refused and left as it is.
func TestOpenRefusesFiles(t *testing.T) {
	good := filled(t)
	last := len(good) - 4096
	for what, test := range map[string]struct {
		text []byte
		want string
	}{
		"a text":                   {[]byte(strings.Repeat("Dear diary, ", 1000)), "is no SQLite database"},
		"a short text":             {[]byte("hello"), "is no SQLite database"},
		"an image":                 {append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte{0}, 8192)...), "is no SQLite database"},
		"random bytes":             {overwritten(make([]byte, 16384), 0, 16384), "is no SQLite database"},
		"a damaged head":           {overwritten(good, 0, 100), "is no SQLite database"},
		"a damaged list of tables": {overwritten(good, 100, 3996), "is damaged"},
		"a damaged page":           {overwritten(good, last, 4096), "is damaged"},
		"the first half":           {good[:len(good)/2/4096*4096], "is damaged"},
		"all but a page":           {good[:last], "is damaged"},
	} {
		name := fileName(t)
		if err := os.WriteFile(name, test.text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sqlite.Open(t.Context(), name)
		mustSay(t, "Open of "+what, err, "sqlite: ", name, test.want)
		if after, err := os.ReadFile(name); err != nil || !bytes.Equal(after, test.text) {
			t.Errorf("Open of %s has changed the file", what)
		}
	}
}

// TestDamageLater: damage that turns up in use is an error that says so, and never the absence of a session.
func TestDamageLater(t *testing.T) {
	text := filled(t)
	name := fileName(t)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, name)
	damaged := overwritten(text, 4096, len(text)-4096)
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(damaged[4096:], 4096); err != nil {
		t.Fatal(err)
	}
	conn := connection(t, db.ReadOnly())
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // it has read the pages before
	_ = conn.Close()
	_, err = sqlite.Sessions(db).Get(t.Context(), record("anna", 7).Key)
	mustSay(t, "Get from a damaged file", err, "sqlite: ", name, "is damaged", "restore a backup")
}

// TestOpenAtOnce: those who open a new database at the same time all succeed, and the tables are made once.
func TestOpenAtOnce(t *testing.T) {
	for range 5 {
		name := fileName(t)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				db, err := sqlite.Open(t.Context(), name)
				if err != nil {
					t.Errorf("Open = %v, want nil", err)
					return
				}
				_ = db.Close()
			})
		}
		all.Wait()
		migratedOnce(t, open(t, name))
	}
}

// migratedOnce reports tables that were not made exactly once.
func migratedOnce(t *testing.T, db *sqlite.DB) {
	t.Helper()
	var rows, versions int
	err := db.ReadOnly().QueryRowContext(t.Context(), `SELECT count(*), count(DISTINCT version_id) FROM gatehouse_migrations`).Scan(&rows, &versions)
	if err != nil || rows != versions || rows < 2 {
		t.Errorf("gatehouse_migrations has %d rows and %d versions, %v, want one row for each", rows, versions, err)
	}
}

func TestNewerSchema(t *testing.T) {
	name := fileName(t)
	db := open(t, name)
	stored(t, sqlite.Sessions(db), "anna", 1)
	if _, err := db.SQL().ExecContext(t.Context(), `INSERT INTO gatehouse_migrations (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), name)
	mustSay(t, "Open of a newer database", err, "sqlite: ", "the database is newer than this program", "version 99", "Start the version", "backup")
	if got := ids(t, sqlite.Sessions(db), "anna"); len(got) != 1 {
		t.Errorf("List(anna) = %q, want what was there", got)
	}
}

// TestFolders: the folders that are missing are made, also where several processes make them at once, and none is made of a file.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a", "b", "c", "gatehouse.db")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			db, err := sqlite.Open(t.Context(), name)
			if err != nil {
				t.Errorf("Open = %v, want nil", err)
				return
			}
			_ = db.Close()
		})
	}
	all.Wait()
	open(t, name)
	open(t, filepath.Join(dir, "a", "b", "other.db"))
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(dir, "link", "gatehouse.db")); err == nil {
		t.Error("Open in a folder that is a link to nothing = nil, want an error")
	}
}
