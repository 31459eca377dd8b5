package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gatehouse-auth/gatehouse"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// A session outlives the process: the database is closed and opened again, as by a restart.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx, name := context.Background(), filepath.Join(dir, "gatehouse-data", "gatehouse.db")

	for _, what := range []string{"signs in", "comes back"} {
		db, err := sqlite.Open(ctx, name)
		if err != nil {
			fmt.Println(err)
			return
		}
		table := session.New(sqlite.Sessions(db), session.Config{Idle: 12 * time.Hour, Absolute: 30 * 24 * time.Hour})
		if what == "signs in" { // guard.Remember does this
			if err := table.Start(ctx, new(session.Session), gatehouse.Identity{Value: "anna"}, session.Options{}); err != nil {
				fmt.Println(err)
			}
		}
		list, err := table.List(ctx, "anna")
		fmt.Println("anna", what+":", len(list), "session", err)
		if err := db.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// anna signs in: 1 session <nil>
	// anna comes back: 1 session <nil>
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "gatehouse.db")

	db, err := sqlite.Open(context.Background(), name, sqlite.BusyTimeout(time.Second), sqlite.Readers(8))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	info, err := os.Stat(name)
	fmt.Println(info.Mode(), err)

	_, err = sqlite.Open(context.Background(), dir)
	fmt.Println("a folder is refused:", err != nil)
	// Output:
	// -rw------- <nil>
	// a folder is refused: true
}

func ExampleSessions() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	store := sqlite.Sessions(db)
	_, err = store.Get(ctx, session.Key{1})
	fmt.Println(errors.Is(err, session.ErrNotFound), err)
	// Output:
	// true sqlite: session not found
}

func ExampleDB_SQL() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	for _, statement := range []string{`CREATE TABLE film (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`, `INSERT INTO film VALUES (7, 'M')`} {
		if _, err := db.SQL().ExecContext(ctx, statement); err != nil {
			fmt.Println(err)
			return
		}
	}
	var name string
	err = db.ReadOnly().QueryRowContext(ctx, `SELECT name FROM film WHERE id = $1`, 7).Scan(&name)
	fmt.Println(name, err)
	// Output:
	// M <nil>
}
