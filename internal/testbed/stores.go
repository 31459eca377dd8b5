package testbed

import (
	"context"
	"path/filepath"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/memory"
	"github.com/gatehouse-auth/gatehouse/store/postgres"
	"github.com/gatehouse-auth/gatehouse/store/redis"
	"github.com/gatehouse-auth/gatehouse/store/sqlite"
)

// A Kind is one kind of store for sessions.
type Kind struct {
	Name string
	// Address returns the address of a store without sessions, as the examples take it in their flag -store.
	Address func(t T) string
	// Open returns a store without sessions. A store that removes overdue records by itself asks now for the time.
	Open func(t T, now func() time.Time) session.Store
}

// Kinds are the stores that there are.
var Kinds = []Kind{
	{"memory", func(T) string { return "memory" }, func(T, func() time.Time) session.Store { return memory.Sessions() }},
	{"sqlite", sqliteAddress, openSQLite},
	{"postgres", postgresAddress, openPostgres},
	{"redis", redisAddress, openRedis},
}

func sqliteFile(t T) string    { return filepath.Join(t.TempDir(), "sessions.db") }
func sqliteAddress(t T) string { return "sqlite:" + sqliteFile(t) }

func postgresAddress(t T) string { return StartPostgres(t).NewDatabase() }
func redisAddress(t T) string    { return StartRedis(t).URL }

func openSQLite(t T, _ func() time.Time) session.Store {
	t.Helper()
	db, err := sqlite.Open(context.Background(), sqliteFile(t))
	closes(t, db, err)
	return sqlite.Sessions(db)
}

func openPostgres(t T, _ func() time.Time) session.Store {
	t.Helper()
	db, err := postgres.Open(context.Background(), postgresAddress(t))
	closes(t, db, err)
	return postgres.Sessions(db)
}

func openRedis(t T, now func() time.Time) session.Store { return StartRedis(t).Store(now) }

// Store returns the sessions in the server, whose deadlines count by the clock now.
func (s *Redis) Store(now func() time.Time) session.Store {
	s.t.Helper()
	options, err := redis.ParseURL(s.URL)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	options.Now = now
	db, err := redis.Open(context.Background(), options)
	closes(s.t, db, err)
	return redis.Sessions(db)
}

// closes closes db when the test ends, if it could be opened.
func closes(t T, db interface{ Close() error }, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
}
