package sqldb

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/storetest"
)

// TestSessions runs the suite on one pool for both, with locks as a database has them that needs some.
func TestSessions(t *testing.T) {
	storetest.TestSessions(t, func(t *testing.T) storetest.Sessions {
		db := migrated(t)
		db.Lock, db.LockShared = `SELECT $1`, `SELECT $1`
		db.Write.SetMaxOpenConns(1)
		return storetest.Sessions{Store: NewSessions(db)}
	})
}

// damaged returns a database in which a session has a key of the wrong length.
func damaged(t *testing.T, key []byte) *DB {
	t.Helper()
	db := migrated(t)
	db.Write.SetMaxOpenConns(1)
	must(t, db.Write, `PRAGMA ignore_check_constraints = ON`)
	must(t, db.Write, `INSERT INTO gatehouse_sessions VALUES ($1, x'01', $2, 0, 0, 0, 1, x'')`, key, []byte("anna"))
	return db
}

// TestDamagedKey: a key that is none is an error, not a key that begins or ends with zeros.
func TestDamagedKey(t *testing.T) {
	for _, size := range []int{0, 1, 31, 33, 64} {
		store := NewSessions(damaged(t, make([]byte, size)))
		list, err := store.List(t.Context(), "anna")
		if err == nil || !strings.Contains(err.Error(), "gatehouse_sessions has a key of") || len(list) != 0 {
			t.Errorf("List with a key of %d bytes = %d records, %v, want an error that says so", size, len(list), err)
		}
	}
}

// TestTableRefuses: what none of our statements writes, nobody else's does by mistake.
func TestTableRefuses(t *testing.T) {
	db := migrated(t)
	for what, values := range map[string]string{
		"a short key": `x'00', x'01', x'', 0, 0, 0, 1, x''`,
		"no key":      `NULL, x'01', x'', 0, 0, 0, 1, x''`,
		"no id":       `zeroblob(32), NULL, x'', 0, 0, 0, 1, x''`,
		"no subject":  `zeroblob(32), x'01', NULL, 0, 0, 0, 1, x''`,
		"no deadline": `zeroblob(32), x'01', x'', 0, 0, NULL, 1, x''`,
		"no body":     `zeroblob(32), x'01', x'', 0, 0, 0, 1, NULL`,
	} {
		if _, err := db.Write.ExecContext(t.Context(), `INSERT INTO gatehouse_sessions VALUES (`+values+`)`); err == nil {
			t.Errorf("INSERT with %s = nil, want an error", what)
		}
	}
}

// TestZeroKey: the key that stands for none spares nothing, not even a record that somebody stored under it.
func TestZeroKey(t *testing.T) {
	store := NewSessions(migrated(t))
	rec := session.Record{ID: "id", Subject: "anna", Created: time.UnixMilli(1), Seen: time.UnixMilli(1), Deadline: time.UnixMilli(2), Version: 1}
	if err := store.Create(t.Context(), rec, session.Key{}); err != nil {
		t.Fatal(err)
	}
	if n, err := store.DeleteAll(t.Context(), "anna", session.Key{}); n != 1 || err != nil {
		t.Errorf("DeleteAll = %d, %v, want 1, nil", n, err)
	}
}

// TestIndexes: what is looked for by subject or deadline is not found by reading everything.
func TestIndexes(t *testing.T) {
	db := migrated(t)
	for query, index := range map[string]string{
		`SELECT 1 FROM gatehouse_sessions WHERE key = $1`:                          "autoindex",
		`SELECT 1 FROM gatehouse_sessions WHERE subject = $1 ORDER BY created`:     "gatehouse_sessions_subject",
		`DELETE FROM gatehouse_sessions WHERE subject = $1 AND key <> $1`:          "gatehouse_sessions_subject",
		`SELECT key FROM gatehouse_sessions WHERE deadline < $1 ORDER BY deadline`: "gatehouse_sessions_deadline",
	} {
		var id, parent, unused int
		var detail string
		if err := db.Read.QueryRowContext(t.Context(), `EXPLAIN QUERY PLAN `+query, 1).Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(detail, "SEARCH") || !strings.Contains(detail, index) {
			t.Errorf("%s: %q, want a search of %s", query, detail, index)
		}
	}
}
