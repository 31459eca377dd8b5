//go:build unix

package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"
	driversqlite "modernc.org/sqlite"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// numbered returns anna's session that has the number in its key, id and body.
func numbered(number int64) session.Record {
	rec := record("anna", 0)
	rec.Key = session.Key{}
	copy(rec.Key[:], fmt.Sprint(number))
	rec.ID, rec.Body = fmt.Sprint(number), []byte(strings.Repeat(fmt.Sprint(number), 20))
	return rec
}

// writeForEver creates and deletes sessions, four at once, and says what it is about to do and what is acknowledged.
func writeForEver(name string) error {
	fmt.Println("opens 0")
	db, err := sqlite.Open(context.Background(), name)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(what string, number int64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, number)
	}
	failed := make(chan error)
	for range 4 {
		go func() { failed <- writeSome(sqlite.Sessions(db), say) }()
	}
	return <-failed
}

func writeSome(store session.Store, say func(string, int64)) error {
	for n := 1; ; n++ {
		rec := numbered(rand.Int64())
		if err := store.Create(context.Background(), rec, session.Key{}); err != nil {
			return err
		}
		number := parse(rec.ID)
		say("created", number)
		if n%3 > 0 {
			continue
		}
		say("deletes", number)
		if err := store.Delete(context.Background(), rec.Key); err != nil {
			return err
		}
		say("deleted", number)
	}
}

func parse(id string) (number int64) {
	_, _ = fmt.Sscan(id, &number)
	return number
}

// TestKill: what a process has acknowledged is there after it was killed, as it was, and nothing is damaged. How long a process runs is random: it
// is killed while it opens, recovers, writes, or moves the log into the file.
func TestKill(t *testing.T) {
	name := fileName(t)
	said := map[int64]string{} // the last thing that was said of a record
	for range 20 {
		p := start(t, "write", name)
		p.says(t, "opens 0")
		kill := time.AfterFunc(rand.N(150*time.Millisecond), func() { _ = p.Process.Kill() })
		for line := p.next(); line != ""; line = p.next() {
			note(t, said, line)
		}
		kill.Stop()
		p.kill()
		mustHave(t, name, said)
	}
	if len(said) < 50 {
		t.Errorf("%d records were written, want more: the test shows little", len(said))
	}
}

func note(t *testing.T, said map[int64]string, line string) {
	t.Helper()
	var what string
	var number int64
	if _, err := fmt.Sscan(line, &what, &number); err != nil || what == "failed:" {
		t.Fatalf("the other process says %q", line)
	}
	said[number] = what
}

// mustHave reports a damaged file, and records that are not there, or there, against what was said of them.
func mustHave(t *testing.T, name string, said map[int64]string) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open after a crash = %v, want nil", err)
	}
	defer db.Close()
	sound(t, db)
	list, err := sqlite.Sessions(db).List(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	there := map[int64]session.Record{}
	for _, rec := range list {
		there[parse(rec.ID)] = rec
	}
	for number, what := range said {
		rec, ok := there[number]
		if what == "created" && !ok || what == "deleted" && ok {
			t.Errorf("the record %d was said to be %s, and there = %v", number, what, ok)
		}
		if want := numbered(number); ok && (string(rec.Body) != string(want.Body) || rec.Key != want.Key || rec.Version != 1) {
			t.Errorf("the record %d is not as it was written: %+v", number, rec)
		}
	}
}

// sound reports a damaged database.
func sound(t *testing.T, db *sqlite.DB) {
	t.Helper()
	var found string
	if err := db.SQL().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&found); err != nil || found != "ok" {
		t.Fatalf("PRAGMA integrity_check = %q, %v, want ok", found, err)
	}
}

