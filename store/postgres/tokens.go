package postgres

import (
	"github.com/gatehouse-auth/gatehouse/store/internal/sqldb"
	"github.com/gatehouse-auth/gatehouse/token"
)

// A TokenStore is a [token.Store] in a database. It is safe for concurrent use. Make one with [Tokens].
//
// The errors that token.Store does not name wrap what the server or the network says, or the context's error. A call that fails has changed
// nothing, or, where the connection was lost or the context ended while the server answered, all of what it was to change. A call whose transaction
// the server gives up for another's sake (a deadlock, a serialization failure) is tried three times more. Subjects and families have room for 1024 bytes at least;
// much longer ones do not fit into an index, and are refused. Rotate to a key that is taken changes nothing, and its error wraps token.ErrExists. A family that
// has ended is remembered until its last token would have been overdue and Prune has come by.
type TokenStore struct{ *tokens }

// tokens hides that PostgreSQL and SQLite share the code.
type tokens = sqldb.Tokens

var _ token.Store = (*TokenStore)(nil)

// Tokens returns the tokens in db. Several stores of one database hold the same tokens.
func Tokens(db *DB) *TokenStore { return &TokenStore{sqldb.NewTokens(db.shared)} }
