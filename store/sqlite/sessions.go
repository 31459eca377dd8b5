package sqlite

import (
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
)

// A SessionStore is a [session.Store] and a [session.Pruner] in a database. It is safe for concurrent use. Make one with [Sessions].
//
// A call that returns nil is on the disk. The errors that session.Store does not name wrap what SQLite says, or the context's error; a call that
// fails has changed nothing, or, where its context ended at the same moment, all of what it was to change.
type SessionStore struct{ *store }

// store hides that SQLite and PostgreSQL share the code.
type store = sqldb.Sessions

var (
	_ session.Store  = (*SessionStore)(nil)
	_ session.Pruner = (*SessionStore)(nil)
)

// Sessions returns the sessions in db. Several stores of one database hold the same sessions.
func Sessions(db *DB) *SessionStore { return &SessionStore{sqldb.NewSessions(db.shared)} }
