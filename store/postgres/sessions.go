package postgres

import (
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
)

// A SessionStore is a [session.Store] and a [session.Pruner] in a database. It is safe for concurrent use. Make one with [Sessions].
//
// The errors that session.Store does not name wrap what the server or the network says, or the context's error. A call that fails has changed
// nothing, or, where the connection was lost or the context ended while the server answered, all of what it was to change. A call whose transaction
// the server gives up for another's sake (a deadlock, a serialization failure) is tried three times more. Subjects may be as long as session.Table
// lets them be, 1024 bytes; much longer ones do not fit into an index, and are refused.
type SessionStore struct{ *store }

// store hides that PostgreSQL and SQLite share the code.
type store = sqldb.Sessions

var (
	_ session.Store  = (*SessionStore)(nil)
	_ session.Pruner = (*SessionStore)(nil)
)

// Sessions returns the sessions in db. Several stores of one database hold the same sessions.
func Sessions(db *DB) *SessionStore { return &SessionStore{sqldb.NewSessions(db.shared)} }