// migrateHalf migrates, and gets stuck in the middle of the last migration.
func migrateHalf(name string) error {
	err := driversqlite.RegisterScalarFunction("half", 0, func(*driversqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		fmt.Println("half")
		select {}
	})
	if err != nil {
		return err
	}
	pool, err := sql.Open("sqlite", name+"?_txlock=immediate&_pragma=journal_mode(WAL)")
	if err != nil {
		return err
	}
	db := &sqldb.DB{Name: "test", Write: pool, Read: pool, Dialect: goose.DialectSQLite3}
	files, err := andHalf("CREATE TABLE half (n BIGINT);\nINSERT INTO half SELECT half();")
	if err != nil {
		return err
	}
	return db.Migrate(context.Background(), files)
}

// andHalf returns the migrations, and one more with these statements.
func andHalf(statements string) (fs.FS, error) {
	names, err := fs.Glob(sqldb.Schema(), "*")
	if err != nil {
		return nil, err
	}
	files := fstest.MapFS{fmt.Sprintf("%05d_half.sql", len(names)+1): {Data: []byte("-- +goose Up\n" + statements + "\n")}}
	for _, name := range names {
		data, err := fs.ReadFile(sqldb.Schema(), name)
		if err != nil {
			return nil, err
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files, nil
}

// TestKillInMigration: a migration that was killed has not happened; the next start does it.
func TestKillInMigration(t *testing.T) {
	for _, existed := range []bool{false, true} {
		name := fileName(t)
		if existed {
			stored(t, sqlite.Sessions(open(t, name)), "anna", 2)
		} else if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		p := start(t, "migrate", name)
		p.says(t, "half")
		p.kill()
		db := open(t, name)
		sound(t, db)
		migratedOnce(t, db)
		var tables int
		err := db.ReadOnly().QueryRowContext(t.Context(), `SELECT count(*) FROM sqlite_schema WHERE name = 'half'`).Scan(&tables)
		if err != nil || tables != 0 {
			t.Errorf("there are %d tables of the migration that was killed, %v, want none", tables, err)
		}
		if got, want := len(ids(t, sqlite.Sessions(db), "anna")), map[bool]int{true: 2}[existed]; got != want {
			t.Errorf("List(anna) has %d, want %d", got, want)
		}
	}
}

// TestOpenWaitsForMigration: who comes while another process migrates waits for it.
func TestOpenWaitsForMigration(t *testing.T) {
	name := fileName(t)
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "migrate", name)
	p.says(t, "half")
	_, err := sqlite.Open(t.Context(), name, sqlite.BusyTimeout(50*time.Millisecond))
	mustSay(t, "Open while another process migrates", err, "sqlite: ", "another process has kept")

	opened := make(chan error)
	go func() {
		db, err := sqlite.Open(context.WithoutCancel(t.Context()), name, sqlite.BusyTimeout(time.Minute))
		if err == nil {
			err = db.Close()
		}
		opened <- err
	}()
	p.kill()
	if err := <-opened; err != nil {
		t.Errorf("Open that waited = %v, want nil", err)
	}
}

// openWhenTold opens the database when it is told to, and stores a session.
func openWhenTold(name string) error {
	fmt.Println("ready")
	<-orders
	db, err := sqlite.Open(context.Background(), name)
	if err != nil {
		return err
	}
	if err := sqlite.Sessions(db).Create(context.Background(), numbered(int64(os.Getpid())), session.Key{}); err != nil {
		return err
	}
	fmt.Println("stored")
	return db.Close()
}

// TestProcessesOpenAtOnce: processes that open a new database at the same moment all succeed.
func TestProcessesOpenAtOnce(t *testing.T) {
	for range 3 {
		name := fileName(t)
		var all []*process
		for range 5 {
			p := start(t, "open", name)
			p.says(t, "ready")
			all = append(all, p)
		}
		for _, p := range all {
			p.order(t, "open")
		}
		for _, p := range all {
			p.says(t, "stored")
			if err := p.Wait(); err != nil {
				t.Errorf("the other process ends with %v, want nil", err)
			}
		}
		db := open(t, name)
		migratedOnce(t, db)
		if got := len(ids(t, sqlite.Sessions(db), "anna")); got != 5 {
			t.Errorf("List(anna) has %d, want 5", got)
		}
	}
}
