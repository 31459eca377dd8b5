package postgres_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
)

// Sessions of several processes in one database. The password comes from the environment (PGPASSWORD) or from PostgreSQL's password file.
func Example() {
	ctx := context.Background()
	db, err := postgres.Open(ctx, "postgres://gatehouse@db.example.org/gatehouse?sslmode=verify-full")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer db.Close()
	sessions := session.New(postgres.Sessions(db), session.Config{Idle: 12 * time.Hour, Absolute: 30 * 24 * time.Hour})
	go sessions.KeepPruned(ctx, time.Tick(time.Minute)) // one of the processes is enough; more do no harm
}

func ExampleOpen() {
	// Without TLS the password and all sessions could be read on the way, so this is refused before anything is sent.
	_, err := postgres.Open(context.Background(), "postgres://gatehouse:geheim@db.example.org/gatehouse?sslmode=prefer")
	fmt.Println(err)
	// Output:
	// postgres: the connection to db.example.org could fall back to plain text: add sslmode=verify-full to the url, with sslrootcert=FILE if the server's certificate is of an authority of your own (or sslmode=disable if nobody else can read that network)
}

func ExampleOpen_options() {
	ctx := context.Background()
	url := "postgres://gatehouse@pgbouncer.example.org:6432/gatehouse?sslmode=verify-full" // in transaction mode
	db, err := postgres.Open(ctx, url, postgres.MaxConns(50), postgres.Timeout(3*time.Second))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer db.Close()
}

func ExampleSessions() {
	ctx := context.Background()
	db, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer db.Close()
	table := session.New(postgres.Sessions(db), session.Config{})
	ended, err := table.EndAll(ctx, "anna", "") // everywhere, for every process at once
	fmt.Println(ended, err)
}

func ExampleDB_SQL() {
	ctx := context.Background()
	db, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer db.Close()
	var name string
	err = db.SQL().QueryRowContext(ctx, `SELECT name FROM film WHERE id = $1`, 7).Scan(&name) // a table of the program's own
	fmt.Println(name, err)
}
